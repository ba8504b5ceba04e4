#include "port/cli_replay.h"

#include "port/cli.h"
#include "port/replay.h"

#define MTU_MIN 576
#define MTU_MAX 65521

struct replay_cli {
	struct cli cli; /* must be first, see of() */
	struct replay_config config;
};

static struct replay_config *of(struct cli *c)
{
	return &((struct replay_cli *)c)->config;
}

static enum cli_verdict apply_output(struct cli *c, const char *arg)
{
	of(c)->out = arg;
	return CLI_GO;
}

static enum cli_verdict apply_expect(struct cli *c, const char *arg)
{
	of(c)->expect = arg;
	return CLI_GO;
}

static enum cli_verdict apply_host(struct cli *c, const char *arg)
{
	of(c)->host = arg;
	return CLI_GO;
}

static enum cli_verdict apply_cidr(struct cli *c, const char *arg)
{
	struct fail why;

	if (cli_cidr(arg, &of(c)->net4, &of(c)->bits4, &why) == 0)
		return CLI_GO;
	fprintf(c->err, "%s: --cidr '%s': %s\n", c->name, arg, why.text);
	return CLI_BAD;
}

static enum cli_verdict apply_mtu(struct cli *c, const char *arg)
{
	long v;

	if (cli_number(arg, MTU_MIN, MTU_MAX, &v) < 0) {
		fprintf(c->err, "%s: --mtu '%s': want a number from %d to %d\n",
			c->name, arg, MTU_MIN, MTU_MAX);
		return CLI_BAD;
	}
	of(c)->mtu = (uint16_t)v;
	return CLI_GO;
}

static enum cli_verdict apply_help(struct cli *c, const char *arg)
{
	fputs("Usage: tapir replay [OPTION]... IN.pcap\n"
	      "Feeds the container's frames of a capture into tapir's stack, "
	      "without a tap and\n"
	      "without root, on a clock that follows the capture: the same "
	      "input gives the\n"
	      "same output to the byte.\n\n",
	      c->out);
	cli_print_options(c, c->out);
	fputs("\n"
	      "Without --host the other side does again what it did in the "
	      "capture, or, if\n"
	      "only the container was captured, echoes everything. A script "
	      "has a rule a line,\n"
	      "the first that matches decides:\n\n"
	      "  tcp TARGET ACTION[, ACTION]...\n"
	      "  udp TARGET echo|drop|refuse|net-unreachable|"
	      "host-unreachable|\n"
	      "             too-big MTU|send N\n"
	      "  ping TARGET echo|drop|net-unreachable|host-unreachable|"
	      "too-big MTU\n\n"
	      "TARGET: *, ADDR, ADDR:PORT, *:PORT, [IPV6]:PORT\n"
	      "ACTION: refuse, net-unreachable, host-unreachable, timeout; or "
	      "one after the\n"
	      "        other: after MS, send N, wait N, wait end, echo, "
	      "close, reset\n\n"
	      "Exit status: 0; 1 if something went wrong or is not as "
	      "expected.\n",
	      c->out);
	return CLI_DONE;
}

static const struct cli_option options[] = {
	{"output", 'o', "OUT.pcap", "write what the tap would have seen",
	 apply_output, 0},
	{"expect", 0, "WANT.pcap", "compare that with WANT.pcap", apply_expect,
	 0},
	{"host", 0, "FILE", "what the other side does (see below)", apply_host,
	 0},
	{"cidr", 0, "CIDR", "the container's network (default=10.0.2.0/24)",
	 apply_cidr, 0},
	{"mtu", 0, "MTU", "of the container's link (default=65520)", apply_mtu,
	 0},
	{"help", 'h', NULL, "show this help and exit", apply_help, 0},
	{0},
};

int cli_replay(int argc, char **argv, FILE *out, FILE *err)
{
	struct config defaults = config_default();
	struct replay_cli r = {
		.cli = {options, "tapir replay", out, err, NULL, false, NULL},
		.config = {.net4 = defaults.net4,
			   .bits4 = defaults.bits4,
			   .mtu = 65520},
	};
	enum cli_verdict verdict;
	int words;

	verdict = cli_parse(&r.cli, argc, argv, &words);
	if (verdict == CLI_DONE)
		return 0;
	if (verdict == CLI_GO && argc - words != 1) {
		fprintf(err, "tapir replay: want one capture, got %d\n",
			argc - words);
		verdict = CLI_BAD;
	}
	if (verdict == CLI_BAD) {
		fputs("Try 'tapir replay --help'.\n", err);
		return 1;
	}
	r.config.in = argv[words];
	return replay_run(&r.config, out, err);
}
