#include "port/cli.h"
#include "port/cli_flows.h"
#include "port/cli_replay.h"
#include "port/start.h"

#include <string.h>

/* Commands that need no network of their own. */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv, FILE *out, FILE *err);
} commands[] = {
	{"flows", cli_flows},
	{"replay", cli_replay},
};

int main(int argc, char **argv)
{
	struct config config;
	int status;

	/* Whoever reads a log wants lines as they come, not when we are killed
	 * (then they were lost). */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc > 1 && strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1, stdout,
					       stderr);
	}
	switch (cli_main(argc, argv, &config, stdout, stderr)) {
	case CLI_GO:
		status = start(&config);
		config_fini(&config);
		return status;
	case CLI_DONE:
		return 0;
	case CLI_BAD:
		break;
	}
	return 1;
}
