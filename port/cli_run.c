/* tapir run: a command in namespaces of its own. */
#include "port/cli.h"

#include <string.h>

#define MTU_MIN  576   /* every IPv4 host takes as much, RFC 791 3.1 */
#define MTU_MIN6 1280  /* RFC 8200 5 */
#define MTU_MAX  65521 /* what the kernel lets a tap have */

struct run {
	struct cli cli; /* must be first, see run_of() */
	struct config *config;
	bool only4, only6;
};

static struct run *run_of(struct cli *c)
{
	return (struct run *)c;
}

static enum cli_verdict apply_mtu(struct cli *c, const char *arg)
{
	long v;

	if (cli_number(arg, MTU_MIN, MTU_MAX, &v) < 0) {
		fprintf(c->err, "%s: --mtu '%s': want a number from %d to %d\n",
			c->name, arg, MTU_MIN, MTU_MAX);
		return CLI_BAD;
	}
	run_of(c)->config->mtu = (uint16_t)v;
	return CLI_GO;
}

static enum cli_verdict apply_cidr(struct cli *c, const char *arg)
{
	struct config *config = run_of(c)->config;
	struct fail why;

	if (cli_cidr(arg, &config->net4, &config->bits4, &why) == 0)
		return CLI_GO;
	fprintf(c->err, "%s: --cidr '%s': %s\n", c->name, arg, why.text);
	return CLI_BAD;
}

static enum cli_verdict apply_only4(struct cli *c, const char *arg)
{
	run_of(c)->only4 = true;
	return CLI_GO;
}

static enum cli_verdict apply_only6(struct cli *c, const char *arg)
{
	run_of(c)->only6 = true;
	return CLI_GO;
}

static enum cli_verdict apply_no_loopback(struct cli *c, const char *arg)
{
	run_of(c)->config->host_loopback = false;
	return CLI_GO;
}

static enum cli_verdict apply_help(struct cli *c, const char *arg)
{
	fputs("Usage: tapir run [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	      "Runs COMMAND in a network namespace of its own, connected by "
	      "tapir.\n"
	      "It needs no privilege; COMMAND sees itself as root.\n\n",
	      c->out);
	cli_print_options(c, c->out);
	fputs("\n"
	      "Exit status: that of COMMAND; 128+N if signal N ended it; 126 "
	      "if it cannot be\n"
	      "executed, 127 if it is not found, 1 if tapir failed.\n\n"
	      "Examples:\n"
	      "  tapir run curl https://example.org/\n"
	      "  tapir run --ipv4-only --mtu=1500 -- bash -l\n",
	      c->out);
	return CLI_DONE;
}

static const struct cli_option options[] = {
	{"mtu", 0, "MTU",
	 "MTU, 576 to 65521; no IPv6 below 1280 (default=65520)", apply_mtu},
	{"cidr", 0, "CIDR", "IPv4 network, /1 to /25 (default=10.0.2.0/24)",
	 apply_cidr},
	{"ipv4-only", 0, NULL, "no IPv6", apply_only4},
	{"ipv6-only", 0, NULL, "no IPv4", apply_only6},
	{"no-host-loopback", 0, NULL, "no way to 127.0.0.1 and ::1 of the host",
	 apply_no_loopback},
	{"help", 'h', NULL, "show this help and exit", apply_help},
	{0},
};

static enum cli_verdict choose_families(const struct run *r)
{
	struct config *config = r->config;

	if (r->only4 && r->only6) {
		fprintf(r->cli.err,
			"%s: --ipv4-only and --ipv6-only exclude each other\n",
			r->cli.name);
		return CLI_BAD;
	}
	if (r->only6 && config->mtu < MTU_MIN6) {
		fprintf(r->cli.err, "%s: --mtu '%u': IPv6 wants %d or more\n",
			r->cli.name, (unsigned)config->mtu, MTU_MIN6);
		return CLI_BAD;
	}
	config->ipv4 = !r->only6;
	config->ipv6 = !r->only4 && config->mtu >= MTU_MIN6;
	return CLI_GO;
}

enum cli_verdict cli_run(int argc, char **argv, struct config *ret, FILE *out,
			 FILE *err)
{
	struct run r = {
		.cli = {options, "tapir run", out, err, true},
		.config = ret,
	};
	enum cli_verdict verdict;
	int words;

	*ret = config_default();
	ret->target = CONFIG_TARGET_RUN;
	ret->ifname = "tap0";
	ret->mtu = 65520;
	ret->configure = ret->configure6 = true;
	verdict = cli_parse(&r.cli, argc, argv, &words);
	if (verdict == CLI_GO)
		verdict = choose_families(&r);
	if (verdict == CLI_GO && words == argc) {
		fputs("tapir run: no command given\n", err);
		verdict = CLI_BAD;
	}
	if (verdict == CLI_BAD)
		fputs("Try 'tapir run --help'.\n", err);
	if (verdict == CLI_GO)
		ret->command = argv + words;
	return verdict;
}
