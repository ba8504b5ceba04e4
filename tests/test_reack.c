#include "port/reack.h"

#include "stack/frame.h"
#include "tests/frames.h"
#include "tests/test.h"

#include <string.h>

/* Asserts by tests/frames.h that the sums are right. */
static void expect_sound(const struct frames_buf *b)
{
	struct frames_got got = {.data = (uint8_t *)(uintptr_t)b->data,
				 .len = b->len};

	frames_read(&got);
}

static struct dissect take(const struct frames_buf *b)
{
	struct dissect d;

	assert_true(dissect_frame(b->data, b->len, &d));
	return d;
}

static void make(struct frames_buf *b, const char *src, const char *dst,
		 const uint8_t *options, size_t len)
{
	struct frames_tcp t = {.src = src,
			       .dst = dst,
			       .sport = 1,
			       .dport = 2,
			       .seq = 3,
			       .ack = 0xfffffff0,
			       .flags = WIRE_TCP_ACK,
			       .options = options,
			       .options_len = len,
			       .payload = "odd",
			       .len = 3};

	frames_tcp(b, &t);
}

static const uint32_t shifts[] = {1,          0xffff,     0x10000, 0x12345678,
				  0x80000000, 0xffffffff, 0xfffe};
#define SHIFTS (sizeof(shifts) / sizeof(shifts[0]))

static void test_acknowledgements_move_and_sums_follow(void **state)
{
	struct frames_buf b;
	struct dissect d;

	for (size_t i = 0; i < SHIFTS; i++) {
		make(&b, "10.0.2.100", "192.0.2.1", NULL, 0);
		d = take(&b);
		reack_segment(&d, shifts[i], false);
		assert_int_equal(get32(d.tcp->ack), 0xfffffff0 + shifts[i]);
		expect_sound(&b);
		make(&b, "fd00::64", "2001:db8::1", NULL, 0);
		d = take(&b);
		reack_segment(&d, shifts[i], false);
		expect_sound(&b);
	}
}

static void test_sack_blocks_move_at_even_and_odd_places(void **state)
{
	static const uint8_t even[] = {1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2};
	static const uint8_t odd[] = {
		1,    5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0xff,
		0xff, 0, 9,  0, 0, 0, 5, 0, 0, 0, 0, 0,
	};
	struct frames_buf b;
	struct dissect d;

	for (size_t i = 0; i < SHIFTS; i++) {
		make(&b, "10.0.2.100", "192.0.2.1", even, sizeof(even));
		d = take(&b);
		reack_segment(&d, shifts[i], false);
		assert_int_equal(get32(d.options + 4), 1 + shifts[i]);
		assert_int_equal(get32(d.options + 8), 2 + shifts[i]);
		expect_sound(&b);
		make(&b, "fd00::64", "2001:db8::1", odd, sizeof(odd));
		d = take(&b);
		reack_segment(&d, shifts[i], false);
		assert_int_equal(get32(d.options + 3), 1 + shifts[i]);
		assert_int_equal(get32(d.options + 7), 2 + shifts[i]);
		assert_int_equal(get32(d.options + 11), 0xffff0009 + shifts[i]);
		assert_int_equal(get32(d.options + 15), 5 + shifts[i]);
		expect_sound(&b);
	}
}

static void test_options_that_lie_are_left_alone(void **state)
{
	static const uint8_t lies[][8] = {
		{5, 40, 1, 2, 3, 4, 5, 6},  {5, 0, 1, 2, 3, 4, 5, 6},
		{5, 1, 1, 2, 3, 4, 5, 6},   {0, 5, 6, 1, 2, 3, 4, 1},
		{8, 255, 5, 6, 1, 2, 3, 4}, {1, 1, 1, 1, 1, 1, 1, 5},
		{5, 5, 1, 2, 3, 1, 1, 1},
	};
	struct frames_buf b;
	struct dissect d;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		make(&b, "10.0.2.100", "192.0.2.1", lies[i], 8);
		d = take(&b);
		reack_segment(&d, 99, false);
		assert_memory_equal(d.options, lies[i], 8);
		expect_sound(&b);
	}
}

static void test_a_wrong_sum_stays_wrong_and_an_open_one_open(void **state)
{
	struct frames_buf b;
	struct dissect d;

	make(&b, "10.0.2.100", "192.0.2.1", NULL, 0);
	d = take(&b);
	put16(b.data + WIRE_ETH_LEN + 20 + 16,
	      (uint16_t)(get16(d.tcp->csum) + 1));
	reack_segment(&d, 4711, false);
	reack_segment(&d, (uint32_t)-4711, false);
	put16(b.data + WIRE_ETH_LEN + 20 + 16,
	      (uint16_t)(get16(d.tcp->csum) - 1));
	expect_sound(&b);
	put16(b.data + WIRE_ETH_LEN + 20 + 16, 0x1234);
	reack_segment(&d, 4711, true);
	assert_int_equal(get16(d.tcp->csum), 0x1234);
}

static void test_what_an_error_quotes_moves(void **state)
{
	struct frames_buf quote, b;
	struct dissect icmp, d;

	make(&quote, "192.0.2.1", "10.0.2.100", NULL, 0);
	frames_icmp_error(&b, "10.0.2.100", "192.0.2.1", 3, 3,
			  quote.data + WIRE_ETH_LEN, 28);
	icmp = take(&b);
	assert_true(dissect_quote(icmp.l4 + 8, icmp.l4_len - 8, &d));
	assert_int_equal(d.l4_len, 8);
	for (size_t i = 0; i < SHIFTS; i++) {
		uint32_t before = get32(d.l4 + 4);

		reack_quote(&icmp, &d, shifts[i]);
		assert_int_equal(get32(d.l4 + 4), before + shifts[i]);
		expect_sound(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acknowledgements_move_and_sums_follow),
		cmocka_unit_test(test_sack_blocks_move_at_even_and_odd_places),
		cmocka_unit_test(test_options_that_lie_are_left_alone),
		cmocka_unit_test(
			test_a_wrong_sum_stays_wrong_and_an_open_one_open),
		cmocka_unit_test(test_what_an_error_quotes_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
