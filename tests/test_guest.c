#include "stack/guest.h"
#include "tests/test.h"

static struct in6_addr addr(const char *text)
{
	struct in6_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void learn(struct guest *g, const char *text)
{
	struct in6_addr a = addr(text);

	guest_learn(g, &a);
}

static void assert_newest(const struct guest *g, bool v4, const char *want)
{
	struct in6_addr got, a = addr(want);

	assert_true(guest_newest(g, v4, &got));
	assert_true(addr_equal(&got, &a));
}

static void test_the_newest_address_of_a_family_is_told(void **state)
{
	struct guest g = {0};
	struct in6_addr got;

	assert_false(guest_newest(&g, true, &got));
	learn(&g, "10.0.2.100");
	assert_false(guest_newest(&g, false, &got));
	learn(&g, "fd00::64");
	learn(&g, "10.0.2.15");
	assert_newest(&g, true, "10.0.2.15");
	assert_newest(&g, false, "fd00::64");
	learn(&g, "10.0.2.100");
	assert_newest(&g, true, "10.0.2.100");
}

static void test_a_link_local_address_is_none(void **state)
{
	struct guest g = {0};
	struct in6_addr got;

	learn(&g, "fe80::1234");
	assert_false(guest_newest(&g, false, &got));
	learn(&g, "fd00::64");
	learn(&g, "fe80::1234");
	assert_newest(&g, false, "fd00::64");
}

static void test_the_oldest_is_forgotten_first(void **state)
{
	struct guest g = {0};
	struct in6_addr first = addr("10.0.2.100");

	guest_learn(&g, &first);
	for (uint32_t i = 0; i < GUEST_ADDRS - 1; i++) {
		struct in6_addr a = addr_from_v4(0x0a000210 + i);

		guest_learn(&g, &a);
	}
	assert_true(guest_has(&g, &first));
	learn(&g, "fd00::64");
	assert_false(guest_has(&g, &first));
	assert_int_equal(g.n, GUEST_ADDRS);
	assert_newest(&g, false, "fd00::64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_newest_address_of_a_family_is_told),
		cmocka_unit_test(test_a_link_local_address_is_none),
		cmocka_unit_test(test_the_oldest_is_forgotten_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
