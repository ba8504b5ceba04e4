/* Sending, and what comes back when fragments that were sent are received. */
#include "stack/packet.h"
#include "tests/front.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define L3 WIRE_ETH_LEN

struct pair {
	struct in6_addr src, dst;
};

static struct pair pair_of(bool v4)
{
	return v4 ? (struct pair){frames_addr("10.0.2.100"),
				  frames_addr("192.0.2.1")}
		  : (struct pair){frames_addr("fd00::64"),
				  frames_addr("2001:db8::1")};
}

/* A UDP datagram of @len bytes, header included, in pieces of odd sizes. */
static int send_udp(struct front *f, bool v4, uint8_t *l4, size_t len)
{
	struct pair a = pair_of(v4);
	struct packet_out out = {.src = &a.src,
				 .dst = &a.dst,
				 .proto = WIRE_PROTO_UDP,
				 .ttl = 64,
				 .tos = 0x10};
	struct iovec iov[4];
	size_t cut[5] = {0, 8, len / 3 | 1, len / 2 | 1, len};

	if (len < 64)
		cut[2] = cut[3] = 8;
	for (int i = 0; i < 4; i++)
		iov[i] = (struct iovec){l4 + cut[i], cut[i + 1] - cut[i]};
	put16(l4 + 4, (uint16_t)len);
	put16(l4 + 6, 0);
	put16(l4 + 6, packet_csum(&a.src, &a.dst, WIRE_PROTO_UDP, iov, 4));
	return packet_send(&f->pl, &out, iov, 4);
}

static uint8_t *bytes(size_t len)
{
	uint8_t *p = malloc(len);

	assert_non_null(p);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 13 + i / 251);
	return p;
}

static void test_what_fits_goes_in_one_packet(void **state)
{
	struct front *f = *state;
	uint8_t *l4 = bytes(1500);

	for (int v4 = 0; v4 < 2; v4++) {
		size_t fits = 1500 - (v4 ? 20 : 40);
		struct frames_seen s;

		assert_int_equal(send_udp(f, v4, l4, fits), 0);
		s = frames_read(frames_only(&f->sink));
		assert_false(s.fragment);
		assert_int_equal(f->sink.got[0].len, L3 + 1500);
		assert_memory_equal(s.l4, l4, fits);
		assert_int_equal(s.ttl, 64);
		if (v4)
			assert_int_not_equal(s.id, 0);
		frames_sink_clear(&f->sink);
		assert_int_equal(send_udp(f, v4, l4, fits + 1), 0);
		assert_int_equal(f->sink.n, 2);
		frames_sink_clear(&f->sink);
	}
	free(l4);
}

/* Turns what was sent around and receives it again, last fragment first. */
static void receive_back(struct front *f, const uint8_t *l4, size_t len)
{
	struct packet p = {.chunk = NULL};

	for (size_t i = f->sink.n; i-- > 0;) {
		struct frames_got *got = &f->sink.got[i];

		assert_null(p.chunk);
		assert_true(got->len <= (size_t)L3 + f->plan.mtu);
		memcpy(got->data, frames_gateway_mac, WIRE_MAC_LEN);
		memcpy(got->data + 6, frames_guest_mac, WIRE_MAC_LEN);
		assert_int_equal(front_packet(f, got->data, got->len, &p),
				 i == 0);
	}
	assert_int_equal(p.proto, WIRE_PROTO_UDP);
	assert_int_equal(p.ttl, 64);
	assert_int_equal(p.tos, 0x10);
	assert_false(p.dont_fragment);
	assert_int_equal(p.l4_len, len);
	assert_memory_equal(p.l4, l4, len);
	chunk_put(p.chunk);
	assert_int_equal(packet_deadline(&f->pl), NSEC_NEVER);
}

static void test_large_datagrams_pass_both_ways_at_any_mtu(void **state)
{
	static const uint16_t mtus[] = {576, 1280, 1499, 1500, 9000};
	struct front *f = *state;
	size_t max = 65515;
	uint8_t *l4 = bytes(max);
	struct frames_buf *b = malloc(sizeof(*b));

	assert_non_null(b);
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++)
		for (int v4 = 0; v4 < 2; v4++) {
			f->plan.mtu = mtus[i];
			assert_int_equal(send_udp(f, v4, l4, max), 0);
			frames_join(&f->sink, 0, b);
			assert_int_equal(b->len, max);
			assert_memory_equal(b->data, l4, max);
			receive_back(f, l4, max);
			frames_sink_clear(&f->sink);
		}
	assert_int_equal(front_drops(f), 0);
	free(b);
	free(l4);
}

static void test_what_no_header_can_say_is_refused(void **state)
{
	struct front *f = *state;
	struct pair a = pair_of(true), a6 = pair_of(false);
	struct packet_out out = {.src = &a.src, .dst = &a.dst, .proto = 17};
	uint8_t *l4 = bytes(65536);
	struct iovec iov = {l4, 65516};

	assert_int_equal(packet_send(&f->pl, &out, &iov, 1), -EMSGSIZE);
	out.src = &a6.src;
	out.dst = &a6.dst;
	iov.iov_len = 65536;
	assert_int_equal(packet_send(&f->pl, &out, &iov, 1), -EMSGSIZE);
	assert_int_equal(f->sink.n, 0);
	iov.iov_len = 65535;
	assert_int_equal(packet_send(&f->pl, &out, &iov, 1), 0);
	free(l4);
}

static void test_two_datagrams_do_not_share_an_identification(void **state)
{
	struct front *f = *state;
	uint8_t *l4 = bytes(2000);
	uint32_t seen[2];

	for (int v4 = 0; v4 < 2; v4++) {
		for (int i = 0; i < 2; i++) {
			f->pl.next_id = (uint16_t)(i ? f->pl.next_id : 0xffff);
			send_udp(f, v4, l4, 2000);
			seen[i] = frames_read(&f->sink.got[0]).id;
			assert_int_equal(frames_read(&f->sink.got[1]).id,
					 seen[i]);
			frames_sink_clear(&f->sink);
		}
		assert_int_not_equal(seen[0], seen[1]);
		assert_int_not_equal(seen[1], 0);
	}
	free(l4);
}

static void test_groups_have_their_own_ethernet_addresses(void **state)
{
	static const struct {
		const char *src, *dst;
		uint8_t mac[WIRE_MAC_LEN];
	} rows[] = {
		{"fe80::2", "ff02::1:ff00:64", {0x33, 0x33, 0xff, 0, 0, 0x64}},
		{"10.0.2.2", "255.255.255.255", {255, 255, 255, 255, 255, 255}},
		{"10.0.2.2", "10.0.2.255", {255, 255, 255, 255, 255, 255}},
		{"10.0.2.2", "239.255.0.1", {1, 0, 0x5e, 0x7f, 0, 1}},
		{"10.0.2.2", "10.0.2.100", {2, 0x11, 0x22, 0x33, 0x44, 0x55}},
	};
	struct front *f = *state;
	struct iovec iov = {(char[]){"x"}, 1};

	memcpy(f->link.peer, frames_guest_mac, WIRE_MAC_LEN);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct in6_addr src = frames_addr(rows[i].src);
		struct in6_addr dst = frames_addr(rows[i].dst);
		struct packet_out out = {.src = &src, .dst = &dst, .proto = 99};

		assert_int_equal(packet_send(&f->pl, &out, &iov, 1), 0);
		assert_memory_equal(f->sink.got[i].data, rows[i].mac,
				    WIRE_MAC_LEN);
	}
}

static void test_a_refusing_sink_ends_the_fragments(void **state)
{
	struct front *f = *state;
	uint8_t *l4 = bytes(5000);

	f->sink.err = -ENOBUFS;
	assert_int_equal(send_udp(f, true, l4, 5000), -ENOBUFS);
	assert_int_equal(f->count.v[COUNT_DROP_SINK], 1);
	free(l4);
}

static void test_a_udp_sum_of_zero_is_written_as_all_ones(void **state)
{
	struct pair a = pair_of(true);
	uint8_t l4[10] = {0, 1, 0, 2, 0, 10};
	struct iovec iov = {l4, sizeof(l4)};
	uint16_t sum = packet_csum(&a.src, &a.dst, WIRE_PROTO_UDP, &iov, 1);

	/* Its own sum as payload makes the new one zero. */
	put16(l4 + 8, sum);
	assert_int_equal(packet_csum(&a.src, &a.dst, 17, &iov, 1), 0xffff);
}

static void test_a_partial_sum_is_the_pseudo_header_s(void **state)
{
	for (int v4 = 0; v4 < 2; v4++) {
		struct pair a = pair_of(v4);
		uint8_t l4[8] = {0x12, 0x34, 0x56, 0x78, 0, 8, 0, 0};
		struct iovec iov = {l4, sizeof(l4)};
		uint16_t whole = packet_csum(&a.src, &a.dst, 17, &iov, 1);

		put16(l4 + 6, packet_csum_pseudo(&a.src, &a.dst, 17, 8));
		assert_int_equal(csum_fold(csum_add(0, l4, 8)), whole);
	}
}

/* Fragments of one datagram, one after the other. */
static bool give_fragment(struct front *f, const struct frames_ip *ip,
			  const void *data, size_t len)
{
	struct frames_buf b;

	frames_packet(&b, ip, data, len);
	return front_accepts(f, &b);
}

static void test_hostile_fragments_are_dropped(void **state)
{
	static const uint8_t data[64];
	struct front *f = *state;
	struct frames_ip ip = {.src = "10.0.2.100",
			       .dst = "192.0.2.1",
			       .proto = 17,
			       .frag = WIRE_IP4_MF};

	assert_false(give_fragment(f, &ip, data, 7));
	ip.frag = 8191; /* ends beyond any packet */
	assert_false(give_fragment(f, &ip, data, 64));
	assert_int_equal(f->count.v[COUNT_DROP_FRAG_BAD], 2);
	ip.frag = WIRE_IP4_MF;
	ip.src = "10.0.2.2";
	assert_false(give_fragment(f, &ip, data, 64));
	ip.src = "0.0.0.0";
	ip.dst = "255.255.255.255";
	assert_false(give_fragment(f, &ip, data, 64));
	assert_int_equal(f->count.v[COUNT_DROP_IP_SOURCE], 2);
	ip.src = "10.0.2.100";
	ip.dst = "127.0.0.1";
	assert_false(give_fragment(f, &ip, data, 64));
	assert_int_equal(f->count.v[COUNT_DROP_IP_DEST], 1);
	ip.dst = "192.0.2.1";
	f->off.csum_partial = true;
	assert_false(give_fragment(f, &ip, data, 64));
	assert_int_equal(f->count.v[COUNT_DROP_OFFLOAD], 1);
	assert_int_equal(f->pool.in_use, 0);
}

static void test_a_vouched_fragment_is_verified_all_the_same(void **state)
{
	struct front *f = *state;
	struct frames_ip ip = {.src = "10.0.2.100",
			       .dst = "192.0.2.1",
			       .proto = 17,
			       .frag = WIRE_IP4_MF};

	f->off.csum_valid = true;
	assert_false(give_fragment(f, &ip, "\0\1\0\2\0\x10\1\1", 8));
	ip.frag = 1;
	assert_false(give_fragment(f, &ip, "12345678", 8));
	assert_int_equal(f->count.v[COUNT_DROP_L4_CSUM], 1);
}

static void test_a_reassembled_packet_has_to_fit_ipv4(void **state)
{
	struct front *f = *state;
	struct frames_ip ip = {
		.src = "10.0.2.100", .dst = "192.0.2.1", .proto = 17};
	uint8_t *data = bytes(65528);

	/* 65,528 bytes and a header are more than a length field can say. */
	ip.frag = WIRE_IP4_MF;
	assert_false(give_fragment(f, &ip, data, 65000));
	ip.frag = 65000 / 8;
	assert_false(give_fragment(f, &ip, data, 528));
	assert_int_equal(f->count.v[COUNT_DROP_FRAG_BAD], 1);
	assert_int_equal(f->pool.in_use, 0);
	free(data);
}

/* Gives @l4 as two IPv6 fragments of header type @next. */
static bool give_two6(struct front *f, uint8_t next, const uint8_t *l4,
		      size_t len)
{
	struct frames_ip ip = {
		.src = "fd00::64", .dst = "2001:db8::1", .proto = 44};
	uint8_t part[128] = {next, 0, 0, 1};

	memcpy(part + 8, l4, 8);
	assert_false(give_fragment(f, &ip, part, 16));
	part[0] = 99; /* only the first one's counts */
	part[3] = 8;
	memcpy(part + 8, l4 + 8, len - 8);
	return give_fragment(f, &ip, part, len);
}

static void test_headers_behind_a_fragment_header_are_walked(void **state)
{
	struct front *f = *state;
	struct frames_buf b;
	uint8_t l4[8 + 15] = {17, 0, 1, 4};

	frames_udp(&b, "fd00::64", 1, "2001:db8::1", 2, "payload", 7);
	memcpy(l4 + 8, b.data + L3 + 40, 15);
	assert_true(give_two6(f, 60, l4, sizeof(l4)));
	/* Neither a fragment in a fragment nor hop-by-hop, nor no end. */
	assert_false(give_two6(f, 44, l4, sizeof(l4)));
	assert_false(give_two6(f, 0, l4, sizeof(l4)));
	l4[1] = 200;
	assert_false(give_two6(f, 60, l4, sizeof(l4)));
	assert_int_equal(f->count.v[COUNT_DROP_IP_EXTHDR], 3);
	assert_int_equal(f->pool.in_use, 0);
}

static void test_fragments_that_never_end_time_out(void **state)
{
	static const uint8_t data[8];
	struct front *f = *state;
	struct frames_ip ip = {.src = "10.0.2.100",
			       .dst = "192.0.2.1",
			       .proto = 17,
			       .frag = WIRE_IP4_MF};

	assert_false(give_fragment(f, &ip, data, 8));
	assert_int_equal(packet_deadline(&f->pl), f->now + REASS_TIMEOUT);
	packet_tick(&f->pl, f->now + REASS_TIMEOUT);
	assert_int_equal(f->count.v[COUNT_DROP_FRAG_TIMEOUT], 1);
	assert_int_equal(f->pool.in_use, 0);
}

#define PACKET_TEST(t)                                                         \
	cmocka_unit_test_setup_teardown(t, front_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PACKET_TEST(test_what_fits_goes_in_one_packet),
		PACKET_TEST(test_large_datagrams_pass_both_ways_at_any_mtu),
		PACKET_TEST(test_what_no_header_can_say_is_refused),
		PACKET_TEST(test_two_datagrams_do_not_share_an_identification),
		PACKET_TEST(test_groups_have_their_own_ethernet_addresses),
		PACKET_TEST(test_a_refusing_sink_ends_the_fragments),
		PACKET_TEST(test_a_udp_sum_of_zero_is_written_as_all_ones),
		PACKET_TEST(test_a_partial_sum_is_the_pseudo_header_s),
		PACKET_TEST(test_hostile_fragments_are_dropped),
		PACKET_TEST(test_a_vouched_fragment_is_verified_all_the_same),
		PACKET_TEST(test_a_reassembled_packet_has_to_fit_ipv4),
		PACKET_TEST(test_headers_behind_a_fragment_header_are_walked),
		PACKET_TEST(test_fragments_that_never_end_time_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
