/* Quotes of the container, true, cut off and forged. */
#include "stack/icmpin.h"
#include "tests/front.h"
#include "tests/test.h"

#include <string.h>

#define SEQ 0x01020304

/* The packet that the container is sent: an IP header of @hlen bytes and 20 of
 * L4. */
struct quote {
	uint8_t data[60 + 20];
	size_t hlen;
	size_t len;
};

static struct quote quote_of(bool v4, uint8_t proto)
{
	struct quote q = {.hlen = v4 ? 20 : 40, .len = (v4 ? 20 : 40) + 20};
	struct in6_addr src = frames_addr(v4 ? REMOTE4 : REMOTE6);
	struct in6_addr dst = frames_addr(v4 ? GUEST4 : GUEST6);

	if (v4) {
		struct wire_ip4 h = {.ver_ihl = 0x45, .proto = proto};

		put32(h.src, addr_v4(&src));
		put32(h.dst, addr_v4(&dst));
		put16(h.frag, WIRE_IP4_DF);
		memcpy(q.data, &h, sizeof(h));
	} else {
		struct wire_ip6 h = {.ver_tc_flow = {0x60}, .next = proto};

		memcpy(h.src, &src, 16);
		memcpy(h.dst, &dst, 16);
		memcpy(q.data, &h, sizeof(h));
	}
	put16(q.data + q.hlen, 50000);
	put16(q.data + q.hlen + 2, 80);
	put32(q.data + q.hlen + 4, SEQ);
	return q;
}

/* Does the container's error with @len bytes of @q count? */
static bool takes(struct front *f, bool v4, uint8_t type, uint8_t code,
		  const struct quote *q, size_t len, struct icmpin_unreach *ret)
{
	struct frames_buf b;
	struct packet p;
	bool is;

	frames_icmp_error(&b, v4 ? GUEST4 : GUEST6, v4 ? REMOTE4 : REMOTE6,
			  type, code, q->data, len);
	assert_true(front_packet(f, b.data, b.len, &p));
	is = icmpin_unreachable(&f->plan, &p, ret);
	chunk_put(p.chunk);
	return is;
}

/* Of the usual kind. */
static bool counts(struct front *f, bool v4, const struct quote *q, size_t len)
{
	struct icmpin_unreach u;

	return takes(f, v4, v4 ? 3 : 1, v4 ? 3 : 4, q, len, &u);
}

static void test_a_quote_is_taken_apart(void **state)
{
	struct front *f = *state;

	for (int i = 0; i < 4; i++) {
		bool v4 = i & 1, tcp = i & 2;
		uint8_t proto = tcp ? WIRE_PROTO_TCP : WIRE_PROTO_UDP;
		struct quote q = quote_of(v4, proto);
		struct endpoint remote = {frames_addr(v4 ? REMOTE4 : REMOTE6),
					  50000};
		struct endpoint container = {frames_addr(v4 ? GUEST4 : GUEST6),
					     80};
		struct icmpin_unreach u;

		assert_true(
			takes(f, v4, v4 ? 3 : 1, v4 ? 3 : 4, &q, q.len, &u));
		assert_int_equal(u.proto, proto);
		assert_true(endpoint_equal(&u.remote, &remote));
		assert_true(endpoint_equal(&u.container, &container));
		assert_int_equal(u.seq, tcp ? SEQ : 0);
		assert_true(u.refused);
	}
}

static void test_types_and_codes(void **state)
{
	static const struct {
		bool v4;
		uint8_t type, code;
		bool taken, refused;
	} cases[] = {
		{true, 3, 0, true, false},     {true, 3, 1, true, false},
		{true, 3, 2, true, false},     {true, 3, 3, true, true},
		{true, 3, 4, false, false},    {true, 3, 10, true, false},
		{true, 3, 13, true, false},    {true, 4, 3, false, false},
		{true, 5, 3, false, false},    {true, 11, 0, false, false},
		{true, 12, 0, false, false},   {true, 0, 3, false, false},
		{true, 8, 3, false, false},    {true, 1, 4, false, false},
		{false, 1, 0, true, false},    {false, 1, 1, true, false},
		{false, 1, 3, true, false},    {false, 1, 4, true, true},
		{false, 1, 5, true, false},    {false, 2, 4, false, false},
		{false, 3, 4, false, false},   {false, 4, 4, false, false},
		{false, 129, 4, false, false},
	};
	struct front *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quote q = quote_of(cases[i].v4, WIRE_PROTO_TCP);
		struct icmpin_unreach u = {0};

		assert_int_equal(takes(f, cases[i].v4, cases[i].type,
				       cases[i].code, &q, q.len, &u),
				 cases[i].taken);
		assert_int_equal(u.refused, cases[i].refused);
	}
}

static void test_a_quote_may_end_anywhere(void **state)
{
	struct front *f = *state;

	for (int v4 = 0; v4 < 2; v4++) {
		struct quote q = quote_of(v4, WIRE_PROTO_TCP);

		for (size_t len = 0; len <= q.len; len++)
			assert_int_equal(counts(f, v4, &q, len),
					 len >= q.hlen + 8);
	}
}

static void test_ip_options_are_walked_over(void **state)
{
	struct front *f = *state;
	const struct quote plain = quote_of(true, WIRE_PROTO_TCP);

	for (size_t ihl = 0; ihl < 16; ihl++) {
		struct quote q = plain;

		q.data[0] = (uint8_t)(0x40 | ihl);
		if (ihl >= 5)
			q.hlen = ihl * 4;
		q.len = q.hlen + 20;
		memset(q.data + 20, 1, q.len - 20);
		memcpy(q.data + q.hlen, plain.data + 20, 20);
		for (size_t len = 20; len <= q.len; len++)
			assert_int_equal(counts(f, true, &q, len),
					 ihl >= 5 && len >= q.hlen + 8);
	}
}

static void test_forged_quotes_do_not_count(void **state)
{
	struct front *f = *state;
	struct quote q;

	for (int v4 = 0; v4 < 2; v4++) {
		const struct quote good = quote_of(v4, WIRE_PROTO_TCP);
		const size_t src = v4 ? 12 : 8;
		const size_t dst = v4 ? 16 : 24;

		/* The version of the other family, or none. */
		for (uint8_t version = 0; version < 16; version++) {
			q = good;
			q.data[0] = (uint8_t)(version << 4 | 5);
			assert_int_equal(counts(f, v4, &q, q.len),
					 version == (v4 ? 4 : 6));
		}
		/* Sent by somebody else than who is told. */
		q = good;
		q.data[src + 3] ^= 1;
		assert_false(counts(f, v4, &q, q.len));
		/* To where the container cannot be: outside, or to us. */
		q = good;
		q.data[dst] ^= 1;
		assert_false(counts(f, v4, &q, q.len));
		q = good;
		q.data[dst + (v4 ? 3 : 15)] = 2;
		assert_false(counts(f, v4, &q, q.len));
		/* Of a protocol that nobody waits for. */
		for (int proto = 0; proto < 256; proto++) {
			q = quote_of(v4, (uint8_t)proto);
			assert_int_equal(counts(f, v4, &q, q.len),
					 proto == WIRE_PROTO_TCP ||
						 proto == WIRE_PROTO_UDP);
		}
	}
	/* What begins in the middle of a packet has no ports. */
	q = quote_of(true, WIRE_PROTO_UDP);
	put16(q.data + 6, WIRE_IP4_MF);
	assert_true(counts(f, true, &q, q.len));
	put16(q.data + 6, 1);
	assert_false(counts(f, true, &q, q.len));
	/* An IPv4 address in an IPv6 header is a lie. */
	q = quote_of(false, WIRE_PROTO_UDP);
	memset(q.data + 24, 0, 10);
	memset(q.data + 34, 0xff, 2);
	memcpy(q.data + 36, "\x0a\x00\x02\x64", 4);
	assert_false(counts(f, false, &q, q.len));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, front_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_quote_is_taken_apart),
		CASE(test_types_and_codes),
		CASE(test_a_quote_may_end_anywhere),
		CASE(test_ip_options_are_walked_over),
		CASE(test_forged_quotes_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
