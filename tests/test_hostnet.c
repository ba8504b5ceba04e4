/* In network namespaces of the test's own, which ip(8) makes look like hosts. */
#include "tapdev/hostnet.h"

#include "tests/netspace.h"
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANY 3000

struct rig {
	int eth, wlan;
	struct hostnet host;
	struct fail why;
};

static void make_links(struct rig *rig)
{
	rig->eth = netspace_tap("eth0");
	rig->wlan = netspace_tap("wlan0");
	assert_true(rig->eth >= 0 && rig->wlan >= 0);
}

static int setup(void **state)
{
	static struct rig rig;

	assert_true(netspace_enter());
	rig = (struct rig){.eth = -1, .wlan = -1};
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	int lowest;

	hostnet_fini(&rig->host);
	assert_null(rig->host.v4.routes);
	if (rig->wlan >= 0)
		close(rig->wlan);
	lowest = dup(0);
	close(lowest);
	assert_int_equal(lowest, rig->eth >= 0 ? rig->eth + 1 : lowest);
	if (rig->eth >= 0)
		close(rig->eth);
	return 0;
}

static void look(struct rig *rig, const char *ifname)
{
	hostnet_fini(&rig->host);
	if (hostnet_read(ifname, ifname, &rig->host, &rig->why) < 0)
		fail_msg("%s", rig->why.text);
}

static void expect_addr(const struct in6_addr *got, const char *want)
{
	char text[ADDR_STRLEN];

	assert_string_equal(addr_format(got, text), want);
}

/* "192.0.2.0/24 192.0.2.1 100", or without a gateway or metric. */
static void route_text(const struct netcfg_route *r, char text[128])
{
	char dst[ADDR_STRLEN], gateway[ADDR_STRLEN];
	int n = snprintf(text, 128, "%s/%d", addr_format(&r->dst, dst),
			 r->bits);

	if (!addr_is_unspecified(&r->gateway))
		n += snprintf(text + n, 128 - (size_t)n, " %s",
			      addr_format(&r->gateway, gateway));
	if (r->metric > 0)
		snprintf(text + n, 128 - (size_t)n, " %u", r->metric);
}

/* @want has a line for each route. */
static void expect_routes(const struct hostnet_family *f, const char *want)
{
	char all[1024] = "", text[128];

	for (size_t i = 0; i < f->route_count; i++) {
		route_text(&f->routes[i], text);
		assert_true(strlen(all) + strlen(text) + 2 < sizeof(all));
		strcat(all, text);
		strcat(all, "\n");
	}
	assert_string_equal(all, want);
}

static void test_a_host_with_nothing_shows_nothing(void **state)
{
	struct rig *rig = *state;

	look(rig, NULL);
	assert_false(rig->host.v4.found);
	assert_false(rig->host.v6.found);
}

static void test_the_way_out_is_the_template(void **state)
{
	struct rig *rig = *state;
	const struct hostnet *h = &rig->host;

	make_links(rig);
	netspace_run("ip addr add 192.0.2.5/24 dev eth0;"
		     "ip addr add 198.51.100.7/25 dev wlan0;"
		     "ip route add default via 198.51.100.1;"
		     "ip -6 addr add 2001:db8::5/64 dev eth0 nodad;"
		     "ip -6 addr add 2001:db8:1::7/60 dev wlan0 nodad;"
		     "ip -6 route add default via fe80::1 dev wlan0");
	look(rig, NULL);
	assert_true(h->v4.found);
	assert_string_equal(h->v4.ifname, "wlan0");
	expect_addr(&h->v4.addr, "198.51.100.7");
	assert_int_equal(h->v4.bits, 25);
	expect_addr(&h->v4.gateway, "198.51.100.1");
	expect_routes(&h->v4, "198.51.100.0/25\n0.0.0.0/0 198.51.100.1\n");
	assert_true(h->v6.found);
	assert_string_equal(h->v6.ifname, "wlan0");
	expect_addr(&h->v6.addr, "2001:db8:1::7");
	assert_int_equal(h->v6.bits, 60);
	expect_addr(&h->v6.gateway, "fe80::1");
	expect_routes(&h->v6, "2001:db8:1::/60 256\n::/0 fe80::1 1024\n");
}

static void test_families_may_go_different_ways(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip addr add 192.0.2.5/24 dev eth0;"
		     "ip route add default via 192.0.2.1;"
		     "ip -6 addr add 2001:db8:1::7/64 dev wlan0 nodad;"
		     "ip -6 route add default via 2001:db8:1::1");
	look(rig, NULL);
	assert_string_equal(rig->host.v4.ifname, "eth0");
	assert_string_equal(rig->host.v6.ifname, "wlan0");
}

static void test_without_a_way_out_any_route_will_do(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip route add 10.0.0.0/8 dev lo;"
		     "ip addr add 192.0.2.5/24 dev wlan0;"
		     "ip -6 route add fd01::/64 dev lo;");
	look(rig, NULL);
	assert_string_equal(rig->host.v4.ifname, "wlan0");
	expect_addr(&rig->host.v4.addr, "192.0.2.5");
	assert_true(addr_is_unspecified(&rig->host.v4.gateway));
	/* That every link has fe80::/64 makes none a template. */
	assert_false(rig->host.v6.found);
}

static void test_a_way_out_without_address_does_not_count(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip route add default dev eth0;"
		     "ip addr add 192.0.2.5/24 dev wlan0;"
		     "ip route add default via 192.0.2.1 metric 100");
	look(rig, NULL);
	assert_string_equal(rig->host.v4.ifname, "wlan0");
	expect_addr(&rig->host.v4.gateway, "192.0.2.1");
}

static void test_the_lower_metric_goes_first(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip addr add 192.0.2.5/24 dev eth0;"
		     "ip addr add 198.51.100.7/24 dev wlan0;"
		     "ip route add default via 192.0.2.1 metric 600;"
		     "ip route add default via 192.0.2.2 metric 700;"
		     "ip route add default via 198.51.100.1 metric 100");
	look(rig, NULL);
	assert_string_equal(rig->host.v4.ifname, "wlan0");
	look(rig, "eth0");
	expect_addr(&rig->host.v4.gateway, "192.0.2.1");
	expect_routes(&rig->host.v4, "192.0.2.0/24\n0.0.0.0/0 192.0.2.1 600\n"
				     "0.0.0.0/0 192.0.2.2 700\n");
}

static void test_an_interface_may_be_named_for_each_family(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip addr add 192.0.2.5/24 dev eth0;"
		     "ip route add default via 192.0.2.1;"
		     "ip addr add 198.51.100.7/24 dev wlan0;"
		     "ip -6 addr add 2001:db8::5/64 dev eth0 nodad");
	assert_int_equal(hostnet_read("wlan0", NULL, &rig->host, &rig->why), 0);
	expect_addr(&rig->host.v4.addr, "198.51.100.7");
	expect_addr(&rig->host.v6.addr, "2001:db8::5");
	hostnet_fini(&rig->host);
	assert_int_equal(hostnet_read(NULL, "wlan0", &rig->host, &rig->why), 0);
	expect_addr(&rig->host.v4.addr, "192.0.2.5");
	assert_false(rig->host.v6.found);
}

static void
test_a_name_that_is_not_there_comes_with_those_that_are(void **state)
{
	struct rig *rig = *state;
	struct hostnet h;
	char name[32];
	int taps[30];

	make_links(rig);
	assert_int_equal(hostnet_read("eth7", NULL, &h, &rig->why), -ENODEV);
	assert_string_equal(rig->why.text,
			    "no interface eth7: there is lo, eth0, wlan0");
	assert_int_equal(hostnet_read(NULL, "eth8", &h, &rig->why), -ENODEV);
	assert_non_null(strstr(rig->why.text, "no interface eth8"));
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "interface%d", i);
		taps[i] = netspace_tap(name);
	}
	assert_int_equal(hostnet_read("", NULL, &h, &rig->why), -ENODEV);
	assert_non_null(strstr(rig->why.text, ", ..."));
	for (int i = 0; i < 30; i++)
		close(taps[i]);
}

static void test_the_best_address_is_shown(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip addr add 169.254.7.7/16 dev eth0 scope link;"
		     "ip addr add 192.0.2.5/24 dev eth0;"
		     "ip addr add 192.0.2.6/24 dev eth0;"
		     "ip addr add 10.0.0.7/8 dev eth0;"
		     "ip -6 addr add 2001:db8::4/64 dev eth0 nodad;"
		     "ip -6 addr add 2001:db8::5/64 dev eth0 nodad;"
		     "ip -6 addr add 2001:db8::6/64 dev eth0 nodad;"
		     "ip -6 addr change 2001:db8::6/64 dev eth0 "
		     "preferred_lft 0;"
		     "ip -6 addr add 2001:db8::7/64 dev eth0");
	look(rig, "eth0");
	expect_addr(&rig->host.v4.addr, "192.0.2.5");
	assert_true(rig->host.v6.found);
	netspace_run("ip -6 addr del 2001:db8::4/64 dev eth0");
	look(rig, "eth0");
	expect_addr(&rig->host.v6.addr, "2001:db8::5");
	/* Rather one that nobody should use for new flows than none. */
	netspace_run("ip -6 addr del 2001:db8::5/64 dev eth0;"
		     "ip -6 addr del 2001:db8::7/64 dev eth0;"
		     "ip addr del 192.0.2.5/24 dev eth0;"
		     "ip addr flush dev eth0 scope global to 0.0.0.0/0");
	look(rig, "eth0");
	expect_addr(&rig->host.v6.addr, "2001:db8::6");
	expect_addr(&rig->host.v4.addr, "169.254.7.7");
}

static void test_the_address_of_a_tunnel_is_our_end(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip addr add 10.0.0.2 peer 10.0.0.1/32 dev eth0;"
		     "ip route add default dev eth0");
	look(rig, NULL);
	expect_addr(&rig->host.v4.addr, "10.0.0.2");
	assert_int_equal(rig->host.v4.bits, 32);
	assert_true(addr_is_unspecified(&rig->host.v4.gateway));
	expect_routes(&rig->host.v4, "0.0.0.0/0\n10.0.0.1/32\n");
}

static void test_of_many_hops_those_of_the_interface_count(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip addr add 192.0.2.5/24 dev eth0;"
		     "ip addr add 198.51.100.7/24 dev wlan0;"
		     "ip route add default nexthop via 192.0.2.1 "
		     "nexthop via 198.51.100.1 nexthop via 192.0.2.2;"
		     "ip -6 addr add 2001:db8::5/64 dev eth0 nodad;"
		     "ip -6 route add default nexthop via fe80::1 dev eth0 "
		     "nexthop via fe80::2 dev wlan0");
	look(rig, NULL);
	expect_routes(&rig->host.v4, "192.0.2.0/24\n0.0.0.0/0 192.0.2.1\n"
				     "0.0.0.0/0 192.0.2.2\n");
	expect_routes(&rig->host.v6, "2001:db8::/64 256\n::/0 fe80::1 1024\n");
}

static void test_what_leads_nowhere_is_left_out(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip addr add 192.0.2.5/24 dev eth0;"
		     "ip -6 addr add 2001:db8::5/64 dev eth0 nodad;"
		     "ip route add blackhole 10.0.0.0/8;"
		     "ip route add prohibit 10.0.0.0/9;"
		     "ip -6 route add unreachable fd01::/16;"
		     "ip route add 10.0.0.0/10 dev eth0 table 100;"
		     "ip -6 route add fd02::/16 dev eth0 table 100;"
		     "ip route add 10.0.0.0/11 via 192.0.2.1 tos 4;"
		     "ip route add 10.0.0.0/12 dev wlan0");
	look(rig, NULL);
	expect_routes(&rig->host.v4, "192.0.2.0/24\n");
	expect_routes(&rig->host.v6, "2001:db8::/64 256\n");
}

static void test_ipv4_may_go_by_a_gateway_of_ipv6(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip addr add 192.0.2.5/32 dev eth0;"
		     "ip -4 route add default via inet6 fe80::1 dev eth0");
	look(rig, NULL);
	expect_routes(&rig->host.v4, "0.0.0.0/0 fe80::1\n");
	assert_true(addr_is_unspecified(&rig->host.v4.gateway));
}

static void test_a_nexthop_object_is_what_it_stands_for(void **state)
{
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip addr add 192.0.2.5/24 dev eth0;"
		     "ip nexthop add id 7 via 192.0.2.1 dev eth0;"
		     "ip route add default nhid 7");
	look(rig, NULL);
	expect_routes(&rig->host.v4, "192.0.2.0/24\n0.0.0.0/0 192.0.2.1\n");
}

/* What @rig has of the host into a namespace of its own: the same is read
 * there. */
static void copy(struct rig *rig)
{
	struct hostnet_family *v4 = &rig->host.v4, *v6 = &rig->host.v6;
	const struct netcfg_addr addrs[] = {{v4->addr, v4->bits},
					    {v6->addr, v6->bits}};
	size_t n4 = v4->route_count, n6 = v6->route_count;
	struct netcfg_route *all = calloc(n4 + n6, sizeof(*all));
	struct netcfg cfg = {.ipv6 = true,
			     .addrs = addrs,
			     .addr_count = 2,
			     .routes = all,
			     .route_count = n4 + n6};
	struct hostnet before = rig->host;
	int tap;

	assert_non_null(all);
	memcpy(all, v4->routes, n4 * sizeof(*all));
	memcpy(all + n4, v6->routes, n6 * sizeof(*all));
	assert_true(netspace_enter());
	tap = netspace_tap("eth0");
	if (netcfg_apply("eth0", &cfg, &rig->why) < 0)
		fail_msg("%s", rig->why.text);
	rig->host = (struct hostnet){.v4.found = false};
	look(rig, NULL);
	expect_addr(&rig->host.v4.gateway, "192.0.2.1");
	assert_int_equal(rig->host.v4.route_count, n4);
	assert_memory_equal(rig->host.v4.routes, all, n4 * sizeof(*all));
	assert_int_equal(rig->host.v6.route_count, n6);
	assert_memory_equal(rig->host.v6.routes, all + n4, n6 * sizeof(*all));
	hostnet_fini(&before);
	close(tap);
	free(all);
}

static void test_thousands_of_routes_are_read_and_can_be_added(void **state)
{
	FILE *batch;
	struct rig *rig = *state;

	make_links(rig);
	netspace_run("ip addr add 192.0.2.5/24 dev eth0;"
		     "ip route add 10.255.255.1 dev eth0;"
		     "ip route add default via 192.0.2.1;"
		     "ip -6 addr add 2001:db8::5/64 dev eth0 nodad;"
		     "ip -6 route add default via 2001:db8::1");
	batch = popen("ip -batch -", "w");
	assert_non_null(batch);
	for (int i = 0; i < MANY; i++)
		fprintf(batch,
			"route add 10.%d.%d.0/24 via 10.255.255.1 metric 50\n"
			"route add fd00:%x::/32 via fe80::%d dev eth0\n",
			i / 250, i % 250, i, i + 1);
	assert_int_equal(pclose(batch), 0);
	look(rig, NULL);
	/* The subnet, the neighbour and the default. */
	assert_int_equal(rig->host.v4.route_count, MANY + 3);
	assert_int_equal(rig->host.v6.route_count, MANY + 2);
	copy(rig);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_a_host_with_nothing_shows_nothing),
		TEST(test_the_way_out_is_the_template),
		TEST(test_families_may_go_different_ways),
		TEST(test_without_a_way_out_any_route_will_do),
		TEST(test_a_way_out_without_address_does_not_count),
		TEST(test_the_lower_metric_goes_first),
		TEST(test_an_interface_may_be_named_for_each_family),
		TEST(test_a_name_that_is_not_there_comes_with_those_that_are),
		TEST(test_the_best_address_is_shown),
		TEST(test_the_address_of_a_tunnel_is_our_end),
		TEST(test_of_many_hops_those_of_the_interface_count),
		TEST(test_what_leads_nowhere_is_left_out),
		TEST(test_ipv4_may_go_by_a_gateway_of_ipv6),
		TEST(test_a_nexthop_object_is_what_it_stands_for),
		TEST(test_thousands_of_routes_are_read_and_can_be_added),
	};

	if (!netspace_enter() || access("/dev/net/tun", R_OK | W_OK) < 0 ||
	    !netspace_has_ip())
		return NETSPACE_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
