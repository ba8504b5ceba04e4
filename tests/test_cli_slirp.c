#include "tests/parsed.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 16

static struct parsed parse(const char *line, char *room)
{
	static char empty[1];
	char *argv[WORDS_MAX + 1] = {0};
	int argc = 0;

	strcpy(room, line);
	for (char *w = strtok(room, " "); w; w = strtok(NULL, " ")) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = strcmp(w, "''") == 0 ? empty : w;
	}
	argv[argc] = NULL;
	return parsed_main(argc, argv);
}

/* Parses what must be accepted without a word. */
static struct config take(const char *line, char *room)
{
	struct parsed p = parse(line, room);

	if (p.verdict != CLI_GO)
		fail_msg("%s: %s", line, p.err);
	assert_string_equal(p.out, "");
	assert_string_equal(p.err, "");
	parsed_forget(&p);
	return p.config;
}

static void test_defaults_are_those_of_slirp4netns(void **state)
{
	char room[500];
	struct config c = take("/usr/bin/slirp4netns 42 tap0", room);
	struct in6_addr net = addr_from_v4(0x0a000200);

	assert_int_equal(c.target, CONFIG_TARGET_PID);
	assert_int_equal(c.pid, 42);
	assert_string_equal(c.ifname, "tap0");
	assert_int_equal(c.mtu, 1500);
	assert_true(addr_equal(&c.net4, &net));
	assert_int_equal(c.bits4, 24);
	assert_true(c.ipv4 && c.host_loopback && c.dns);
	assert_false(c.ipv6 || c.configure || c.configure6 || c.has_mac);
	assert_int_equal(c.ready_fd, -1);
	assert_int_equal(c.exit_fd, -1);
	assert_null(c.userns_path);
	assert_true(addr_is_unspecified(&c.outbound4));
	assert_true(addr_is_unspecified(&c.outbound6));
}

static void test_options_and_words_may_be_mixed(void **state)
{
	char room[500];
	struct config c = take("tapir slirp4netns -c 42 --mtu 65520 -e 3 tap11 "
			       "-r4 --enable-ipv6 --disable-dns",
			       room);

	assert_true(c.configure && c.ipv6 && !c.dns);
	assert_int_equal(c.mtu, 65520);
	assert_int_equal(c.exit_fd, 3);
	assert_int_equal(c.ready_fd, 4);
	assert_int_equal(c.pid, 42);
	assert_string_equal(c.ifname, "tap11");
}

static void test_podmans_line_is_taken(void **state)
{
	char room[500];
	struct config c =
		take("slirp4netns --disable-host-loopback --mtu=65520 "
		     "--cidr=192.168.0.0/24 --enable-ipv6 -c -r 3 -e 4 "
		     "--netns-type=path /proc/self/ns/net tap0",
		     room);

	assert_int_equal(c.target, CONFIG_TARGET_PATH);
	assert_string_equal(c.netns_path, "/proc/self/ns/net");
	assert_int_equal(addr_v4(&c.net4), 0xc0a80000);
	assert_false(c.host_loopback);
}

static void test_long_names_may_be_cut_short(void **state)
{
	char room[500];
	struct config c = take("slirp4netns --conf --userns /proc/self/ns/user "
			       "--mac=0e:d4:18:d9:38:fb 1 tap0 -- ",
			       room);
	static const uint8_t mac[] = {0x0e, 0xd4, 0x18, 0xd9, 0x38, 0xfb};

	assert_true(c.configure && c.has_mac);
	assert_memory_equal(c.mac, mac, sizeof(mac));
	assert_string_equal(c.userns_path, "/proc/self/ns/user");
}

static void test_a_tap_descriptor_needs_no_name(void **state)
{
	char room[500];
	struct config c = take("slirp4netns --netns-type tapfd 7", room);

	assert_int_equal(c.target, CONFIG_TARGET_TAPFD);
	assert_int_equal(c.tapfd, 7);
}

static void test_any_other_netns_type_is_a_path(void **state)
{
	char room[500];
	struct config c =
		take("slirp4netns --netns-type=foo /proc/self/ns/net t", room);

	assert_int_equal(c.target, CONFIG_TARGET_PATH);
}

static void test_outbound_addresses_and_interfaces_are_found(void **state)
{
	char room[500];
	struct config c = take("slirp4netns --outbound-addr=192.0.2.9 "
			       "--outbound-addr6=2001:db8::9 1 tap0",
			       room);
	struct in6_addr want;

	assert_int_equal(addr_v4(&c.outbound4), 0xc0000209);
	addr_parse("2001:db8::9", &want);
	assert_true(addr_equal(&c.outbound6, &want));
	c = take("slirp4netns --outbound-addr=lo 1 tap0", room);
	assert_int_equal(addr_v4(&c.outbound4), 0x7f000001);
}

static void test_only_the_deprecated_word_is_warned_about(void **state)
{
	char room[500];
	struct parsed p =
		parse("slirp4netns --no-host-loopback 1 tap0 more", room);

	assert_int_equal(p.verdict, CLI_GO);
	assert_false(p.config.host_loopback);
	assert_non_null(strstr(p.out, "WARNING: --no-host-loopback is deprec"));
	assert_non_null(strstr(p.out, "WARNING: too many arguments\n"));
	assert_string_equal(p.err, "");
	parsed_forget(&p);
}

struct refusal {
	const char *line;
	const char *err; /* what stderr begins with */
};

static const struct refusal with_usage[] = {
	{"slirp4netns", "PID, PATH or FD expected\n"},
	{"slirp4netns 42", "TAPNAME expected\n"},
	{"slirp4netns 0 tap0", "PID must be a positive integer"},
	{"slirp4netns 42x tap0", "PID must be a positive integer"},
	{"slirp4netns 99999999999 tap0", "PID must be a positive integer"},
	{"slirp4netns -m 0 1 t", "MTU must be a positive integer (< 65522)"},
	{"slirp4netns -m 65522 1 t",
	 "MTU must be a positive integer (< 65522)"},
	{"slirp4netns -m -5 1 t", "MTU must be a positive integer (< 65522)"},
	{"slirp4netns -m 1e3 1 t", "MTU must be a positive integer (< 65522)"},
	{"slirp4netns -m '' 1 t", "MTU must be a positive integer (< 65522)"},
	{"slirp4netns -e -1 1 t", "exit-fd must be a non-negative integer"},
	{"slirp4netns -e x 1 t", "exit-fd must be a non-negative integer"},
	{"slirp4netns --ready-fd= 1 t", "ready-fd must be a non-negative int"},
	{"slirp4netns -r 99999999999 1 t", "ready-fd must be a non-negative "},
	{"slirp4netns --netns-type=tapfd x",
	 "FD must be a non-negative integer"},
	{"slirp4netns --netns-type=path /nonexistent t",
	 "existing path expected when --netns-type=path: /nonexistent: No "
	 "such"},
	{"slirp4netns --userns-path=/nonexistent 1 t",
	 "userns path doesn't exist: /nonexistent\n"},
	{"slirp4netns --macaddress=0e:d4:18:d9:38:fb 1 t",
	 "--macaddress cannot be specified when --configure or -c is not "},
	{"slirp4netns --target-type=bess /tmp/s",
	 "--target-type must be \"net"},
	{"slirp4netns --bogus 1 t",
	 "slirp4netns: unrecognized option '--bogus'\n"},
	{"slirp4netns --bogus=1 1 t",
	 "slirp4netns: unrecognized option '--bogus'\n"},
	{"slirp4netns --api-any=v4 1 t", "--api-any must be "},
	{"slirp4netns -a", "slirp4netns: option requires an argument -- 'a'\n"},
	{"slirp4netns --outbound 1 t",
	 "slirp4netns: ambiguous option '--outbound'\n"},
	{"slirp4netns --configure=yes 1 t",
	 "slirp4netns: option '--configure' doesn't allow an "
	 "argument\n"},
	{"slirp4netns 1 t --mtu",
	 "slirp4netns: option '--mtu' requires an argument\n"},
	{"slirp4netns 1 t -m",
	 "slirp4netns: option requires an argument -- 'm'\n"},
};

static const struct refusal without_usage[] = {
	{"slirp4netns --cidr 24 1 t", "invalid CIDR: 24\n"},
	{"slirp4netns --cidr foo 1 t", "invalid CIDR: foo\n"},
	{"slirp4netns --cidr 10.0.2.0 1 t", "invalid CIDR: 10.0.2.0\n"},
	{"slirp4netns --cidr 10.0.2.0/ 1 t", "invalid CIDR: 10.0.2.0/\n"},
	{"slirp4netns --cidr 10.0.2.0/024 1 t", "invalid CIDR: 10.0.2.0/024\n"},
	{"slirp4netns --cidr 1.2.3.4.5/24 1 t", "invalid CIDR: 1.2.3.4.5/24\n"},
	{"slirp4netns --cidr 10.0.2.300/24 1 t",
	 "invalid network address: 10.0.2.300\n"},
	{"slirp4netns --cidr 127.0.0.0/24 1 t",
	 "invalid network address: 127.0.0.0 ("},
	{"slirp4netns --cidr 10.0.2.100/24 1 t",
	 "CIDR needs to be a network address like 10.0.2.0/24, not like "
	 "10.0.2.100/24\n"},
	{"slirp4netns --cidr 10.0.2.100/26 1 t",
	 "prefix length needs to be 1-25\n"},
	{"slirp4netns --cidr 10.0.2.0/0 1 t",
	 "prefix length needs to be 1-25\n"},
	{"slirp4netns -c --macaddress=1 1 t", "invalid MAC address: 1 "},
	{"slirp4netns -c --macaddress=0e:d4:18:d9:38:fb:00 1 t",
	 "invalid MAC address: "},
	{"slirp4netns -c --macaddress=01:d4:18:d9:38:fb 1 t",
	 "invalid MAC address: "},
	{"slirp4netns --outbound-addr=nope0 1 t",
	 "outbound-addr has to be valid ipv4 address or interface name, not "
	 "'nope0'\n"},
	{"slirp4netns --outbound-addr=::1 1 t",
	 "outbound-addr has to be valid"},
	{"slirp4netns --outbound-addr6=nope0 1 t",
	 "outbound-addr6 has to be valid ipv6 address or interface name, not "
	 "'nope0'\n"},
};

static void check_refusals(const struct refusal *r, size_t n, bool usage)
{
	char room[500];

	for (size_t i = 0; i < n; i++) {
		struct parsed p = parse(r[i].line, room);

		if (p.verdict != CLI_BAD ||
		    strncmp(p.err, r[i].err, strlen(r[i].err)) != 0)
			fail_msg("%s: %s", r[i].line, p.err);
		/* one line, and only one */
		assert_ptr_equal(strchr(p.err, '\n'),
				 p.err + strlen(p.err) - 1);
		if (strncmp(p.out, "Usage: slirp4netns", 18) != 0)
			assert_true(!usage && p.out[0] == '\0');
		else
			assert_true(usage);
		parsed_forget(&p);
	}
}

static void test_bad_usage_is_refused_with_reason_and_usage(void **state)
{
	check_refusals(with_usage, sizeof(with_usage) / sizeof(with_usage[0]),
		       true);
}

static void test_bad_addresses_are_refused_with_the_reason_alone(void **state)
{
	check_refusals(without_usage,
		       sizeof(without_usage) / sizeof(without_usage[0]), false);
}

/* A network address may have a last part other than zero. */
static void test_every_good_network_is_taken(void **state)
{
	char room[500];
	struct config c =
		take("slirp4netns 1 tap0 --cidr 10.0.135.128/25", room);

	assert_int_equal(addr_v4(&c.net4), 0x0a008780);
	assert_int_equal(c.bits4, 25);
	c = take("slirp4netns 1 tap0 --cidr 172.0.0.0/6", room);
	assert_int_equal(c.bits4, 6);
}

static void test_help_names_what_engines_look_for(void **state)
{
	static const char *const names[] = {
		"--disable-host-loopback", "--mtu=",         "--cidr=",
		"--outbound-addr=",        "--enable-ipv6 ", "--netns-type=",
		"--userns-path=",          "--exit-fd=",     "--ready-fd=",
		"--api-socket=",
	};
	char room[500];
	struct parsed p = parse("slirp4netns -c --help --bogus", room);

	assert_int_equal(p.verdict, CLI_DONE);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_non_null(strstr(p.out, names[i]));
	/* Podman would use what is named but does not work. */
	assert_null(strstr(p.out, "--enable-sandbox"));
	assert_null(strstr(p.out, "--no-host-loopback"));
	assert_string_equal(p.err, "");
	parsed_forget(&p);
}

static void test_the_version_is_one_line_that_docker_finds(void **state)
{
	char room[500];
	struct parsed p = parse("slirp4netns --version", room);
	const char *first = strstr(p.out, "version");

	assert_int_equal(p.verdict, CLI_DONE);
	assert_int_equal(strncmp(p.out, "slirp4netns version 1.3.3 ", 26), 0);
	assert_null(strstr(first + 1, "version"));
	assert_non_null(strstr(p.out, "\ncommit: "));
	assert_non_null(strstr(p.out, "\nSLIRP_CONFIG_VERSION_MAX: 6\n"));
	parsed_forget(&p);
}

static void test_published_ports_have_a_socket_and_two_switches(void **state)
{
	char room[500];
	struct parsed p = parse("slirp4netns -a /run/s --follow "
				"--api-any=ipv4 1 t",
				room);

	assert_int_equal(p.verdict, CLI_GO);
	assert_string_equal(p.config.api_path, "/run/s");
	assert_true(p.config.follow && p.config.api_any_is_ipv4);
	parsed_forget(&p);
	p = parse("slirp4netns --api-any=both 1 t", room);
	assert_int_equal(p.verdict, CLI_GO);
	assert_null(p.config.api_path);
	assert_false(p.config.follow || p.config.api_any_is_ipv4);
	parsed_forget(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_those_of_slirp4netns),
		cmocka_unit_test(test_options_and_words_may_be_mixed),
		cmocka_unit_test(test_podmans_line_is_taken),
		cmocka_unit_test(test_long_names_may_be_cut_short),
		cmocka_unit_test(test_a_tap_descriptor_needs_no_name),
		cmocka_unit_test(test_any_other_netns_type_is_a_path),
		cmocka_unit_test(
			test_outbound_addresses_and_interfaces_are_found),
		cmocka_unit_test(test_only_the_deprecated_word_is_warned_about),
		cmocka_unit_test(
			test_bad_usage_is_refused_with_reason_and_usage),
		cmocka_unit_test(
			test_bad_addresses_are_refused_with_the_reason_alone),
		cmocka_unit_test(test_every_good_network_is_taken),
		cmocka_unit_test(test_help_names_what_engines_look_for),
		cmocka_unit_test(
			test_published_ports_have_a_socket_and_two_switches),
		cmocka_unit_test(
			test_the_version_is_one_line_that_docker_finds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
