#include "pcap/coverage.h"

#include "tests/test.h"

#include <string.h>

static void test_bytes_in_order_are_new(void **state)
{
	struct coverage c = {0};

	assert_int_equal(coverage_add(&c, 100, 10), 10);
	assert_int_equal(coverage_add(&c, 110, 5), 5);
	assert_int_equal(coverage_add(&c, 115, 0), 0);
	assert_int_equal(c.holes, 0);
}

static void test_bytes_sent_again_are_not(void **state)
{
	struct coverage c = {0};

	coverage_begin(&c, 100);
	assert_int_equal(coverage_add(&c, 100, 10), 10);
	assert_int_equal(coverage_add(&c, 100, 10), 0);
	assert_int_equal(coverage_add(&c, 105, 10), 5);
	assert_int_equal(coverage_add(&c, 90, 30), 5);
}

static void test_what_fills_a_hole_is_new_once(void **state)
{
	struct coverage c;

	coverage_begin(&c, 0xfffffff0);
	assert_int_equal(coverage_add(&c, 0x10, 0x10), 0x10);
	assert_int_equal(c.holes, 1);
	assert_int_equal(coverage_add(&c, 0xfffffff8, 8), 8); /* its middle */
	assert_int_equal(c.holes, 2);
	assert_int_equal(coverage_add(&c, 0xfffffff0, 8), 8);
	assert_int_equal(coverage_add(&c, 0xfffffff0, 0x30), 0x10);
	assert_int_equal(c.holes, 0);
	assert_int_equal(coverage_add(&c, 0xfffffff0, 0x30), 0);
}

static void test_of_too_many_holes_the_oldest_is_given_up(void **state)
{
	struct coverage c;

	coverage_begin(&c, 0);
	for (uint32_t i = 0; i <= COVERAGE_HOLES; i++)
		assert_int_equal(coverage_add(&c, i * 20 + 10, 10), 10);
	assert_int_equal(coverage_add(&c, 0, 10), 0);
	assert_int_equal(coverage_add(&c, 20, 10), 10);
}

/* Nobody fills it, and 4 GiB later its numbers come again. */
static void test_a_hole_is_forgotten_before_its_numbers_return(void **state)
{
	const uint32_t step = 1u << 20;
	struct coverage c;

	coverage_begin(&c, 0);
	coverage_add(&c, 100, 100);
	assert_int_equal(c.holes, 1);
	for (uint32_t at = 200, i = 0; i < 5000; i++, at += step)
		assert_int_equal(coverage_add(&c, at, step), step);
	assert_int_equal(c.holes, 0);
}

static uint32_t dice(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Against a map of bytes, in steps that never leave too many holes. */
static void test_random_segments_agree_with_a_map(void **state)
{
	const uint32_t isn = 0xffffff00;
	static bool seen[4096];
	uint32_t seed = 1;

	for (int round = 0; round < 2000; round++) {
		struct coverage c;
		uint32_t next = 0;

		memset(seen, 0, sizeof(seen));
		coverage_begin(&c, isn);
		while (next < sizeof(seen) - 100) {
			uint32_t back = dice(&seed) % 60;
			uint32_t len = dice(&seed) % 40;
			uint32_t at = next > 30 ? next + 30 - back : next;
			uint32_t fresh = 0;

			for (uint32_t i = at; i < at + len; i++) {
				fresh += !seen[i];
				seen[i] = true;
			}
			assert_int_equal(coverage_add(&c, isn + at, len),
					 fresh);
			next = at + len > next ? at + len : next;
			if (c.holes < COVERAGE_HOLES - 1)
				continue;
			/* all that is missing comes now */
			fresh = 0;
			for (uint32_t i = 0; i < next; i++) {
				fresh += !seen[i];
				seen[i] = true;
			}
			assert_int_equal(coverage_add(&c, isn, next), fresh);
			assert_int_equal(c.holes, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_in_order_are_new),
		cmocka_unit_test(test_bytes_sent_again_are_not),
		cmocka_unit_test(test_what_fills_a_hole_is_new_once),
		cmocka_unit_test(test_of_too_many_holes_the_oldest_is_given_up),
		cmocka_unit_test(
			test_a_hole_is_forgotten_before_its_numbers_return),
		cmocka_unit_test(test_random_segments_agree_with_a_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
