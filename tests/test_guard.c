#include "stack/frame.h"
#include "stack/guard.h"
#include "stack/wire.h"
#include "tests/test.h"

#include <stdbool.h>
#include <string.h>

static uint8_t seg[60 + 256];
static struct counters counters;

static size_t make(uint8_t flags, const void *opts, size_t opts_len,
		   size_t payload)
{
	struct wire_tcp h = {.doff = (uint8_t)((5 + opts_len / 4) << 4),
			     .flags = flags};

	put32(h.seq, 1000);
	memset(&counters, 0, sizeof(counters));
	memset(seg, 0xaa, sizeof(seg));
	memcpy(seg, &h, sizeof(h));
	if (opts_len)
		memcpy(seg + sizeof(h), opts, opts_len);
	return sizeof(h) + opts_len + payload;
}

static void test_flags_that_make_no_sense_are_dropped(void **state)
{
	struct guard_segment g;

	for (unsigned f = 0; f < 64; f++) {
		bool syn = f & WIRE_TCP_SYN;
		bool ok = syn ? !(f & (WIRE_TCP_FIN | WIRE_TCP_RST))
			      : f & (WIRE_TCP_ACK | WIRE_TCP_RST);
		size_t len = make((uint8_t)f, NULL, 0, 0);

		assert_int_equal(guard_check(seg, len, &counters, &g), ok);
		assert_int_equal(counters.v[COUNT_DROP_TCP_FLAGS], !ok);
	}
}

static void test_a_header_longer_than_the_segment_is_dropped(void **state)
{
	struct guard_segment g;

	for (unsigned doff = 0; doff < 16; doff++) {
		make(WIRE_TCP_ACK, NULL, 0, 0);
		seg[12] = (uint8_t)(doff << 4);
		assert_int_equal(guard_check(seg, 32, &counters, &g),
				 doff >= 5 && doff <= 8);
	}
}

static void test_options_without_syn_become_nops(void **state)
{
	static const uint8_t opts[8] = {2, 4, 0, 1, 3, 3, 14, 0};
	struct guard_segment g;
	size_t len = make(WIRE_TCP_ACK, opts, sizeof(opts), 10);

	assert_true(guard_check(seg, len, &counters, &g));
	for (size_t i = 0; i < sizeof(opts); i++)
		assert_int_equal(seg[20 + i], 1);
	assert_int_equal(g.len, len);
}

static void test_a_tiny_mss_is_raised_and_a_sane_one_kept(void **state)
{
	static const struct {
		uint16_t mss, want;
	} cases[] = {{0, 88},  {1, 88},    {12, 88},
		     {88, 88}, {536, 536}, {65535, 65535}};
	struct guard_segment g;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t opts[4] = {2, 4};
		size_t len;

		put16(opts + 2, cases[i].mss);
		len = make(WIRE_TCP_SYN, opts, sizeof(opts), 0);
		assert_true(guard_check(seg, len, &counters, &g));
		assert_int_equal(get16(seg + 22), cases[i].want);
	}
}

static void test_malformed_options_of_a_syn_are_cut_off(void **state)
{
	static const uint8_t cases[][8] = {
		{1, 1, 1, 1, 1, 1, 1, 2},   /* kind in the last byte */
		{3, 3, 7, 2, 9, 0, 0, 0},   /* beyond the end */
		{3, 3, 7, 2, 0, 0, 0, 0},   /* length 0 */
		{3, 3, 7, 2, 1, 0, 0, 0},   /* length 1 */
		{2, 3, 5, 3, 2, 8, 10, 11}, /* wrong lengths for the kind */
		{8, 10, 0, 0, 0, 0, 0, 0},  /* timestamps, cut off */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guard_segment g;
		size_t len = make(WIRE_TCP_SYN, cases[i], 8, 0);

		assert_true(guard_check(seg, len, &counters, &g));
		for (size_t k = 0; k < 8; k++)
			assert_true(seg[20 + k] == 1 ||
				    (k < 3 && cases[i][0] == 3));
	}
}

static void test_what_lwip_knows_survives_in_a_syn(void **state)
{
	static const uint8_t opts[20] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
					 0, 1, 0, 0,    0, 0, 1, 3,  3, 9};
	struct guard_segment g;
	size_t len = make(WIRE_TCP_SYN, opts, sizeof(opts), 0);

	assert_true(guard_check(seg, len, &counters, &g));
	assert_memory_equal(seg + 20, opts, 6);
	for (size_t i = 6; i < 16; i++)
		assert_int_equal(seg[20 + i], 1);
	assert_memory_equal(seg + 37, opts + 17, 3);
}

static void test_the_payload_of_a_syn_is_cut_off(void **state)
{
	struct guard_segment g;
	size_t len = make(WIRE_TCP_SYN, NULL, 0, 100);

	assert_true(guard_check(seg, len, &counters, &g));
	assert_int_equal(g.len, 20);
}

static void test_segments_are_trimmed_to_the_window(void **state)
{
	static const struct {
		uint32_t seq;
		size_t payload;
		bool fin;
		uint32_t nxt, wnd;
		size_t want;
		bool want_fin;
	} cases[] = {
		{1000, 100, true, 1000, 101, 100, true},
		{1000, 100, true, 1000, 100, 100, false},
		{1000, 100, false, 1000, 100, 100, false},
		{1000, 100, false, 1000, 99, 99, false},
		{1000, 100, true, 1000, 50, 50, false},
		{1000, 100, false, 1000, 0, 0, false},
		{1100, 100, false, 1000, 150, 50, false},
		{2000, 100, true, 1000, 100, 0, false},
		{900, 100, false, 1000, 10, 100, false},
		{0xffffffb0, 100, false, 0xffffffb0, 90, 90, false},
		{1000, 0, true, 1000, 0, 0, false},
		{999, 0, true, 1000, 0, 0, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t flags = WIRE_TCP_ACK;
		struct guard_segment g;
		size_t len;

		if (cases[i].fin)
			flags |= WIRE_TCP_FIN;
		len = make(flags, NULL, 0, cases[i].payload);
		put32(seg + 4, cases[i].seq);
		assert_true(guard_check(seg, len, &counters, &g));
		guard_trim(&g, cases[i].nxt, cases[i].wnd, &counters);
		assert_int_equal(g.len - g.header_len, cases[i].want);
		assert_int_equal(!!(g.flags & WIRE_TCP_FIN), cases[i].want_fin);
		assert_int_equal(!!(seg[13] & WIRE_TCP_FIN), cases[i].want_fin);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags_that_make_no_sense_are_dropped),
		cmocka_unit_test(
			test_a_header_longer_than_the_segment_is_dropped),
		cmocka_unit_test(test_options_without_syn_become_nops),
		cmocka_unit_test(test_a_tiny_mss_is_raised_and_a_sane_one_kept),
		cmocka_unit_test(test_malformed_options_of_a_syn_are_cut_off),
		cmocka_unit_test(test_what_lwip_knows_survives_in_a_syn),
		cmocka_unit_test(test_the_payload_of_a_syn_is_cut_off),
		cmocka_unit_test(test_segments_are_trimmed_to_the_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
