/* tapir flows: the conversations of a capture, one a line. */
#ifndef PORT_CLI_FLOWS_H
#define PORT_CLI_FLOWS_H

#include <stdio.h>

/* @argv[0] is "flows". The exit status. */
int cli_flows(int argc, char **argv, FILE *out, FILE *err);

#endif
