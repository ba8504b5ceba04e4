#include "port/runns.h"

#include "port/config.h"
#include "port/netplan.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

static struct plan plan_of(bool ipv4, bool ipv6)
{
	struct config c = config_default();

	c.ipv4 = ipv4;
	c.ipv6 = ipv6;
	return netplan_of_net(&c);
}

static void expect(const char *host, const struct plan *plan, const char *want)
{
	char buf[512];

	assert_int_equal(runns_resolv_text(host, plan, buf, sizeof(buf)),
			 strlen(want));
	assert_string_equal(buf, want);
}

static void test_our_resolvers_take_the_place_of_the_hosts(void **state)
{
	struct plan both = plan_of(true, true);

	expect("nameserver 127.0.0.53\n", &both,
	       "nameserver 10.0.2.3\nnameserver fd00::3\n");
	expect("", &both, "nameserver 10.0.2.3\nnameserver fd00::3\n");
}

static void test_search_and_options_are_kept_in_order(void **state)
{
	struct plan four = plan_of(true, false);

	expect("# a comment\n; another\n\nsearch example.org example.net\n"
	       "nameserver\t192.0.2.1\noptions edns0 trust-ad\n"
	       "nameserver 192.0.2.2\noptions ndots:2",
	       &four,
	       "nameserver 10.0.2.3\nsearch example.org example.net\n"
	       "options edns0 trust-ad\noptions ndots:2\n");
}

static void test_a_family_that_is_off_has_no_resolver(void **state)
{
	struct plan six = plan_of(false, true);

	expect("nameserver ::1\n", &six, "nameserver fd00::3\n");
}

static void test_what_does_not_fit_is_left_out_by_lines(void **state)
{
	struct plan four = plan_of(true, false);
	char buf[32];

	assert_int_equal(runns_resolv_text("search an.example.that.is.long\n",
					   &four, buf, sizeof(buf)),
			 21);
	assert_string_equal(buf, "nameserver 10.0.2.3\n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_our_resolvers_take_the_place_of_the_hosts),
		cmocka_unit_test(test_search_and_options_are_kept_in_order),
		cmocka_unit_test(test_a_family_that_is_off_has_no_resolver),
		cmocka_unit_test(test_what_does_not_fit_is_left_out_by_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
