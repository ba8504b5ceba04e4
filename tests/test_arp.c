#include "stack/arp.h"
#include "tests/front.h"
#include "tests/test.h"

#include <string.h>

static void give(struct front *f, uint16_t op, const char *sender,
		 const char *target)
{
	struct frames_arp a = {op, sender, target};
	struct frames_buf b;

	frames_sink_clear(&f->sink);
	frames_arp(&b, &a);
	front_give(f, &b);
}

static void request(struct front *f, const char *sender, const char *target)
{
	give(f, 1, sender, target);
}

static void assert_reply(struct front *f, const char *sender,
			 const char *target)
{
	const struct frames_got *got = frames_only(&f->sink);
	const uint8_t *arp = got->data + WIRE_ETH_LEN;
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 2};
	struct in6_addr spa = frames_addr(sender);
	struct in6_addr tpa = frames_addr(target);

	assert_int_equal(got->len, 42);
	assert_memory_equal(got->data, frames_guest_mac, WIRE_MAC_LEN);
	assert_memory_equal(got->data + 6, frames_gateway_mac, WIRE_MAC_LEN);
	assert_int_equal(get16(got->data + 12), WIRE_ETH_ARP);
	assert_memory_equal(arp, head, sizeof(head));
	assert_memory_equal(arp + 8, frames_gateway_mac, WIRE_MAC_LEN);
	assert_int_equal(get32(arp + 14), addr_v4(&spa));
	assert_memory_equal(arp + 18, frames_guest_mac, WIRE_MAC_LEN);
	assert_int_equal(get32(arp + 24), addr_v4(&tpa));
}

static void test_gateway_resolver_and_neighbours_are_answered_for(void **state)
{
	static const char *const targets[] = {"10.0.2.2", "10.0.2.3",
					      "10.0.2.50", "10.0.2.254"};
	struct front *f = *state;

	for (size_t i = 0; i < 4; i++) {
		request(f, "10.0.2.100", targets[i]);
		assert_reply(f, targets[i], "10.0.2.100");
	}
	assert_int_equal(front_drops(f), 0);
}

static void test_the_containers_own_addresses_are_not(void **state)
{
	struct front *f = *state;

	request(f, "10.0.2.100", "10.0.2.100");
	assert_int_equal(f->sink.n, 0);
	request(f, "10.0.2.77", "10.0.2.15");
	assert_int_equal(f->sink.n, 0);
	/* Learned one line above. */
	request(f, "10.0.2.100", "10.0.2.77");
	assert_int_equal(f->sink.n, 0);
}

static void test_what_is_not_on_the_link_is_not(void **state)
{
	static const char *const targets[] = {
		"10.0.3.1", "10.0.2.0",  "10.0.2.255", "255.255.255.255",
		"0.0.0.0",  "127.0.0.1", "192.0.2.1",  "224.0.0.1"};
	struct front *f = *state;

	for (size_t i = 0; i < 8; i++) {
		request(f, "10.0.2.100", targets[i]);
		assert_int_equal(f->sink.n, 0);
	}
}

static void test_a_probe_is_answered_only_for_our_own(void **state)
{
	struct front *f = *state;

	request(f, "0.0.0.0", "10.0.2.50");
	assert_int_equal(f->sink.n, 0);
	request(f, "0.0.0.0", "10.0.2.100");
	assert_int_equal(f->sink.n, 0);
	request(f, "0.0.0.0", "10.0.2.2");
	assert_reply(f, "10.0.2.2", "0.0.0.0");
	/* What was probed is the container's from now on. */
	request(f, "10.0.2.100", "10.0.2.50");
	assert_int_equal(f->sink.n, 0);
}

static void test_announcements_are_learned_in_both_forms(void **state)
{
	struct front *f = *state;
	struct in6_addr a = frames_addr("10.0.2.60");
	struct in6_addr b = frames_addr("10.0.2.61");

	request(f, "10.0.2.60", "10.0.2.60");
	assert_int_equal(f->sink.n, 0);
	give(f, 2, "10.0.2.61", "10.0.2.61");
	assert_int_equal(f->sink.n, 0);
	assert_true(link_is_guest(&f->link, &a));
	assert_true(link_is_guest(&f->link, &b));
}

static void test_our_addresses_cannot_be_taken(void **state)
{
	struct front *f = *state;

	give(f, 2, "10.0.2.2", "10.0.2.100");
	assert_int_equal(f->sink.n, 0);
	request(f, "10.0.2.2", "10.0.2.2");
	assert_reply(f, "10.0.2.2", "10.0.2.2");
	request(f, "10.0.2.100", "10.0.2.2");
	assert_reply(f, "10.0.2.2", "10.0.2.100");
}

static void test_without_dns_its_alias_is_still_a_neighbour(void **state)
{
	struct front *f = *state;

	f->plan.dns = false;
	request(f, "10.0.2.100", "10.0.2.3");
	assert_reply(f, "10.0.2.3", "10.0.2.100");
}

static void test_gateway_and_aliases_need_not_be_on_the_link(void **state)
{
	static const char *const all[] = {"192.0.2.1", "169.254.1.1",
					  "169.254.1.2", "192.0.2.77",
					  "198.51.100.1"};
	static const char *const none[] = {"192.0.2.5", "255.255.255.255",
					   "127.0.0.1", "224.0.0.1", "0.0.0.0"};
	struct front *f = *state;

	f->plan = frames_shared_plan();
	for (size_t i = 0; i < 5; i++) {
		request(f, "192.0.2.5", all[i]);
		assert_reply(f, all[i], "192.0.2.5");
		request(f, "192.0.2.5", none[i]);
		assert_int_equal(f->sink.n, 0);
	}
	/* The gateway is there for whoever checks before using an address. */
	request(f, "0.0.0.0", "192.0.2.1");
	assert_reply(f, "192.0.2.1", "0.0.0.0");
	request(f, "0.0.0.0", "192.0.2.77");
	assert_int_equal(f->sink.n, 0);
	request(f, "0.0.0.0", "192.0.2.5");
	assert_int_equal(f->sink.n, 0);
}

static void test_a_gateway_that_is_not_ours_cannot_be_taken(void **state)
{
	struct front *f = *state;

	f->plan.shared = true;
	f->plan.loop4 = frames_addr("169.254.1.3");
	request(f, "10.0.2.2", "10.0.2.2");
	assert_reply(f, "10.0.2.2", "10.0.2.2");
	request(f, "0.0.0.0", "10.0.2.2");
	assert_reply(f, "10.0.2.2", "0.0.0.0");
	request(f, "10.0.2.100", "10.0.2.2");
	assert_reply(f, "10.0.2.2", "10.0.2.100");
}

static void test_a_cut_message_is_dropped_at_every_length(void **state)
{
	struct frames_arp a = {1, "10.0.2.100", "10.0.2.2"};
	struct front *f = *state;
	struct frames_buf b;
	struct icmpmsg_echo e;

	frames_arp(&b, &a);
	for (size_t len = WIRE_ETH_LEN; len < b.len; len++)
		front_frame(f, b.data, len, &e);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_ARP], 28);
	/* Ethernet's padding behind it does not matter. */
	memset(b.data + b.len, 0xaa, 18);
	b.len += 18;
	front_give(f, &b);
	assert_int_equal(f->sink.n, 1);
}

static void test_other_hardware_and_operations_are_dropped(void **state)
{
	struct frames_arp a = {1, "10.0.2.100", "10.0.2.2"};
	struct front *f = *state;
	struct frames_buf b;

	/* Each byte of the fixed part, and the group bit of the sender. */
	for (size_t i = 0; i <= 8; i++) {
		frames_arp(&b, &a);
		b.data[WIRE_ETH_LEN + i] |= 0x11;
		front_give(f, &b);
	}
	for (uint16_t op = 0; op < 30; op++) {
		a.op = op;
		frames_arp(&b, &a);
		if (op != 1 && op != 2)
			front_give(f, &b);
	}
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_ARP], 9 + 28);
}

static void test_without_ipv4_there_is_no_arp(void **state)
{
	struct front *f = *state;

	f->plan.ipv4 = false;
	request(f, "10.0.2.100", "10.0.2.2");
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_ARP], 1);
}

#define ARP_TEST(t)                                                            \
	cmocka_unit_test_setup_teardown(t, front_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARP_TEST(test_gateway_resolver_and_neighbours_are_answered_for),
		ARP_TEST(test_the_containers_own_addresses_are_not),
		ARP_TEST(test_what_is_not_on_the_link_is_not),
		ARP_TEST(test_a_probe_is_answered_only_for_our_own),
		ARP_TEST(test_announcements_are_learned_in_both_forms),
		ARP_TEST(test_our_addresses_cannot_be_taken),
		ARP_TEST(test_without_dns_its_alias_is_still_a_neighbour),
		ARP_TEST(test_gateway_and_aliases_need_not_be_on_the_link),
		ARP_TEST(test_a_gateway_that_is_not_ours_cannot_be_taken),
		ARP_TEST(test_a_cut_message_is_dropped_at_every_length),
		ARP_TEST(test_other_hardware_and_operations_are_dropped),
		ARP_TEST(test_without_ipv4_there_is_no_arp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
