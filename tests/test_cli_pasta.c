#include "tests/parsed.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct parsed p;

static void parse(const char *line)
{
	static char words[2048];
	char *argv[64] = {(char[]){"pasta"}};
	int argc = 1;

	assert_true(strlen(line) < sizeof(words));
	strcpy(words, line);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) {
		assert_true(argc < 63);
		argv[argc++] = w;
	}
	p = parsed_main(argc, argv);
}

static int forget(void **state)
{
	if (p.verdict == CLI_GO)
		config_fini(&p.config);
	parsed_forget(&p);
	p = (struct parsed){.verdict = CLI_BAD};
	return 0;
}

static void assert_addr(const struct in6_addr *a, const char *want)
{
	char buf[ADDR_STRLEN];

	assert_string_equal(addr_format(a, buf), want);
}

/* As Podman 5.3 and later call it, with one port of each protocol. */
static void test_podman_is_understood(void **state)
{
	const struct config *c = &p.config;

	parse("--config-net -t 8080-8080:80-80 -u ::1/53-53:5353-5353 "
	      "--dns-forward 169.254.1.1 -T none -U none --no-map-gw --quiet "
	      "--netns /run/user/1000/netns/netns-1 --map-guest-addr "
	      "169.254.1.2");
	if (p.verdict != CLI_GO)
		fail_msg("%s", p.err);
	assert_string_equal(p.out, "");
	assert_string_equal(p.err, "");
	assert_true(c->configure && c->configure6 && c->from_host);
	assert_int_equal(c->target, CONFIG_TARGET_PATH);
	assert_string_equal(c->netns_path, "/run/user/1000/netns/netns-1");
	assert_null(c->userns_path);
	assert_addr(&c->host.dns4, "169.254.1.1");
	assert_addr(&c->host.self4, "169.254.1.2");
	assert_false(c->host.gateway_is_loopback);
	assert_true(c->dns && c->ipv4 && c->ipv6 && c->host_loopback);
	assert_true(c->process.background && c->process.clean_end);
	assert_false(c->process.verbose || c->process.stays);
	assert_int_equal(c->mtu, 65520);
	assert_null(c->ifname);
	assert_false(c->offer.ra);
	assert_int_equal(c->rule_count, 2);
	assert_int_equal(c->auto_count, 0);
	assert_int_equal(c->rules[0].host_port, 8080);
	assert_int_equal(c->rules[0].guest_port, 80);
	assert_int_equal(c->rules[0].families, RULE_IPV4 | RULE_IPV6);
	assert_int_equal(c->rules[1].proto, RULE_UDP);
	assert_addr(&c->rules[1].host_addr, "::1");
}

/* As RootlessKit 2.0 to 2.2 call it. */
static void test_an_older_rootlesskit_is_understood(void **state)
{
	const struct config *c = &p.config;

	parse("--foreground --stderr --ns-ifname=tap0 --mtu=65520 --no-dhcp "
	      "--no-ra --address=10.0.2.100 --netmask=24 --gateway=10.0.2.2 "
	      "--dns-forward=10.0.2.3 --no-map-gw --ipv4-only "
	      "--tcp-ports=auto --udp-ports=none 1234");
	if (p.verdict != CLI_GO)
		fail_msg("%s", p.err);
	assert_false(c->process.background || c->configure);
	assert_int_equal(c->target, CONFIG_TARGET_PID);
	assert_int_equal(c->pid, 1234);
	assert_string_equal(c->ifname, "tap0");
	assert_addr(&c->host.addr4, "10.0.2.100");
	assert_int_equal(c->host.bits4, 24);
	assert_addr(&c->host.gateway4, "10.0.2.2");
	assert_true(c->ipv4 && !c->ipv6);
	assert_false(c->offer.dhcp4 || c->offer.ra);
	assert_int_equal(c->rule_count, 0);
	assert_int_equal(c->auto_count, 1);
	assert_int_equal(c->autos[0].where.families, RULE_IPV4);
}

static void test_what_engines_pass_twice_is_no_error(void **state)
{
	parse("--tcp-ports=8080 -t none -T none -U none --no-copy-routes -e "
	      "--dns-forward=192.0.2.9 --dns-forward 169.254.1.1 1");
	assert_int_equal(p.verdict, CLI_GO);
	assert_int_equal(p.config.rule_count, 1);
	assert_addr(&p.config.host.dns4, "169.254.1.1");
}

static void test_addresses_of_both_families_are_kept_apart(void **state)
{
	const struct config_host *h = &p.config.host;

	parse("-a 192.0.2.5/28 -a 2001:db8::5 -g 192.0.2.1 -g fe80::1 "
	      "-n 255.255.255.0 --map-host-loopback 192.0.2.9 "
	      "--map-guest-addr 2001:db8::9 -M 0e:00:00:00:00:01 "
	      "--ns-mac-addr 0e:00:00:00:00:02 -m 1280 -I net0 -i eth7 1");
	if (p.verdict != CLI_GO)
		fail_msg("%s", p.err);
	assert_addr(&h->addr4, "192.0.2.5");
	assert_addr(&h->addr6, "2001:db8::5");
	assert_int_equal(h->bits4, 24);
	assert_addr(&h->gateway4, "192.0.2.1");
	assert_addr(&h->gateway6, "fe80::1");
	assert_addr(&h->loop4, "192.0.2.9");
	assert_addr(&h->self6, "2001:db8::9");
	assert_false(h->gateway_is_loopback);
	assert_true(h->has_mac && p.config.has_mac);
	assert_int_equal(h->mac[5], 1);
	assert_int_equal(p.config.mac[5], 2);
	assert_int_equal(p.config.mtu, 1280);
	assert_string_equal(p.config.ifname, "net0");
	assert_string_equal(h->ifname4, "eth7");
	assert_string_equal(h->ifname6, "eth7");
}

static void test_without_any_option_the_gateway_is_the_host(void **state)
{
	parse("1");
	assert_int_equal(p.verdict, CLI_GO);
	assert_true(p.config.host.gateway_is_loopback);
	assert_true(p.config.offer.dhcp4 && p.config.offer.dhcp6 &&
		    p.config.offer.ra);
	assert_int_equal(p.config.auto_count, 2);
	assert_false(p.config.dns);
}

static void test_what_dhcp_tells_is_chosen(void **state)
{
	static const uint8_t search[] = "\3one\7example\0\3two\0";
	const struct plan_offer *o = &p.config.offer;
	char list[] = "one.example two";
	char *argv[] = {(char[]){"pasta"},
			(char[]){"-S"},
			list,
			(char[]){"--dhcp-search"},
			(char[]){"--dhcp-dns"},
			(char[]){"-D"},
			(char[]){"192.0.2.7"},
			(char[]){"-H"},
			(char[]){"box"},
			(char[]){"1"},
			NULL};

	p = parsed_main(10, argv);
	assert_int_equal(p.verdict, CLI_GO);
	assert_int_equal(o->search_len, sizeof(search) - 1);
	assert_memory_equal(o->search, search, sizeof(search) - 1);
	assert_int_equal(o->dns_count, 1);
	assert_string_equal(o->hostname, "box");
	/* -D is also who is asked */
	assert_int_equal(p.config.resolver_count, 1);
}

static void test_the_lane_is_asked_for_port_by_port(void **state)
{
	const struct config *c = &p.config;

	parse("--host-lo-to-ns-lo -T 10003:20003 -U 53 1");
	if (p.verdict != CLI_GO)
		fail_msg("%s", p.err);
	assert_true(c->splice && !c->loopback);
	assert_int_equal(c->lane_rule_count, 2);
	assert_int_equal(c->lane_rules[0].host_port, 10003);
	assert_int_equal(c->lane_rules[0].guest_port, 20003);
	assert_int_equal(c->lane_rules[1].proto, RULE_UDP);
}

static void test_a_name_is_one_in_run_netns(void **state)
{
	parse("--netns blue");
	assert_int_equal(p.verdict, CLI_GO);
	assert_string_equal(p.config.netns_path, "/run/netns/blue");
}

static void test_a_command_is_run_in_the_foreground(void **state)
{
	parse("--config-net -- ls -a");
	assert_int_equal(p.verdict, CLI_GO);
	assert_int_equal(p.config.target, CONFIG_TARGET_RUN);
	assert_string_equal(p.config.command[0], "ls");
	assert_false(p.config.process.background);
}

/* Also by somebody whose environment does not say which. */
static void test_without_a_command_a_shell_is_run(void **state)
{
	char *theirs = getenv("SHELL");
	char *kept = theirs ? strdup(theirs) : NULL;

	unsetenv("SHELL");
	parse("--config-net");
	assert_string_equal(p.config.command[0], "/bin/sh");
	forget(NULL);
	setenv("SHELL", "/bin/their-shell", 1);
	parse("--config-net");
	assert_string_equal(p.config.command[0], "/bin/their-shell");
	assert_null(p.config.command[1]);
	unsetenv("SHELL");
	if (kept)
		setenv("SHELL", kept, 1);
	free(kept);
}

static void assert_here(const char *path, const char *name)
{
	char *here = getcwd(NULL, 0);
	size_t len = strlen(here);

	assert_int_equal(strncmp(path, here, len), 0);
	assert_int_equal(path[len], '/');
	assert_string_equal(path + len + 1, name);
	free(here);
}

/* The background leaves the working directory. */
static void test_paths_lead_where_they_did_in_the_background_too(void **state)
{
	parse("--netns ./ns --api-socket api -p frames.pcap");
	assert_int_equal(p.verdict, CLI_GO);
	assert_here(p.config.netns_path, "./ns");
	assert_here(p.config.api_path, "api");
	assert_here(p.config.pcap.path, "frames.pcap");
	forget(NULL);
	parse("--netns ./ns -p - -f");
	assert_string_equal(p.config.netns_path, "./ns");
	assert_string_equal(p.config.pcap.path, "-");
}

/* Podman looks for the words. */
static void test_an_unknown_option_is_called_unrecognized(void **state)
{
	parse("--config-net --map-everything 169.254.1.2");
	assert_int_equal(p.verdict, CLI_BAD);
	assert_non_null(
		strstr(p.err, "unrecognized option '--map-everything'"));
}

static void test_the_version_begins_with_the_name(void **state)
{
	parse("--version");
	assert_int_equal(p.verdict, CLI_DONE);
	assert_int_equal(strncmp(p.out, "pasta ", 6), 0);
}

static void test_what_cannot_be_is_refused_with_its_reason(void **state)
{
	static const struct {
		const char *line, *word;
	} rows[] = {
		{"-a 10.0.2 1", "--address '10.0.2'"},
		{"-a 127.0.0.1 1", "--address '127.0.0.1'"},
		{"-a 192.0.2.1/33 1", "1 to 32 bits"},
		{"-n 255.0.255.0 1", "--netmask '255.0.255.0'"},
		{"-n 0 1", "--netmask '0'"},
		{"-g nowhere 1", "--gateway 'nowhere'"},
		{"-m 500 1", "--mtu '500'"},
		{"-m 65522 1", "--mtu '65522'"},
		{"-4 -6 1", "exclude each other"},
		{"--ns-mac-addr 1:2 1", "--ns-mac-addr"},
		{"--netns a 12", "exclude each other"},
		{"--netns a ls", "no command"},
		{"--userns /proc/1/ns/user", "wants --netns or a PID"},
		{"--netns-only --userns /x --netns a", "exclude each other"},
		{"--netns-only true", "wants --netns or a PID"},
		{"0", "PID '0'"},
		{"--runas nobody-like-that 1", "no such user"},
		{"--log-size 12 1", "--log-size '12'"},
		{"-t 80,80 1", "-t"},
		{"-u nonsense 1", "nonsense"},
		{"-T auto 1", "by its number"},
		{"-U all 1", "by their numbers"},
		{"-p - 1", "want --foreground"},
		{"-c /tmp/pasta.sock 1", "--api-socket"},
		{"--fd 3 1", "not virtual machines"},
		{"--stats 1 1", "--stats"},
		{"-S a..b --dhcp-search 1", "--search 'a..b'"},
		{"-D nobody 1", "--dns 'nobody'"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse(rows[i].line);
		if (p.verdict != CLI_BAD || !strstr(p.err, rows[i].word))
			fail_msg("%s: %s", rows[i].line, p.err);
		forget(NULL);
	}
}

static void test_help_fits_a_terminal(void **state)
{
	parse("--help");
	assert_int_equal(p.verdict, CLI_DONE);
	for (const char *at = p.out; *at; at += strcspn(at, "\n") + 1) {
		if (strcspn(at, "\n") > 80)
			fail_msg("%.*s", (int)strcspn(at, "\n"), at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_podman_is_understood, forget),
		cmocka_unit_test_teardown(
			test_an_older_rootlesskit_is_understood, forget),
		cmocka_unit_test_teardown(
			test_what_engines_pass_twice_is_no_error, forget),
		cmocka_unit_test_teardown(
			test_addresses_of_both_families_are_kept_apart, forget),
		cmocka_unit_test_teardown(
			test_without_any_option_the_gateway_is_the_host,
			forget),
		cmocka_unit_test_teardown(test_what_dhcp_tells_is_chosen,
					  forget),
		cmocka_unit_test_teardown(
			test_the_lane_is_asked_for_port_by_port, forget),
		cmocka_unit_test_teardown(test_a_name_is_one_in_run_netns,
					  forget),
		cmocka_unit_test_teardown(
			test_a_command_is_run_in_the_foreground, forget),
		cmocka_unit_test_teardown(test_without_a_command_a_shell_is_run,
					  forget),
		cmocka_unit_test_teardown(
			test_paths_lead_where_they_did_in_the_background_too,
			forget),
		cmocka_unit_test_teardown(
			test_an_unknown_option_is_called_unrecognized, forget),
		cmocka_unit_test_teardown(test_the_version_begins_with_the_name,
					  forget),
		cmocka_unit_test_teardown(
			test_what_cannot_be_is_refused_with_its_reason, forget),
		cmocka_unit_test_teardown(test_help_fits_a_terminal, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
