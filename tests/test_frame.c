#include "stack/frame.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

/* RFC 1071 section 1, word by word. */
static uint16_t plain_checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void test_checksums_agree_with_the_definition(void **state)
{
	static uint8_t bytes[65536];
	uint32_t dice = 1;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		dice = dice * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(dice >> 24);
	}
	for (size_t len = 0; len < 300; len++)
		for (size_t at = 0; at < 4; at++)
			assert_int_equal(
				csum_fold(csum_add(0, bytes + at, len)),
				plain_checksum(bytes + at, len));
	assert_int_equal(csum_fold(csum_add(0, bytes, 65535)),
			 plain_checksum(bytes, 65535));
	for (size_t len = 65535; len > 65535 - 70; len--)
		assert_int_equal(csum_fold(csum_add(0, bytes + 1, len)),
				 plain_checksum(bytes + 1, len));
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(csum_fold(csum_add(0, bytes, sizeof(bytes))),
			 plain_checksum(bytes, sizeof(bytes)));
}

static void test_the_sum_of_pieces_is_the_sum_of_the_whole(void **state)
{
	uint8_t bytes[64];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(200 + i * 3);
	for (size_t cut = 0; cut < sizeof(bytes); cut += 2) {
		uint32_t sum = csum_add(0, bytes, cut);

		sum = csum_add(sum, bytes + cut, sizeof(bytes) - cut - 1);
		assert_int_equal(csum_fold(sum),
				 plain_checksum(bytes, sizeof(bytes) - 1));
	}
}

static void test_a_view_never_gives_more_than_is_left(void **state)
{
	static const uint8_t bytes[4] = {1, 2, 3, 4};
	struct view v = {bytes, sizeof(bytes)};

	assert_null(view_take(&v, 5));
	assert_int_equal(v.left, 4);
	assert_ptr_equal(view_take(&v, 3), bytes);
	assert_null(view_take(&v, SIZE_MAX));
	assert_null(view_take(&v, 2));
	assert_ptr_equal(view_take(&v, 1), bytes + 3);
	assert_non_null(view_take(&v, 0));
	assert_null(view_take(&v, 1));
}

static void test_numbers_lie_big_endian_at_any_address(void **state)
{
	uint8_t b[8] = {0};

	put16(b + 1, 0x1234);
	put32(b + 3, 0x89abcdef);
	assert_memory_equal(b, "\0\x12\x34\x89\xab\xcd\xef", 8);
	assert_int_equal(get16(b + 1), 0x1234);
	assert_int_equal(get32(b + 3), 0x89abcdef);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksums_agree_with_the_definition),
		cmocka_unit_test(
			test_the_sum_of_pieces_is_the_sum_of_the_whole),
		cmocka_unit_test(test_a_view_never_gives_more_than_is_left),
		cmocka_unit_test(test_numbers_lie_big_endian_at_any_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
