/* Many connections, and what a hostile peer makes of one: the weak spots of
 * lwIP 2.2.1 that stack/guard.c and stack/engine.c close. */
#include "stack/wire.h"
#include "tests/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

static uint8_t pattern[65536];

static void test_a_segment_of_no_connection_is_reset(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_segment *s;

	p.ack = 7777;
	rig_send(r, &p, ACK, "x", 1);
	s = rig_take(r);
	assert_non_null(s);
	assert_true(s->flags & RST);
	assert_int_equal(s->seq, 7777);
	assert_true(endpoint_equal(&s->src, &p.remote));
	rig_send(r, &p, RST, NULL, 0);
	assert_null(rig_take(r));
	assert_int_equal(r->opens, 0);
}

static void test_time_wait_gives_way_to_a_new_connection(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {0}, o2 = {0};

	rig_open(r, &p, &o);
	stream_shutdown(o.stream);
	rig_ack_all(r, &p);
	rig_send(r, &p, FIN | ACK, NULL, 0);
	p.seq++;
	stream_release(o.stream);
	assert_int_equal(stack_streams(r->st), 1);
	/* The FIN once more: TIME_WAIT answers. */
	rig_drain(r);
	p.seq--;
	rig_send(r, &p, FIN | ACK, NULL, 0);
	assert_int_equal(r->sent_count, 1);
	assert_int_equal(r->sent[0].flags, ACK);
	p.seq += 1000;
	rig_open(r, &p, &o2);
	assert_int_equal(stack_streams(r->st), 1);
	rig_close(r, &p, &o2);
}

static void test_connections_of_one_port_are_told_apart(void **state)
{
	struct rig *r = *state;
	struct rig_peer a = rig_peer("192.0.2.1", 80, 40000);
	struct rig_peer b = rig_peer("192.0.2.2", 80, 40000);
	struct rig_peer c = rig_peer("192.0.2.1", 81, 40000);
	struct rig_owner oa = {0}, ob = {0}, oc = {0};

	rig_open(r, &a, &oa);
	rig_open(r, &b, &ob);
	rig_open(r, &c, &oc);
	rig_send(r, &b, ACK, "bb", 2);
	b.seq += 2;
	rig_send(r, &c, ACK, "c", 1);
	c.seq += 1;
	assert_int_equal(oa.got, 0);
	assert_int_equal(ob.got, 2);
	assert_int_equal(oc.got, 1);
	rig_close(r, &a, &oa);
	rig_close(r, &b, &ob);
	rig_close(r, &c, &oc);
}

static uint64_t steps_of_an_exchange(struct rig *r, struct rig_peer *p)
{
	uint64_t before = stack_steps(r->st);

	rig_send(r, p, ACK, "ping", 4);
	p->seq += 4;
	rig_drain(r);
	return stack_steps(r->st) - before;
}

static void
test_the_fifty_thousandth_flow_costs_what_the_first_does(void **state)
{
	struct rig *r = *state;
	const unsigned n = 50000;
	struct rig_peer *peers = calloc(n, sizeof(*peers));
	struct rig_owner *owners = calloc(n, sizeof(*owners));
	uint64_t worst = 0, steps;

	for (unsigned i = 0; i < n; i++) {
		peers[i] = rig_peer("192.0.2.1", (uint16_t)(1000 + i / 50000),
				    (uint16_t)(1024 + i));
		rig_open(r, &peers[i], &owners[i]);
	}
	assert_int_equal(stack_streams(r->st), n);
	/* Nothing is armed: an idle crowd has no clock. */
	rig_advance(r, NSEC_PER_SEC);
	steps = stack_steps(r->st);
	rig_advance(r, 60 * NSEC_PER_SEC);
	assert_true(steps == stack_steps(r->st));
	for (unsigned i = 0; i < n; i += 97) {
		steps = steps_of_an_exchange(r, &peers[i]);
		worst = steps > worst ? steps : worst;
	}
	/* A hash chain of 65,536 buckets under 50,000 keys; a list would take
	 * thousands of steps. */
	assert_true(worst <= 10);
	r->forget = true;
	for (unsigned i = 0; i < n; i++)
		stream_abort(owners[i].stream);
	stack_flush(r->st);
	free(peers);
	free(owners);
}

static void test_only_armed_flows_are_ticked(void **state)
{
	struct rig *r = *state;
	struct rig_peer peers[100];
	struct rig_owner owners[100];
	uint64_t before;

	memset(owners, 0, sizeof(owners));
	for (unsigned i = 0; i < 100; i++) {
		peers[i] = rig_peer("192.0.2.1", 80, (uint16_t)(2000 + i));
		rig_open(r, &peers[i], &owners[i]);
	}
	assert_true(stack_deadline(r->st) > r->now + 60 * NSEC_PER_SEC);
	rig_write(r, &owners[7], 100); /* and is never acknowledged */
	before = stack_steps(r->st);
	rig_advance(r, NSEC_PER_SEC);
	assert_in_range(stack_steps(r->st) - before, 9, 11);
	for (unsigned i = 0; i < 100; i++)
		stream_abort(owners[i].stream);
	stack_flush(r->st);
}

/* Weak spot A: the one byte of a zero window probe is acknowledged, which
 * leaves the persist timer on with nothing to send. */
static void test_an_acknowledged_probe_leaves_no_timer_behind(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	rig_shut_window(r, &p);
	rig_write(r, &o, 1);
	rig_drain(r);
	rig_advance(r, NSEC_PER_SEC);
	assert_true(r->sent_count > 0);
	rig_ack_all(r, &p);
	rig_advance(r, 10 * NSEC_PER_SEC);
	assert_int_equal(o.closed, 0);
	p.wnd = 0xffff;
	rig_send(r, &p, ACK, NULL, 0);
	rig_close(r, &p, &o);
}

/* Weak spot B: a segment out of order that ends beyond the window, then the gap
 * is filled while the host stalls. */
static void test_bytes_beyond_the_window_are_cut_off(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {.keep_bytes = true};
	struct iovec iov[64];
	size_t len;

	rig_open(r, &p, &o);
	/* The window is 256 KiB now. */
	for (int i = 0; i < 4; i++) {
		rig_send(r, &p, ACK, pattern, 60000);
		p.seq += 60000;
	}
	rig_send_raw(r, &p, FIN | ACK, 1000, NULL, 0, pattern, 60000);
	rig_send(r, &p, ACK, pattern, 1000);
	stream_peek(o.stream, iov, 64, &len);
	assert_int_equal(len, 256u << 10);
	assert_false(stream_in_eof(o.stream));
	stream_abort(o.stream);
	stack_flush(r->st);
}

/* Weak spot C: an MSS option in mid-flow. */
static void test_an_mss_option_in_mid_flow_changes_nothing(void **state)
{
	static const uint8_t opts[4] = {2, 4, 0, 1};
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {0};

	p.wnd = 64;
	rig_open(r, &p, &o);
	rig_write(r, &o, 64 << RIG_WSCALE);
	rig_send_raw(r, &p, ACK, 0, opts, sizeof(opts), NULL, 0);
	stack_flush(r->st);
	assert_int_equal(stream_unit(o.stream), 65480 / 1460 * 1460);
	rig_ack_all(r, &p);
	rig_write(r, &o, 3000);
	rig_ack_all(r, &p);
	rig_close(r, &p, &o);
}

/* Weak spots D, E: a SYN that asks for the smallest segments, and a window of
 * two bytes. */
static void test_a_tiny_mss_and_window_do_not_multiply_segments(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {0};

	p.mss = 1;
	p.scale = false;
	rig_open(r, &p, &o);
	rig_write(r, &o, 16000);
	assert_true(r->sent_count < 10);
	rig_ack_all(r, &p);
	p.wnd = 2;
	rig_send(r, &p, ACK, NULL, 0);
	rig_write(r, &o, stream_room(o.stream));
	rig_drain(r);
	for (int i = 0; i < 100; i++) {
		rig_advance(r, NSEC_PER_SEC);
		rig_ack_all(r, &p);
	}
	assert_true(r->sent_count < 1000);
	stream_abort(o.stream);
	stack_flush(r->st);
}

/* Weak spot F: thousands of tiny segments out of order. */
static void test_tiny_segments_out_of_order_are_bounded(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	r->forget = true;
	for (int i = 0; i < 20000; i++)
		rig_send_raw(r, &p, ACK, 10 + 2 * i, NULL, 0, "y", 1);
	stack_flush(r->st);
	assert_true(stack_pool(r->st)->in_use < 1u << 20);
	assert_int_equal(o.got, 0);
	stream_abort(o.stream);
	stack_flush(r->st);
}

/* Windows of many connections add up to more than the budget. */
static void test_many_stalled_hosts_stay_within_the_budget(void **state)
{
	const size_t limit = 4u << 20;
	struct rig *r =
		rig_new_with(&(struct rig_options){.offload = true,
						   .mtu = RIG_MTU,
						   .flow_limit = 1u << 20,
						   .memory_limit = limit});
	struct rig_peer peers[60];
	struct rig_owner owners[60];

	memset(owners, 0, sizeof(owners));
	for (unsigned i = 0; i < 60; i++) {
		peers[i] = rig_peer("192.0.2.1", 80, (uint16_t)(2000 + i));
		owners[i].keep_bytes = true;
		rig_open(r, &peers[i], &owners[i]);
	}
	r->forget = true;
	for (int k = 0; k < 40; k++) {
		for (unsigned i = 0; i < 60; i++) {
			rig_send_raw(r, &peers[i], ACK, 1 + k * 3000, NULL, 0,
				     pattern, 2000 + (i % 2) * 1000);
			if (k % 10 == 0)
				rig_send(r, &peers[i], ACK, pattern, 60000);
			peers[i].seq += k % 10 == 0 ? 60000 : 0;
		}
		stack_flush(r->st);
		assert_true(stack_pool(r->st)->in_use <=
			    limit / 4 * 5 + CHUNK_ROOM);
	}
	r->forget = false;
	for (unsigned i = 0; i < 60; i++) {
		assert_int_equal(owners[i].closed, 0);
		stream_abort(owners[i].stream);
	}
	stack_flush(r->st);
	*state = r;
	rig_teardown(state);
}

/* Weak spot G is an ICMPv6 message that would reach lwIP; none does. */

static void test_random_segments_break_nothing(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	uint32_t dice = 12345;

	r->forget = true;
	for (int round = 0; round < 300; round++) {
		struct rig_owner o = {.keep_bytes = round % 3 == 0};

		r->forget = false;
		rig_open(r, &p, &o);
		r->forget = true;
		for (int i = 0; i < 100 && o.stream; i++) {
			struct rig_peer q = p;
			uint8_t flags;
			uint8_t opts[8];

			dice = dice * 1664525 + 1013904223;
			flags = (uint8_t)(dice >> 24) & 0x3f;
			q.ack += (dice >> 8) % 5 ? (dice >> 16) % 70000 : 0;
			q.wnd = (uint16_t)(dice >> 12);
			memcpy(opts, &dice, 4);
			memset(opts + 4, (int)(dice >> 28), 4);
			if (stream_room(o.stream) > 2000)
				rig_write(r, &o, 2000);
			rig_send_raw(r, &q, flags,
				     (int32_t)((dice >> 3) % 9
						       ? (dice >> 9) % 3000
						       : 0),
				     opts, dice % 3 ? 0 : 8, pattern,
				     (dice >> 5) % 2000);
			stack_flush(r->st);
			rig_advance(r, (dice >> 7) % 400 * NSEC_PER_MSEC);
		}
		if (o.stream)
			stream_abort(o.stream);
		stack_flush(r->st);
		p.self.port++;
	}
}

/* The window is full-size before the handshake ends and smaller after it: what
 * comes with the last ACK must not lie beyond what the SYN-ACK said. */
static void test_the_handshake_offers_no_more_than_it_said(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {.keep_bytes = true};
	const size_t gap = (256u << 10) - 10;
	size_t sent = 0;

	r->next_owner = &o;
	rig_send(r, &p, SYN, NULL, 0);
	stream_accept(o.stream);
	p.seq++;
	p.ack = rig_take(r)->seq + 1;
	rig_send_raw(r, &p, ACK, (int32_t)gap, NULL, 0, pattern, 1000);
	stack_flush(r->st);
	while (sent < gap) {
		size_t n = gap - sent < 60000 ? gap - sent : 60000;

		rig_send(r, &p, ACK, pattern, n);
		p.seq += (uint32_t)n;
		sent += n;
	}
	assert_int_equal(o.closed, 0);
	stream_abort(o.stream);
	stack_flush(r->st);
}

/* lwIP moves the FIN of a segment out of order to the end of a later one that
 * covers it, and asserts that the sum still fits into the window. */
static void test_a_fin_that_is_overtaken_stays_in_the_window(void **state)
{
	struct rig *r = *state;

	for (int gap = 0; gap < 2; gap++) {
		struct rig_peer p =
			rig_peer("192.0.2.1", 80, (uint16_t)(40000 + gap));
		struct rig_owner o = {.keep_bytes = true};
		const size_t left = (256u << 10) - 4 * 60000;

		rig_open(r, &p, &o);
		for (int i = 0; i < 4; i++) {
			rig_send(r, &p, ACK, pattern, 60000);
			p.seq += 60000;
		}
		rig_send_raw(r, &p, FIN | ACK, 10, NULL, 0, NULL, 0);
		rig_send_raw(r, &p, ACK, gap, NULL, 0, pattern,
			     left - (size_t)gap);
		rig_send(r, &p, ACK, pattern, 5);
		assert_int_equal(o.closed, 0);
		stream_abort(o.stream);
		stack_flush(r->st);
	}
}

/* Half of a segment was acknowledged when the window shut; then the persist
 * timer cuts it to a window that is smaller than that half. */
static void test_a_piece_that_was_acknowledged_does_not_block(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {0};
	uint32_t start;

	p.scale = false;
	rig_open(r, &p, &o);
	start = p.ack;
	rig_write(r, &o, 3000);
	p.ack += 1500;
	rig_shut_window(r, &p);
	rig_advance(r, 2 * NSEC_PER_SEC);
	p.wnd = 100;
	rig_send(r, &p, ACK, NULL, 0);
	rig_advance(r, 5 * NSEC_PER_SEC);
	p.wnd = 0xffff;
	rig_send(r, &p, ACK, NULL, 0);
	rig_advance(r, NSEC_PER_SEC);
	rig_ack_all(r, &p);
	assert_int_equal(p.ack - start, 3000);
	rig_close(r, &p, &o);
}

/* As rig_ack_all(), but for a hole, which only its bytes fill. */
static void ack_in_order(struct rig *r, struct rig_peer *p)
{
	struct rig_segment *s;
	uint32_t before = p->ack;

	while ((s = rig_take(r))) {
		uint32_t end = s->seq + (uint32_t)s->len;

		if ((int32_t)(s->seq - p->ack) <= 0 &&
		    (int32_t)(end - p->ack) > 0)
			p->ack = end;
	}
	if (p->ack != before)
		rig_send(r, p, ACK, NULL, 0);
}

/* A window that shrinks below what is in flight holds back the fast
 * retransmission, and then the timer runs out. */
static void test_a_retransmission_that_waits_keeps_its_place(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {0};
	uint32_t start;

	p.scale = false;
	rig_open(r, &p, &o);
	start = p.ack;
	rig_write(r, &o, 2 * stream_unit(o.stream));
	assert_int_equal(r->sent_count, 2);
	rig_drain(r); /* lost */
	p.wnd = 8000;
	rig_send(r, &p, ACK, "x", 1);
	p.seq++;
	for (int i = 0; i < 4; i++)
		rig_send(r, &p, ACK, NULL, 0);
	assert_int_equal(o.closed, 0);
	rig_advance(r, 3 * NSEC_PER_SEC);
	p.wnd = 0xffff;
	rig_send(r, &p, ACK, "x", 1);
	p.seq++;
	for (int i = 0; i < 10; i++) {
		rig_advance(r, NSEC_PER_SEC);
		ack_in_order(r, &p);
	}
	assert_int_equal(p.ack - start, 2 * stream_unit(o.stream));
	rig_close(r, &p, &o);
}

/* The byte of the probe is acknowledged when the persist timer cuts it off. */
static void test_a_window_of_one_byte_lets_every_byte_through(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {0};
	uint32_t start;

	p.scale = false;
	rig_open(r, &p, &o);
	rig_shut_window(r, &p);
	start = p.ack;
	rig_write(r, &o, 20);
	rig_advance(r, NSEC_PER_SEC);
	p.wnd = 1;
	for (int i = 0; i < 2000 && p.ack - start < 20; i++) {
		ack_in_order(r, &p);
		rig_advance(r, NSEC_PER_SEC / 10);
	}
	assert_int_equal(o.closed, 0);
	assert_int_equal(p.ack - start, 20);
	rig_drain(r);
	rig_close(r, &p, &o);
}

/* lwIP cuts segments to half the largest window that it has seen. */
static void test_a_first_window_of_two_bytes_cuts_no_bytes(void **state)
{
	struct rig *r = *state;

	for (uint16_t wnd = 0; wnd < 4; wnd++) {
		struct rig_peer p =
			rig_peer("192.0.2.1", 80, (uint16_t)(40000 + wnd));
		struct rig_owner o = {0};

		p.wnd = wnd;
		p.scale = false;
		rig_open(r, &p, &o);
		rig_write(r, &o, stream_room(o.stream));
		rig_drain(r);
		p.wnd = 0xffff;
		rig_send(r, &p, ACK, NULL, 0);
		assert_in_range(r->sent_count, 1, 20);
		stream_abort(o.stream);
		stack_flush(r->st);
	}
}

/* Their owners have let go, and the container acknowledges nothing. For the
 * sanitizer to see. */
static void test_the_end_of_all_takes_those_that_linger(void **state)
{
	struct rig *r = rig_new();
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o[3] = {{.got = 0}};

	for (int i = 0; i < 3; i++) {
		p.self.port++;
		p.seq = 1000;
		rig_open(r, &p, &o[i]);
		rig_send(r, &p, FIN | ACK, NULL, 0);
		stream_shutdown(o[i].stream);
		stream_release(o[i].stream);
	}
	stack_flush(r->st);
	assert_int_equal(stack_streams(r->st), 3);
	rig_free(r);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_segment_of_no_connection_is_reset),
		CASE(test_time_wait_gives_way_to_a_new_connection),
		CASE(test_connections_of_one_port_are_told_apart),
		CASE(test_the_fifty_thousandth_flow_costs_what_the_first_does),
		CASE(test_only_armed_flows_are_ticked),
		CASE(test_an_acknowledged_probe_leaves_no_timer_behind),
		CASE(test_bytes_beyond_the_window_are_cut_off),
		CASE(test_an_mss_option_in_mid_flow_changes_nothing),
		CASE(test_a_tiny_mss_and_window_do_not_multiply_segments),
		CASE(test_tiny_segments_out_of_order_are_bounded),
		cmocka_unit_test(
			test_many_stalled_hosts_stay_within_the_budget),
		CASE(test_random_segments_break_nothing),
		CASE(test_the_handshake_offers_no_more_than_it_said),
		CASE(test_a_fin_that_is_overtaken_stays_in_the_window),
		CASE(test_a_piece_that_was_acknowledged_does_not_block),
		CASE(test_a_retransmission_that_waits_keeps_its_place),
		CASE(test_a_window_of_one_byte_lets_every_byte_through),
		CASE(test_a_first_window_of_two_bytes_cuts_no_bytes),
		cmocka_unit_test(test_the_end_of_all_takes_those_that_linger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
