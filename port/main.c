#include "port/cli.h"
#include "port/start.h"

int main(int argc, char **argv)
{
	struct config config;
	int status;

	/* Whoever reads a log wants lines as they come, not when we are killed
	 * (then they were lost). */
	setvbuf(stdout, NULL, _IOLBF, 0);
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
