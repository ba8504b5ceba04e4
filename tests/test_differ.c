#include "pcap/differ.h"

#include "stack/frame.h"
#include "tests/frames.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

struct said {
	char *text; /* allocated */
	unsigned lines;
};

static struct said differ(const void *want, size_t want_len, const void *got,
			  size_t got_len)
{
	struct differ_frame w = {want, want_len}, g = {got, got_len};
	struct said s;
	size_t len;
	FILE *f = open_memstream(&s.text, &len);

	s.lines = differ_frames(&w, &g, "at: ", f);
	fclose(f);
	return s;
}

static void expect(const struct frames_buf *want, const struct frames_buf *got,
		   const char *text)
{
	struct said s = differ(want->data, want->len, got->data, got->len);

	assert_string_equal(s.text, text);
	free(s.text);
}

static void segment(struct frames_buf *b, uint32_t seq, const char *payload)
{
	struct frames_tcp t = {.src = "10.0.2.100",
			       .dst = "192.0.2.1",
			       .sport = 1,
			       .dport = 2,
			       .seq = seq,
			       .flags = WIRE_TCP_PSH,
			       .payload = payload,
			       .len = strlen(payload)};

	frames_tcp(b, &t);
}

static void test_the_same_says_nothing(void **state)
{
	struct frames_buf a, b;

	segment(&a, 1, "hello");
	segment(&b, 1, "hello");
	expect(&a, &b, "");
}

static void test_a_field_is_told_by_name_and_value(void **state)
{
	struct frames_buf a, b;

	segment(&a, 1000, "hello");
	segment(&b, 1000, "hello");
	put32(b.data + WIRE_ETH_LEN + 20 + 4, 2000);
	b.data[5] ^= 1;
	expect(&a, &b,
	       "at: eth.dst: wanted 52:55:0a:00:02:02, got 52:55:0a:00:02:03\n"
	       "at: tcp.seq: wanted 1000, got 2000\n");
}

static void test_payload_is_told_by_its_first_byte(void **state)
{
	struct frames_buf a, b;

	segment(&a, 1, "hello");
	b = a;
	b.data[b.len - 1] = 'a';
	b.data[b.len - 2] = 'p';
	expect(&a, &b, "at: byte 57: wanted 0x6c, got 0x70\n");
}

static void test_what_one_has_and_the_other_has_not_is_none(void **state)
{
	struct frames_buf a, b;
	struct said s;

	segment(&a, 1, "");
	frames_udp(&b, "fd00::64", 5, "fd00::2", 6, "x", 1);
	s = differ(a.data, a.len, b.data, b.len);
	assert_non_null(strstr(s.text, "at: length: wanted 54, got 63\n"));
	assert_non_null(strstr(s.text, "at: tcp.seq: wanted 1, got none\n"));
	assert_non_null(strstr(s.text, "at: udp.dport: wanted none, got 6\n"));
	assert_non_null(strstr(s.text, "ip6.src: wanted none, got fd00::64\n"));
	free(s.text);
}

static void test_ipv6_stays_ipv6_with_any_address(void **state)
{
	struct in6_addr mapped = frames_addr("10.0.2.100");
	struct frames_buf a, b;
	struct said s;

	frames_udp(&a, "fd00::64", 5, "fd00::2", 6, "x", 1);
	b = a;
	memcpy(b.data + WIRE_ETH_LEN + 8, &mapped, sizeof(mapped));
	s = differ(a.data, a.len, b.data, b.len);
	assert_true(s.lines > 0);
	free(s.text);
}

/* Not one line too many, and never none, whatever the bytes are. */
static void test_any_two_frames_differ_in_words_if_they_do(void **state)
{
	struct frames_buf kinds[4];
	uint32_t dice = 3;

	segment(&kinds[0], 1, "hello");
	frames_udp(&kinds[1], "fd00::64", 5, "fd00::2", 6, "x", 1);
	frames_arp(&kinds[2],
		   &(struct frames_arp){1, "10.0.2.100", "10.0.2.2"});
	frames_icmp(&kinds[3], "10.0.2.100", "10.0.2.2", 8, 0, "1234567", 7);
	for (unsigned i = 0; i < 40000; i++) {
		const struct frames_buf *want = &kinds[i % 4];
		size_t len = want->len;
		uint8_t *got = malloc(len);
		struct said s;
		bool same;

		assert_non_null(got);
		memcpy(got, want->data, len);
		dice = dice * 1664525 + 1013904223;
		got[(dice >> 8) % len] ^= (uint8_t)(dice >> 24 & 3);
		if (dice >> 28 == 0)
			len -= (dice >> 4) % len;
		same = len == want->len && memcmp(got, want->data, len) == 0;
		s = differ(want->data, want->len, got, len);
		assert_int_equal(s.lines == 0, same);
		for (const char *at = s.text; (at = strchr(at, '\n')); at++)
			s.lines--;
		assert_int_equal(s.lines, 0);
		free(s.text);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_says_nothing),
		cmocka_unit_test(test_a_field_is_told_by_name_and_value),
		cmocka_unit_test(test_payload_is_told_by_its_first_byte),
		cmocka_unit_test(
			test_what_one_has_and_the_other_has_not_is_none),
		cmocka_unit_test(test_ipv6_stays_ipv6_with_any_address),
		cmocka_unit_test(
			test_any_two_frames_differ_in_words_if_they_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
