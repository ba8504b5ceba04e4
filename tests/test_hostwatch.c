#include "tapdev/hostwatch.h"

#include "tests/netspace.h"
#include "tests/test.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <unistd.h>

struct rig {
	int watch;
	int tap;
};

static int setup(void **state)
{
	static struct rig rig;

	assert_true(netspace_enter());
	rig.tap = netspace_tap("eth0");
	/* Whose addresses of IPv6 would be news at any time. */
	netspace_run("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
	rig.watch = hostwatch_open();
	assert_true(rig.watch >= 0);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	close(rig->watch);
	close(rig->tap);
	return 0;
}

static bool readable(const struct rig *rig)
{
	struct pollfd p = {.fd = rig->watch, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* @command makes news that matter, all read at one go. */
static void expect_news(const struct rig *rig, const char *command)
{
	assert_false(readable(rig));
	netspace_run(command);
	if (!readable(rig) || !hostwatch_drain(rig->watch))
		fail_msg("nothing of: %s", command);
	assert_false(readable(rig));
	assert_false(hostwatch_drain(rig->watch));
}

static void test_what_changes_the_network_is_news(void **state)
{
	const struct rig *rig = *state;

	expect_news(rig, "ip addr add 192.0.2.5/24 dev eth0");
	expect_news(rig, "ip route add default via 192.0.2.1");
	expect_news(rig, "ip route replace default via 192.0.2.2");
	expect_news(rig, "ip route del default");
	expect_news(rig, "ip -6 addr add 2001:db8::5/64 dev lo nodad");
	expect_news(rig, "ip -6 route add fd00::/64 dev lo");
	expect_news(rig, "ip -6 route del fd00::/64 dev lo");
	expect_news(rig, "ip addr del 192.0.2.5/24 dev eth0");
	expect_news(rig, "ip link set eth0 down");
	expect_news(rig, "ip link set eth0 name wlan0");
}

static void test_other_tables_are_no_news(void **state)
{
	const struct rig *rig = *state;

	netspace_run("ip route add 10.0.0.0/8 dev eth0 table 100");
	assert_true(readable(rig));
	assert_false(hostwatch_drain(rig->watch));
	assert_false(readable(rig));
}

static void test_news_that_were_lost_are_news(void **state)
{
	const struct rig *rig = *state;
	bool matters = false;
	int rounds = 0;

	/* None of it would matter. */
	netspace_run("for n in $(seq 3000); do "
		     "echo route add 10.0.0.0/8 dev eth0 table $((n + 1000));"
		     "done | ip -batch -");
	for (; readable(rig); rounds++)
		matters |= hostwatch_drain(rig->watch);
	assert_true(matters);
	/* A burst at a time, so that others have their turn. */
	assert_true(rounds > 1);
	expect_news(rig, "ip addr add 192.0.2.5/24 dev eth0");
}

static struct nlmsghdr *message(void *buf, uint16_t type, size_t len)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	mnl_nlmsg_put_extra_header(h, len);
	return h;
}

static void test_a_radio_and_the_ports_of_a_bridge_are_none(void **state)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *h;
	struct ifinfomsg *m;

	h = message(buf, RTM_NEWLINK, sizeof(*m));
	assert_true(hostwatch_matters(h));
	mnl_attr_put_strz(h, IFLA_IFNAME, "wlan0");
	assert_true(hostwatch_matters(h));
	mnl_attr_put_u32(h, IFLA_WIRELESS, 0);
	assert_false(hostwatch_matters(h));
	h = message(buf, RTM_DELLINK, sizeof(*m));
	assert_true(hostwatch_matters(h));
	m = mnl_nlmsg_get_payload(h);
	m->ifi_family = AF_BRIDGE;
	assert_false(hostwatch_matters(h));
}

static void test_a_large_number_of_a_table_counts(void **state)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *h = message(buf, RTM_NEWROUTE, sizeof(struct rtmsg));
	struct rtmsg *m = mnl_nlmsg_get_payload(h);

	assert_false(hostwatch_matters(h));
	m->rtm_table = RT_TABLE_MAIN;
	assert_true(hostwatch_matters(h));
	mnl_attr_put_u32(h, RTA_TABLE, 1000);
	assert_false(hostwatch_matters(h));
}

static void test_what_is_cut_off_is_none(void **state)
{
	static const uint16_t types[] = {RTM_NEWLINK, RTM_DELLINK, RTM_NEWROUTE,
					 RTM_DELROUTE, RTM_NEWNEIGH};
	_Alignas(struct nlmsghdr) char buf[256];

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_false(hostwatch_matters(message(buf, types[i], 4)));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest crafted[] = {
		cmocka_unit_test(
			test_a_radio_and_the_ports_of_a_bridge_are_none),
		cmocka_unit_test(test_a_large_number_of_a_table_counts),
		cmocka_unit_test(test_what_is_cut_off_is_none),
	};
	static const struct CMUnitTest real[] = {
		TEST(test_what_changes_the_network_is_news),
		TEST(test_other_tables_are_no_news),
		TEST(test_news_that_were_lost_are_news),
	};
	int failed = cmocka_run_group_tests(crafted, NULL, NULL);

	if (failed)
		return failed;
	if (!netspace_enter() || access("/dev/net/tun", R_OK | W_OK) < 0 ||
	    !netspace_has_ip())
		return NETSPACE_SKIP;
	return cmocka_run_group_tests(real, NULL, NULL);
}
