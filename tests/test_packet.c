#include "stack/packet.h"
#include "tests/front.h"
#include "tests/test.h"

#include <string.h>

#define L3   WIRE_ETH_LEN
#define NONE 59

static uint64_t counted(const struct front *f, enum count_reason why)
{
	return f->count.v[why];
}

/* Gives the frame and asserts that it was dropped for @why. */
static void assert_drop(struct front *f, const struct frames_buf *b,
			enum count_reason why)
{
	uint64_t before = counted(f, why);
	uint64_t all = front_drops(f);

	assert_false(front_accepts(f, b));
	assert_int_equal(counted(f, why), before + 1);
	assert_int_equal(front_drops(f), all + 1);
}

static void tcp6(struct frames_buf *b)
{
	static const uint8_t mss[] = {2, 4, 5, 0xa0};

	frames_tcp(b, &(struct frames_tcp){.src = GUEST6,
					   .dst = REMOTE6,
					   .flags = WIRE_TCP_SYN,
					   .options = mss,
					   .options_len = 4});
}

static void icmp6(struct frames_buf *b)
{
	frames_icmp(b, GUEST6, REMOTE6, 128, 0, "\1\2\3\4payload", 11);
}

typedef void (*build_fn)(struct frames_buf *b);

static const build_fn builders[] = {front_udp4, front_udp6,  front_tcp4,
				    tcp6,       front_icmp4, icmp6};

#define BUILDERS (sizeof(builders) / sizeof(builders[0]))

static void test_a_packet_is_taken_apart(void **state)
{
	struct front *f = *state;
	struct in6_addr src = frames_addr(GUEST4), dst = frames_addr(REMOTE4);
	struct frames_ip ip = {.src = GUEST4,
			       .dst = REMOTE4,
			       .proto = WIRE_PROTO_UDP,
			       .ttl = 9,
			       .tos = 0xb8,
			       .frag = WIRE_IP4_DF};
	struct frames_buf b;
	struct packet p;

	frames_packet(&b, &ip, "\0\1\0\2\0\13\0\0abc", 11);
	frames_seal(&b);
	assert_true(front_packet(f, b.data, b.len, &p));
	assert_true(addr_equal(&p.src, &src) && addr_equal(&p.dst, &dst));
	assert_int_equal(p.proto, WIRE_PROTO_UDP);
	assert_int_equal(p.ttl, 9);
	assert_int_equal(p.tos, 0xb8);
	assert_true(p.dont_fragment);
	assert_int_equal(p.l4_len, 11);
	assert_memory_equal(p.l4 + 8, "abc", 3);
	assert_int_equal(p.chunk->refs, 1);
	assert_true(link_is_guest(&f->link, &src));
	chunk_put(p.chunk);
}

static void test_an_ipv6_packet_is_taken_apart(void **state)
{
	struct front *f = *state;
	struct in6_addr src = frames_addr(GUEST6), dst = frames_addr(REMOTE6);
	struct frames_buf b;
	struct packet p;

	front_udp6(&b);
	b.data[L3] = 0x6b; /* traffic class 0xb8 */
	b.data[L3 + 1] = 0x8f;
	assert_true(front_packet(f, b.data, b.len, &p));
	assert_true(addr_equal(&p.src, &src) && addr_equal(&p.dst, &dst));
	assert_int_equal(p.proto, WIRE_PROTO_UDP);
	assert_int_equal(p.ttl, 64);
	assert_int_equal(p.tos, 0xb8);
	assert_true(p.dont_fragment);
	assert_int_equal(p.l4_len, 15);
	assert_memory_equal(p.l4 + 8, "payload", 7);
	chunk_put(p.chunk);
}

static void test_every_upper_protocol_of_both_families_passes(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	for (size_t i = 0; i < BUILDERS; i++) {
		builders[i](&b);
		assert_true(front_accepts(f, &b));
	}
	assert_int_equal(front_drops(f), 0);
}

static void test_a_cut_packet_is_dropped_at_every_length(void **state)
{
	struct front *f = *state;
	struct frames_buf b;
	size_t n = 0;

	for (size_t i = 0; i < BUILDERS; i++) {
		builders[i](&b);
		for (size_t whole = b.len; b.len > L3; n++) {
			b.len--;
			assert_false(front_accepts(f, &b));
			assert_true(b.len < whole);
		}
	}
	assert_int_equal(counted(f, COUNT_DROP_IP_LENGTH), n);
}

/* The header admits to the cut, so that the upper header is what is short. */
static void test_a_short_upper_header_is_dropped_at_every_length(void **state)
{
	static const size_t minimum[] = {8, 8, 21, 24, 8, 8};
	struct front *f = *state;

	for (size_t i = 0; i < BUILDERS; i++) {
		size_t hlen = i % 2 ? 40 : 20;
		struct frames_buf whole, b;

		builders[i](&whole);
		for (size_t len = 0; L3 + hlen + len < whole.len; len++) {
			struct frames_ip ip = {
				.src = i % 2 ? GUEST6 : GUEST4,
				.dst = i % 2 ? REMOTE6 : REMOTE4,
				.proto = whole.data[L3 + (i % 2 ? 6 : 9)]};

			frames_packet(&b, &ip, whole.data + L3 + hlen, len);
			assert_false(front_accepts(f, &b));
			if (len < minimum[i] && i != 2)
				assert_drop(f, &b, COUNT_DROP_L4_LENGTH);
		}
	}
}

static void test_a_flipped_bit_is_noticed(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	for (size_t i = 0; i < BUILDERS; i++) {
		/* Traffic class, flow label and hop limit of IPv6 are in no
		 * checksum. */
		size_t from = i % 2 ? L3 + 8 : L3;

		builders[i](&b);
		for (size_t bit = from * 8; bit < b.len * 8; bit++) {
			b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(front_accepts(f, &b));
			b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_true(front_accepts(f, &b));
	}
}

static void test_ethernet_padding_is_cut_off(void **state)
{
	struct front *f = *state;
	struct frames_buf b;
	struct packet p;

	for (size_t i = 0; i < 2; i++) {
		builders[i](&b);
		memset(b.data + b.len, 0xee, 20);
		b.len += 20;
		assert_true(front_packet(f, b.data, b.len, &p));
		assert_int_equal(p.l4_len, 15);
		chunk_put(p.chunk);
	}
}

static void test_bad_ip_headers_are_dropped(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	for (unsigned version = 0; version < 16; version++) {
		front_udp4(&b);
		b.data[L3] = (uint8_t)(version << 4 | 5);
		if (version != 4)
			assert_drop(f, &b, COUNT_DROP_IP_HEADER);
		front_udp6(&b);
		b.data[L3] = (uint8_t)(version << 4);
		if (version != 6)
			assert_drop(f, &b, COUNT_DROP_IP_HEADER);
	}
	for (uint8_t ihl = 0; ihl < 5; ihl++) {
		front_udp4(&b);
		b.data[L3] = 0x40 | ihl;
		assert_drop(f, &b, COUNT_DROP_IP_HEADER);
	}
	front_udp4(&b);
	b.data[L3 + 8] = 0;
	frames_seal(&b);
	assert_drop(f, &b, COUNT_DROP_IP_HEADER);
	front_udp6(&b);
	b.data[L3 + 7] = 0;
	assert_drop(f, &b, COUNT_DROP_IP_HEADER);
	front_udp4(&b);
	b.data[L3 + 10] ^= 1;
	assert_drop(f, &b, COUNT_DROP_IP_CSUM);
	front_udp4(&b);
	put16(b.data + L3 + 2, 19);
	frames_seal(&b);
	assert_drop(f, &b, COUNT_DROP_IP_LENGTH);
}

/* A UDP packet with @len bytes of options, a multiple of 4. */
static void with_options(struct frames_buf *b, const uint8_t *options,
			 size_t len)
{
	uint8_t rest[64];
	struct wire_ip4 *ip = (struct wire_ip4 *)(b->data + L3);
	size_t n;

	front_udp4(b);
	n = b->len - L3 - 20;
	memcpy(rest, b->data + L3 + 20, n);
	b->len = L3 + 20;
	frames_put(b, options, len);
	frames_put(b, rest, n);
	ip->ver_ihl = (uint8_t)(0x40 | (5 + len / 4));
	put16(ip->tot_len, (uint16_t)(b->len - L3));
	put16(ip->csum, 0);
	put16(ip->csum, csum_fold(csum_add(0, ip, 20 + len)));
}

static void test_only_harmless_ip_options_pass(void **state)
{
	static const uint8_t good[][8] = {
		{1, 1, 1, 1, 1, 1, 1, 1},
		{148, 4, 0, 0, 0},     /* router alert, end */
		{7, 7, 4, 0, 0, 0, 0}, /* record route */
		{0, 0x83, 7, 4},       /* nothing counts after the end */
		{1, 1, 1, 1, 1, 1, 200, 2},
	};
	static const uint8_t bad[][8] = {
		{0x83, 7, 4}, /* loose source route */
		{0x89, 7, 4}, /* strict */
		{1, 1, 1, 0x83, 3, 4},
		{68, 0},
		{68, 1},
		{68, 9},
		{1, 1, 1, 1, 1, 1, 68, 3},
		{1, 1, 1, 1, 1, 1, 1, 68},
		{1, 1, 1, 1, 1, 1, 1, 0x89},
	};
	struct front *f = *state;
	struct frames_buf b;
	struct packet p;

	for (size_t i = 0; i < sizeof(good) / 8; i++) {
		with_options(&b, good[i], 8);
		assert_true(front_packet(f, b.data, b.len, &p));
		assert_int_equal(p.l4_len, 15);
		chunk_put(p.chunk);
	}
	for (size_t i = 0; i < sizeof(bad) / 8; i++) {
		with_options(&b, bad[i], 8);
		assert_drop(f, &b, COUNT_DROP_IP_OPTIONS);
	}
	/* Options longer than the packet. */
	front_udp4(&b);
	b.data[L3] = 0x4f;
	assert_drop(f, &b, COUNT_DROP_IP_LENGTH);
}

static void test_spoofed_sources_are_dropped(void **state)
{
	static const char *const sources[] = {
		"10.0.2.2",
		"10.0.2.3",
		"10.0.2.0",
		"10.0.2.255",
		"10.0.3.1",
		"192.0.2.9",
		"127.0.0.1",
		"0.0.0.0",
		"224.0.0.1",
		"8.8.8.8",
		"255.255.255.255",
		"fd00::2",
		"fd00::3",
		"fe80::2",
		"::1",
		"::",
		"ff02::1",
		"2001:db8::",
		"fd00:0:0:1::1",
		"::10.0.2.100",
	};
	struct front *f = *state;
	struct frames_buf b;

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		bool v4 = strchr(sources[i], ':') == NULL;
		const char *dst = v4 ? REMOTE4 : REMOTE6;

		frames_udp(&b, sources[i], 1, dst, 2, "x", 1);
		assert_drop(f, &b, COUNT_DROP_IP_SOURCE);
		frames_icmp(&b, sources[i], dst, v4 ? 8 : 128, 0, "1234", 4);
		assert_drop(f, &b, COUNT_DROP_IP_SOURCE);
	}
	assert_int_equal(f->link.guest.n, 0);
}

static void test_hostile_destinations_are_dropped(void **state)
{
	static const char *const dsts[] = {
		"127.0.0.1",  "127.255.0.1", "0.0.0.0",
		"0.1.2.3",    "224.0.0.1",   "239.255.255.250",
		"10.0.2.255", "10.0.2.0",    "::",
		"::1",        "::127.0.0.1", "ff02::1",
		"ff02::fb",   "ff05::2",     "255.255.255.255",
	};
	struct front *f = *state;
	struct frames_buf b;

	for (size_t i = 0; i < sizeof(dsts) / sizeof(dsts[0]); i++) {
		bool v4 = strchr(dsts[i], ':') == NULL;
		const char *src = v4 ? GUEST4 : GUEST6;

		frames_udp(&b, src, 1, dsts[i], 53, "x", 1);
		assert_drop(f, &b, COUNT_DROP_IP_DEST);
		frames_tcp(&b, &(struct frames_tcp){.src = src,
						    .dst = dsts[i],
						    .flags = WIRE_TCP_SYN});
		assert_drop(f, &b, COUNT_DROP_IP_DEST);
	}
	frames_icmp(&b, GUEST6, "ff05::2", 128, 0, "1234", 4);
	assert_drop(f, &b, COUNT_DROP_IP_DEST);
}

static void test_v4_mapped_addresses_on_the_wire_are_dropped(void **state)
{
	struct front *f = *state;
	struct in6_addr loopback = frames_addr("127.0.0.1");
	struct in6_addr remote = frames_addr(REMOTE4);
	struct in6_addr guest = frames_addr(GUEST4);
	struct frames_buf b;

	front_udp6(&b);
	memcpy(b.data + L3 + 24, &loopback, 16);
	frames_seal(&b);
	assert_drop(f, &b, COUNT_DROP_IP_DEST);
	memcpy(b.data + L3 + 24, &remote, 16);
	frames_seal(&b);
	assert_drop(f, &b, COUNT_DROP_IP_DEST);
	front_udp6(&b);
	memcpy(b.data + L3 + 8, &guest, 16);
	frames_seal(&b);
	assert_drop(f, &b, COUNT_DROP_IP_SOURCE);
}

static void test_dhcp_alone_needs_no_address(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	frames_udp(&b, "0.0.0.0", 68, "255.255.255.255", 67, "x", 1);
	assert_true(front_accepts(f, &b));
	frames_udp(&b, "0.0.0.0", 68, "10.0.2.2", 67, "x", 1);
	assert_true(front_accepts(f, &b));
	frames_udp(&b, "0.0.0.0", 68, "198.51.100.7", 67, "x", 1);
	assert_drop(f, &b, COUNT_DROP_IP_SOURCE);
	frames_udp(&b, GUEST4, 68, "255.255.255.255", 67, "x", 1);
	assert_true(front_accepts(f, &b));
	frames_udp(&b, "0.0.0.0", 68, "255.255.255.255", 68, "x", 1);
	assert_drop(f, &b, COUNT_DROP_IP_SOURCE);
	frames_udp(&b, "0.0.0.0", 68, "127.0.0.1", 67, "x", 1);
	assert_drop(f, &b, COUNT_DROP_IP_SOURCE);
	frames_tcp(&b, &(struct frames_tcp){.src = "0.0.0.0",
					    .dst = "255.255.255.255",
					    .dport = 67});
	assert_drop(f, &b, COUNT_DROP_IP_SOURCE);
}

static void test_a_family_that_is_off_is_dropped(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	f->plan.ipv6 = false;
	front_udp6(&b);
	assert_drop(f, &b, COUNT_DROP_ETHERTYPE);
	f->plan.ipv4 = false;
	front_udp4(&b);
	assert_drop(f, &b, COUNT_DROP_ETHERTYPE);
}

static void test_unknown_protocols_are_dropped(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	for (unsigned proto = 0; proto < 256; proto++) {
		struct frames_ip ip = {
			.src = GUEST4, .dst = REMOTE4, .proto = (uint8_t)proto};

		if (proto == 1 || proto == 6 || proto == 17)
			continue;
		frames_packet(&b, &ip, "0123456789012345678901234567", 28);
		assert_drop(f, &b, COUNT_DROP_IP_PROTO);
	}
	front_udp6(&b);
	b.data[L3 + 6] = NONE;
	assert_drop(f, &b, COUNT_DROP_IP_PROTO);
	b.data[L3 + 6] = WIRE_PROTO_ICMP;
	assert_drop(f, &b, COUNT_DROP_IP_PROTO);
}

static void test_udp_lengths_have_to_agree(void **state)
{
	struct front *f = *state;
	struct frames_buf b;
	struct packet p;

	for (uint16_t len = 0; len < 8; len++) {
		front_udp4(&b);
		put16(b.data + L3 + 24, len);
		assert_drop(f, &b, COUNT_DROP_L4_LENGTH);
	}
	front_udp4(&b);
	put16(b.data + L3 + 24, 16);
	frames_seal(&b);
	assert_drop(f, &b, COUNT_DROP_L4_LENGTH);
	/* Shorter: what is behind it belongs to nobody. */
	front_udp4(&b);
	put16(b.data + L3 + 24, 10);
	put16(b.data + L3 + 26, 0);
	assert_true(front_packet(f, b.data, b.len, &p));
	assert_int_equal(p.l4_len, 10);
	chunk_put(p.chunk);
}

static void test_udp_without_checksum_is_for_ipv4_only(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	front_udp4(&b);
	put16(b.data + L3 + 26, 0);
	assert_true(front_accepts(f, &b));
	front_udp6(&b);
	put16(b.data + L3 + 46, 0);
	assert_drop(f, &b, COUNT_DROP_L4_CSUM);
}

static void test_a_tcp_header_has_to_fit(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	for (unsigned doff = 0; doff < 16; doff++) {
		front_tcp4(&b);
		b.data[L3 + 32] = (uint8_t)(doff << 4);
		frames_seal(&b);
		if (doff == 5)
			assert_true(front_accepts(f, &b));
		else
			assert_drop(f, &b, COUNT_DROP_L4_LENGTH);
	}
}

#define PACKET_TEST(t)                                                         \
	cmocka_unit_test_setup_teardown(t, front_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PACKET_TEST(test_a_packet_is_taken_apart),
		PACKET_TEST(test_an_ipv6_packet_is_taken_apart),
		PACKET_TEST(test_every_upper_protocol_of_both_families_passes),
		PACKET_TEST(test_a_cut_packet_is_dropped_at_every_length),
		PACKET_TEST(
			test_a_short_upper_header_is_dropped_at_every_length),
		PACKET_TEST(test_a_flipped_bit_is_noticed),
		PACKET_TEST(test_ethernet_padding_is_cut_off),
		PACKET_TEST(test_bad_ip_headers_are_dropped),
		PACKET_TEST(test_only_harmless_ip_options_pass),
		PACKET_TEST(test_spoofed_sources_are_dropped),
		PACKET_TEST(test_hostile_destinations_are_dropped),
		PACKET_TEST(test_v4_mapped_addresses_on_the_wire_are_dropped),
		PACKET_TEST(test_dhcp_alone_needs_no_address),
		PACKET_TEST(test_a_family_that_is_off_is_dropped),
		PACKET_TEST(test_unknown_protocols_are_dropped),
		PACKET_TEST(test_udp_lengths_have_to_agree),
		PACKET_TEST(test_udp_without_checksum_is_for_ipv4_only),
		PACKET_TEST(test_a_tcp_header_has_to_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
