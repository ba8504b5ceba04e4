#include "pcap/dissect.h"

#include "stack/frame.h"
#include "tests/frames.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

/* In memory of its own size, where a sanitizer sees whoever reads too far. The
 * pointers of the result dangle: lengths and numbers are for use. */
static bool dissect_copy(const uint8_t *bytes, size_t len, struct dissect *d)
{
	uint8_t *copy = malloc(len ? len : 1);
	bool ok;

	assert_non_null(copy);
	if (len)
		memcpy(copy, bytes, len);
	ok = dissect_frame(copy, len, d);
	if (ok && d->ip && d->l4_len)
		assert_true(d->l4 >= copy && d->l4 + d->l4_len <= copy + len);
	if (ok && d->ports && d->payload_len)
		assert_true(d->payload + d->payload_len <= d->l4 + d->l4_len);
	if (ok && d->tcp)
		assert_true(d->options + d->options_len <= d->payload);
	if (ok && d->ip)
		assert_true(d->l4_said >= d->l4_len);
	free(copy);
	return ok;
}

static void test_a_segment_is_taken_apart(void **state)
{
	static const uint8_t options[] = {1, 1, 1, 0};
	struct frames_tcp t = {.src = "fd00::64",
			       .dst = "2001:db8::1",
			       .sport = 40000,
			       .dport = 443,
			       .seq = 7,
			       .ack = 0xdeadbeef,
			       .flags = WIRE_TCP_ACK | WIRE_TCP_PSH,
			       .options = options,
			       .options_len = sizeof(options),
			       .payload = "hello",
			       .len = 5};
	struct in6_addr src = frames_addr(t.src), dst = frames_addr(t.dst);
	struct frames_buf b;
	struct dissect d;

	frames_tcp(&b, &t);
	frames_put(&b, "padding", 7);
	assert_true(dissect_frame(b.data, b.len, &d));
	assert_true(d.ip && d.ports && d.tcp && !d.fragment);
	assert_true(addr_equal(&d.src, &src) && addr_equal(&d.dst, &dst));
	assert_int_equal(d.sport, 40000);
	assert_int_equal(d.dport, 443);
	assert_int_equal(d.seq, 7);
	assert_int_equal(d.ack, 0xdeadbeef);
	assert_int_equal(d.options_len, 4);
	assert_int_equal(d.payload_len, 5);
	assert_memory_equal(d.payload, "hello", 5);
	assert_int_equal(d.l4_said, d.l4_len);
}

static void test_a_datagram_ends_where_it_says(void **state)
{
	struct frames_buf b;
	struct dissect d;

	frames_udp(&b, "10.0.2.100", 5000, "192.0.2.1", 53, "query", 5);
	assert_true(dissect_frame(b.data, b.len, &d));
	assert_int_equal(d.payload_len, 5);
	put16(b.data + WIRE_ETH_LEN + 20 + 4, 8 + 2);
	assert_true(dissect_frame(b.data, b.len, &d));
	assert_int_equal(d.payload_len, 2);
	put16(b.data + WIRE_ETH_LEN + 20 + 4, 7); /* not even a header */
	assert_true(dissect_frame(b.data, b.len, &d));
	assert_int_equal(d.payload_len, 5);
}

static void test_what_is_cut_off_is_known_to_be_longer(void **state)
{
	char bytes[1000] = {0};
	struct frames_tcp t = {.src = "10.0.2.100",
			       .dst = "192.0.2.1",
			       .flags = WIRE_TCP_ACK,
			       .payload = bytes,
			       .len = sizeof(bytes)};
	struct frames_buf b;
	struct dissect d;

	frames_tcp(&b, &t);
	for (size_t len = 0; len <= b.len; len++) {
		bool ok = dissect_copy(b.data, len, &d);

		assert_int_equal(ok, len >= WIRE_ETH_LEN);
		if (!ok)
			continue;
		assert_int_equal(d.ip, len >= WIRE_ETH_LEN + 20);
		assert_int_equal(d.ports, len >= WIRE_ETH_LEN + 40);
		if (d.ip)
			assert_int_equal(d.l4_said, 1020);
		if (d.ports)
			assert_int_equal(d.payload_len,
					 len - WIRE_ETH_LEN - 40);
	}
}

static void test_extension_headers_are_walked_to_their_end(void **state)
{
	static const uint8_t next[] = {0, 60, 43, 44, 60};
	uint8_t l4[5 * 8 + 8] = {0};
	struct frames_ip ip = {.src = "fd00::64", .dst = "2001:db8::1"};
	struct frames_buf b;
	struct dissect d;

	for (size_t i = 0; i < 5; i++)
		l4[8 * i] = i < 4 ? next[i + 1] : WIRE_PROTO_UDP;
	put16(l4 + 40, 1234);
	put16(l4 + 44, 8);
	ip.proto = next[0];
	frames_packet(&b, &ip, l4, sizeof(l4));
	assert_true(dissect_frame(b.data, b.len, &d));
	assert_true(d.ports && !d.fragment);
	assert_int_equal(d.sport, 1234);
	/* the fragment header says that it is one */
	b.data[WIRE_ETH_LEN + 40 + 24 + 3] = 1;
	assert_true(dissect_frame(b.data, b.len, &d));
	assert_true(d.ip && d.fragment && !d.ports);
	for (size_t len = 0; len < b.len; len++)
		dissect_copy(b.data, len, &d);
}

static void test_a_chain_without_end_has_one(void **state)
{
	uint8_t l4[2000] = {0}; /* hop by hop, for ever */
	struct frames_ip ip = {.src = "fd00::64", .dst = "2001:db8::1"};
	struct frames_buf b;
	struct dissect d;

	frames_packet(&b, &ip, l4, sizeof(l4));
	assert_true(dissect_frame(b.data, b.len, &d));
	assert_true(d.ip && !d.ports);
}

static void test_mapped_addresses_are_no_ipv6(void **state)
{
	struct in6_addr mapped = frames_addr("10.0.2.100");
	struct frames_buf b;
	struct dissect d;

	for (size_t at = 8; at <= 24; at += 16) {
		frames_udp(&b, "fd00::64", 1, "2001:db8::1", 2, "x", 1);
		memcpy(b.data + WIRE_ETH_LEN + at, &mapped, sizeof(mapped));
		assert_true(dissect_frame(b.data, b.len, &d));
		assert_false(d.ip || d.ports);
	}
}

static void test_anything_can_be_taken_apart(void **state)
{
	struct frames_buf b;
	uint32_t dice = 7;
	struct dissect d;

	for (unsigned i = 0; i < 200000; i++) {
		const char *src = i & 1 ? "10.0.2.100" : "fd00::64";
		const char *dst = i & 1 ? "192.0.2.1" : "2001:db8::1";
		struct frames_tcp t = {.src = src, .dst = dst};

		if (i % 64 < 2)
			frames_tcp(&b, &t);
		dice = dice * 1664525 + 1013904223;
		b.data[12 + (dice >> 24) % (b.len - 12)] ^=
			(uint8_t)(dice >> 16);
		dissect_copy(b.data, b.len - (dice >> 8) % 20, &d);
		dissect_quote(b.data + WIRE_ETH_LEN,
			      b.len - WIRE_ETH_LEN - (dice >> 8) % 20, &d);
	}
}

static void test_a_quote_has_no_ethernet(void **state)
{
	struct frames_buf b;
	struct dissect d;

	frames_udp(&b, "10.0.2.100", 1, "192.0.2.1", 2, "payload", 7);
	assert_true(dissect_quote(b.data + WIRE_ETH_LEN, 28, &d));
	assert_null(d.eth);
	assert_int_equal(d.l4_len, 8);
	assert_int_equal(d.l4_said, 15);
	assert_int_equal(d.payload_len, 0);
	assert_false(dissect_quote(b.data, 0, &d));
	assert_false(dissect_quote(b.data + WIRE_ETH_LEN, 19, &d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_segment_is_taken_apart),
		cmocka_unit_test(test_a_datagram_ends_where_it_says),
		cmocka_unit_test(test_what_is_cut_off_is_known_to_be_longer),
		cmocka_unit_test(
			test_extension_headers_are_walked_to_their_end),
		cmocka_unit_test(test_a_chain_without_end_has_one),
		cmocka_unit_test(test_mapped_addresses_are_no_ipv6),
		cmocka_unit_test(test_anything_can_be_taken_apart),
		cmocka_unit_test(test_a_quote_has_no_ethernet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
