/* Conversations that were recorded elsewhere, through the whole stack. */
#include "tests/recording.h"

#include "stack/frame.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define SYN WIRE_TCP_SYN
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST
#define PSH WIRE_TCP_PSH

#define HEADER sizeof(struct wire_tcp)

static const struct recording_talk web = {
	"10.0.2.100", "198.51.100.7", 40000, 80, 1000, 0x12345678};

static void handshake(struct recording *r, const struct recording_talk *t)
{
	recording_up(r, t, SYN, 0, 0, NULL, 0);
	recording_down(r, t, SYN, 0, 1, NULL, 0);
	recording_up(r, t, 0, 1, 1, NULL, 0);
}

/* Both ends, once @up and @down bytes have passed. */
static void farewell(struct recording *r, const struct recording_talk *t,
		     uint32_t up, uint32_t down)
{
	recording_up(r, t, FIN, up + 1, down + 1, NULL, 0);
	recording_down(r, t, FIN, down + 1, up + 2, NULL, 0);
	recording_up(r, t, 0, up + 2, down + 2, NULL, 0);
}

/* Asserts that the container got exactly @want on @cport. */
static void expect_bytes(const struct recording *r, uint16_t cport,
			 const void *want, size_t len)
{
	uint32_t isn = get32(recording_segment(r, cport, 0).l4 + 4);
	uint8_t *got = calloc(1, len + 1);
	struct frames_seen s;

	assert_non_null(got);
	for (unsigned n = 1; (s = recording_segment(r, cport, n)).l4; n++) {
		size_t header = (size_t)(s.l4[12] >> 4) * 4;
		uint32_t at = get32(s.l4 + 4) - isn - 1;
		size_t n_bytes = s.l4_len - header;

		if (n_bytes == 0)
			continue;
		assert_true(at + n_bytes <= len);
		memcpy(got + at, s.l4 + header, n_bytes);
	}
	assert_memory_equal(got, want, len);
	free(got);
}

static void test_a_conversation_with_other_numbers_goes_on(void **state)
{
	struct recording *r = *state;

	handshake(r, &web);
	recording_up(r, &web, PSH, 1, 1, "hello", 5);
	recording_down(r, &web, PSH, 1, 6, "goodbye", 7);
	recording_up(r, &web, 0, 6, 8, NULL, 0);
	farewell(r, &web, 5, 7);
	recording_replay(r, true, NULL);
	recording_expect(r, "tcp 10.0.2.100:40000 -> 198.51.100.7:80: 5 up, 7 "
			    "down, closed\n1 TCP conversations, 1 followed to "
			    "the end, 0 parted\n");
	expect_bytes(r, 40000, "goodbye", 7);
	assert_string_equal(r->complained, "");
}

static void test_numbers_that_wrap_around_are_no_difference(void **state)
{
	struct recording *r = *state;
	struct recording_talk t = {"fd00::64", "2001:db8::7",  40001,
				   80,         UINT32_MAX - 3, UINT32_MAX - 20};
	char bytes[3000];

	memset(bytes, 'x', sizeof(bytes));
	handshake(r, &t);
	recording_up(r, &t, PSH, 1, 1, bytes, 1000);
	recording_down(r, &t, 0, 1, 1001, bytes, 1400);
	recording_down(r, &t, 0, 1401, 1001, bytes, 1400);
	recording_down(r, &t, PSH, 2801, 1001, bytes, 200);
	recording_up(r, &t, 0, 1001, 3001, NULL, 0);
	farewell(r, &t, 1000, 3000);
	recording_replay(r, true, NULL);
	recording_expect(r, "1000 up, 3000 down, closed\n");
	recording_expect(r, "1 followed to the end");
	expect_bytes(r, 40001, bytes, 3000);
}

static void test_what_came_twice_counts_and_is_sent_once(void **state)
{
	struct recording *r = *state;

	recording_up(r, &web, SYN, 0, 0, NULL, 0);
	recording_up(r, &web, SYN, 0, 0, NULL, 0);
	recording_down(r, &web, SYN, 0, 1, NULL, 0);
	recording_down(r, &web, SYN, 0, 1, NULL, 0);
	recording_up(r, &web, 0, 1, 1, NULL, 0);
	recording_up(r, &web, PSH, 1, 1, "abc", 3);
	recording_up(r, &web, PSH, 1, 1, "abcdef", 6);
	recording_down(r, &web, 0, 1, 7, "0123", 4);
	recording_down(r, &web, SYN, 0, 1, NULL, 0);
	recording_down(r, &web, 0, 1, 7, "0123", 4);
	recording_down(r, &web, 0, 3, 7, "2345", 4);
	recording_down(r, &web, 0, 0, 7, NULL, 0); /* a keepalive */
	recording_up(r, &web, 0, 7, 7, NULL, 0);
	recording_down(r, &web, FIN, 7, 7, "67", 2);
	recording_down(r, &web, FIN, 7, 7, "67", 2);
	recording_up(r, &web, FIN, 7, 10, NULL, 0);
	recording_up(r, &web, FIN, 7, 10, NULL, 0);
	recording_down(r, &web, 0, 10, 8, NULL, 0);
	recording_replay(r, true, NULL);
	recording_expect(r, ": 6 up, 8 down, closed\n");
	recording_expect(r, "1 followed to the end");
	expect_bytes(r, 40000, "01234567", 8);
}

static void test_a_checksum_that_was_still_open_is_closed_right(void **state)
{
	struct recording *r = *state;
	static const uint8_t sack[] = {1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	uint8_t options[sizeof(sack)];
	struct frames_tcp t = {.src = web.container,
			       .dst = web.remote,
			       .sport = web.cport,
			       .dport = web.rport,
			       .seq = web.cisn + 1,
			       .ack = web.risn + 1,
			       .flags = WIRE_TCP_ACK,
			       .wnd = 64240,
			       .options = options,
			       .options_len = sizeof(options)};
	struct in6_addr src = frames_addr(web.container);
	struct in6_addr dst = frames_addr(web.remote);
	struct frames_buf b;
	uint32_t sum;

	memcpy(options, sack, sizeof(sack));
	put32(options + 3, web.risn + 5);
	put32(options + 7, web.risn + 9);
	handshake(r, &web);
	frames_tcp(&b, &t);
	sum = addr_v4(&src) / 65536 + addr_v4(&src) % 65536 +
	      addr_v4(&dst) / 65536 + addr_v4(&dst) % 65536 + WIRE_PROTO_TCP +
	      HEADER + sizeof(options);
	put16(b.data + WIRE_ETH_LEN + 20 + 16, (uint16_t)~csum_fold(sum));
	recording_from_container(r, &b);
	recording_replay(r, true, NULL);
	assert_int_equal(r->status, 0);
	assert_null(strstr(r->said, "drop_"));
	for (size_t i = 0; i < r->sent.n; i++) {
		struct frames_got got = {.data = r->sent.rec[i].data,
					 .len = r->sent.rec[i].len};

		frames_read(&got); /* asserts the sums of both sides */
	}
}

static void test_what_a_capture_lost_is_made_up_and_told(void **state)
{
	struct recording *r = *state;
	char bytes[1014] = "front\0\0\0\0\0back";

	memset(bytes + 14, 'y', 1000);
	handshake(r, &web);
	recording_down(r, &web, 0, 1, 1, bytes, 5);
	recording_down(r, &web, 0, 11, 1, bytes + 10, 4);
	r->snap = WIRE_ETH_LEN + 20 + HEADER + 100;
	recording_down(r, &web, 0, 15, 1, bytes + 14, 1000);
	recording_up(r, &web, 0, 1, 1015, NULL, 0);
	farewell(r, &web, 0, 1014);
	recording_replay(r, true, NULL);
	recording_expect(r, ": 0 up, 1014 down, closed; 905 bytes of the "
			    "answer not captured\n1 TCP conversations, 1 "
			    "followed to the end");
	memset(bytes + 114, 0, 900);
	expect_bytes(r, 40000, bytes, sizeof(bytes));
}

static void test_ports_can_be_used_again(void **state)
{
	struct recording *r = *state;
	struct recording_talk second = web, third = web;

	second.cisn = 500000;
	second.risn = 7;
	third.cisn = 900000;
	third.risn = 70000;
	handshake(r, &web);
	farewell(r, &web, 0, 0);
	recording_up(r, &second, SYN, 0, 0, NULL, 0); /* given up */
	r->now += NSEC_PER_SEC;
	handshake(r, &third);
	recording_up(r, &third, PSH, 1, 1, "third", 5);
	recording_down(r, &third, PSH, 1, 6, "answer", 6);
	farewell(r, &third, 5, 6);
	recording_replay(r, true, NULL);
	recording_expect(r, "5 up, 6 down, closed\n");
	recording_expect(r, "0 up, 0 down, not answered\n");
	recording_expect(r, "3 TCP conversations, 3 followed to the end");
}

static void test_ports_are_free_again_after_half_a_farewell(void **state)
{
	struct recording *r = *state;
	struct recording_talk again = web;

	again.cisn = 777777;
	again.risn = 42;
	handshake(r, &web);
	recording_up(r, &web, FIN, 1, 1, NULL, 0);
	recording_down(r, &web, 0, 1, 2, NULL, 0);
	r->now += NSEC_PER_SEC;
	handshake(r, &again);
	recording_up(r, &again, PSH, 1, 1, "again", 5);
	recording_down(r, &again, 0, 1, 6, NULL, 0);
	farewell(r, &again, 5, 0);
	recording_replay(r, true, NULL);
	recording_expect(r, ": 0 up, 0 down, half closed\n");
	recording_expect(r, ": 5 up, 0 down, closed\n");
	recording_expect(r, "2 followed to the end, 0 parted\n");
}

static void test_connections_from_outside_are_opened_again(void **state)
{
	struct recording *r = *state;
	struct recording_talk in = {"10.0.2.100", "198.51.100.7", 80, 50000,
				    31,           4100000000};

	recording_up(r, &web, SYN, 0, 0, NULL, 0); /* shows its face */
	recording_down(r, &in, SYN, 0, 0, NULL, 0);
	recording_up(r, &in, SYN, 0, 1, NULL, 0);
	recording_down(r, &in, 0, 1, 1, NULL, 0);
	recording_down(r, &in, PSH, 1, 1, "GET", 3);
	recording_up(r, &in, PSH, 1, 4, "page", 4);
	recording_down(r, &in, FIN, 4, 5, NULL, 0);
	recording_up(r, &in, FIN, 5, 5, NULL, 0);
	recording_down(r, &in, 0, 5, 6, NULL, 0);
	in.remote = "198.51.100.8";
	recording_down(r, &in, SYN, 0, 0, NULL, 0);
	recording_up(r, &in, RST, 0, 1, NULL, 0);
	recording_replay(r, true, NULL);
	recording_expect(r, "tcp 10.0.2.100:80 <- 198.51.100.7:50000: 4 up, 3 "
			    "down, closed\n");
	recording_expect(r, "<- 198.51.100.8:50000: 0 up, 0 down, refused\n");
	recording_expect(r, "3 followed to the end");
}

static void unreachable(struct recording *r, const struct recording_talk *t,
			const char *from, uint8_t type, uint8_t code)
{
	struct frames_tcp syn = {.src = t->container,
				 .dst = t->remote,
				 .sport = t->cport,
				 .dport = t->rport,
				 .seq = t->cisn,
				 .flags = SYN};
	struct frames_buf quote, b;

	frames_tcp(&quote, &syn);
	frames_icmp_error(&b, from, t->container, type, code,
			  quote.data + WIRE_ETH_LEN, quote.len - WIRE_ETH_LEN);
	recording_from_other(r, &b, recording_gateway_mac);
}

static void test_refusals_are_what_they_were(void **state)
{
	struct recording *r = *state;
	struct recording_talk six = {"fd00::64", "2001:db8::9", 40002, 80, 7,
				     0};

	recording_up(r, &web, SYN, 0, 0, NULL, 0);
	recording_down(r, &web, RST, 0, 1, NULL, 0);
	recording_up(r, &six, SYN, 0, 0, NULL, 0);
	unreachable(r, &six, "2001:db8:5::1", 1, 0);
	recording_replay(r, true, NULL);
	recording_expect(r, "-> 198.51.100.7:80: 0 up, 0 down, refused\n");
	recording_expect(r, "-> [2001:db8::9]:80: 0 up, 0 down, "
			    "unreachable\n");
	recording_expect(r, "2 followed to the end, 0 parted\n");
	assert_int_equal(recording_segment(r, 40000, 0).l4[13],
			 RST | WIRE_TCP_ACK);
}

static void test_an_answer_that_is_not_taken_is_a_difference(void **state)
{
	struct recording *r = *state;

	handshake(r, &web);
	/* of the container's bytes the capture lost the first */
	recording_up(r, &web, PSH, 11, 1, "rest", 4);
	recording_down(r, &web, 0, 1, 15, NULL, 0);
	recording_replay(r, false, NULL);
	recording_expect(r, "0 up, 0 down, open at the end; parted at frame 5: "
			    "not all that the container sent was taken "
			    "here\n1 TCP conversations, 0 followed to the end, "
			    "1 parted\n");
}

static void test_a_reset_is_one_on_both_sides(void **state)
{
	struct recording *r = *state;
	struct recording_talk other = web;

	other.cport = 40007;
	handshake(r, &web);
	recording_down(r, &web, RST, 1, 1, NULL, 0);
	handshake(r, &other);
	recording_up(r, &other, RST, 1, 0, NULL, 0);
	recording_replay(r, false, NULL);
	recording_expect(r, "40000 -> 198.51.100.7:80: 0 up, 0 down, reset\n");
	recording_expect(r, "40007 -> 198.51.100.7:80: 0 up, 0 down, reset\n");
	recording_expect(r, "2 followed to the end");
}

static void test_the_report_is_the_same_with_and_without_an_output(void **state)
{
	struct recording *r = *state;
	char bytes[1400], *with;

	memset(bytes, 'z', sizeof(bytes));
	handshake(r, &web);
	recording_down(r, &web, FIN, 1, 1, bytes, sizeof(bytes));
	recording_up(r, &web, FIN, 1, 1402, NULL, 0);
	recording_down(r, &web, 0, 1402, 2, NULL, 0);
	recording_replay(r, true, NULL);
	recording_expect(r, "0 up, 1400 down, closed\n");
	with = strdup(r->said);
	recording_replay(r, false, NULL);
	assert_string_equal(r->said, with);
	free(with);
}

static void test_datagrams_and_pings_are_answered_as_recorded(void **state)
{
	struct recording *r = *state;
	struct frames_buf b;
	uint8_t echo[8] = {0, 7, 0, 1, 'p', 'i', 'n', 'g'};
	bool pong = false, answer = false;

	frames_udp(&b, "10.0.2.100", 5000, "198.51.100.7", 9, "knock", 5);
	recording_from_container(r, &b);
	frames_udp(&b, "198.51.100.7", 9, "10.0.2.100", 5000, "come in", 7);
	recording_from_other(r, &b, recording_gateway_mac);
	frames_icmp(&b, "10.0.2.100", "198.51.100.7", 8, 0, echo, sizeof(echo));
	recording_from_container(r, &b);
	frames_icmp(&b, "198.51.100.7", "10.0.2.100", 0, 0, echo, sizeof(echo));
	recording_from_other(r, &b, recording_gateway_mac);
	recording_replay(r, true, NULL);
	assert_int_equal(r->status, 0);
	for (size_t i = 0; i < r->sent.n; i++) {
		struct frames_got got = {.data = r->sent.rec[i].data,
					 .len = r->sent.rec[i].len};
		struct frames_seen s = frames_read(&got);

		answer |= s.proto == WIRE_PROTO_UDP && s.l4_len == 8 + 7 &&
			  memcmp(s.l4 + 8, "come in", 7) == 0;
		pong |= s.proto == WIRE_PROTO_ICMP && s.l4[0] == 0 &&
			memcmp(s.l4 + 4, echo, sizeof(echo)) == 0;
	}
	assert_true(answer && pong);
}

static void test_a_router_on_the_way_is_heard_in_its_own_name(void **state)
{
	struct recording *r = *state;
	struct in6_addr hop = frames_addr("203.0.113.1");
	struct frames_buf b, quote;
	bool seen = false;

	frames_udp(&quote, "10.0.2.100", 5000, "198.51.100.7", 33434, "t", 1);
	recording_from_container(r, &quote);
	frames_icmp_error(&b, "203.0.113.1", "10.0.2.100", 11, 0,
			  quote.data + WIRE_ETH_LEN, quote.len - WIRE_ETH_LEN);
	recording_from_other(r, &b, recording_gateway_mac);
	recording_replay(r, true, NULL);
	for (size_t i = 0; i < r->sent.n; i++) {
		struct frames_got got = {.data = r->sent.rec[i].data,
					 .len = r->sent.rec[i].len};
		struct frames_seen s = frames_read(&got);

		seen |= s.proto == WIRE_PROTO_ICMP && s.l4[0] == 11 &&
			addr_equal(&s.src, &hop);
	}
	assert_true(seen);
}

static void test_a_container_without_an_answer_hears_an_echo(void **state)
{
	struct recording *r = *state;

	recording_up(r, &web, SYN, 0, 0, NULL, 0);
	recording_replay(r, true, NULL);
	assert_int_equal(r->status, 0);
	assert_int_equal(recording_segment(r, 40000, 0).l4[13],
			 SYN | WIRE_TCP_ACK);
	recording_expect(r, "0 up, 0 down, open at the end\n");
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(f, recording_setup, recording_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_conversation_with_other_numbers_goes_on),
		CASE(test_numbers_that_wrap_around_are_no_difference),
		CASE(test_what_came_twice_counts_and_is_sent_once),
		CASE(test_a_checksum_that_was_still_open_is_closed_right),
		CASE(test_what_a_capture_lost_is_made_up_and_told),
		CASE(test_ports_can_be_used_again),
		CASE(test_ports_are_free_again_after_half_a_farewell),
		CASE(test_connections_from_outside_are_opened_again),
		CASE(test_refusals_are_what_they_were),
		CASE(test_an_answer_that_is_not_taken_is_a_difference),
		CASE(test_a_reset_is_one_on_both_sides),
		CASE(test_the_report_is_the_same_with_and_without_an_output),
		CASE(test_datagrams_and_pings_are_answered_as_recorded),
		CASE(test_a_router_on_the_way_is_heard_in_its_own_name),
		CASE(test_a_container_without_an_answer_hears_an_echo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
