#include "tests/parsed.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static void test_a_command_gets_both_families_and_a_large_mtu(void **state)
{
	struct parsed p = PARSE("tapir", "run", "true");
	const struct config *c = &p.config;

	assert_int_equal(p.verdict, CLI_GO);
	assert_int_equal(c->target, CONFIG_TARGET_RUN);
	assert_int_equal(c->mtu, 65520);
	assert_true(c->ipv4 && c->ipv6 && c->configure && c->configure6);
	assert_true(c->dns && c->host_loopback && !c->talk);
	assert_string_equal(c->command[0], "true");
	assert_null(c->command[1]);
	parsed_forget(&p);
}

static void test_options_behind_the_command_are_its_own(void **state)
{
	struct parsed p = PARSE("tapir", "run", "--mtu", "1500", "ls",
				"--ipv4-only", "-h");

	assert_int_equal(p.verdict, CLI_GO);
	assert_int_equal(p.config.mtu, 1500);
	assert_true(p.config.ipv6);
	assert_string_equal(p.config.command[0], "ls");
	assert_string_equal(p.config.command[1], "--ipv4-only");
	assert_string_equal(p.config.command[2], "-h");
	parsed_forget(&p);
}

static void test_two_dashes_end_the_options(void **state)
{
	struct parsed p = PARSE("tapir", "run", "--no-host-loopback",
				"--cidr=192.168.7.0/24", "--", "-x", "--");

	assert_int_equal(p.verdict, CLI_GO);
	assert_false(p.config.host_loopback);
	assert_int_equal(addr_v4(&p.config.net4), 0xc0a80700);
	assert_string_equal(p.config.command[0], "-x");
	assert_string_equal(p.config.command[1], "--");
	parsed_forget(&p);
}

static void test_one_family_can_be_left_out(void **state)
{
	struct parsed p = PARSE("tapir", "run", "--ipv4-only", "true");

	assert_true(p.config.ipv4 && !p.config.ipv6);
	parsed_forget(&p);
	p = PARSE("tapir", "run", "--ipv6-only", "true");
	assert_true(!p.config.ipv4 && p.config.ipv6);
	parsed_forget(&p);
	/* IPv6 does not work with so little */
	p = PARSE("tapir", "run", "--mtu=1279", "true");
	assert_true(p.config.ipv4 && !p.config.ipv6);
	parsed_forget(&p);
}

static void expect_refusal(struct parsed p, const char *err)
{
	assert_int_equal(p.verdict, CLI_BAD);
	assert_string_equal(p.out, "");
	if (strncmp(p.err, err, strlen(err)) != 0)
		fail_msg("want \"%s\", got \"%s\"", err, p.err);
	parsed_forget(&p);
}

static void test_errors_name_option_value_and_what_was_expected(void **state)
{
	expect_refusal(PARSE("tapir", "run"), "tapir run: no command given\n");
	expect_refusal(PARSE("tapir", "run", "--mtu=575", "x"),
		       "tapir run: --mtu '575': want a number from 576 to "
		       "65521\n");
	expect_refusal(PARSE("tapir", "run", "--mtu", "65522", "x"),
		       "tapir run: --mtu '65522': want a number");
	expect_refusal(PARSE("tapir", "run", "--cidr=10.0.2.1/24", "x"),
		       "tapir run: --cidr '10.0.2.1/24': CIDR needs to be a "
		       "network address like 10.0.2.0/24");
	expect_refusal(PARSE("tapir", "run", "--ipv4-only", "--ipv6-only", "x"),
		       "tapir run: --ipv4-only and --ipv6-only exclude");
	expect_refusal(PARSE("tapir", "run", "--ipv6-only", "--mtu=1279", "x"),
		       "tapir run: --mtu '1279': IPv6 wants 1280 or more\n");
	expect_refusal(PARSE("tapir", "run", "--bogus", "x"),
		       "tapir run: unrecognized option '--bogus'\n");
}

static void test_the_front_is_chosen_by_name_or_word(void **state)
{
	struct parsed p;

	expect_refusal(PARSE("tapir"), "Usage: tapir run");
	expect_refusal(PARSE("tapir", "sing"),
		       "tapir: unknown command 'sing': want run, "
		       "slirp4netns, pasta, flows, replay, ");
	expect_refusal(PARSE("tapir", "--sing"),
		       "tapir: unknown option '--sing': want");
	p = PARSE("tapir", "--help");
	assert_int_equal(p.verdict, CLI_DONE);
	assert_non_null(strstr(p.out, "Examples:"));
	parsed_forget(&p);
	p = PARSE("tapir", "run", "-h");
	assert_int_equal(p.verdict, CLI_DONE);
	assert_non_null(strstr(p.out, "--no-host-loopback"));
	parsed_forget(&p);
	p = PARSE("tapir", "--version");
	assert_int_equal(p.verdict, CLI_DONE);
	assert_int_equal(strncmp(p.out, "tapir ", 6), 0);
	parsed_forget(&p);
	/* by the program's name, words like "run" are no fronts */
	p = PARSE("./slirp4netns", "run", "tap0");
	assert_int_equal(p.verdict, CLI_BAD);
	assert_non_null(strstr(p.err, "PID must be a positive integer"));
	parsed_forget(&p);
}

static void test_ports_are_published_in_the_order_given(void **state)
{
	struct parsed p = PARSE("tapir", "run", "-p", "8080:80", "--publish",
				"127.0.0.1:53:53/udp", "--follow",
				"--api-socket=/run/s", "true");
	const struct rule *r = p.config.rules;

	assert_int_equal(p.verdict, CLI_GO);
	assert_int_equal(p.config.rule_count, 2);
	assert_int_equal(r[0].host_port, 8080);
	assert_int_equal(r[0].families, RULE_IPV4 | RULE_IPV6);
	assert_int_equal(r[1].proto, RULE_UDP);
	assert_true(p.config.follow);
	assert_string_equal(p.config.api_path, "/run/s");
	parsed_forget(&p);
	config_fini(&p.config);
}

static void test_the_lane_is_closed_unless_asked_for(void **state)
{
	struct parsed p = PARSE("tapir", "run", "true");

	assert_false(p.config.loopback || p.config.splice);
	parsed_forget(&p);
	p = PARSE("tapir", "run", "--loopback", "true");
	assert_true(p.config.loopback && !p.config.splice);
	parsed_forget(&p);
	p = PARSE("tapir", "run", "--splice", "true");
	assert_true(p.config.splice && !p.config.loopback);
	parsed_forget(&p);
}

static void test_a_family_limits_what_follows_or_the_last(void **state)
{
	struct parsed p = PARSE("tapir", "run", "-p", "1:1", "-4", "-p", "2:2",
				"-p", "3:3", "-6", "-p", "4:4", "true");
	struct rule *r = p.config.rules;

	assert_int_equal(p.verdict, CLI_GO);
	assert_int_equal(r[0].families, RULE_IPV4 | RULE_IPV6);
	assert_int_equal(r[1].families, RULE_IPV4);
	assert_int_equal(r[2].families, RULE_IPV4);
	assert_int_equal(r[3].families, RULE_IPV6);
	parsed_forget(&p);
	config_fini(&p.config);
	p = PARSE("tapir", "run", "-p", "1:1", "-p", "2:2", "-6", "true");
	r = p.config.rules;
	assert_int_equal(r[0].families, RULE_IPV4 | RULE_IPV6);
	assert_int_equal(r[1].families, RULE_IPV6);
	parsed_forget(&p);
	config_fini(&p.config);
}

static void test_families_that_exclude_each_other_are_refused(void **state)
{
	struct parsed p =
		PARSE("tapir", "run", "-6", "-p", "127.0.0.1:1:1", "true");

	assert_int_equal(p.verdict, CLI_BAD);
	assert_non_null(strstr(p.err, "127.0.0.1"));
	parsed_forget(&p);
	p = PARSE("tapir", "run", "-4", "true");
	assert_int_equal(p.verdict, CLI_BAD);
	assert_non_null(strstr(p.err, "there is none"));
	parsed_forget(&p);
	p = PARSE("tapir", "run", "-p", "x", "true");
	assert_int_equal(p.verdict, CLI_BAD);
	assert_non_null(strstr(p.err, "--publish 'x': "));
	parsed_forget(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports_are_published_in_the_order_given),
		cmocka_unit_test(test_the_lane_is_closed_unless_asked_for),
		cmocka_unit_test(test_a_family_limits_what_follows_or_the_last),
		cmocka_unit_test(
			test_families_that_exclude_each_other_are_refused),
		cmocka_unit_test(
			test_a_command_gets_both_families_and_a_large_mtu),
		cmocka_unit_test(test_options_behind_the_command_are_its_own),
		cmocka_unit_test(test_two_dashes_end_the_options),
		cmocka_unit_test(test_one_family_can_be_left_out),
		cmocka_unit_test(
			test_errors_name_option_value_and_what_was_expected),
		cmocka_unit_test(test_the_front_is_chosen_by_name_or_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
