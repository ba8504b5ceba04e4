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
	/* -4 or -6 as a set of rule families, 0: neither; used: a -p came
	 * after it */
	unsigned limit;
	bool limit_used;
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

static enum cli_verdict limit_rule(const struct run *r, struct rule *rule)
{
	char text[RULE_STRLEN];

	if (!(rule->families & r->limit)) {
		fprintf(r->cli.err,
			"%s: -%c and the address of %s are of different "
			"families\n",
			r->cli.name, r->limit == RULE_IPV4 ? '4' : '6',
			rule_format(rule, text));
		return CLI_BAD;
	}
	rule->families = r->limit;
	return CLI_GO;
}

static enum cli_verdict apply_publish(struct cli *c, const char *arg)
{
	struct run *r = run_of(c);
	struct rule rule;
	struct fail why;

	if (rule_parse(arg, &rule, &why) < 0) {
		fprintf(c->err, "%s: --publish '%s': %s\n", c->name, arg,
			why.text);
		return CLI_BAD;
	}
	if (r->limit && limit_rule(r, &rule) != CLI_GO)
		return CLI_BAD;
	r->limit_used = true;
	if (config_add_rule(r->config, &rule) == 0)
		return CLI_GO;
	fprintf(c->err, "%s: no memory for --publish '%s'\n", c->name, arg);
	return CLI_BAD;
}

static enum cli_verdict set_limit(struct cli *c, unsigned family)
{
	run_of(c)->limit = family;
	run_of(c)->limit_used = false;
	return CLI_GO;
}

static enum cli_verdict apply_limit4(struct cli *c, const char *arg)
{
	return set_limit(c, RULE_IPV4);
}

static enum cli_verdict apply_limit6(struct cli *c, const char *arg)
{
	return set_limit(c, RULE_IPV6);
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
	      "  tapir run -p 8080:80 -p 127.0.0.1:5353:53/udp -- server\n"
	      "  tapir run --ipv4-only --mtu=1500 -- bash -l\n",
	      c->out);
	return CLI_DONE;
}

static const struct cli_option options[] = {
	{"publish", 'p', "PORTS",
	 "publish [[ADDR:]HOST[-END]:]CONTAINER[/PROTO]", apply_publish, 0},
	{"publish-ipv4", '4', NULL,
	 "limit the -p that follow, or else the last, to IPv4", apply_limit4,
	 0},
	{"publish-ipv6", '6', NULL, "the same, to IPv6", apply_limit6, 0},
	{"follow", 0, NULL,
	 "published ports are open only while COMMAND listens", cli_follow, 0},
	{"loopback", 0, NULL,
	 "published ports lead to 127.0.0.1 and ::1 of COMMAND, too",
	 cli_loopback, 0},
	{"splice", 0, NULL,
	 "and TCP clients on the host's loopback there first", cli_splice, 0},
	{"api-socket", 0, "PATH", "socket to publish ports by", cli_api_socket,
	 0},
	CLI_PCAP_OPTIONS(0),
	{"mtu", 0, "MTU",
	 "MTU, 576 to 65521; no IPv6 below 1280 (default=65520)", apply_mtu, 0},
	{"cidr", 0, "CIDR", "IPv4 network, /1 to /25 (default=10.0.2.0/24)",
	 apply_cidr, 0},
	{"ipv4-only", 0, NULL, "no IPv6", apply_only4, 0},
	{"ipv6-only", 0, NULL, "no IPv4", apply_only6, 0},
	{"no-host-loopback", 0, NULL, "no way to 127.0.0.1 and ::1 of the host",
	 apply_no_loopback, 0},
	{"help", 'h', NULL, "show this help and exit", apply_help, 0},
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

/* A -4 or -6 with no -p behind it means the last one before. */
static enum cli_verdict end_limit(struct run *r)
{
	struct config *config = r->config;

	if (!r->limit || r->limit_used)
		return CLI_GO;
	if (config->rule_count > 0)
		return limit_rule(r, &config->rules[config->rule_count - 1]);
	fprintf(r->cli.err, "%s: -%c limits -p, and there is none\n",
		r->cli.name, r->limit == RULE_IPV4 ? '4' : '6');
	return CLI_BAD;
}

enum cli_verdict cli_run(int argc, char **argv, struct config *ret, FILE *out,
			 FILE *err)
{
	struct run r = {
		.cli = {options, "tapir run", out, err, ret, true, NULL},
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
	if (verdict == CLI_GO)
		verdict = end_limit(&r);
	if (verdict == CLI_GO)
		verdict = cli_pcap_check(&r.cli);
	if (verdict == CLI_GO && words == argc) {
		fputs("tapir run: no command given\n", err);
		verdict = CLI_BAD;
	}
	if (verdict == CLI_BAD)
		fputs("Try 'tapir run --help'.\n", err);
	if (verdict == CLI_GO)
		ret->command = argv + words;
	else
		config_fini(ret);
	return verdict;
}
