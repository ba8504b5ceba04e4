#include "port/hostplan.h"

#include "tests/frames.h"
#include "tests/test.h"

#include <string.h>

static struct config config;
static struct hostnet host;
static struct hostplan got;
static struct netcfg_route routes[2];

static int set_up(void **state)
{
	config = config_default();
	config.from_host = true;
	config.ipv6 = true;
	config.dns = false;
	config.mtu = 65520;
	config.host.gateway_is_loopback = true;
	host = (struct hostnet){
		.v4 = {true, "eth0", frames_addr("192.0.2.5"), 24,
		       frames_addr("192.0.2.1"), routes, 2},
		.v6 = {true, "eth1", frames_addr("2001:db8:1::5"), 64,
		       frames_addr("fe80::77"), routes, 2},
	};
	return 0;
}

static void make(void)
{
	struct fail why = {""};

	if (hostplan_make(&config, &host, &got, &why) < 0)
		fail_msg("%s", why.text);
}

static void assert_addr(const struct in6_addr *a, const char *want)
{
	char buf[ADDR_STRLEN];

	assert_string_equal(addr_format(a, buf), want);
}

static void test_the_container_is_shown_what_the_host_has(void **state)
{
	const struct plan *plan = &got.plan;

	make();
	assert_true(plan->shared && plan->ipv4 && plan->ipv6);
	assert_addr(&plan->guest4, "192.0.2.5");
	assert_addr(&plan->dhcp4, "192.0.2.5");
	assert_addr(&plan->net4, "192.0.2.0");
	assert_int_equal(plan->bits4, 24);
	assert_addr(&plan->gateway4, "192.0.2.1");
	assert_addr(&plan->loop4, "192.0.2.1");
	assert_addr(&plan->guest6, "2001:db8:1::5");
	assert_addr(&plan->net6, "2001:db8:1::");
	assert_addr(&plan->gateway6, "fe80::77");
	assert_addr(&plan->router6, "fe80::77");
	assert_addr(&plan->loop6, "fe80::77");
	assert_string_equal(got.ifname, "eth0");
	assert_true(got.copies4 && got.copies6);
	assert_int_equal(got.own_count, 0);
	assert_int_equal(got.addr_count, 2);
}

static void test_a_gateway_that_is_asked_for_is_the_only_route(void **state)
{
	config.host.gateway4 = frames_addr("192.0.2.254");
	make();
	assert_addr(&got.plan.gateway4, "192.0.2.254");
	assert_false(got.copies4);
	assert_true(got.copies6);
	assert_int_equal(got.own_count, 1);
	assert_addr(&got.own[0].gateway, "192.0.2.254");
	assert_int_equal(got.own[0].bits, 0);
}

static void test_a_prefix_is_given_or_the_hosts_or_that_of_a_class(void **state)
{
	static const struct {
		const char *addr;
		uint8_t bits, want;
	} rows[] = {
		{"192.0.2.77", 0, 24},   {"192.0.2.77", 30, 30},
		{"10.1.2.3", 0, 8},      {"172.16.0.9", 0, 16},
		{"198.51.100.1", 0, 24},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		config.host.addr4 = frames_addr(rows[i].addr);
		config.host.bits4 = rows[i].bits;
		make();
		assert_addr(&got.plan.guest4, rows[i].addr);
		assert_int_equal(got.plan.bits4, rows[i].want);
	}
}

static void test_one_address_alone_is_a_network(void **state)
{
	host.v4.bits = 32;
	make();
	assert_addr(&got.plan.net4, "192.0.2.5");
	assert_false(plan_is_broadcast(&got.plan, &got.plan.guest4));
	assert_true(plan_source_ok(&got.plan, &got.plan.guest4));
}

/* Podman's manual has it so: -a 10.0.2.0 -n 24 -g 10.0.2.2. */
static void test_the_first_address_of_a_network_is_one(void **state)
{
	struct in6_addr last = frames_addr("10.0.2.255");

	config.host.addr4 = frames_addr("10.0.2.0");
	config.host.bits4 = 24;
	config.host.gateway4 = frames_addr("10.0.2.2");
	make();
	assert_false(plan_is_broadcast(&got.plan, &got.plan.guest4));
	assert_true(plan_source_ok(&got.plan, &got.plan.guest4));
	assert_true(plan_is_broadcast(&got.plan, &last));
}

static void test_a_host_without_a_network_is_a_link_of_two(void **state)
{
	host = (struct hostnet){.v4.found = false};
	make();
	assert_addr(&got.plan.guest4, "169.254.2.1");
	assert_addr(&got.plan.gateway4, "169.254.2.2");
	assert_addr(&got.plan.loop4, "169.254.2.2");
	assert_false(got.plan.ipv6);
	assert_string_equal(got.ifname, "tap0");
	assert_int_equal(got.own_count, 1);
	config.host.gateway4 = frames_addr("169.254.2.9");
	config.host.bits4 = 24;
	make();
	assert_addr(&got.plan.gateway4, "169.254.2.9");
	assert_addr(&got.plan.net4, "169.254.2.0");
}

static void test_a_family_that_the_host_has_not_is_off(void **state)
{
	host.v6 = (struct hostnet_family){.found = false};
	make();
	assert_true(got.plan.ipv4);
	assert_false(got.plan.ipv6);
	config.host.addr6 = frames_addr("fd12::5");
	make();
	assert_true(got.plan.ipv6);
	assert_addr(&got.plan.router6, "fe80::1");
}

static void test_ipv6_alone_needs_something_to_show(void **state)
{
	struct fail why = {""};

	config.ipv4 = false;
	make();
	assert_false(got.plan.ipv4);
	assert_string_equal(got.ifname, "eth0");
	host.v6 = (struct hostnet_family){.found = false};
	assert_true(hostplan_make(&config, &host, &got, &why) < 0);
	assert_non_null(strstr(why.text, "--address"));
	config.host.addr6 = frames_addr("fd12::5");
	config.mtu = 1000;
	assert_true(hostplan_make(&config, &host, &got, &why) < 0);
	assert_non_null(strstr(why.text, "1280"));
}

static void test_names_are_those_that_were_given(void **state)
{
	config.host.gateway_is_loopback = false;
	config.host.loop4 = frames_addr("192.0.2.200");
	config.host.self4 = frames_addr("169.254.1.2");
	config.host.dns4 = frames_addr("169.254.1.1");
	config.host.offer_dns = true;
	config.no_udp = true;
	config.dns = true;
	make();
	assert_addr(&got.plan.loop4, "192.0.2.200");
	assert_true(addr_is_unspecified(&got.plan.loop6));
	assert_true(got.plan.no_udp && !got.plan.no_tcp && !got.plan.no_icmp);
	assert_true(plan_is_ours(&got.plan, &config.host.self4));
	assert_true(plan_is_ours(&got.plan, &config.host.dns4));
	assert_false(plan_is_ours(&got.plan, &got.plan.gateway4));
	assert_int_equal(got.plan.offer.dns_count, 1);
	assert_addr(&got.plan.offer.dns[0], "169.254.1.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			test_the_container_is_shown_what_the_host_has, set_up),
		cmocka_unit_test_setup(
			test_a_gateway_that_is_asked_for_is_the_only_route,
			set_up),
		cmocka_unit_test_setup(
			test_a_prefix_is_given_or_the_hosts_or_that_of_a_class,
			set_up),
		cmocka_unit_test_setup(test_one_address_alone_is_a_network,
				       set_up),
		cmocka_unit_test_setup(
			test_the_first_address_of_a_network_is_one, set_up),
		cmocka_unit_test_setup(
			test_a_host_without_a_network_is_a_link_of_two, set_up),
		cmocka_unit_test_setup(
			test_a_family_that_the_host_has_not_is_off, set_up),
		cmocka_unit_test_setup(test_ipv6_alone_needs_something_to_show,
				       set_up),
		cmocka_unit_test_setup(test_names_are_those_that_were_given,
				       set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
