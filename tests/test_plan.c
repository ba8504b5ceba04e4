#include "stack/plan.h"
#include "tests/frames.h"
#include "tests/test.h"

static void assert_addr(const struct in6_addr *a, const char *want)
{
	char buf[ADDR_STRLEN];

	assert_string_equal(addr_format(a, buf), want);
}

static void test_the_plan_is_that_of_slirp4netns(void **state)
{
	struct plan plan = frames_plan(65520);

	assert_addr(&plan.gateway4, "10.0.2.2");
	assert_addr(&plan.dns4, "10.0.2.3");
	assert_addr(&plan.dhcp4, "10.0.2.15");
	assert_addr(&plan.guest4, "10.0.2.100");
	assert_addr(&plan.net6, "fd00::");
	assert_addr(&plan.gateway6, "fd00::2");
	assert_addr(&plan.dns6, "fd00::3");
	assert_addr(&plan.guest6, "fd00::64");
	assert_addr(&plan.router6, "fe80::2");
	assert_int_equal(plan.mtu, 65520);
	assert_memory_equal(plan.mac, frames_gateway_mac, WIRE_MAC_LEN);
	assert_true(plan.ipv4 && plan.ipv6 && plan.dns);
	assert_true(plan.offer.dhcp4 && plan.offer.ra);
	assert_false(plan.offer.dhcp6 || plan.offer.no_ndp || plan.shared);
	assert_int_equal(plan.offer.dns_count, 2);
	assert_addr(&plan.offer.dns[0], "10.0.2.3");
	assert_addr(&plan.offer.dns[1], "fd00::3");
}

static void test_offsets_count_from_any_network(void **state)
{
	struct plan plan = plan_make(frames_addr("192.168.7.128"), 25, 1500,
				     frames_gateway_mac);

	assert_addr(&plan.gateway4, "192.168.7.130");
	assert_addr(&plan.guest4, "192.168.7.228");
}

struct row {
	const char *addr;
	bool ours, on_link, broadcast, source;
};

static void assert_rows(const struct plan *plan, const struct row *rows,
			size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct in6_addr a = frames_addr(rows[i].addr);

		assert_int_equal(plan_is_ours(plan, &a), rows[i].ours);
		assert_int_equal(plan_on_link(plan, &a), rows[i].on_link);
		assert_int_equal(plan_is_broadcast(plan, &a),
				 rows[i].broadcast);
		assert_int_equal(plan_source_ok(plan, &a), rows[i].source);
	}
}

static void test_every_kind_of_address_is_told_apart(void **state)
{
	static const struct row rows[] = {
		{"10.0.2.2", true, true, false, false},
		{"10.0.2.3", true, true, false, false},
		{"10.0.2.100", false, true, false, true},
		{"10.0.2.50", false, true, false, true},
		{"10.0.2.0", false, true, true, false},
		{"10.0.2.255", false, true, true, false},
		{"255.255.255.255", false, false, true, false},
		{"10.0.3.1", false, false, false, false},
		{"127.0.0.1", false, false, false, false},
		{"0.0.0.0", false, false, false, false},
		{"224.0.0.1", false, false, false, false},
		{"fd00::2", true, true, false, false},
		{"fd00::3", true, true, false, false},
		{"fe80::2", true, true, false, false},
		{"fd00::64", false, true, false, true},
		{"fd00::1234:5678", false, true, false, true},
		{"fe80::1", false, true, false, true},
		{"fd00:0:0:1::1", false, false, false, false},
		{"ff02::1", false, false, false, false},
		{"::1", false, false, false, false},
		{"::", false, false, false, false},
	};
	struct plan plan = frames_plan(1500);

	assert_rows(&plan, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_the_hosts_network_is_told_apart_too(void **state)
{
	static const struct row rows[] = {
		{"192.0.2.5", false, true, false, true},
		{"192.0.2.1", false, false, false, false},
		{"192.0.2.6", false, false, false, false},
		{"169.254.1.1", true, false, false, false},
		{"169.254.1.2", true, false, false, false},
		{"255.255.255.255", false, false, true, false},
		{"0.0.0.0", false, false, false, false},
		{"2001:db8::5", false, true, false, true},
		{"fe80::1", true, true, false, false},
		{"fe80::2", false, true, false, true},
		{"fd00::53", false, false, false, false},
		{"::", false, false, false, false},
	};
	struct plan plan = frames_shared_plan();
	struct in6_addr gateway = frames_addr("192.0.2.1");

	assert_rows(&plan, rows, sizeof(rows) / sizeof(rows[0]));
	assert_true(plan_is_taken(&plan, &gateway));
	plan.ipv4 = false;
	assert_false(plan_is_taken(&plan, &gateway));
}

static void test_a_gateway_is_no_source_though_it_is_not_ours(void **state)
{
	struct plan plan = frames_plan(1500);
	struct in6_addr gateway4 = frames_addr("10.0.2.2");
	struct in6_addr gateway6 = frames_addr("fd00::2");

	plan.loop4 = plan.loop6 = frames_addr("::");
	assert_false(plan_is_ours(&plan, &gateway4));
	assert_false(plan_is_ours(&plan, &gateway6));
	assert_true(plan_is_taken(&plan, &gateway4));
	assert_true(plan_is_taken(&plan, &gateway6));
	assert_false(plan_source_ok(&plan, &gateway4));
	assert_false(plan_source_ok(&plan, &gateway6));
}

static void test_without_dns_its_alias_is_an_ordinary_address(void **state)
{
	struct plan plan = frames_plan(1500);
	struct in6_addr dns4 = frames_addr("10.0.2.3");
	struct in6_addr dns6 = frames_addr("fd00::3");

	plan.dns = false;
	assert_false(plan_is_ours(&plan, &dns4));
	assert_false(plan_is_ours(&plan, &dns6));
	assert_true(plan_on_link(&plan, &dns4));
}

static void test_a_family_that_is_off_has_no_address(void **state)
{
	struct plan plan = frames_plan(1500);
	struct in6_addr guest4 = frames_addr("10.0.2.100");
	struct in6_addr guest6 = frames_addr("fd00::64");
	struct in6_addr gateway6 = frames_addr("fd00::2");

	plan.ipv6 = false;
	assert_true(plan_source_ok(&plan, &guest4));
	assert_false(plan_source_ok(&plan, &guest6));
	assert_false(plan_is_ours(&plan, &gateway6));
	plan.ipv4 = false;
	assert_false(plan_source_ok(&plan, &guest4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_plan_is_that_of_slirp4netns),
		cmocka_unit_test(test_offsets_count_from_any_network),
		cmocka_unit_test(test_every_kind_of_address_is_told_apart),
		cmocka_unit_test(test_the_hosts_network_is_told_apart_too),
		cmocka_unit_test(
			test_a_gateway_is_no_source_though_it_is_not_ours),
		cmocka_unit_test(
			test_without_dns_its_alias_is_an_ordinary_address),
		cmocka_unit_test(test_a_family_that_is_off_has_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
