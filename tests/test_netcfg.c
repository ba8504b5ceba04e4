/* In network namespaces of the test's own; what the kernel made of it is told by
 * ip(8). */
#include "tapdev/netcfg.h"

#include "tests/netspace.h"
#include "tests/test.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MANY 5000

struct rig {
	int tap;
	struct netcfg cfg;
	struct netcfg_addr addrs[4];
	struct netcfg_route routes[8];
	struct fail why;
};

static int setup(void **state)
{
	static struct rig rig;

	assert_true(netspace_enter());
	rig = (struct rig){.tap = netspace_tap("tap0")};
	assert_true(rig.tap >= 0);
	/* Else it has a link-local address that is probed. */
	netspace_run("ip link set tap0 down");
	rig.cfg.addrs = rig.addrs;
	rig.cfg.routes = rig.routes;
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	int lowest = dup(0);

	close(lowest);
	assert_int_equal(lowest, rig->tap + 1);
	close(rig->tap);
	return 0;
}

static void add_addr(struct rig *rig, const char *addr, uint8_t bits)
{
	struct netcfg_addr *a = &rig->addrs[rig->cfg.addr_count++];

	assert_int_equal(addr_parse(addr, &a->addr), 0);
	a->bits = bits;
	rig->cfg.ipv6 |= !addr_is_v4(&a->addr);
}

static void add_route(struct rig *rig, const char *dst, uint8_t bits,
		      const char *gateway, uint32_t metric)
{
	struct netcfg_route *r = &rig->routes[rig->cfg.route_count++];

	*r = (struct netcfg_route){.bits = bits, .metric = metric};
	assert_int_equal(addr_parse(dst, &r->dst), 0);
	if (gateway)
		assert_int_equal(addr_parse(gateway, &r->gateway), 0);
}

static int apply(struct rig *rig)
{
	return netcfg_apply("tap0", &rig->cfg, &rig->why);
}

static void expect(const char *command, const char *text, unsigned times)
{
	unsigned n = netspace_count(command, text);

	if (n != times)
		fail_msg("%s: %u times '%s', not %u", command, n, text, times);
}

static void test_addresses_of_both_families_are_good_at_once(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "192.0.2.5", 24);
	add_addr(rig, "198.51.100.7", 25);
	add_addr(rig, "2001:db8::5", 64);
	add_addr(rig, "fd00::5", 48);
	assert_int_equal(apply(rig), 0);
	expect("ip addr show dev tap0",
	       "inet 192.0.2.5/24 brd 192.0.2.255 scope global", 1);
	expect("ip addr show dev tap0",
	       "inet 198.51.100.7/25 brd 198.51.100.127 scope global", 1);
	expect("ip addr show dev tap0", "inet6 2001:db8::5/64 scope global", 1);
	expect("ip addr show dev tap0", "inet6 fd00::5/48 scope global", 1);
	expect("ip addr show dev tap0", "tentative", 0);
	expect("cat /proc/sys/net/ipv6/conf/tap0/accept_ra", "0", 1);
	assert_int_equal(apply(rig), 0); /* it is there already */
	expect("ip -4 addr show dev tap0", "inet ", 2);
}

static void test_two_addresses_or_one_have_no_broadcast(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "192.0.2.4", 31);
	add_addr(rig, "192.0.2.9", 32);
	assert_int_equal(apply(rig), 0);
	expect("ip addr show dev tap0", "inet 192.0.2.4/31 scope global", 1);
	expect("ip addr show dev tap0", "inet 192.0.2.9/32 scope global", 1);
}

static void test_routes_have_gateway_and_metric(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "192.0.2.5", 24);
	add_addr(rig, "2001:db8::5", 64);
	add_route(rig, "10.0.0.0", 8, NULL, 0);
	add_route(rig, "0.0.0.0", 0, "192.0.2.1", 100);
	add_route(rig, "172.16.0.0", 12, "10.9.9.9", 0);
	add_route(rig, "fd01::", 32, NULL, 7);
	add_route(rig, "::", 0, "fe80::1", 1024);
	add_route(rig, "fd02::", 64, "2001:db8::2", 0);
	assert_int_equal(apply(rig), 0);
	expect("ip route", "10.0.0.0/8 dev tap0 scope link", 1);
	expect("ip route", "default via 192.0.2.1 dev tap0 metric 100", 1);
	expect("ip route", "172.16.0.0/12 via 10.9.9.9 dev tap0", 1);
	expect("ip -6 route", "fd01::/32 dev tap0 metric 7", 1);
	expect("ip -6 route", "default via fe80::1 dev tap0 metric 1024", 1);
	expect("ip -6 route", "fd02::/64 via 2001:db8::2 dev tap0", 1);
	expect("ip route; ip -6 route", "onlink", 0);
	assert_int_equal(apply(rig), 0);
	expect("ip route", "via", 2);
	expect("ip -6 route", "via", 2);
}

static void test_a_gateway_on_no_subnet_is_on_the_link(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "192.0.2.5", 32);
	add_addr(rig, "2001:db8::5", 128);
	add_route(rig, "0.0.0.0", 0, "192.0.2.1", 0);
	add_route(rig, "::", 0, "2001:db8::1", 0);
	assert_int_equal(apply(rig), 0);
	expect("ip route", "default via 192.0.2.1 dev tap0 onlink", 1);
	expect("ip -6 route", "default via 2001:db8::1 dev tap0", 1);
	expect("ip -6 route", "onlink", 1);
}

static void test_ipv4_goes_by_a_gateway_of_ipv6(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "192.0.2.5", 32);
	add_route(rig, "0.0.0.0", 0, "fe80::2", 0);
	assert_int_equal(apply(rig), 0);
	expect("ip route", "default via inet6 fe80::2 dev tap0", 1);
}

static void test_the_route_of_a_subnet_is_not_there_twice(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "192.0.2.5", 24);
	add_addr(rig, "2001:db8::5", 64);
	add_route(rig, "192.0.2.0", 24, NULL, 100);
	add_route(rig, "192.0.0.0", 16, NULL, 0);
	add_route(rig, "2001:db8::", 64, NULL, 256);
	assert_int_equal(apply(rig), 0);
	expect("ip route", "192.0.2.0/24", 1);
	expect("ip route", "192.0.2.0/24 dev tap0 proto kernel", 1);
	expect("ip route", "192.0.0.0/16 dev tap0", 1);
	expect("ip -6 route", "2001:db8::/64", 1);
}

static void test_two_ways_out_are_both_there(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "192.0.2.5", 24);
	add_addr(rig, "2001:db8::5", 64);
	add_route(rig, "0.0.0.0", 0, "192.0.2.1", 0);
	add_route(rig, "0.0.0.0", 0, "192.0.2.2", 0);
	add_route(rig, "10.0.0.0", 8, "192.0.2.1", 0);
	add_route(rig, "10.0.0.0", 8, "192.0.2.2", 0);
	add_route(rig, "::", 0, "fe80::1", 1024);
	add_route(rig, "::", 0, "fe80::2", 1024);
	assert_int_equal(apply(rig), 0);
	expect("ip route", "default via", 2);
	/* The first of the list is the one that is used. */
	expect("ip route get 203.0.113.1", "via 192.0.2.1", 1);
	expect("ip route get 10.0.0.1", "via 192.0.2.1", 1);
	expect("ip -6 route", "via fe80::1", 1);
	expect("ip -6 route", "via fe80::2", 1);
}

static void test_a_default_route_takes_the_place_of_another(void **state)
{
	struct rig *rig = *state;

	netspace_run("ip link set tap0 up && "
		     "ip addr add 192.0.2.5/24 dev tap0 && "
		     "ip route add default via 192.0.2.77");
	add_addr(rig, "192.0.2.5", 24);
	add_route(rig, "0.0.0.0", 0, "192.0.2.1", 0);
	assert_int_equal(apply(rig), 0);
	expect("ip route", "default via", 1);
	expect("ip route", "default via 192.0.2.1", 1);
}

static void test_a_route_that_cannot_be_is_named(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "192.0.2.5", 24);
	add_route(rig, "10.0.0.0", 8, "224.0.0.1", 0);
	assert_int_equal(apply(rig), -EINVAL);
	assert_string_equal(
		rig->why.text,
		"cannot set route 10.0.0.0/8 of tap0: Invalid argument");
	rig->routes[0].bits = 0;
	rig->routes[0].dst = addr_from_v4(0);
	assert_int_equal(apply(rig), -EINVAL);
	assert_string_equal(rig->why.text,
			    "cannot set route of tap0: Invalid argument");
}

static void test_thousands_of_routes_take_no_time(void **state)
{
	struct netcfg_route *many = calloc(2 * MANY, sizeof(*many));
	struct rig *rig = *state;
	time_t start = time(NULL);

	assert_non_null(many);
	add_addr(rig, "192.0.2.5", 24);
	add_addr(rig, "2001:db8::5", 64);
	for (uint32_t i = 0; i < MANY; i++) {
		struct netcfg_route *r = &many[2 * i];

		r[0].dst = addr_from_v4(0x0a000000 | i << 8);
		r[0].bits = 24;
		r[0].gateway = addr_from_v4(0xc0000201);
		assert_int_equal(addr_parse("fd00::", &r[1].dst), 0);
		r[1].dst.s6_addr[6] = (uint8_t)(i >> 8);
		r[1].dst.s6_addr[7] = (uint8_t)i;
		r[1].bits = 64;
		assert_int_equal(addr_parse("fe80::1", &r[1].gateway), 0);
	}
	rig->cfg.routes = many;
	rig->cfg.route_count = 2 * MANY;
	assert_int_equal(apply(rig), 0);
	expect("ip route", "via 192.0.2.1", MANY);
	expect("ip -6 route", "via fe80::1", MANY);
	assert_true(time(NULL) - start < 20);
	free(many);
}

static void test_without_ipv6_its_entries_are_left_out(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "192.0.2.5", 24);
	add_addr(rig, "2001:db8::5", 64);
	add_route(rig, "::", 0, "fe80::1", 0);
	rig->cfg.ipv6 = false;
	assert_int_equal(apply(rig), 0);
	expect("ip -6 addr", "2001:db8::5", 0);
	expect("ip -6 route", "default", 0);
	rig->cfg.ipv6 = true;
	netspace_run("echo 1 >/proc/sys/net/ipv6/conf/tap0/disable_ipv6");
	assert_int_equal(apply(rig), 0);
	expect("ip -6 addr", "2001:db8::5", 0);
}

static void test_no_ipv6_is_not_even_link_local(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "192.0.2.5", 24);
	rig->cfg.no_ipv6 = true;
	assert_int_equal(apply(rig), 0);
	expect("ip addr show dev tap0", "inet 192.0.2.5", 1);
	expect("ip addr show dev tap0", "inet6", 0);
}

static void test_mtu_and_mac_are_set_if_given(void **state)
{
	struct rig *rig = *state;

	netspace_run("ip link set tap0 mtu 1400 address 02:00:00:00:00:01");
	assert_int_equal(apply(rig), 0);
	expect("ip link show tap0", "mtu 1400", 1);
	expect("ip link show tap0", "link/ether 02:00:00:00:00:01", 1);
	rig->cfg.mtu = 65520;
	rig->cfg.has_mac = true;
	memcpy(rig->cfg.mac, "\x02\0\0\0\0\x07", WIRE_MAC_LEN);
	assert_int_equal(apply(rig), 0);
	expect("ip link show tap0", "mtu 65520", 1);
	expect("ip link show tap0", "link/ether 02:00:00:00:00:07", 1);
}

static void test_the_linklocal_address_is_made_of_the_mac(void **state)
{
	struct rig *rig = *state;

	add_addr(rig, "2001:db8::5", 64);
	rig->cfg.has_mac = true;
	memcpy(rig->cfg.mac, "\x02\0\0\0\0\x07", WIRE_MAC_LEN);
	assert_int_equal(apply(rig), 0);
	expect("ip -6 addr show tap0", "fe80::ff:fe00:7/64", 1);
	expect("ip -6 addr show tap0", "tentative", 0);
}

static void test_lo_alone_gets_up_if_that_is_all(void **state)
{
	struct rig *rig = *state;

	netspace_run("ip link set lo down; ip link set tap0 down mtu 1400");
	add_addr(rig, "192.0.2.5", 24);
	add_addr(rig, "2001:db8::5", 64);
	add_route(rig, "0.0.0.0", 0, "192.0.2.1", 0);
	rig->cfg.mtu = 65520;
	rig->cfg.lo_only = true;
	rig->cfg.has_mac = true;
	memcpy(rig->cfg.mac, "\x02\0\0\0\0\x07", WIRE_MAC_LEN);
	assert_int_equal(apply(rig), 0);
	expect("ip link show lo", "LOOPBACK,UP", 1);
	expect("ip link show tap0", ",UP", 0);
	expect("ip link show tap0", "mtu 1400", 1);
	expect("ip link show tap0", "link/ether 02:00:00:00:00:07", 1);
	expect("ip addr show tap0", "inet", 0);
}

static void test_an_interface_that_is_not_there_is_named(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(netcfg_apply("tap7", &rig->cfg, &rig->why), -ENODEV);
	assert_non_null(strstr(rig->why.text, "interface tap7"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_addresses_of_both_families_are_good_at_once),
		TEST(test_two_addresses_or_one_have_no_broadcast),
		TEST(test_routes_have_gateway_and_metric),
		TEST(test_a_gateway_on_no_subnet_is_on_the_link),
		TEST(test_ipv4_goes_by_a_gateway_of_ipv6),
		TEST(test_the_route_of_a_subnet_is_not_there_twice),
		TEST(test_two_ways_out_are_both_there),
		TEST(test_a_default_route_takes_the_place_of_another),
		TEST(test_a_route_that_cannot_be_is_named),
		TEST(test_thousands_of_routes_take_no_time),
		TEST(test_without_ipv6_its_entries_are_left_out),
		TEST(test_no_ipv6_is_not_even_link_local),
		TEST(test_mtu_and_mac_are_set_if_given),
		TEST(test_the_linklocal_address_is_made_of_the_mac),
		TEST(test_lo_alone_gets_up_if_that_is_all),
		TEST(test_an_interface_that_is_not_there_is_named),
	};

	if (!netspace_enter() || access("/dev/net/tun", R_OK | W_OK) < 0 ||
	    !netspace_has_ip())
		return NETSPACE_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
