#include "port/guestaddr.h"

#include "tests/fake_netaddr.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static nsec_t test_time;

static nsec_t test_clock(void)
{
	return test_time;
}

/* What the stack has seen the container use; NULL: nothing. */
static const char *seen6;

bool stack_guest(const struct stack *st, bool v4, struct in6_addr *ret)
{
	assert_false(v4);
	return seen6 && addr_parse(seen6, ret) == 0;
}

struct rig {
	struct netaddr na;
	struct plan plan;
	struct loop *loop;
	struct guestaddr *g;
};

static int setup(void **state)
{
	static const uint8_t mac[WIRE_MAC_LEN] = {2, 0, 0, 0, 0, 1};
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	test_time = 1000 * NSEC_PER_SEC;
	seen6 = NULL;
	fake_netaddr_init(&rig->na);
	rig->plan = plan_make(addr_from_v4(0x0a000200), 24, 1500, mac);
	rig->loop = loop_new(test_clock);
	assert_non_null(rig->loop);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	guestaddr_free(rig->g);
	assert_int_equal(loop_timers(rig->loop), 0);
	loop_free(rig->loop);
	fake_netaddr_fini(&rig->na);
	free(rig);
	return 0;
}

static void begin(struct rig *rig, bool netlink)
{
	rig->g = guestaddr_new(rig->loop, netlink ? &rig->na : NULL, "tap0",
			       NULL, &rig->plan);
	assert_non_null(rig->g);
}

static void turn(struct rig *rig, nsec_t later)
{
	test_time += later;
	loop_turn(rig->loop, 0);
}

/* @want NULL: none. */
static void expect_own(const struct rig *rig, bool v4, const char *want)
{
	struct in6_addr a, none;
	char buf[ADDR_STRLEN];

	memset(&a, 0xa5, sizeof(a));
	none = a;
	if (want) {
		assert_true(guestaddr_own(rig->g, v4, &a));
		assert_string_equal(addr_format(&a, buf), want);
		return;
	}
	assert_false(guestaddr_own(rig->g, v4, &a));
	assert_memory_equal(&a, &none, sizeof(a));
}

static bool may_be(const struct rig *rig, const char *text)
{
	struct in6_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return guestaddr_may_be(rig->g, &a);
}

static void add(struct rig *rig, const char *ifname, const char *addr,
		uint8_t bits)
{
	fake_netaddr_add(&rig->na, ifname, addr, bits);
}

/* Own. */

static void test_the_plans_address_is_taken_wherever_it_is(void **state)
{
	struct rig *rig = *state;

	add(rig, "lo", "127.0.0.1", 8);
	add(rig, "lo", "::1", 128);
	add(rig, "tap0", "10.0.2.15", 24);
	add(rig, "tap0", "fd00::1234", 64);
	add(rig, "br0", "10.0.2.100", 24);
	add(rig, "br0", "fd00::64", 64);
	begin(rig, true);
	expect_own(rig, true, "10.0.2.100");
	expect_own(rig, false, "fd00::64");
}

static void test_else_one_of_the_plans_network_on_the_tap(void **state)
{
	struct rig *rig = *state;

	add(rig, "br0", "10.0.2.20", 24);
	add(rig, "br0", "fd00::20", 64);
	add(rig, "tap0", "192.0.2.7", 24);
	add(rig, "tap0", "2001:db8::7", 64);
	add(rig, "tap0", "10.0.2.15", 24);
	add(rig, "tap0", "fd00::1234", 64);
	add(rig, "tap0", "10.0.2.16", 24);
	add(rig, "tap0", "fd00::1235", 64);
	begin(rig, true);
	expect_own(rig, true, "10.0.2.15");
	expect_own(rig, false, "fd00::1234");
}

static void test_else_one_of_it_on_a_bridge(void **state)
{
	struct rig *rig = *state;

	add(rig, "tap0", "192.0.2.7", 24);
	add(rig, "tap0", "2001:db8::7", 64);
	add(rig, "br0", "10.0.2.20", 24);
	add(rig, "br0", "fd00::20", 64);
	begin(rig, true);
	expect_own(rig, true, "10.0.2.20");
	expect_own(rig, false, "fd00::20");
}

/* The stack would drop what comes from there. */
static void test_no_other_address_will_do(void **state)
{
	struct rig *rig = *state;

	add(rig, "docker0", "172.17.0.1", 16);
	add(rig, "docker0", "2001:db8:1::1", 64);
	add(rig, "tap0", "192.0.2.7", 24);
	add(rig, "tap0", "2001:db8::7", 64);
	/* the gateway's and the resolver's */
	add(rig, "tap0", "10.0.2.2", 24);
	add(rig, "tap0", "fd00::3", 64);
	begin(rig, true);
	expect_own(rig, true, NULL);
	expect_own(rig, false, NULL);
	assert_false(may_be(rig, "172.17.0.1"));
	assert_false(may_be(rig, "fd00::3"));
	assert_true(may_be(rig, "10.0.2.77"));
	assert_true(may_be(rig, "fd00::77"));
	rig->plan.ipv6 = false;
	assert_false(may_be(rig, "fd00::77"));
}

static void test_loopback_and_link_local_are_no_address_to_go_to(void **state)
{
	struct rig *rig = *state;

	add(rig, "lo", "127.0.0.1", 8);
	add(rig, "lo", "::1", 128);
	add(rig, "tap0", "127.0.0.5", 8);
	add(rig, "tap0", "169.254.1.1", 16);
	add(rig, "tap0", "fe80::1", 64);
	begin(rig, true);
	expect_own(rig, true, NULL);
	expect_own(rig, false, NULL);
}

static void test_a_link_local_address_of_the_plan_will_do(void **state)
{
	struct rig *rig = *state;

	rig->plan =
		plan_make(addr_from_v4(0xa9fe0200), 24, 1500, rig->plan.mac);
	begin(rig, true);
	add(rig, "tap0", "169.254.2.7", 24);
	add(rig, "tap0", "169.254.2.100", 24);
	turn(rig, 0);
	expect_own(rig, true, "169.254.2.100");
}

static void test_an_address_that_is_probed_has_to_wait(void **state)
{
	struct netaddr_entry *e;
	struct rig *rig = *state;

	e = fake_netaddr_add(&rig->na, "tap0", "fd00::64", 64);
	e->usable = false;
	begin(rig, true);
	expect_own(rig, false, NULL);
	fake_netaddr_remove(&rig->na);
	add(rig, "tap0", "fd00::64", 64);
	turn(rig, 0);
	expect_own(rig, false, "fd00::64");
}

static void test_a_family_that_is_off_has_no_address(void **state)
{
	struct rig *rig = *state;

	add(rig, "tap0", "10.0.2.100", 24);
	add(rig, "tap0", "fd00::64", 64);
	seen6 = "fd00::64";
	rig->plan.ipv4 = rig->plan.ipv6 = false;
	begin(rig, true);
	expect_own(rig, true, NULL);
	expect_own(rig, false, NULL);
	guestaddr_free(rig->g);
	begin(rig, false);
	expect_own(rig, true, NULL);
	expect_own(rig, false, NULL);
}

static void
test_without_netlink_it_is_what_the_plan_and_the_stack_say(void **state)
{
	struct rig *rig = *state;

	begin(rig, false);
	expect_own(rig, true, "10.0.2.100");
	expect_own(rig, false, NULL);
	seen6 = "fd00::abcd";
	expect_own(rig, false, "fd00::abcd");
}

/* Watching. */

static void test_changes_are_followed_and_nothing_is_polled(void **state)
{
	struct rig *rig = *state;
	unsigned changes;

	begin(rig, true);
	assert_int_equal(rig->na.refreshes, 1);
	changes = guestaddr_changes(rig->g);
	expect_own(rig, true, NULL);
	add(rig, "tap0", "10.0.2.100", 24);
	turn(rig, 0);
	expect_own(rig, true, "10.0.2.100");
	fake_netaddr_remove(&rig->na);
	turn(rig, 0);
	expect_own(rig, true, NULL);
	assert_int_equal(rig->na.refreshes, 3);
	assert_int_not_equal(guestaddr_changes(rig->g), changes);
	assert_int_equal(loop_timers(rig->loop), 0);
	turn(rig, 1000 * NSEC_PER_SEC);
	assert_int_equal(rig->na.refreshes, 3);
}

static void test_a_first_look_that_fails_is_taken_again(void **state)
{
	struct rig *rig = *state;

	rig->na.err = EAGAIN;
	add(rig, "tap0", "10.0.2.15", 24);
	begin(rig, true);
	/* As without netlink. */
	expect_own(rig, true, "10.0.2.100");
	rig->na.err = 0;
	turn(rig, NSEC_PER_SEC);
	expect_own(rig, true, "10.0.2.15");
	assert_int_equal(loop_timers(rig->loop), 0);
}

static void test_a_later_look_that_fails_keeps_what_was_known(void **state)
{
	struct rig *rig = *state;

	add(rig, "tap0", "10.0.2.15", 24);
	begin(rig, true);
	fake_netaddr_remove(&rig->na);
	rig->na.err = ENOMEM;
	turn(rig, 0);
	expect_own(rig, true, "10.0.2.15");
	turn(rig, NSEC_PER_SEC);
	expect_own(rig, true, "10.0.2.15");
	rig->na.err = 0;
	turn(rig, NSEC_PER_SEC);
	expect_own(rig, true, NULL);
}

static void
test_a_container_that_never_rests_is_looked_at_now_and_then(void **state)
{
	struct rig *rig = *state;

	begin(rig, true);
	for (int i = 0; i < 1000; i++) {
		add(rig, "tap0", "10.0.2.100", 24);
		turn(rig, 0);
		fake_netaddr_remove(&rig->na);
		turn(rig, 0);
	}
	assert_int_equal(rig->na.refreshes, 50);
	add(rig, "tap0", "10.0.2.100", 24);
	turn(rig, NSEC_PER_SEC);
	expect_own(rig, true, "10.0.2.100");
	assert_int_equal(loop_timers(rig->loop), 0);
	fake_netaddr_remove(&rig->na);
	turn(rig, 0);
	expect_own(rig, true, NULL);
}

/* Show. */

struct row {
	const char *client;
	bool as4; /* to an IPv4 address of the container */
	const char *want;
};

static void check_rows(const struct rig *rig, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char buf[ADDR_STRLEN];
		struct in6_addr client, a;

		assert_int_equal(addr_parse(rows[i].client, &client), 0);
		a = guestaddr_show(rig->g, &client, rows[i].as4);
		addr_format(&a, buf);
		if (strcmp(buf, rows[i].want) != 0)
			fail_msg("%s as IPv%d: %s, want %s", rows[i].client,
				 rows[i].as4 ? 4 : 6, buf, rows[i].want);
	}
}

#define GW4 "10.0.2.2"
#define GW6 "fd00::2"

/* What holds with and without netlink. */
static const struct row always[] = {
	{"192.0.2.1", true, "192.0.2.1"},
	{"8.8.8.8", true, "8.8.8.8"},
	{"10.0.3.1", true, "10.0.3.1"},
	{"192.168.1.5", true, "192.168.1.5"},
	{"2001:db8::1", false, "2001:db8::1"},
	{"fd00:0:0:1::1", false, "fd00:0:0:1::1"},
	/* loopback of the host */
	{"127.0.0.1", true, GW4},
	{"127.8.9.10", true, GW4},
	{"::1", false, GW6},
	/* the other family */
	{"192.0.2.1", false, GW6},
	{"127.0.0.1", false, GW6},
	{"2001:db8::1", true, GW4},
	{"::1", true, GW4},
	/* nobody's */
	{"0.0.0.0", true, GW4},
	{"::", false, GW6},
	{"::", true, GW4},
	{"0.0.0.0", false, GW6},
	{"224.0.0.1", true, GW4},
	{"ff02::1", false, GW6},
	/* of another link */
	{"fe80::1", false, GW6},
	{"169.254.7.7", true, GW4},
	/* the plan's: gateway, resolver, router, container, anybody */
	{"10.0.2.2", true, GW4},
	{"10.0.2.3", true, GW4},
	{"10.0.2.100", true, GW4},
	{"10.0.2.77", true, GW4},
	{"10.0.2.255", true, GW4},
	{"fd00::2", false, GW6},
	{"fd00::3", false, GW6},
	{"fe80::2", false, GW6},
	{"fd00::64", false, GW6},
	{"fd00::77", false, GW6},
};

#define ROWS(r) r, sizeof(r) / sizeof(r[0])

static void
test_a_client_is_shown_unless_no_answer_would_find_back(void **state)
{
	static const struct row local[] = {
		/* a docker bridge inside, and its other side */
		{"172.17.0.1", true, GW4},
		{"172.17.200.9", true, GW4},
		{"172.18.0.1", true, "172.18.0.1"},
		{"2001:db8:1::1", false, GW6},
		{"2001:db8:1::99", false, GW6},
		{"2001:db8:2::99", false, "2001:db8:2::99"},
		/* the container's own, elsewhere */
		{"198.51.100.7", true, GW4},
		{"198.51.100.8", true, "198.51.100.8"},
		/* of the other family all the same the gateway */
		{"172.17.0.1", false, GW6},
	};
	struct rig *rig = *state;

	add(rig, "lo", "127.0.0.1", 8);
	add(rig, "lo", "::1", 128);
	add(rig, "tap0", "10.0.2.100", 24);
	add(rig, "tap0", "fd00::64", 64);
	add(rig, "tap0", "fe80::5", 64);
	add(rig, "docker0", "172.17.0.1", 16);
	add(rig, "docker0", "2001:db8:1::1", 64);
	add(rig, "eth9", "198.51.100.7", 32);
	begin(rig, true);
	check_rows(rig, ROWS(always));
	check_rows(rig, ROWS(local));
}

static void
test_an_address_that_is_not_usable_is_local_all_the_same(void **state)
{
	static const struct row rows[] = {{"2001:db8:1::9", false, GW6}};
	struct rig *rig = *state;

	fake_netaddr_add(&rig->na, "tap0", "2001:db8:1::1", 64)->usable = false;
	begin(rig, true);
	check_rows(rig, ROWS(rows));
}

static void test_without_netlink_the_plan_says_who_is_local(void **state)
{
	static const struct row rows[] = {
		{"172.17.0.1", true, "172.17.0.1"},
		{"2001:db8:1::1", false, "2001:db8:1::1"},
	};
	struct rig *rig = *state;

	begin(rig, false);
	check_rows(rig, ROWS(always));
	check_rows(rig, ROWS(rows));
}

static void test_nothing_to_free_is_fine(void **state)
{
	guestaddr_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_the_plans_address_is_taken_wherever_it_is),
		TEST(test_else_one_of_the_plans_network_on_the_tap),
		TEST(test_else_one_of_it_on_a_bridge),
		TEST(test_no_other_address_will_do),
		TEST(test_loopback_and_link_local_are_no_address_to_go_to),
		TEST(test_a_link_local_address_of_the_plan_will_do),
		TEST(test_an_address_that_is_probed_has_to_wait),
		TEST(test_a_family_that_is_off_has_no_address),
		TEST(test_without_netlink_it_is_what_the_plan_and_the_stack_say),
		TEST(test_changes_are_followed_and_nothing_is_polled),
		TEST(test_a_first_look_that_fails_is_taken_again),
		TEST(test_a_later_look_that_fails_keeps_what_was_known),
		TEST(test_a_container_that_never_rests_is_looked_at_now_and_then),
		TEST(test_a_client_is_shown_unless_no_answer_would_find_back),
		TEST(test_an_address_that_is_not_usable_is_local_all_the_same),
		TEST(test_without_netlink_the_plan_says_who_is_local),
		cmocka_unit_test(test_nothing_to_free_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
