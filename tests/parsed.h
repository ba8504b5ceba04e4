/* What comes of a command line. */
#ifndef TESTS_PARSED_H
#define TESTS_PARSED_H

#include "port/cli.h"

struct parsed {
	struct config config; /* after CLI_GO for config_fini() */
	enum cli_verdict verdict;
	char *out, *err; /* owned */
};

/* @argv ends with NULL, and is what the configuration borrows from. */
struct parsed parsed_main(int argc, char **argv);
/* The texts alone. */
void parsed_forget(struct parsed *p);

#define PARSE(...)                                                             \
	parsed_main(                                                           \
		(int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), \
		(char **)(uintptr_t)(const char *[]){__VA_ARGS__, NULL})

#endif
