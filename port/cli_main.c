#include "port/cli.h"

#include "port/version.h"

#include <string.h>

static void print_help(FILE *to)
{
	fputs("Usage: tapir run [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	      "       tapir slirp4netns [OPTION]... PID|PATH|FD [TAPNAME]\n"
	      "       tapir pasta [OPTION]... [PID|COMMAND [ARGUMENT]...]\n"
	      "       tapir flows|replay [OPTION]... IN.pcap\n"
	      "       tapir --help | --version\n"
	      "User-mode networking for rootless containers.\n\n"
	      "run          run a command in a network namespace of its own\n"
	      "slirp4netns  connect an existing namespace, with the options "
	      "of slirp4netns\n"
	      "pasta        connect one as if it were the host, with the "
	      "options of pasta\n"
	      "             (both also when tapir is called by that name)\n"
	      "flows        list the conversations of a capture\n"
	      "replay       feed a capture into tapir's stack\n\n"
	      "Examples:\n"
	      "  tapir run curl https://example.org/\n"
	      "  tapir run --no-host-loopback -- bash\n"
	      "  tapir slirp4netns --configure --mtu=65520 --enable-ipv6 "
	      "$PID tap0\n"
	      "  tapir flows IN.pcap\n\n"
	      "Each has its own --help.\n",
	      to);
}

static bool is(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

enum cli_verdict cli_main(int argc, char **argv, struct config *ret, FILE *out,
			  FILE *err)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (argc > 0 && strcmp(basename_of(argv[0]), "slirp4netns") == 0)
		return cli_slirp(argc, argv, ret, out, err);
	if (argc > 0 && strcmp(basename_of(argv[0]), "pasta") == 0)
		return cli_pasta(argc, argv, ret, out, err);
	if (!word) {
		print_help(err);
		return CLI_BAD;
	}
	if (strcmp(word, "slirp4netns") == 0)
		return cli_slirp(argc - 1, argv + 1, ret, out, err);
	if (strcmp(word, "pasta") == 0)
		return cli_pasta(argc - 1, argv + 1, ret, out, err);
	if (strcmp(word, "run") == 0)
		return cli_run(argc - 1, argv + 1, ret, out, err);
	if (is(word, "--help", "-h")) {
		print_help(out);
		return CLI_DONE;
	}
	if (is(word, "--version", "-v")) {
		fprintf(out, "tapir %s\ncommit: %s\n", version, version_commit);
		return CLI_DONE;
	}
	fprintf(err,
		"tapir: unknown %s '%s': want run, slirp4netns, pasta, flows, "
		"replay, --help or --version\n",
		word[0] == '-' ? "option" : "command", word);
	return CLI_BAD;
}
