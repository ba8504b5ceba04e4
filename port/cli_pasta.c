/* The command line of pasta: its options, defaults and words, since Podman and
 * RootlessKit call it so and read what it answers. */
#include "port/cli_pasta_impl.h"
#include "port/version.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_SIZE     (1l << 20)
#define LOG_SIZE_MIN (4l << 10)

#define AT(field) offsetof(struct cli_pasta, field)

/* Options that go where they belong at once. */

static enum cli_verdict apply_ifname(struct cli *c, const char *arg)
{
	c->config->ifname = arg;
	return CLI_GO;
}

static enum cli_verdict apply_outbound_if4(struct cli *c, const char *arg)
{
	c->config->outbound_if4 = arg;
	return CLI_GO;
}

static enum cli_verdict apply_outbound_if6(struct cli *c, const char *arg)
{
	c->config->outbound_if6 = arg;
	return CLI_GO;
}

static enum cli_verdict apply_no_tcp(struct cli *c, const char *arg)
{
	c->config->no_tcp = true;
	return CLI_GO;
}

static enum cli_verdict apply_no_udp(struct cli *c, const char *arg)
{
	c->config->no_udp = true;
	return CLI_GO;
}

static enum cli_verdict apply_pid(struct cli *c, const char *arg)
{
	c->config->process.pid_path = arg;
	return CLI_GO;
}

static enum cli_verdict apply_log_file(struct cli *c, const char *arg)
{
	c->config->process.log_path = arg;
	return CLI_GO;
}

static enum cli_verdict take_spec(struct cli *c, struct portspec *s,
				  enum rule_proto proto, const char *arg)
{
	struct fail why;

	if (portspec_add(s, arg, proto, &why) == 0)
		return CLI_GO;
	fprintf(c->err, "%s: %s\n", c->name, why.text);
	return CLI_BAD;
}

static enum cli_verdict apply_tcp_ports(struct cli *c, const char *arg)
{
	return take_spec(c, &((struct cli_pasta *)c)->tcp, RULE_TCP, arg);
}

static enum cli_verdict apply_udp_ports(struct cli *c, const char *arg)
{
	return take_spec(c, &((struct cli_pasta *)c)->udp, RULE_UDP, arg);
}

static enum cli_verdict apply_tcp_ns(struct cli *c, const char *arg)
{
	return take_spec(c, &((struct cli_pasta *)c)->tcp_ns, RULE_TCP, arg);
}

static enum cli_verdict apply_udp_ns(struct cli *c, const char *arg)
{
	return take_spec(c, &((struct cli_pasta *)c)->udp_ns, RULE_UDP, arg);
}

static enum cli_verdict apply_no_netns_quit(struct cli *c, const char *arg)
{
	c->config->process.stays = true;
	return CLI_GO;
}

static enum cli_verdict apply_help(struct cli *c, const char *arg);

static enum cli_verdict apply_version(struct cli *c, const char *arg)
{
	fprintf(c->out, "pasta tapir-%s\ncommit: %s\n", version,
		version_commit);
	return CLI_DONE;
}

/* What pasta has and tapir has not. */
static enum cli_verdict refuse_vm(struct cli *c, const char *arg)
{
	fprintf(c->err,
		"%s: --%s: tapir connects containers, not virtual machines\n",
		c->name, c->now->name);
	return CLI_BAD;
}

static enum cli_verdict refuse_control(struct cli *c, const char *arg)
{
	fprintf(c->err,
		"%s: --%s: tapir does not speak the protocol of pesto; "
		"--api-socket PATH publishes ports at run time\n",
		c->name, c->now->name);
	return CLI_BAD;
}

static enum cli_verdict refuse_stats(struct cli *c, const char *arg)
{
	fprintf(c->err, "%s: --%s: tapir prints no statistics\n", c->name,
		c->now->name);
	return CLI_BAD;
}

static enum cli_verdict refuse_freebind(struct cli *c, const char *arg)
{
	fprintf(c->err,
		"%s: --%s: tapir publishes at addresses that the host has; "
		"%%INTERFACE/PORT follows those that come later\n",
		c->name, c->now->name);
	return CLI_BAD;
}

static enum cli_verdict refuse_splice_only(struct cli *c, const char *arg)
{
	fprintf(c->err, "%s: --%s: tapir always has a tap\n", c->name,
		c->now->name);
	return CLI_BAD;
}

static const struct cli_option options[] = {
	{"config-net", 0, NULL, "configure the interface from outside",
	 cli_store_flag, AT(config_net)},
	{"address", 'a', "ADDR[/BITS]",
	 "the container's address (default: the host's)", cli_pasta_address, 0},
	{"netmask", 'n', "MASK", "its IPv4 netmask, in bits or as 255.255.0.0",
	 cli_store_text, AT(netmask)},
	{"gateway", 'g', "ADDR", "its default gateway", cli_pasta_gateway, 0},
	{"mtu", 'm', "MTU", "576 to 65521, 0: not set (default=65520)",
	 cli_store_text, AT(mtu)},
	{"ns-ifname", 'I', "NAME",
	 "name of the tap (default: the host interface's)", apply_ifname, 0},
	{"interface", 'i', "NAME", "interface of the host to be shown",
	 cli_store_text, AT(interface)},
	{"ns-mac-addr", 0, "MAC", "MAC address of the tap", cli_store_text,
	 AT(ns_mac)},
	{"mac-addr", 'M', "MAC", "MAC address of the gateway", cli_store_text,
	 AT(mac)},
	{"ipv4-only", '4', NULL, "no IPv6", cli_store_flag, AT(only4)},
	{"ipv6-only", '6', NULL, "no IPv4", cli_store_flag, AT(only6)},
	{"outbound", 'o', "ADDR|NAME",
	 "source address, or its interface, of sockets", cli_pasta_outbound, 0},
	{"outbound-if4", 0, "NAME", "interface that IPv4 sockets use",
	 apply_outbound_if4, 0},
	{"outbound-if6", 0, "NAME", "interface that IPv6 sockets use",
	 apply_outbound_if6, 0},

	{"map-host-loopback", 0, "ADDR|none",
	 "leads to the host's loopback\n(default: the gateway)",
	 cli_pasta_map_loopback, 0},
	{"no-map-gw", 0, NULL, "the gateway is not the host's loopback",
	 cli_store_flag, AT(no_map_gw)},
	{"map-guest-addr", 0, "ADDR|none", "leads to the host's own address",
	 cli_pasta_map_guest, 0},
	{"dns-forward", 0, "ADDR", "leads to the host's resolver",
	 cli_pasta_dns_forward, 0},
	{"dns-host", 0, "ADDR",
	 "the host's resolver (default: those of resolv.conf)",
	 cli_pasta_dns_host, 0},
	{"dns", 'D', "ADDR|none", "resolver to tell by DHCP and RA, and to ask",
	 cli_pasta_dns, 0},
	{"search", 'S', "LIST|none", "search list to tell by DHCP and RA",
	 cli_store_text, AT(search)},
	{"dhcp-dns", 0, NULL, "tell resolvers by DHCP and RA", cli_store_flag,
	 AT(dhcp_dns)},
	{"no-dhcp-dns", 0, NULL, "tell none (default)", cli_store_flag,
	 AT(no_dhcp_dns)},
	{"dhcp-search", 0, NULL, "tell the search list by DHCP and RA",
	 cli_store_flag, AT(dhcp_search)},
	{"no-dhcp-search", 0, NULL, "tell none (default)", cli_store_flag,
	 AT(no_dhcp_search)},
	{"hostname", 'H', "NAME", "the container's name, to tell by DHCP",
	 cli_store_text, AT(hostname)},
	{"fqdn", 0, "NAME", "the same, with its domain", cli_store_text,
	 AT(fqdn)},

	{"no-tcp", 0, NULL, "no TCP", apply_no_tcp, 0},
	{"no-udp", 0, NULL, "no UDP", apply_no_udp, 0},
	{"no-icmp", 0, NULL, "no ICMP, nor NDP", cli_store_flag, AT(no_icmp)},
	{"no-dhcp", 0, NULL, "no DHCP", cli_store_flag, AT(no_dhcp)},
	{"no-ndp", 0, NULL, "no neighbour discovery", cli_store_flag,
	 AT(no_ndp)},
	{"no-dhcpv6", 0, NULL, "no DHCPv6", cli_store_flag, AT(no_dhcpv6)},
	{"no-ra", 0, NULL, "no router advertisements", cli_store_flag,
	 AT(no_ra)},

	{"tcp-ports", 't', "SPEC",
	 "publish TCP ports: none, auto (default), all, or\n"
	 "[ADDR[%IF]/]PORT[-LAST][:[TO/]PORT[-LAST]],...;\n"
	 "~PORT[-LAST] leaves out",
	 apply_tcp_ports, 0},
	{"udp-ports", 'u', "SPEC", "the same of UDP", apply_udp_ports, 0},
	{"tcp-ns", 'T', "SPEC",
	 "lead TCP ports of the container's loopback to the\n"
	 "host's: none (default) or PORT[-LAST][:PORT[-LAST]],...",
	 apply_tcp_ns, 0},
	{"udp-ns", 'U', "SPEC", "the same of UDP", apply_udp_ns, 0},
	{"host-lo-to-ns-lo", 0, NULL,
	 "lead clients on the host's loopback to the container's", cli_splice,
	 0},
	{"splice", 0, NULL, "the same", cli_splice, 0},
	{"loopback", 0, NULL, "lead any client there if nobody else answers",
	 cli_loopback, 0},
	{"follow", 0, NULL,
	 "published ports are open only while the\n"
	 "container listens",
	 cli_follow, 0},
	{"api-socket", 0, "PATH", "socket to publish ports by", cli_api_socket,
	 0},
	CLI_PCAP_OPTIONS('p'),

	{"netns", 0, "PATH|NAME", "network namespace to connect",
	 cli_store_text, AT(netns)},
	{"userns", 0, "PATH", "user namespace to join first", cli_store_text,
	 AT(userns)},
	{"netns-only", 0, NULL, "join no user namespace", cli_store_flag,
	 AT(netns_only)},
	{"no-netns-quit", 0, NULL, "stay when the path of --netns is gone",
	 apply_no_netns_quit, 0},
	{"foreground", 'f', NULL, "do not go on in the background",
	 cli_store_flag, AT(foreground)},
	{"pid", 'P', "FILE", "write the process's number to FILE", apply_pid,
	 0},
	{"log-file", 'l', "FILE", "write messages to FILE", apply_log_file, 0},
	{"log-size", 0, "BYTES", "keep FILE below that (default=1048576)",
	 cli_store_text, AT(log_size)},
	{"runas", 0, "USER[:GROUP]", "go on as USER, a name or a number",
	 cli_store_text, AT(runas)},
	{"quiet", 'q', NULL, "say only what went wrong", cli_store_flag,
	 AT(quiet)},
	{"debug", 'd', NULL, "say what was set up even with --quiet",
	 cli_store_flag, AT(debug)},
	{"trace", 0, NULL, "say that and every frame", cli_store_flag,
	 AT(trace)},
	{"help", 'h', NULL, "show this help and exit", apply_help, 0},
	{"version", 0, NULL, "show version and exit", apply_version, 0},

	/* What callers still pass, and is so anyway. */
	{"stderr", 'e', NULL, NULL, cli_store_flag, AT(ignored)},
	{"no-splice", 0, NULL, NULL, cli_store_flag, AT(ignored)},
	{"no-copy-routes", 0, NULL, NULL, cli_store_flag, AT(ignored)},
	{"no-copy-addrs", 0, NULL, NULL, cli_store_flag, AT(ignored)},
	{"no-pidns", 0, NULL, NULL, cli_store_flag, AT(ignored)},

	{"freebind", 0, NULL, NULL, refuse_freebind, 0},
	{"splice-only", 0, NULL, NULL, refuse_splice_only, 0},
	{"chroot-fallback", 0, NULL, NULL, cli_store_flag, AT(ignored)},
	{"stats", 0, "DELAY", NULL, refuse_stats, 0},
	{"conf-path", 'c', "PATH", NULL, refuse_control, 0},
	{"socket", 's', "PATH", NULL, refuse_vm, 0},
	{"socket-path", 0, "PATH", NULL, refuse_vm, 0},
	{"vhost-user", 0, NULL, NULL, refuse_vm, 0},
	{"fd", 'F', "FD", NULL, refuse_vm, 0},
	{"one-off", '1', NULL, NULL, refuse_vm, 0},
	{0},
};

static void print_usage(const struct cli *c, FILE *to)
{
	fputs("Usage: pasta [OPTION]... [COMMAND [ARGUMENT]...]\n"
	      "       pasta [OPTION]... PID\n"
	      "       pasta [OPTION]... --netns PATH|NAME\n"
	      "Connects a network namespace as if it were the host, by "
	      "tapir.\n\n",
	      to);
	cli_print_options(c, to);
}

static enum cli_verdict apply_help(struct cli *c, const char *arg)
{
	print_usage(c, c->out);
	return CLI_DONE;
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

/* As ip-netns(8) has it: a name is one in /run/netns. */
static const char *netns_path(struct cli_pasta *p)
{
	size_t room = sizeof("/run/netns/") + strlen(p->netns);
	char *path = p->config->owned_path = malloc(room);

	if (strchr(p->netns, '/') || !path)
		return p->netns;
	snprintf(path, room, "/run/netns/%s", p->netns);
	return path;
}

static enum cli_verdict take_pid(struct cli_pasta *p, const char *word)
{
	long pid;

	if (p->netns) {
		fprintf(p->cli.err,
			"%s: --netns and PID '%s' exclude each "
			"other\n",
			p->cli.name, word);
		return CLI_BAD;
	}
	if (cli_number(word, 1, INT_MAX, &pid) < 0) {
		fprintf(p->cli.err,
			"%s: PID '%s': want the number of a "
			"process\n",
			p->cli.name, word);
		return CLI_BAD;
	}
	p->config->target = CONFIG_TARGET_PID;
	p->config->pid = (pid_t)pid;
	p->config->netns_only = p->netns_only;
	return CLI_GO;
}

/* The user's, or the one that every system has. */
static char *shell(void)
{
	static char otherwise[] = "/bin/sh";
	char *theirs = getenv("SHELL");

	return theirs && *theirs ? theirs : otherwise;
}

static enum cli_verdict take_target(struct cli_pasta *p, int n, char **words)
{
	struct config *config = p->config;

	config->userns_path = p->userns;
	if (p->netns_only && p->userns) {
		fprintf(p->cli.err,
			"%s: --netns-only and --userns exclude each other\n",
			p->cli.name);
		return CLI_BAD;
	}
	if (n == 1 && is_number(words[0]))
		return take_pid(p, words[0]);
	if (p->netns && n > 0) {
		fprintf(p->cli.err,
			"%s: '%s': with --netns there is no command\n",
			p->cli.name, words[0]);
		return CLI_BAD;
	}
	if (p->netns) {
		config->target = CONFIG_TARGET_PATH;
		config->netns_path = netns_path(p);
		return CLI_GO;
	}
	if (p->userns) {
		fprintf(p->cli.err,
			"%s: --userns wants --netns or a PID with it\n",
			p->cli.name);
		return CLI_BAD;
	}
	if (p->netns_only) {
		fprintf(p->cli.err,
			"%s: --netns-only wants --netns or a PID with it\n",
			p->cli.name);
		return CLI_BAD;
	}
	config->target = CONFIG_TARGET_RUN;
	config->shell[0] = shell();
	config->command = n > 0 ? words : config->shell;
	return CLI_GO;
}

/* USER[:GROUP], each a name or a number */
static int parse_user(const char *text, uid_t *uid, gid_t *gid)
{
	size_t n = strcspn(text, ":");
	char name[64] = "";
	const struct passwd *pw = NULL;
	const struct group *gr;
	long v;

	if (n >= sizeof(name))
		return -EINVAL;
	memcpy(name, text, n);
	if (cli_number(name, 0, INT_MAX, &v) == 0)
		*uid = *gid = (uid_t)v;
	else if ((pw = getpwnam(name)))
		*uid = pw->pw_uid, *gid = pw->pw_gid;
	else
		return -EINVAL;
	if (!text[n])
		return 0;
	if (cli_number(text + n + 1, 0, INT_MAX, &v) == 0)
		*gid = (gid_t)v;
	else if ((gr = getgrnam(text + n + 1)))
		*gid = gr->gr_gid;
	else
		return -EINVAL;
	return 0;
}

static enum cli_verdict take_process(struct cli_pasta *p)
{
	struct config_process *process = &p->config->process;

	process->log_size = LOG_SIZE;
	if (p->log_size && cli_number(p->log_size, LOG_SIZE_MIN, INT_MAX,
				      &process->log_size) < 0) {
		fprintf(p->cli.err,
			"%s: --log-size '%s': want 4096 bytes or more\n",
			p->cli.name, p->log_size);
		return CLI_BAD;
	}
	if (p->runas) {
		if (parse_user(p->runas, &process->uid, &process->gid) < 0) {
			fprintf(p->cli.err,
				"%s: --runas '%s': no such user or group\n",
				p->cli.name, p->runas);
			return CLI_BAD;
		}
		process->drops = true;
	}
	process->clean_end = true;
	process->verbose = !p->quiet || p->debug || p->trace;
	process->trace = p->trace;
	process->background =
		!p->foreground && p->config->target != CONFIG_TARGET_RUN;
	if (process->background && config_captures_to_stdout(p->config)) {
		fprintf(p->cli.err,
			"%s: --pcap '-': stdout is let go of in the "
			"background: want --foreground with it\n",
			p->cli.name);
		return CLI_BAD;
	}
	if (process->background && config_make_absolute(p->config) < 0) {
		fprintf(p->cli.err, "%s: working directory: %s\n", p->cli.name,
			strerror(errno));
		return CLI_BAD;
	}
	return CLI_GO;
}

/* Of a protocol that is off there is nothing to publish. */
static enum cli_verdict take_ports(struct cli_pasta *p, struct portspec *s,
				   enum rule_proto proto, bool off)
{
	unsigned families = p->only4   ? RULE_IPV4
			    : p->only6 ? RULE_IPV6
				       : RULE_IPV4 | RULE_IPV6;
	struct fail why;

	if (off)
		return CLI_GO;
	if (!s->given && take_spec(&p->cli, s, proto, "auto") != CLI_GO)
		return CLI_BAD;
	if (portspec_limit(s, families, &why) < 0) {
		fprintf(p->cli.err, "%s: %s\n", p->cli.name, why.text);
		return CLI_BAD;
	}
	if (config_take_ports(p->config, s) == 0)
		return CLI_GO;
	fprintf(p->cli.err, "%s: no memory for ports\n", p->cli.name);
	return CLI_BAD;
}

/* Who could be meant by "auto" or "all" are services that nobody published. */
static enum cli_verdict take_lane(struct cli_pasta *p, const struct portspec *s)
{
	if (s->auto_count > 0) {
		fprintf(p->cli.err,
			"%s: %s: want the ports of the host's loopback that "
			"the container may reach, each by its number\n",
			p->cli.name, s->option);
		return CLI_BAD;
	}
	for (size_t i = 0; i < s->rule_count; i++) {
		if (s->rules[i].best_effort) {
			fprintf(p->cli.err,
				"%s: %s: 'all' would open the host's loopback: "
				"want ports by their numbers\n",
				p->cli.name, s->option);
			return CLI_BAD;
		}
		if (config_add_lane_rule(p->config, &s->rules[i]) < 0)
			return CLI_BAD;
	}
	return CLI_GO;
}

static enum cli_verdict take_all(struct cli_pasta *p, int n, char **words)
{
	if (cli_pasta_take_addresses(p) != CLI_GO ||
	    cli_pasta_take_services(p) != CLI_GO ||
	    take_target(p, n, words) != CLI_GO || take_process(p) != CLI_GO ||
	    take_ports(p, &p->tcp, RULE_TCP, p->config->no_tcp) != CLI_GO ||
	    take_ports(p, &p->udp, RULE_UDP, p->config->no_udp) != CLI_GO ||
	    take_lane(p, &p->tcp_ns) != CLI_GO ||
	    take_lane(p, &p->udp_ns) != CLI_GO)
		return CLI_BAD;
	p->config->configure = p->config_net;
	p->config->configure6 = p->config_net;
	return cli_pcap_check(&p->cli);
}

enum cli_verdict cli_pasta(int argc, char **argv, struct config *ret, FILE *out,
			   FILE *err)
{
	struct cli_pasta p = {
		.cli = {options, "pasta", out, err, ret, true, NULL},
		.config = ret,
	};
	enum cli_verdict verdict;
	int words;

	*ret = config_default();
	ret->process.name = "pasta";
	ret->from_host = true;
	ret->mtu = 65520;
	ret->dns = false;
	portspec_init(&p.tcp, "-t");
	portspec_init(&p.udp, "-u");
	portspec_init(&p.tcp_ns, "-T");
	portspec_init(&p.udp_ns, "-U");
	verdict = cli_parse(&p.cli, argc, argv, &words);
	if (verdict == CLI_GO)
		verdict = take_all(&p, argc - words, argv + words);
	portspec_fini(&p.tcp);
	portspec_fini(&p.udp);
	portspec_fini(&p.tcp_ns);
	portspec_fini(&p.udp_ns);
	if (verdict == CLI_BAD)
		fputs("Try 'pasta --help'.\n", err);
	if (verdict != CLI_GO)
		config_fini(ret);
	return verdict;
}
