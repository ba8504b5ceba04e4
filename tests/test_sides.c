#include "port/sides.h"

#include "stack/frame.h"
#include "tests/frames.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

static const uint8_t box[] = {2, 0, 0, 0, 0, 1};
static const uint8_t gate[] = {0x52, 0x55, 10, 0, 2, 2};
static const uint8_t gate6[] = {0x52, 0x56, 0, 0, 0, 2};
static const uint8_t other[] = {0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55};
static const uint8_t ours[] = {0x52, 0x55, 0x0a, 0x00, 0x02, 0xfe};
static const uint8_t all[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void look(struct sides *s, struct frames_buf *b, const uint8_t *from,
		 const uint8_t *to)
{
	struct dissect d;

	memcpy(b->data, to, WIRE_MAC_LEN);
	memcpy(b->data + WIRE_MAC_LEN, from, WIRE_MAC_LEN);
	assert_true(dissect_frame(b->data, b->len, &d));
	sides_look(s, &d);
}

static void packet(struct sides *s, const uint8_t *from, const uint8_t *to,
		   const char *src, const char *dst)
{
	struct frames_buf b;

	frames_udp(&b, src, 1000, dst, 2000, "x", 1);
	look(s, &b, from, to);
}

static void icmp6(struct sides *s, const uint8_t *from, const uint8_t *to,
		  const char *src, uint8_t type)
{
	struct frames_buf b;

	frames_icmp(&b, src, "ff02::1", type, 0, "\0\0\0\0", 4);
	look(s, &b, from, to);
}

static struct plan plan(void)
{
	return plan_make(frames_addr("10.0.2.0"), 24, 1500, ours);
}

static void expect_container(const struct sides *s, const uint8_t *mac)
{
	struct plan p = plan();
	const struct sides_mac *c = sides_container(s, &p);

	assert_non_null(c);
	assert_memory_equal(c->mac, mac, WIRE_MAC_LEN);
}

static bool is_other(const struct sides *s, const uint8_t *mac)
{
	struct plan p = plan();

	return sides_is_other(s, sides_container(s, &p), &p, mac);
}

static void test_a_gateway_may_have_two_addresses(void **state)
{
	struct sides s = {.n = 0};

	icmp6(&s, gate6, all, "fe80::2", 134);
	packet(&s, box, gate, "10.0.2.100", "198.51.100.7");
	packet(&s, gate, box, "198.51.100.7", "10.0.2.100");
	packet(&s, box, gate6, "fd00::64", "2001:db8::1");
	packet(&s, gate6, box, "2001:db8::1", "fd00::64");
	expect_container(&s, box);
	assert_true(is_other(&s, gate) && is_other(&s, gate6));
	assert_false(is_other(&s, box));
}

static void test_a_container_may_have_ipv6_only(void **state)
{
	struct sides s = {.n = 0};

	packet(&s, gate6, box, "2001:db8::1", "fd00::1234");
	packet(&s, box, gate6, "fd00::1234", "2001:db8::1");
	packet(&s, gate6, box, "2001:db8::2", "fd00::1234");
	expect_container(&s, box);
	assert_true(is_other(&s, gate6));
}

static void test_in_a_foreign_network_it_has_the_fewest_addresses(void **state)
{
	struct sides s = {.n = 0};

	packet(&s, other, box, "198.51.100.7", "192.168.1.5");
	packet(&s, other, box, "198.51.100.8", "192.168.1.5");
	packet(&s, box, other, "192.168.1.5", "198.51.100.7");
	expect_container(&s, box);
	assert_true(is_other(&s, other));
}

static void test_who_asks_for_a_lease_is_the_container(void **state)
{
	struct sides s = {.n = 0};
	struct frames_buf b;

	packet(&s, other, all, "10.0.2.7", "10.0.2.255");
	frames_udp(&b, "0.0.0.0", 68, "255.255.255.255", 67, "x", 1);
	look(&s, &b, box, all);
	frames_udp(&b, "10.0.2.2", 67, "10.0.2.15", 68, "x", 1);
	look(&s, &b, gate, box);
	expect_container(&s, box);
	assert_true(is_other(&s, gate));
	assert_false(is_other(&s, other));
}

static void test_a_container_that_poses_as_a_router_is_one(void **state)
{
	struct sides s = {.n = 0};

	icmp6(&s, box, all, "fe80::1", 134);
	icmp6(&s, box, all, "fe80::1", 133);
	icmp6(&s, gate6, all, "fe80::2", 134);
	expect_container(&s, box);
	assert_true(is_other(&s, gate6));
}

static void test_our_own_address_is_the_other_side(void **state)
{
	struct sides s = {.n = 0};

	packet(&s, ours, box, "10.0.2.100", "10.0.2.15");
	packet(&s, box, ours, "10.0.2.15", "10.0.2.100");
	expect_container(&s, box);
	assert_true(is_other(&s, ours));
}

static void test_groups_and_zeros_are_nobody(void **state)
{
	static const uint8_t zero[WIRE_MAC_LEN];
	struct sides s = {.n = 0};
	struct plan p = plan();

	packet(&s, all, zero, "10.0.2.100", "10.0.2.2");
	packet(&s, zero, all, "10.0.2.100", "10.0.2.2");
	assert_int_equal(s.n, 0);
	assert_null(sides_container(&s, &p));
	assert_false(is_other(&s, zero));
}

static void test_a_crowd_is_kept_small(void **state)
{
	struct sides s = {.n = 0};
	char addr[16];

	packet(&s, box, gate, "10.0.2.100", "198.51.100.7");
	for (unsigned i = 0; i < 100; i++) {
		uint8_t mac[WIRE_MAC_LEN] = {2, 1, 1, 1, 1, (uint8_t)i};

		snprintf(addr, sizeof(addr), "192.0.2.%u", i);
		packet(&s, mac, gate, addr, "198.51.100.7");
		packet(&s, gate, box, addr, "10.0.2.100");
	}
	assert_int_equal(s.n, SIDES_MAX);
	expect_container(&s, box);
	assert_true(is_other(&s, gate));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_gateway_may_have_two_addresses),
		cmocka_unit_test(test_a_container_may_have_ipv6_only),
		cmocka_unit_test(
			test_in_a_foreign_network_it_has_the_fewest_addresses),
		cmocka_unit_test(test_who_asks_for_a_lease_is_the_container),
		cmocka_unit_test(
			test_a_container_that_poses_as_a_router_is_one),
		cmocka_unit_test(test_our_own_address_is_the_other_side),
		cmocka_unit_test(test_groups_and_zeros_are_nobody),
		cmocka_unit_test(test_a_crowd_is_kept_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
