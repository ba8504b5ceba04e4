/* The command line of `tapir replay`. */
#ifndef PORT_CLI_REPLAY_H
#define PORT_CLI_REPLAY_H

#include <stdio.h>

/* Parses and does it; @argv[0] is "replay". The exit status. */
int cli_replay(int argc, char **argv, FILE *out, FILE *err);

#endif
