#include "stack/link.h"
#include "tests/frames.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct rig {
	struct link link;
	struct frames_sink sink;
	struct plan plan;
	struct counters count;
};

static struct rig *make(bool offload)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->plan = frames_plan(1500);
	frames_sink_init(&r->sink);
	link_init(&r->link, &r->sink.sink, &r->plan, &r->count, offload);
	return r;
}

static int setup(void **state)
{
	*state = make(false);
	return 0;
}

static int setup_offload(void **state)
{
	*state = make(true);
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	frames_sink_clear(&r->sink);
	free(r);
	return 0;
}

static uint64_t counted(const struct rig *r, enum count_reason why)
{
	return r->count.v[why];
}

static uint16_t give(struct rig *r, const struct frames_buf *b)
{
	struct view rest = {NULL, 0};
	uint16_t type =
		link_input(&r->link, (struct view){b->data, b->len}, &rest);

	if (type) {
		assert_ptr_equal(rest.at, b->data + WIRE_ETH_LEN);
		assert_int_equal(rest.left, b->len - WIRE_ETH_LEN);
	}
	return type;
}

static void test_a_frame_is_stripped_and_its_sender_learned(void **state)
{
	static const uint8_t everyone[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct rig *r = *state;
	struct frames_buf b;

	assert_memory_equal(r->link.peer, everyone, WIRE_MAC_LEN);
	frames_udp(&b, "10.0.2.100", 1, "192.0.2.1", 2, "x", 1);
	assert_int_equal(give(r, &b), WIRE_ETH_IPV4);
	assert_memory_equal(r->link.peer, frames_guest_mac, WIRE_MAC_LEN);
	frames_udp(&b, "fd00::64", 1, "2001:db8::1", 2, "x", 1);
	assert_int_equal(give(r, &b), WIRE_ETH_IPV6);
	frames_eth(&b, WIRE_ETH_ARP, "255.255.255.255");
	assert_int_equal(give(r, &b), WIRE_ETH_ARP);
	frames_eth(&b, WIRE_ETH_IPV6, "ff02::1");
	assert_int_equal(give(r, &b), WIRE_ETH_IPV6);
	assert_int_equal(counted(r, COUNT_FRAMES_IN), 4);
}

static void test_a_mac_that_is_known_is_used_until_one_is_seen(void **state)
{
	static const uint8_t known[] = {2, 9, 8, 7, 6, 5};
	static const uint8_t group[] = {0x33, 0x33, 0, 0, 0, 1};
	static const uint8_t zero[WIRE_MAC_LEN];
	struct rig *r = *state;
	struct frames_buf b;

	link_set_peer(&r->link, known);
	assert_memory_equal(r->link.peer, known, WIRE_MAC_LEN);
	link_set_peer(&r->link, zero);
	link_set_peer(&r->link, group);
	assert_memory_equal(r->link.peer, known, WIRE_MAC_LEN);
	frames_udp(&b, "10.0.2.100", 1, "192.0.2.1", 2, "x", 1);
	assert_int_equal(give(r, &b), WIRE_ETH_IPV4);
	assert_memory_equal(r->link.peer, frames_guest_mac, WIRE_MAC_LEN);
}

static void test_every_length_below_a_header_is_dropped(void **state)
{
	struct rig *r = *state;
	struct frames_buf b;

	frames_eth(&b, WIRE_ETH_IPV4, NULL);
	for (size_t len = 0; len < WIRE_ETH_LEN; len++) {
		/* A copy of exactly this size, for the sanitizer. */
		uint8_t *exact = malloc(len ? len : 1);
		struct view rest;

		assert_non_null(exact);
		memcpy(exact, b.data, len);
		assert_int_equal(
			link_input(&r->link, (struct view){exact, len}, &rest),
			0);
		free(exact);
	}
	assert_int_equal(counted(r, COUNT_DROP_FRAME_SHORT), WIRE_ETH_LEN);
}

static void test_a_frame_longer_than_any_packet_is_dropped(void **state)
{
	struct rig *r = *state;
	struct frames_buf b;

	frames_eth(&b, WIRE_ETH_IPV6, NULL);
	memset(b.data + b.len, 0, sizeof(b.data) - b.len);
	b.len = WIRE_ETH_LEN + 40 + 65535;
	assert_int_equal(give(r, &b), WIRE_ETH_IPV6);
	b.len++;
	assert_int_equal(give(r, &b), 0);
	assert_int_equal(counted(r, COUNT_DROP_FRAME_LONG), 1);
}

static void test_wrong_macs_are_dropped_and_not_learned(void **state)
{
	static const uint8_t bad_src[][WIRE_MAC_LEN] = {
		{0},
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01},
		{0x52, 0x55, 0x0a, 0x00, 0x02, 0x02}, /* the gateway's */
	};
	struct rig *r = *state;
	struct frames_buf b;

	for (size_t i = 0; i < 4; i++) {
		frames_eth(&b, WIRE_ETH_IPV4, NULL);
		memcpy(b.data + WIRE_MAC_LEN, bad_src[i], WIRE_MAC_LEN);
		assert_int_equal(give(r, &b), 0);
	}
	frames_eth(&b, WIRE_ETH_IPV4, NULL);
	b.data[5]++; /* for somebody else */
	assert_int_equal(give(r, &b), 0);
	assert_int_equal(counted(r, COUNT_DROP_FRAME_MAC), 5);
	assert_int_equal(r->link.peer[0], 0xff);
}

static void test_other_ethertypes_and_vlan_tags_are_dropped(void **state)
{
	static const uint16_t types[] = {0x8100, 0x88a8, 0x9100, 0x88cc, 60, 0};
	struct rig *r = *state;
	struct frames_buf b;

	for (size_t i = 0; i < 6; i++) {
		frames_eth(&b, types[i], NULL);
		assert_int_equal(give(r, &b), 0);
	}
	assert_int_equal(counted(r, COUNT_DROP_ETHERTYPE), 6);
}

static void test_one_header_goes_in_front_of_the_pieces(void **state)
{
	static const uint8_t group[] = {0x33, 0x33, 0, 0, 0, 1};
	struct rig *r = *state;
	struct iovec iov[FRAME_IOV_MAX - 1];
	uint8_t byte[FRAME_IOV_MAX];
	const struct frames_got *got;

	memcpy(r->link.peer, frames_guest_mac, WIRE_MAC_LEN);
	for (int i = 0; i < FRAME_IOV_MAX - 1; i++) {
		byte[i] = (uint8_t)i;
		iov[i] = (struct iovec){&byte[i], 1};
	}
	assert_int_equal(link_send(&r->link, WIRE_ETH_IPV4, NULL, iov,
				   FRAME_IOV_MAX - 1, NULL),
			 0);
	got = frames_only(&r->sink);
	assert_int_equal(got->len, WIRE_ETH_LEN + FRAME_IOV_MAX - 1);
	assert_memory_equal(got->data, frames_guest_mac, WIRE_MAC_LEN);
	assert_memory_equal(got->data + 6, frames_gateway_mac, WIRE_MAC_LEN);
	assert_int_equal(get16(got->data + 12), WIRE_ETH_IPV4);
	assert_memory_equal(got->data + 14, byte, FRAME_IOV_MAX - 1);

	assert_int_equal(
		link_send(&r->link, WIRE_ETH_IPV6, group, iov, 1, NULL), 0);
	assert_memory_equal(r->sink.got[1].data, group, WIRE_MAC_LEN);
	assert_int_equal(counted(r, COUNT_FRAMES_OUT), 2);
}

static void test_a_frame_that_the_sink_refuses_is_counted(void **state)
{
	struct rig *r = *state;
	struct iovec iov = {(char[]){"x"}, 1};

	r->sink.err = -ENOBUFS;
	assert_int_equal(
		link_send(&r->link, WIRE_ETH_IPV4, NULL, &iov, 1, NULL),
		-ENOBUFS);
	assert_int_equal(counted(r, COUNT_DROP_SINK), 1);
	assert_int_equal(counted(r, COUNT_FRAMES_OUT), 0);
}

/* Takes a UDP packet apart into pieces of @size and sends it with a partial
 * checksum. */
static void send_partial(struct rig *r, size_t size, const char *src,
			 size_t hlen)
{
	struct frames_buf b;
	struct iovec iov[FRAME_IOV_MAX - 1];
	struct offload off = {.csum_partial = true,
			      .csum_start = (uint16_t)hlen,
			      .csum_offset = 6};
	const char *dst = hlen == 20 ? "10.0.2.100" : "fd00::64";
	struct in6_addr s = frames_addr(src), d = frames_addr(dst);
	uint8_t *l3 = b.data + WIRE_ETH_LEN;
	uint16_t want, partial;
	size_t at = hlen + 8;
	int n = 1;

	frames_udp(&b, src, 53, dst, 1234, "an odd number of bytes.", 23);
	want = get16(l3 + hlen + 6);
	/* The pseudo-header's sum alone, by a plain loop. */
	partial = 17 + 31;
	for (size_t i = hlen == 20 ? 12 : 0; i < 16; i += 2) {
		uint32_t sum = partial + (uint32_t)get16(s.s6_addr + i) +
			       get16(d.s6_addr + i);

		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		partial = (uint16_t)sum;
	}
	put16(l3 + hlen + 6, partial);
	iov[0] = (struct iovec){l3, at};
	for (; at < hlen + 31; at += size) {
		size_t left = hlen + 31 - at;

		iov[n++] = (struct iovec){l3 + at, left < size ? left : size};
	}
	assert_int_equal(link_send(&r->link,
				   hlen == 20 ? WIRE_ETH_IPV4 : WIRE_ETH_IPV6,
				   NULL, iov, n, &off),
			 0);
	if (r->link.offload) {
		assert_int_equal(get16(l3 + hlen + 6), partial);
		return;
	}
	assert_int_equal(get16(l3 + hlen + 6), want);
}

static void test_a_partial_sum_is_completed_without_offload(void **state)
{
	struct rig *r = *state;

	for (size_t size = 1; size <= 23; size++) {
		send_partial(r, size, "10.0.2.2", 20);
		send_partial(r, size, "fd00::2", 40);
	}
	for (size_t i = 0; i < r->sink.n; i++) {
		frames_read(&r->sink.got[i]);
		assert_false(r->sink.got[i].off.csum_partial);
	}
}

static void test_offload_is_handed_on_with_shifted_offsets(void **state)
{
	struct rig *r = *state;
	struct offload off = {
		.csum_partial = true,
		.csum_start = 20,
		.csum_offset = 16,
		.gso = GSO_TCP4,
		.gso_size = 1460,
		.hdr_len = 40,
	};
	uint8_t bytes[64] = {0};
	struct iovec iov = {bytes, sizeof(bytes)};
	const struct offload *got;

	send_partial(r, 5, "10.0.2.2", 20);
	got = &r->sink.got[0].off;
	assert_true(got->csum_partial);
	assert_int_equal(got->csum_start, 34);
	assert_int_equal(got->csum_offset, 6);
	assert_int_equal(got->gso, GSO_NONE);

	assert_int_equal(
		link_send(&r->link, WIRE_ETH_IPV4, NULL, &iov, 1, &off), 0);
	got = &r->sink.got[1].off;
	assert_int_equal(got->csum_start, 34);
	assert_int_equal(got->gso, GSO_TCP4);
	assert_int_equal(got->gso_size, 1460);
	assert_int_equal(got->hdr_len, 54);
}

static void test_who_answers_depends_on_whom_we_saw(void **state)
{
	struct rig *r = *state;
	struct in6_addr a = frames_addr("10.0.2.50");
	struct in6_addr b = frames_addr("fd00::50");
	struct in6_addr foreign = frames_addr("192.0.2.1");
	struct in6_addr gateway = frames_addr("10.0.2.2");

	assert_true(link_answers(&r->link, &a));
	assert_true(link_answers(&r->link, &b));
	link_learn(&r->link, &a);
	link_learn(&r->link, &b);
	assert_false(link_answers(&r->link, &a));
	assert_false(link_answers(&r->link, &b));
	assert_true(link_is_guest(&r->link, &a));
	/* Not to be taken over, however loud. */
	link_learn(&r->link, &gateway);
	assert_true(link_answers(&r->link, &gateway));
	link_learn(&r->link, &foreign);
	assert_false(link_is_guest(&r->link, &foreign));
	assert_false(link_answers(&r->link, &foreign));
}

static void test_the_plan_s_own_guests_are_never_answered_for(void **state)
{
	static const char *const guests[] = {"10.0.2.100", "10.0.2.15",
					     "fd00::64"};
	static const char *const ours[] = {"10.0.2.2", "10.0.2.3", "fd00::2",
					   "fd00::3", "fe80::2"};
	static const char *const none[] = {"10.0.2.0", "10.0.2.255",
					   "255.255.255.255", "ff02::1",
					   "fd00:0:0:1::1"};
	struct rig *r = *state;

	for (size_t i = 0; i < 3; i++) {
		struct in6_addr a = frames_addr(guests[i]);

		assert_false(link_answers(&r->link, &a));
	}
	for (size_t i = 0; i < 5; i++) {
		struct in6_addr a = frames_addr(ours[i]);
		struct in6_addr b = frames_addr(none[i]);

		assert_true(link_answers(&r->link, &a));
		assert_false(link_answers(&r->link, &b));
	}
}

static void test_the_least_recent_of_many_addresses_is_forgotten(void **state)
{
	struct rig *r = *state;
	struct in6_addr first = frames_addr("10.0.2.50");
	struct in6_addr second = frames_addr("10.0.2.51");

	link_learn(&r->link, &first);
	link_learn(&r->link, &second);
	for (int i = 0; i < GUEST_ADDRS - 1; i++) {
		struct in6_addr a = addr_from_v4(0x0a000280 + (uint32_t)i);

		link_learn(&r->link, &a);
		link_learn(&r->link, &first);
	}
	assert_true(link_is_guest(&r->link, &first));
	assert_false(link_is_guest(&r->link, &second));
	assert_int_equal(r->link.guest.n, GUEST_ADDRS);
}

#define LINK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINK_TEST(test_a_frame_is_stripped_and_its_sender_learned),
		LINK_TEST(test_a_mac_that_is_known_is_used_until_one_is_seen),
		LINK_TEST(test_every_length_below_a_header_is_dropped),
		LINK_TEST(test_a_frame_longer_than_any_packet_is_dropped),
		LINK_TEST(test_wrong_macs_are_dropped_and_not_learned),
		LINK_TEST(test_other_ethertypes_and_vlan_tags_are_dropped),
		LINK_TEST(test_one_header_goes_in_front_of_the_pieces),
		LINK_TEST(test_a_frame_that_the_sink_refuses_is_counted),
		LINK_TEST(test_a_partial_sum_is_completed_without_offload),
		cmocka_unit_test_setup_teardown(
			test_offload_is_handed_on_with_shifted_offsets,
			setup_offload, teardown),
		LINK_TEST(test_who_answers_depends_on_whom_we_saw),
		LINK_TEST(test_the_plan_s_own_guests_are_never_answered_for),
		LINK_TEST(test_the_least_recent_of_many_addresses_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
