#include "stack/packet.h"
#include "tests/front.h"
#include "tests/test.h"

#include <string.h>

#define GUEST    "fd00::64"
#define REMOTE   "2001:db8::1"
#define L3       WIRE_ETH_LEN
#define HOPBYHOP 0
#define ROUTING  43
#define FRAGMENT 44
#define AUTH     51
#define NONE     59
#define DESTOPTS 60

/* An extension header of 8 bytes, the first of which is filled in later. */
struct ext {
	uint8_t type;
	uint8_t rest[7];
};

/* A packet with the @n headers @ext in front of a UDP datagram. */
static void build(struct frames_buf *b, const struct ext *ext, size_t n)
{
	struct frames_ip ip = {.src = GUEST, .dst = REMOTE};
	uint8_t l4[128 + 15];
	size_t at = 0;

	frames_udp(b, GUEST, 1000, REMOTE, 2000, "payload", 7);
	assert_true(n * 8 <= 128);
	ip.proto = n ? ext[0].type : WIRE_PROTO_UDP;
	for (size_t i = 0; i < n; i++, at += 8) {
		l4[at] = i + 1 < n ? ext[i + 1].type : WIRE_PROTO_UDP;
		memcpy(l4 + at + 1, ext[i].rest, 7);
	}
	memcpy(l4 + at, b->data + L3 + 40, 15);
	frames_packet(b, &ip, l4, at + 15);
}

static void assert_passes(struct front *f, const struct ext *ext, size_t n)
{
	struct frames_buf b;
	struct packet p;

	build(&b, ext, n);
	assert_true(front_packet(f, b.data, b.len, &p));
	assert_int_equal(p.proto, WIRE_PROTO_UDP);
	assert_int_equal(p.l4_len, 15);
	assert_memory_equal(p.l4 + 8, "payload", 7);
	chunk_put(p.chunk);
}

static void assert_fails(struct front *f, const struct ext *ext, size_t n,
			 enum count_reason why)
{
	uint64_t before = f->count.v[why];
	struct frames_buf b;

	build(&b, ext, n);
	assert_false(front_accepts(f, &b));
	assert_int_equal(f->count.v[why], before + 1);
}

#define PAD                                                                    \
	{                                                                      \
		0, 1, 4, 0, 0, 0, 0                                            \
	}

static void test_extension_headers_are_walked(void **state)
{
	static const struct ext chain[] = {
		{HOPBYHOP, {0, 5, 2, 0, 0, 1, 0}}, /* router alert */
		{DESTOPTS, PAD},
		{ROUTING, {0, 4, 0}},
		{DESTOPTS, {0, 0, 0, 0, 0, 0, 0}},
	};
	struct front *f = *state;

	for (size_t n = 0; n <= 4; n++)
		assert_passes(f, chain, n);
	assert_int_equal(front_drops(f), 0);
}

static void test_hop_by_hop_comes_first_or_not_at_all(void **state)
{
	static const struct ext second[] = {{DESTOPTS, PAD}, {HOPBYHOP, PAD}};
	static const struct ext twice[] = {{HOPBYHOP, PAD}, {HOPBYHOP, PAD}};
	struct front *f = *state;

	assert_fails(f, second, 2, COUNT_DROP_IP_EXTHDR);
	assert_fails(f, twice, 2, COUNT_DROP_IP_EXTHDR);
}

static void test_a_chain_without_end_is_cut(void **state)
{
	static const struct ext pad = {DESTOPTS, PAD};
	struct front *f = *state;
	struct ext chain[16];

	for (size_t i = 0; i < 16; i++)
		chain[i] = pad;
	assert_passes(f, chain, 7);
	for (size_t n = 8; n <= 16; n++)
		assert_fails(f, chain, n, COUNT_DROP_IP_EXTHDR);
}

static void test_hostile_extension_headers_are_dropped(void **state)
{
	static const struct ext bad[] = {
		{DESTOPTS, {255, 1, 4}},              /* beyond the packet */
		{DESTOPTS, {2, 1, 4}},                /* one byte too many */
		{DESTOPTS, {0, 1, 5}},                /* option beyond it */
		{DESTOPTS, {0, 1, 255}},              /* far beyond it */
		{DESTOPTS, {0, 0, 0, 0, 0, 0, 1}},    /* without a length */
		{DESTOPTS, {0, 0x41, 4}},             /* to be discarded */
		{DESTOPTS, {0, 0x80, 4}},             /* so is this */
		{HOPBYHOP, {0, 0xc2, 4, 0, 1, 0, 0}}, /* jumbogram */
		{ROUTING, {0, 0, 1}},                 /* a hop is left */
		{ROUTING, {0, 4, 255}},
		{ROUTING, {255, 4, 0}},
	};
	struct front *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(f, &bad[i], 1, COUNT_DROP_IP_EXTHDR);
	assert_fails(f, &(struct ext){AUTH, PAD}, 1, COUNT_DROP_IP_PROTO);
	assert_fails(f, &(struct ext){NONE, PAD}, 1, COUNT_DROP_IP_PROTO);
}

static void test_a_chain_cut_anywhere_is_dropped(void **state)
{
	static const struct ext chain[] = {
		{HOPBYHOP, PAD},
		{DESTOPTS, PAD},
		{FRAGMENT, {0, 0, 0, 0, 0, 0, 1}},
		{DESTOPTS, PAD},
	};
	struct front *f = *state;
	struct frames_buf b;

	build(&b, chain, 4);
	assert_true(front_accepts(f, &b));
	while (b.len > L3 + 40) {
		b.len--;
		put16(b.data + L3 + 4, (uint16_t)(b.len - L3 - 40));
		assert_false(front_accepts(f, &b));
	}
}

static void test_an_atomic_fragment_is_a_packet(void **state)
{
	/* Whatever else uses its identification (RFC 6946). */
	static const struct ext atomic = {FRAGMENT, {0, 0, 0, 0, 0, 0, 1}};
	static const struct ext first = {FRAGMENT, {0, 0, 1, 0, 0, 0, 1}};
	static const struct ext two[] = {{FRAGMENT, {0}}, {FRAGMENT, {0}}};
	struct front *f = *state;
	struct frames_buf b;
	struct packet p;

	build(&b, &first, 1);
	b.len -= 7; /* eight bytes after the fragment header */
	b.data[L3 + 5] = 16;
	assert_false(front_accepts(f, &b));
	assert_int_equal(front_drops(f), 0);
	assert_passes(f, &atomic, 1);
	build(&b, &atomic, 1);
	assert_true(front_packet(f, b.data, b.len, &p));
	assert_false(p.dont_fragment);
	chunk_put(p.chunk);
	assert_fails(f, two, 2, COUNT_DROP_IP_EXTHDR);
}

static void test_a_checksum_offset_counts_extension_headers(void **state)
{
	static const struct ext pad = {DESTOPTS, PAD};
	struct front *f = *state;

	f->off = (struct offload){
		.csum_partial = true, .csum_start = 54 + 8, .csum_offset = 6};
	assert_passes(f, &pad, 1);
	f->off.csum_start = 54;
	assert_fails(f, &pad, 1, COUNT_DROP_OFFLOAD);
}

static void test_nothing_but_discovery_needs_no_address(void **state)
{
	static const uint8_t body[20];
	struct front *f = *state;
	struct frames_buf b;

	for (unsigned type = 0; type < 256; type++) {
		bool early = type == 131 || type == 132 || type == 133 ||
			     type == 135 || type == 143;

		frames_icmp(&b, "::", "ff02::1", (uint8_t)type, 0, body, 20);
		assert_int_equal(front_accepts(f, &b), early);
	}
	frames_udp(&b, "::", 546, "ff02::1:2", 547, "x", 1);
	assert_false(front_accepts(f, &b));
	/* To learn :: would be to answer for nobody else. */
	assert_int_equal(f->link.guest.n, 0);
}

#define PACKET_TEST(t)                                                         \
	cmocka_unit_test_setup_teardown(t, front_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PACKET_TEST(test_extension_headers_are_walked),
		PACKET_TEST(test_hop_by_hop_comes_first_or_not_at_all),
		PACKET_TEST(test_a_chain_without_end_is_cut),
		PACKET_TEST(test_hostile_extension_headers_are_dropped),
		PACKET_TEST(test_a_chain_cut_anywhere_is_dropped),
		PACKET_TEST(test_an_atomic_fragment_is_a_packet),
		PACKET_TEST(test_a_checksum_offset_counts_extension_headers),
		PACKET_TEST(test_nothing_but_discovery_needs_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
