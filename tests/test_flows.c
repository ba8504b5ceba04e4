#include "pcap/flows.h"

#include "tests/frames.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define C4  "10.0.2.100"
#define S4  "192.0.2.1"
#define C6  "fd00::64"
#define S6  "2001:db8::1"
#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

static struct flows *f;
static struct frames_buf b;
static uint8_t payload[2000];
static nsec_t now;

/* What the frame in @b is when @have bytes of it were captured. A copy of its
 * own size, so that a sanitizer sees whoever reads too far. */
static void add_cut(size_t have)
{
	uint8_t *copy = malloc(have ? have : 1);

	assert_non_null(copy);
	memcpy(copy, b.data, have);
	now += NSEC_PER_MSEC;
	flows_add(f, &(struct source_frame){.when = now,
					    .bytes = copy,
					    .have = have,
					    .len = b.len});
	free(copy);
}

static void add(void)
{
	add_cut(b.len);
}

static const char *client = C4, *server = S4;
static uint16_t client_port = 40000;

static void make_tcp(bool back, uint8_t flags, uint32_t seq, size_t len)
{
	frames_tcp(&b, &(struct frames_tcp){
			       .src = back ? server : client,
			       .dst = back ? client : server,
			       .sport = back ? 80 : client_port,
			       .dport = back ? client_port : 80,
			       .seq = seq,
			       .flags = flags,
			       .payload = payload,
			       .len = len,
		       });
}

/* A segment of the client, and one of the server. */
static void up(uint8_t flags, uint32_t seq, size_t len)
{
	make_tcp(false, flags, seq, len);
	add();
}

static void down(uint8_t flags, uint32_t seq, size_t len)
{
	make_tcp(true, flags, seq, len);
	add();
}

static void handshake(void)
{
	up(SYN, 1000, 0);
	down(SYN | ACK, 5000, 0);
	up(ACK, 1001, 0);
}

static size_t count(void)
{
	size_t n;

	assert_non_null(flows_sort(f, &n));
	return n;
}

static const struct flows_talk *only(void)
{
	size_t n;
	const struct flows_talk *const *t = flows_sort(f, &n);

	assert_int_equal(n, 1);
	return t[0];
}

static void expect_end(enum flows_end end)
{
	assert_string_equal(flows_end_name(flows_end_of(only())),
			    flows_end_name(end));
}

static int set_up(void **state)
{
	f = flows_new(4711);
	client = C4;
	server = S4;
	client_port = 40000;
	now = 1700000000 * NSEC_PER_SEC;
	return f ? 0 : -1;
}

static int tear_down(void **state)
{
	flows_free(f);
	return 0;
}

static void test_a_connection_is_counted_both_ways(void **state)
{
	const struct flows_talk *t;
	struct in6_addr addr;

	for (int family = 0; family < 2; family++) {
		tear_down(state);
		set_up(state);
		client = family ? C6 : C4;
		server = family ? S6 : S4;
		handshake();
		up(ACK, 1001, 100);
		down(ACK, 5001, 1000);
		down(ACK, 6001, 500);
		down(ACK | FIN, 6501, 10);
		up(ACK | FIN, 1101, 0);
		down(ACK, 6512, 0);
		t = only();
		assert_int_equal(t->proto, WIRE_PROTO_TCP);
		assert_int_equal(t->end[0].port, 40000);
		assert_int_equal(t->end[1].port, 80);
		addr = frames_addr(client);
		assert_true(addr_equal(&t->end[0].addr, &addr));
		assert_int_equal(t->way[0].bytes, 100);
		assert_int_equal(t->way[1].bytes, 1510);
		assert_int_equal(t->way[0].frames, 4);
		assert_int_equal(t->way[1].frames, 5);
		assert_int_equal(t->last - t->first, 8 * NSEC_PER_MSEC);
		assert_int_equal(t->way[0].retransmits, 0);
		assert_int_equal(t->way[1].retransmits, 0);
		expect_end(FLOWS_CLOSED);
	}
}

static void test_bytes_sent_again_are_retransmits_and_count_once(void **state)
{
	handshake();
	up(SYN, 1000, 0);
	up(ACK, 1001, 100);
	up(ACK, 1001, 100);
	up(ACK, 1051, 100); /* half of it is new */
	up(ACK, 1301, 100); /* a hole before it */
	up(ACK, 1151, 150); /* out of order, but not again */
	up(ACK | FIN, 1401, 0);
	up(ACK | FIN, 1401, 0);
	assert_int_equal(only()->way[0].bytes, 400);
	assert_int_equal(only()->way[0].retransmits, 4);
	assert_int_equal(only()->way[1].retransmits, 0);
	expect_end(FLOWS_HALF);
}

static void test_keepalives_are_no_retransmits(void **state)
{
	handshake();
	up(ACK, 1001, 100);
	up(ACK, 1100, 0);
	up(ACK, 1100, 1);
	assert_int_equal(only()->way[0].bytes, 100);
	assert_int_equal(only()->way[0].retransmits, 0);
	expect_end(FLOWS_OPEN);
}

static void test_a_reset_in_answer_to_a_syn_refuses(void **state)
{
	up(SYN, 1000, 0);
	down(RST | ACK, 0, 0);
	assert_int_equal(only()->way[1].resets, 1);
	expect_end(FLOWS_REFUSED);
}

static void test_a_reset_later_on_resets(void **state)
{
	handshake();
	down(ACK, 5001, 10);
	down(RST, 5011, 0);
	up(RST, 1001, 0);
	assert_int_equal(only()->way[0].resets, 1);
	assert_int_equal(only()->way[1].resets, 1);
	expect_end(FLOWS_RESET);
}

static void test_a_reset_after_both_have_closed_does_not(void **state)
{
	handshake();
	up(ACK | FIN, 1001, 0);
	down(ACK | FIN, 5001, 0);
	down(RST, 5002, 0);
	expect_end(FLOWS_CLOSED);
}

static void test_a_syn_without_an_answer_is_silent(void **state)
{
	up(SYN, 1000, 0);
	up(SYN, 1000, 0);
	assert_int_equal(only()->way[0].retransmits, 1);
	expect_end(FLOWS_SILENT);
}

static void test_a_port_used_again_is_another_connection(void **state)
{
	handshake();
	up(ACK | FIN, 1001, 0);
	down(ACK | FIN, 5001, 0);
	up(SYN, 99000, 0);
	down(SYN | ACK, 77000, 0);
	up(ACK, 99001, 500);
	assert_int_equal(count(), 2);
	assert_int_equal(flows_sort(f, &(size_t){0})[0]->way[0].bytes, 500);
	assert_int_equal(flows_sort(f, &(size_t){0})[1]->way[1].frames, 2);
}

/* A capture of what comes in only has no SYN of who calls. */
static void test_a_port_used_again_is_seen_by_the_answer_alone(void **state)
{
	down(SYN | ACK, 5000, 0);
	down(SYN | ACK, 5000, 0);
	down(ACK | FIN, 5001, 20);
	assert_int_equal(only()->way[1].retransmits, 1);
	down(SYN | ACK, 9000, 0);
	down(ACK, 9001, 30);
	assert_int_equal(count(), 2);
	for (size_t i = 0; i < 2; i++) {
		const struct flows_talk *t = flows_sort(f, &(size_t){0})[i];

		assert_int_equal(t->end[1].port, 80);
		assert_int_equal(t->way[1].bytes, i ? 20 : 30);
	}
}

/* As whoever keeps no state for a SYN gives it. */
static void test_an_answer_with_another_number_is_still_that(void **state)
{
	up(SYN, 1000, 0);
	down(SYN | ACK, 5000, 0);
	up(SYN, 1000, 0);
	down(SYN | ACK, 7000000, 0);
	down(ACK, 7000001, 10);
	assert_int_equal(only()->way[1].bytes, 10);
	assert_int_equal(only()->way[1].retransmits, 0);
	assert_int_equal(only()->way[0].retransmits, 1);
}

static void test_without_the_answer_to_a_syn_the_rest_tells(void **state)
{
	up(SYN, 1000, 0);
	up(ACK, 1001, 10);
	down(ACK, 5001, 0);
	expect_end(FLOWS_OPEN);
	down(ACK | FIN, 5001, 0);
	expect_end(FLOWS_HALF);
	down(RST, 5002, 0);
	expect_end(FLOWS_RESET);
}

static void test_numbers_wrap_around(void **state)
{
	up(SYN, 0xfffffff0, 0);
	down(SYN | ACK, 0xffffffff, 0);
	up(ACK, 0xfffffff1, 100);
	up(ACK, 85, 100);
	up(ACK, 0xfffffff1, 100);
	up(ACK, 184, 1); /* asks whether the other side is there */
	down(ACK, 0, 50);
	down(ACK, 50, 50);
	down(ACK | FIN, 100, 0);
	up(ACK | FIN, 185, 0);
	assert_int_equal(only()->way[0].bytes, 200);
	assert_int_equal(only()->way[1].bytes, 100);
	assert_int_equal(only()->way[0].retransmits, 1);
	assert_int_equal(only()->way[1].retransmits, 0);
	expect_end(FLOWS_CLOSED);
}

/* Who began a capture that does not show it: he who is asked has the low port. */
static void test_a_capture_from_the_middle_finds_the_client(void **state)
{
	down(ACK, 5001, 1000);
	up(ACK, 1001, 10);
	assert_int_equal(only()->end[1].port, 80);
	assert_int_equal(only()->way[1].bytes, 1000);
	assert_int_equal(only()->way[0].bytes, 10);
	expect_end(FLOWS_OPEN);
	up(SYN, 1001, 0); /* and this is not its SYN */
	assert_int_equal(count(), 2);
}

static void test_what_was_cut_off_counts_all_the_same(void **state)
{
	for (size_t cut = 0; cut < 3; cut++) {
		make_tcp(false, ACK, (uint32_t)(1001 + cut * 1000), 1000);
		add_cut(WIRE_ETH_LEN + 40 + cut * 30);
	}
	assert_int_equal(only()->way[0].bytes, 3000);
	/* and what the header claims beyond the frame does not */
	make_tcp(false, ACK, 4001, 1000);
	put16(b.data + WIRE_ETH_LEN + 2, 60000);
	add();
	assert_int_equal(only()->way[0].bytes, 4000);
}

static void make_udp(bool back, uint16_t port, size_t len)
{
	frames_udp(&b, back ? server : client, back ? port : client_port,
		   back ? client : server, back ? client_port : port, payload,
		   len);
}

static void test_datagrams_are_answered_or_not(void **state)
{
	make_udp(false, 4000, 100);
	add();
	expect_end(FLOWS_SILENT);
	make_udp(true, 4000, 30);
	add();
	assert_int_equal(only()->way[0].bytes, 100);
	assert_int_equal(only()->way[1].bytes, 30);
	expect_end(FLOWS_ANSWERED);
}

/* An ICMP error with @len bytes of the packet in @b. */
static void quote(uint8_t type, uint8_t code, size_t len)
{
	uint8_t body[100] = {0}; /* 4 bytes mean nothing here */

	memcpy(body + 4, b.data + WIRE_ETH_LEN, len);
	frames_icmp(&b, server, client, type, code, body, 4 + len);
	add();
}

static void test_an_icmp_error_tells_what_became_of_a_packet(void **state)
{
	make_udp(false, 4000, 100);
	add();
	quote(3, 4, 28); /* too big: it will be sent again */
	expect_end(FLOWS_SILENT);
	make_udp(false, 4000, 100);
	quote(3, 3, 27); /* hardly a packet */
	expect_end(FLOWS_SILENT);
	make_udp(false, 4000, 100);
	quote(3, 3, 28);
	assert_int_equal(only()->unreachable, 1);
	expect_end(FLOWS_UNREACHABLE);
	tear_down(state);
	set_up(state);
	client = C6;
	server = S6;
	up(SYN, 1000, 0);
	make_tcp(false, SYN, 1000, 0);
	quote(1, 0, 60);
	expect_end(FLOWS_UNREACHABLE);
}

static void test_ping_is_a_conversation_of_its_identifier(void **state)
{
	static const uint8_t body[64] = {0, 9, 0, 1};

	for (int family = 0; family < 2; family++) {
		const char *c = family ? C6 : C4, *s = family ? S6 : S4;

		frames_icmp(&b, c, s, family ? 128 : 8, 0, body, 60);
		add();
		add();
		frames_icmp(&b, s, c, family ? 129 : 0, 0, body, 60);
		add();
	}
	assert_int_equal(count(), 2);
	for (size_t i = 0; i < 2; i++) {
		const struct flows_talk *t = flows_sort(f, &(size_t){0})[i];

		assert_int_equal(t->proto, WIRE_PROTO_ICMP);
		assert_int_equal(t->end[0].port, 9);
		assert_int_equal(t->way[0].frames, 2);
		assert_int_equal(t->way[1].frames, 1);
		assert_int_equal(t->way[0].bytes, 2 * 56);
		assert_int_equal(flows_end_of(t), FLOWS_ANSWERED);
	}
}

/* @len bytes of the payload of a UDP datagram, of which 1480 went before. */
static void make_fragment(uint16_t id, uint16_t frag, const void *data,
			  size_t len)
{
	frames_packet(&b,
		      &(struct frames_ip){.src = client,
					  .dst = server,
					  .proto = WIRE_PROTO_UDP,
					  .id = id,
					  .frag = frag},
		      data, len);
}

static void test_fragments_belong_to_their_datagram(void **state)
{
	uint8_t first[1480] = {0x9c, 0x40, 0x0f, 0xa0};

	make_fragment(7, WIRE_IP4_MF, first, 1480);
	add();
	make_fragment(7, 185, payload, 528);
	add();
	assert_int_equal(only()->way[0].bytes, 2000);
	assert_int_equal(only()->end[0].port, 40000);
	make_fragment(8, 185, payload, 528); /* of which nobody knows */
	add();
	assert_int_equal(only()->way[0].bytes, 2000);
	assert_int_equal(flows_totals(f).other, 1);
}

static void test_vlan_tags_are_looked_through(void **state)
{
	static const uint8_t tags[8] = {0x88, 0xa8, 0, 1, 0x81, 0, 0, 2};

	make_udp(false, 4000, 100);
	memmove(b.data + 20, b.data + 12, b.len - 12);
	memcpy(b.data + 12, tags, 8);
	b.len += 8;
	add();
	assert_int_equal(only()->way[0].bytes, 100);
	for (size_t cut = 0; cut < 46; cut++)
		add_cut(cut);
	assert_int_equal(flows_totals(f).other, 46);
}

static void test_names_come_from_dns_answers_that_went_before(void **state)
{
	static const uint8_t answer[] =
		"\0\1\x81\x80\0\1\0\1\0\0\0\0\3www\7example\0\0\1\0\1"
		"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2\1";

	frames_udp(&b, "10.0.2.3", 53, client, 5000, answer,
		   sizeof(answer) - 1);
	add();
	up(SYN, 1000, 0);
	assert_int_equal(count(), 2);
	for (size_t i = 0; i < 2; i++) {
		const struct flows_talk *t = flows_sort(f, &(size_t){0})[i];

		assert_null(t->name[0]);
		if (t->proto == WIRE_PROTO_TCP)
			assert_string_equal(t->name[1], "www.example");
		else
			assert_null(t->name[1]);
	}
}

static void test_names_come_over_tcp_too(void **state)
{
	static const uint8_t answer[] =
		"\0\1\x81\x80\0\1\0\1\0\0\0\0\3www\7example\0\0\1\0\1"
		"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2\1";
	const uint16_t len = sizeof(answer) - 1;
	uint8_t message[2 + sizeof(answer)];

	put16(message, len);
	memcpy(message + 2, answer, len);
	for (uint16_t have = 0; have <= len + 2; have++) {
		frames_tcp(&b, &(struct frames_tcp){.src = "10.0.2.3",
						    .dst = client,
						    .sport = 53,
						    .dport = 5000,
						    .flags = ACK,
						    .payload = message,
						    .len = have});
		add();
		client_port++;
		up(SYN, 1000, 0);
		if (have < len + 2)
			assert_null(
				flows_sort(f, &(size_t){0})[have + 1]->name[1]);
		else
			assert_string_equal(
				flows_sort(f, &(size_t){0})[have + 1]->name[1],
				"www.example");
	}
}

static void test_the_biggest_come_first_then_the_earliest(void **state)
{
	static const size_t sizes[] = {10, 500, 10, 600, 500};
	static const uint16_t order[] = {3, 1, 4, 0, 2};
	const struct flows_talk *const *t;
	size_t n;

	for (uint16_t i = 0; i < 5; i++) {
		client_port = (uint16_t)(2000 + i);
		make_udp(false, 4000, sizes[i]);
		add();
	}
	t = flows_sort(f, &n);
	assert_int_equal(n, 5);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(t[i]->end[0].port, 2000 + order[i]);
}

static void test_time_that_runs_backwards_gives_a_duration(void **state)
{
	make_udp(false, 4000, 1);
	add();
	now -= 10 * NSEC_PER_SEC;
	add();
	assert_int_equal(only()->last - only()->first,
			 10 * NSEC_PER_SEC - NSEC_PER_MSEC);
}

static void test_too_many_conversations_are_counted_and_no_more(void **state)
{
	uint32_t n = FLOWS_MAX + 500;
	struct flows_totals totals;

	make_udp(false, 4000, 1);
	for (uint32_t i = 0; i < n; i++) {
		put32(b.data + WIRE_ETH_LEN + 16, 0x0a000000 + i);
		flows_add(f, &(struct source_frame){.bytes = b.data,
						    .have = b.len,
						    .len = b.len});
	}
	assert_int_equal(count(), FLOWS_MAX);
	totals = flows_totals(f);
	assert_int_equal(totals.frames, n);
	assert_int_equal(totals.too_many, 500);
	assert_int_equal(totals.other, 0);
}

static void test_random_frames_do_no_harm(void **state)
{
	uint32_t seed = 1;

	for (int round = 0; round < 50000; round++) {
		client = round & 1 ? C4 : C6;
		server = round & 1 ? S4 : S6;
		if (round & 2)
			make_udp(round & 4, 53, (size_t)round % 100);
		else
			make_tcp(round & 4, (uint8_t)(round >> 3),
				 (uint32_t)round, (size_t)round % 100);
		for (int i = 0; i < 3; i++) {
			seed = seed * 1664525 + 1013904223;
			b.data[(seed >> 8) % 80] = (uint8_t)(seed >> 24);
		}
		seed = seed * 1664525 + 1013904223;
		add_cut(seed >> 31 ? b.len : (seed >> 8) % (b.len + 1));
	}
	assert_true(count() > 100);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_connection_is_counted_both_ways),
		TEST(test_bytes_sent_again_are_retransmits_and_count_once),
		TEST(test_keepalives_are_no_retransmits),
		TEST(test_a_reset_in_answer_to_a_syn_refuses),
		TEST(test_a_reset_later_on_resets),
		TEST(test_a_reset_after_both_have_closed_does_not),
		TEST(test_a_syn_without_an_answer_is_silent),
		TEST(test_a_port_used_again_is_another_connection),
		TEST(test_a_port_used_again_is_seen_by_the_answer_alone),
		TEST(test_an_answer_with_another_number_is_still_that),
		TEST(test_without_the_answer_to_a_syn_the_rest_tells),
		TEST(test_numbers_wrap_around),
		TEST(test_a_capture_from_the_middle_finds_the_client),
		TEST(test_what_was_cut_off_counts_all_the_same),
		TEST(test_datagrams_are_answered_or_not),
		TEST(test_an_icmp_error_tells_what_became_of_a_packet),
		TEST(test_ping_is_a_conversation_of_its_identifier),
		TEST(test_fragments_belong_to_their_datagram),
		TEST(test_vlan_tags_are_looked_through),
		TEST(test_names_come_from_dns_answers_that_went_before),
		TEST(test_names_come_over_tcp_too),
		TEST(test_the_biggest_come_first_then_the_earliest),
		TEST(test_time_that_runs_backwards_gives_a_duration),
		TEST(test_too_many_conversations_are_counted_and_no_more),
		TEST(test_random_frames_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
