/* The command line of slirp4netns 1.3.3: its options, defaults, words and exit
 * statuses, since engines read --help and users' scripts the rest. */
#include "port/cli.h"

#include "port/version.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define MTU_MAX 65521 /* what the kernel lets a tap have */

struct slirp {
	struct cli cli; /* must be first, see slirp_of() */
	struct config *config;
	/* looked at once all options are known; NULL: not given */
	const char *cidr, *mac, *outbound4, *outbound6;
};

static struct slirp *slirp_of(struct cli *c)
{
	return (struct slirp *)c;
}

static enum cli_verdict apply_configure(struct cli *c, const char *arg)
{
	slirp_of(c)->config->configure = true;
	return CLI_GO;
}

static enum cli_verdict parse_fd(struct cli *c, const char *what,
				 const char *arg, int *ret)
{
	long v;

	if (cli_number(arg, 0, INT_MAX, &v) < 0) {
		fprintf(c->err, "%s must be a non-negative integer, not '%s'\n",
			what, arg);
		return CLI_BAD;
	}
	*ret = (int)v;
	return CLI_GO;
}

static enum cli_verdict apply_exit_fd(struct cli *c, const char *arg)
{
	return parse_fd(c, "exit-fd", arg, &slirp_of(c)->config->exit_fd);
}

static enum cli_verdict apply_ready_fd(struct cli *c, const char *arg)
{
	return parse_fd(c, "ready-fd", arg, &slirp_of(c)->config->ready_fd);
}

static enum cli_verdict apply_mtu(struct cli *c, const char *arg)
{
	long v;

	if (cli_number(arg, 1, MTU_MAX, &v) < 0) {
		fprintf(c->err,
			"MTU must be a positive integer (< %d), not '%s'\n",
			MTU_MAX + 1, arg);
		return CLI_BAD;
	}
	slirp_of(c)->config->mtu = (uint16_t)v;
	return CLI_GO;
}

static enum cli_verdict apply_ipv6(struct cli *c, const char *arg)
{
	slirp_of(c)->config->ipv6 = true;
	return CLI_GO;
}

static enum cli_verdict apply_cidr(struct cli *c, const char *arg)
{
	slirp_of(c)->cidr = arg;
	return CLI_GO;
}

static enum cli_verdict apply_no_loopback(struct cli *c, const char *arg)
{
	slirp_of(c)->config->host_loopback = false;
	return CLI_GO;
}

static enum cli_verdict apply_no_loopback_old(struct cli *c, const char *arg)
{
	fputs("WARNING: --no-host-loopback is deprecated, use "
	      "--disable-host-loopback\n",
	      c->out);
	return apply_no_loopback(c, arg);
}

/* Callers take any other word for "path". */
static enum cli_verdict apply_netns_type(struct cli *c, const char *arg)
{
	struct config *config = slirp_of(c)->config;

	if (strcmp(arg, "pid") == 0)
		config->target = CONFIG_TARGET_PID;
	else if (strcmp(arg, "tapfd") == 0)
		config->target = CONFIG_TARGET_TAPFD;
	else
		config->target = CONFIG_TARGET_PATH;
	return CLI_GO;
}

static enum cli_verdict apply_userns_path(struct cli *c, const char *arg)
{
	if (access(arg, F_OK) < 0) {
		fprintf(c->err, "userns path doesn't exist: %s\n", arg);
		return CLI_BAD;
	}
	slirp_of(c)->config->userns_path = arg;
	return CLI_GO;
}

static enum cli_verdict apply_outbound4(struct cli *c, const char *arg)
{
	slirp_of(c)->outbound4 = arg;
	return CLI_GO;
}

static enum cli_verdict apply_outbound6(struct cli *c, const char *arg)
{
	slirp_of(c)->outbound6 = arg;
	return CLI_GO;
}

static enum cli_verdict apply_no_dns(struct cli *c, const char *arg)
{
	slirp_of(c)->config->dns = false;
	return CLI_GO;
}

static enum cli_verdict apply_mac(struct cli *c, const char *arg)
{
	slirp_of(c)->mac = arg;
	return CLI_GO;
}

static enum cli_verdict apply_target_type(struct cli *c, const char *arg)
{
	if (strcmp(arg, "netns") == 0)
		return CLI_GO;
	fprintf(c->err, "--target-type must be \"netns\", not '%s'\n", arg);
	return CLI_BAD;
}

static enum cli_verdict apply_api_any(struct cli *c, const char *arg)
{
	bool ipv4 = strcmp(arg, "ipv4") == 0;

	if (!ipv4 && strcmp(arg, "both") != 0) {
		fprintf(c->err,
			"--api-any must be \"both\" or \"ipv4\", not "
			"'%s'\n",
			arg);
		return CLI_BAD;
	}
	slirp_of(c)->config->api_any_is_ipv4 = ipv4;
	return CLI_GO;
}

static enum cli_verdict apply_help(struct cli *c, const char *arg);

static enum cli_verdict apply_version(struct cli *c, const char *arg)
{
	/* Docker takes the last line with that word in lower case, engines the
	 * number behind it; the MAX is a promise about features. */
	fprintf(c->out,
		"slirp4netns version 1.3.3 (tapir %s)\n"
		"commit: %s\n"
		"SLIRP_CONFIG_VERSION_MAX: 6\n",
		version, version_commit);
	return CLI_DONE;
}

static const struct cli_option options[] = {
	{"configure", 'c', NULL,
	 "bring the interface up, with address and route", apply_configure, 0},
	{"exit-fd", 'e', "FD", "end when the other end of FD is closed",
	 apply_exit_fd, 0},
	{"ready-fd", 'r', "FD", "write 1 to FD when the network is there",
	 apply_ready_fd, 0},
	{"mtu", 'm', "MTU", "MTU of the network (default=1500, max=65521)",
	 apply_mtu, 0},
	{"enable-ipv6", '6', NULL, "IPv6 as well, in fd00::/64", apply_ipv6, 0},
	{"api-socket", 'a', "PATH", "socket to publish ports by",
	 cli_api_socket, 0},
	{"api-any", 0, "WHICH",
	 "what 0.0.0.0 means there ([both|ipv4], default=both)", apply_api_any,
	 0},
	{"follow", 0, NULL,
	 "published ports are open only while the container listens",
	 cli_follow, 0},
	CLI_PCAP_OPTIONS(0),
	{"cidr", 0, "CIDR", "the network (default=10.0.2.0/24)", apply_cidr, 0},
	{"disable-host-loopback", 0, NULL,
	 "no way to 127.0.0.1 and ::1 of the host", apply_no_loopback, 0},
	{"no-host-loopback", 0, NULL, NULL, apply_no_loopback_old, 0},
	{"netns-type", 0, "TYPE",
	 "what the target is ([path|pid|tapfd], default=pid)", apply_netns_type,
	 0},
	{"userns-path", 0, "PATH", "user namespace to join first",
	 apply_userns_path, 0},
	{"outbound-addr", 0, "IPv4",
	 "source address, or its interface, of IPv4 sockets", apply_outbound4,
	 0},
	{"outbound-addr6", 0, "IPv6",
	 "source address, or its interface, of IPv6 sockets", apply_outbound6,
	 0},
	{"disable-dns", 0, NULL, "no resolver at 10.0.2.3 and fd00::3",
	 apply_no_dns, 0},
	{"macaddress", 0, "MAC", "MAC address of the interface (only with -c)",
	 apply_mac, 0},
	{"target-type", 0, "TYPE", "kind of target ([netns], default=netns)",
	 apply_target_type, 0},
	{"help", 'h', NULL, "show this help and exit", apply_help, 0},
	{"version", 'v', NULL, "show version and exit", apply_version, 0},
	{0},
};

static void print_usage(const struct cli *c)
{
	fputs("Usage: slirp4netns [OPTION]... PID|PATH|FD [TAPNAME]\n"
	      "User-mode networking for unprivileged network namespaces, by "
	      "tapir.\n\n",
	      c->out);
	cli_print_options(c, c->out);
}

static enum cli_verdict apply_help(struct cli *c, const char *arg)
{
	print_usage(c);
	return CLI_DONE;
}

static enum cli_verdict take_target(struct cli *c, const char *word)
{
	struct config *config = slirp_of(c)->config;
	long pid;

	switch (config->target) {
	case CONFIG_TARGET_PID:
		if (cli_number(word, 1, INT_MAX, &pid) < 0) {
			fprintf(c->err,
				"PID must be a positive integer, not '%s'\n",
				word);
			return CLI_BAD;
		}
		config->pid = (pid_t)pid;
		return CLI_GO;
	case CONFIG_TARGET_PATH:
		if (access(word, F_OK) < 0) {
			fprintf(c->err,
				"existing path expected when "
				"--netns-type=path: %s: %s\n",
				word, strerror(errno));
			return CLI_BAD;
		}
		config->netns_path = word;
		return CLI_GO;
	case CONFIG_TARGET_TAPFD:
		return parse_fd(c, "FD", word, &config->tapfd);
	case CONFIG_TARGET_RUN:
		break;
	}
	return CLI_BAD;
}

static enum cli_verdict take_words(struct cli *c, int n, char **words)
{
	struct slirp *s = slirp_of(c);
	bool needs_name = s->config->target != CONFIG_TARGET_TAPFD;

	if (n < 1 || (n < 2 && needs_name)) {
		fprintf(c->err, "%s expected\n",
			n < 1 ? "PID, PATH or FD" : "TAPNAME");
		return CLI_BAD;
	}
	if (take_target(c, words[0]) != CLI_GO)
		return CLI_BAD;
	s->config->ifname = n < 2 ? "tap" : words[1];
	if (s->mac && !s->config->configure) {
		fputs("--macaddress cannot be specified when --configure or "
		      "-c is not specified\n",
		      c->err);
		return CLI_BAD;
	}
	if (n > 2)
		fputs("WARNING: too many arguments\n", c->out);
	return CLI_GO;
}

static int outbound(const char *text, bool v4, struct in6_addr *ret,
		    struct fail *why)
{
	if (cli_source(text, v4, ret) == 0)
		return 0;
	return fail_set(why, -EINVAL,
			"outbound-addr%s has to be valid ipv%d address or "
			"interface name, not '%s'",
			v4 ? "" : "6", v4 ? 4 : 6, text);
}

static int take_addresses(const struct slirp *s, struct fail *why)
{
	struct config *c = s->config;
	int err = 0;

	if (s->cidr)
		err = cli_cidr(s->cidr, &c->net4, &c->bits4, why);
	if (err == 0 && s->mac) {
		err = cli_mac(s->mac, c->mac, why);
		c->has_mac = err == 0;
	}
	if (err == 0 && s->outbound4)
		err = outbound(s->outbound4, true, &c->outbound4, why);
	if (err == 0 && s->outbound6)
		err = outbound(s->outbound6, false, &c->outbound6, why);
	return err;
}

enum cli_verdict cli_slirp(int argc, char **argv, struct config *ret, FILE *out,
			   FILE *err)
{
	struct slirp s = {
		.cli = {options, argv[0], out, err, ret, false, NULL},
		.config = ret,
	};
	enum cli_verdict verdict;
	struct fail why;
	int words;

	*ret = config_default();
	ret->talk = true;
	verdict = cli_parse(&s.cli, argc, argv, &words);
	if (verdict == CLI_GO)
		verdict = take_words(&s.cli, argc - words, argv + words);
	if (verdict == CLI_GO)
		verdict = cli_pcap_check(&s.cli);
	if (verdict == CLI_BAD)
		print_usage(&s.cli);
	if (verdict != CLI_GO)
		return verdict;
	if (take_addresses(&s, &why) < 0) {
		fprintf(err, "%s\n", why.text);
		return CLI_BAD;
	}
	return CLI_GO;
}
