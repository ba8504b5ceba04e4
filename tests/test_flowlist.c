#include "port/flowlist.h"

#include "tests/frames.h"
#include "tests/test.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct flows *f;
static struct frames_buf b;
static nsec_t now;
static uint8_t payload[60000];

static void add(void)
{
	flows_add(f, &(struct source_frame){.when = now,
					    .bytes = b.data,
					    .have = b.len,
					    .len = b.len});
}

static void udp(const char *src, uint16_t sport, const char *dst,
		uint16_t dport, size_t len)
{
	frames_udp(&b, src, sport, dst, dport, payload, len);
	add();
}

static void tcp(bool back, uint8_t flags, uint32_t seq, size_t len)
{
	const char *ends[] = {"10.0.2.100", "192.0.2.1"};
	const uint16_t ports[] = {40000, 443};

	frames_tcp(&b, &(struct frames_tcp){.src = ends[back],
					    .dst = ends[!back],
					    .sport = ports[back],
					    .dport = ports[!back],
					    .seq = seq,
					    .flags = flags,
					    .payload = payload,
					    .len = len});
	add();
}

/* A DNS answer that calls 192.0.2.1 @name, in labels of its own. */
static void answer(const char *name)
{
	uint8_t msg[512] = {0, 1, 0x81, 0x80, 0, 1, 0, 1};
	size_t at = 12;

	while (*name) {
		size_t len = strcspn(name, ".");

		msg[at++] = (uint8_t)len;
		memcpy(msg + at, name, len);
		at += len;
		name += len + (name[len] == '.');
	}
	memcpy(msg + at + 1, "\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2\1",
	       20);
	frames_udp(&b, "10.0.2.3", 53, "10.0.2.100", 5000, msg, at + 21);
	add();
}

/* What the list says; for free(). Asserts that it fits. */
static char *list(void)
{
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	assert_int_equal(flowlist_text(f, to), 0);
	fclose(to);
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		assert_int_equal(line[len], '\n');
		if (len > FLOWLIST_COLUMNS || line[len - 1] == ' ')
			fail_msg("%s", text);
		line += len + 1;
	}
	return text;
}

static void expect(const char *want)
{
	char *text = list();

	assert_string_equal(text, want);
	free(text);
}

static void expect_part(const char *want)
{
	char *text = list();

	if (!strstr(text, want))
		fail_msg("no '%s' in\n%s", want, text);
	free(text);
}

static int set_up(void **state)
{
	f = flows_new(1);
	now = 1700000000 * NSEC_PER_SEC;
	return f ? 0 : -1;
}

static int tear_down(void **state)
{
	flows_free(f);
	return 0;
}

static void test_a_line_says_it_all(void **state)
{
	tcp(false, WIRE_TCP_SYN, 1000, 0);
	tcp(true, WIRE_TCP_SYN | WIRE_TCP_ACK, 1000, 0);
	tcp(false, WIRE_TCP_ACK, 1001, 1234);
	tcp(false, WIRE_TCP_ACK, 1001, 1234);
	now += 2300 * NSEC_PER_MSEC;
	for (uint32_t i = 0; i < 100; i++)
		tcp(true, WIRE_TCP_ACK, 1001 + i * 60000, 60000);
	tcp(true, WIRE_TCP_RST, 6001001, 0);
	frames_arp(&b, &(struct frames_arp){1, "10.0.2.100", "10.0.2.2"});
	add();
	expect("PROT FROM             TO            SENT RECV TIME RTX RST "
	       "END\n"
	       "tcp  10.0.2.100:40000 192.0.2.1:443 1.2k 6.0M 2.3s   1   1 "
	       "reset\n"
	       "1 conversation, 106 frames, 1 of them of no conversation\n");
}

static void test_an_empty_capture_has_no_headline(void **state)
{
	expect("0 conversations, 0 frames\n");
}

static void test_names_stand_for_addresses(void **state)
{
	answer("www.example.org");
	tcp(false, WIRE_TCP_SYN, 1000, 0);
	frames_icmp(&b, "10.0.2.100", "192.0.2.1", 8, 0, payload, 60);
	add();
	expect_part("tcp  10.0.2.100:40000 www.example.org:443 ");
	expect_part("ping 10.0.2.100       www.example.org  ");
}

static void test_long_ends_are_cut_to_fit(void **state)
{
	udp("2001:db8:1111:2222:3333:4444:5555:6666", 54321,
	    "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", 65535, 60000);
	answer("a-very-long-name-for-a-host.of-a-content-delivery-network."
	       "example.org");
	for (int i = 0; i < 3; i++)
		tcp(false, WIRE_TCP_ACK, 1001 + (uint32_t)i * 60000, 60000);
	expect_part("udp  [2001:db8..666]:54321 [2001:db8..fff]:65535 60.0k ");
	expect_part("tcp  10.0.2.100:40000      ..ork.example.org:443  180k ");
}

static void test_what_fits_is_not_cut(void **state)
{
	udp("10.0.2.100", 5000, "2001:db8:aaaa::dddd:eeee", 53, 1);
	udp("fd00::64", 5, "2001:db8:aaaa::dddd:eeee", 53, 1);
	expect_part(" [2001:db8:aaaa::dddd:eeee]:53 ");
}

/* Bytes that were sent and how the list writes them. */
static void test_counts_take_four_characters_or_five(void **state)
{
	static const struct {
		unsigned frames;
		size_t len;
		const char *text;
	} rows[] = {
		{1, 0, "    0    0 "},         {1, 999, "  999    0 "},
		{1, 1000, " 1.0k    0 "},      {1, 9999, " 9.9k    0 "},
		{1, 59999, "59.9k    0 "},     {10, 15000, " 150k    0 "},
		{100, 10000, " 1.0M    0 "},   {2000, 50000, " 100M    0 "},
		{20000, 50000, " 1.0G    0 "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tear_down(state);
		set_up(state);
		for (unsigned n = 0; n < rows[i].frames; n++)
			udp("10.0.2.100", 5000, "192.0.2.1", 4000, rows[i].len);
		expect_part(rows[i].text + (rows[i].text[0] == ' '));
	}
}

static void test_times_are_told_in_units_that_fit(void **state)
{
	static const struct {
		nsec_t span;
		const char *text;
	} rows[] = {
		{0, " 0ms "},
		{999 * NSEC_PER_MSEC, " 999ms "},
		{1 * NSEC_PER_SEC, " 1.0s "},
		{99999 * NSEC_PER_MSEC, " 99.9s "},
		{100 * NSEC_PER_SEC, " 1m40s "},
		{3600 * NSEC_PER_SEC, " 1h00m "},
		{90000 * NSEC_PER_SEC, " 1d01h "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tear_down(state);
		set_up(state);
		udp("10.0.2.100", 5000, "192.0.2.1", 4000, 1);
		now += rows[i].span;
		udp("10.0.2.100", 5000, "192.0.2.1", 4000, 1);
		expect_part(rows[i].text);
	}
}

static void test_the_limit_is_said(void **state)
{
	frames_udp(&b, "10.0.2.100", 5000, "192.0.2.1", 4000, payload, 1);
	for (uint32_t i = 0; i < FLOWS_MAX + 7; i++) {
		put32(b.data + WIRE_ETH_LEN + 16, 0x0b000000 + i);
		add();
	}
	expect_part("more than 262144 conversations: 7 frames of later ones "
		    "are left out\n");
}

static json_t *json(void)
{
	json_error_t err;
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	json_t *o;

	assert_int_equal(flowlist_json(f, to), 0);
	fclose(to);
	o = json_loads(text, JSON_REJECT_DUPLICATES, &err);
	if (!o)
		fail_msg("%s in\n%s", err.text, text);
	free(text);
	return o;
}

static void test_json_holds_every_figure(void **state)
{
	json_int_t sent, again, resets, frames, other;
	const char *protocol, *name, *address, *end;
	json_t *o, *list_of;
	double duration;
	int port;

	answer("www.\"example\xff");
	tcp(false, WIRE_TCP_SYN, 1000, 0);
	tcp(false, WIRE_TCP_SYN, 1000, 0);
	now += NSEC_PER_SEC / 2;
	tcp(true, WIRE_TCP_RST, 0, 0);
	frames_icmp(&b, "fd00::64", "fd00::2", 128, 0, "\7\7\0\1", 4);
	add();
	add();
	b.len = 10;
	add();
	o = json();
	list_of = json_object_get(o, "conversations");
	assert_int_equal(json_array_size(list_of), 3);
	assert_int_equal(json_unpack(o, "{s:I, s:I}", "frames", &frames,
				     "of_no_conversation", &other),
			 0);
	assert_int_equal(frames, 7);
	assert_int_equal(other, 1);
	assert_int_equal(
		json_unpack(json_array_get(list_of, 1),
			    "{s:s, s:{s:s, s:I, s:I}, s:{s:s, s:i, s:I}, "
			    "s:f, s:s}",
			    "protocol", &protocol, "from", "address", &address,
			    "bytes", &sent, "retransmits", &again, "to", "name",
			    &name, "port", &port, "resets", &resets, "duration",
			    &duration, "end", &end),
		0);
	assert_string_equal(protocol, "tcp");
	assert_string_equal(address, "10.0.2.100");
	assert_string_equal(name, "www.\"example\\255");
	assert_int_equal(sent, 0);
	assert_int_equal(again, 1);
	assert_int_equal(resets, 1);
	assert_int_equal(port, 443);
	assert_true(duration == 0.5);
	assert_string_equal(end, "refused");
	assert_int_equal(json_unpack(json_array_get(list_of, 2), "{s:s, s:i}",
				     "protocol", &protocol, "id", &port),
			 0);
	assert_string_equal(protocol, "ping");
	assert_int_equal(port, 0x0707);
	json_decref(o);
}

static void test_json_of_nothing_is_json(void **state)
{
	json_t *o = json();

	assert_int_equal(json_array_size(json_object_get(o, "conversations")),
			 0);
	json_decref(o);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_line_says_it_all),
		TEST(test_an_empty_capture_has_no_headline),
		TEST(test_names_stand_for_addresses),
		TEST(test_long_ends_are_cut_to_fit),
		TEST(test_what_fits_is_not_cut),
		TEST(test_counts_take_four_characters_or_five),
		TEST(test_times_are_told_in_units_that_fit),
		TEST(test_the_limit_is_said),
		TEST(test_json_holds_every_figure),
		TEST(test_json_of_nothing_is_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
