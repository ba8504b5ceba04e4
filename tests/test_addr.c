#include "stack/addr.h"
#include "tests/test.h"

#include <errno.h>

static struct in6_addr parse(const char *text)
{
	struct in6_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void test_text_of_both_families_survives_a_round_trip(void **state)
{
	static const char *const texts[] = {"10.0.2.2", "0.0.0.0",
					    "fd00::2",  "255.255.255.255",
					    "::",       "::1"};
	char buf[ADDR_STRLEN];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct in6_addr a = parse(texts[i]);

		assert_string_equal(addr_format(&a, buf), texts[i]);
	}
}

static void test_what_is_no_address_is_refused(void **state)
{
	static const char *const texts[] = {"",           "10.0.2",
					    "10.0.2.256", "fd00::g",
					    "10.0.2.2 ",  "localhost"};
	struct in6_addr a;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(addr_parse(texts[i], &a), -EINVAL);
}

static void test_classes_hold_for_both_families(void **state)
{
	struct in6_addr a;

	a = parse("127.3.2.1");
	assert_true(addr_is_loopback(&a));
	a = parse("::1");
	assert_true(addr_is_loopback(&a));
	a = parse("128.0.0.1");
	assert_false(addr_is_loopback(&a));
	a = parse("224.0.0.1");
	assert_true(addr_is_multicast(&a));
	a = parse("ff02::1");
	assert_true(addr_is_multicast(&a));
	a = parse("240.0.0.1");
	assert_false(addr_is_multicast(&a));
	a = parse("0.0.0.0");
	assert_true(addr_is_unspecified(&a) && addr_is_v4(&a));
	a = parse("::");
	assert_true(addr_is_unspecified(&a) && !addr_is_v4(&a));
	a = parse("169.254.9.9");
	assert_true(addr_is_linklocal(&a));
	a = parse("fe80::1");
	assert_true(addr_is_linklocal(&a));
}

static void test_a_prefix_ends_at_its_last_bit(void **state)
{
	struct in6_addr net = parse("10.0.2.128");
	struct in6_addr in = parse("10.0.2.255");
	struct in6_addr out = parse("10.0.2.127");
	struct in6_addr net6 = parse("fd00::");
	struct in6_addr in6 = parse("fd00::ffff:ffff:ffff:ffff");
	struct in6_addr out6 = parse("fd00:0:0:1::");

	assert_true(addr_in_prefix(&in, &net, 25));
	assert_false(addr_in_prefix(&out, &net, 25));
	assert_true(addr_in_prefix(&out, &net, 24));
	assert_true(addr_in_prefix(&in6, &net6, 64));
	assert_false(addr_in_prefix(&out6, &net6, 64));
	assert_false(addr_in_prefix(&in, &net6, 0));
	assert_true(addr_in_prefix(&in, &net, 0));
	assert_true(addr_in_prefix(&net, &net, 32));
}

static void test_endpoints_are_written_as_users_type_them(void **state)
{
	struct endpoint e = {parse("10.0.2.2"), 80};
	char buf[ENDPOINT_STRLEN];

	assert_string_equal(endpoint_format(&e, buf), "10.0.2.2:80");
	e = (struct endpoint){parse("fd00::2"), 65535};
	assert_string_equal(endpoint_format(&e, buf), "[fd00::2]:65535");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_text_of_both_families_survives_a_round_trip),
		cmocka_unit_test(test_what_is_no_address_is_refused),
		cmocka_unit_test(test_classes_hold_for_both_families),
		cmocka_unit_test(test_a_prefix_ends_at_its_last_bit),
		cmocka_unit_test(test_endpoints_are_written_as_users_type_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
