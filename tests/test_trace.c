#include "pcap/trace.h"

#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static void expect(bool from_container, const uint8_t *bytes, size_t have,
		   size_t len, const char *want)
{
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	trace_frame(to, from_container, bytes, have, len);
	fclose(to);
	assert_string_equal(text, want);
	free(text);
}

/* 10.0.2.100 port 1 to 10.0.2.2 port 80 */
static const uint8_t syn[] = {
	0, 1,  2, 3, 4,  5, 6, 7, 8,  9, 10,   11,   8,  0, 0x45, 0, 0, 40,
	0, 0,  0, 0, 64, 6, 0, 0, 10, 0, 2,    100,  10, 0, 2,    2, 0, 1,
	0, 80, 0, 0, 0,  9, 0, 0, 0,  7, 0x50, 0x12, 0,  0, 0,    0, 0, 0};

static void test_a_segment_is_told_with_its_flags(void **state)
{
	expect(true, syn, sizeof(syn), 1000,
	       "> tcp 10.0.2.100:1 -> 10.0.2.2:80 SA seq 9 ack 7, 1000 "
	       "bytes\n");
}

static void test_other_protocols_are_told_as_far_as_they_go(void **state)
{
	uint8_t b[sizeof(syn)];

	memcpy(b, syn, sizeof(b));
	b[23] = 1;
	expect(false, b, sizeof(b), sizeof(b),
	       "< icmp 10.0.2.100 -> 10.0.2.2 type 0 code 1, 54 bytes\n");
	b[21] = 3;
	expect(false, b, sizeof(b), sizeof(b),
	       "< icmp 10.0.2.100 -> 10.0.2.2 fragment at 24, 54 bytes\n");
	b[13] = 6;
	expect(false, b, sizeof(b), sizeof(b), "< arp, 54 bytes\n");
	b[12] = 0x88;
	expect(false, b, sizeof(b), sizeof(b),
	       "< ethertype 0x8806, 54 "
	       "bytes\n");
}

static void test_any_length_is_told(void **state)
{
	for (size_t n = 0; n < sizeof(syn); n++) {
		char *text;
		size_t len;
		FILE *to = open_memstream(&text, &len);
		uint8_t *b = malloc(n + 1);

		memcpy(b, syn, n);
		trace_frame(to, true, b, n, n);
		fclose(to);
		assert_int_equal(text[len - 1], '\n');
		free(text);
		free(b);
	}
	expect(true, syn, 3, 3, "> less than a frame, 3 bytes\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_segment_is_told_with_its_flags),
		cmocka_unit_test(
			test_other_protocols_are_told_as_far_as_they_go),
		cmocka_unit_test(test_any_length_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
