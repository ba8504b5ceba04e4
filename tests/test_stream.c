/* One connection: opening, bytes, windows, ends. */
#include "stack/wire.h"
#include "tests/rig.h"

#include <errno.h>
#include <string.h>

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

#define ECN_SETUP 0xc0 /* ECE and CWR, RFC 3168 6.1.1 */

static uint8_t pattern[65536];

static void fill_pattern(void)
{
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + i / 251);
}

static const char *const hosts[] = {"192.0.2.1", "2001:db8::1"};

static void test_a_syn_is_answered_only_after_accept(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		struct rig_peer p = rig_peer(hosts[i], 80, 40000);
		struct rig_owner o = {0};
		struct rig_segment *s;

		rig_drain(r);
		r->next_owner = &o;
		rig_send(r, &p, SYN, NULL, 0);
		rig_advance(r, NSEC_PER_SEC);
		assert_null(rig_take(r));
		stream_accept(o.stream);
		s = rig_take(r);
		assert_non_null(s);
		assert_int_equal(s->flags, SYN | ACK);
		assert_int_equal(s->ack, 1001);
		assert_int_equal(s->mss, i == 0 ? 1460 : 1440);
		assert_true(endpoint_equal(&s->src, &p.remote));
		assert_true(endpoint_equal(&s->dst, &p.self));
		assert_true(s->off.csum_partial);
		stream_abort(o.stream);
	}
}

static void test_a_syn_that_comes_again_opens_nothing_new(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	r->next_owner = &o;
	rig_send(r, &p, SYN, NULL, 0);
	rig_send(r, &p, SYN, NULL, 0);
	assert_int_equal(r->opens, 1);
	assert_int_equal(stack_streams(r->st), 1);
	/* The container started over: the answer is for the new SYN. */
	p.seq = 5000;
	rig_send(r, &p, SYN | ECN_SETUP, NULL, 0);
	assert_int_equal(r->opens, 1);
	stream_accept(o.stream);
	assert_int_equal(rig_take(r)->ack, 5001);
	stream_abort(o.stream);
}

static void expect_icmp(const struct rig *r, bool v4, uint8_t type,
			uint8_t code)
{
	size_t ip = v4 ? 20 : 40;
	const uint8_t *icmp = r->other + WIRE_ETH_LEN + ip;
	const uint8_t *quoted = icmp + 8 + ip;

	assert_non_null(r->other);
	assert_int_equal(icmp[0], type);
	assert_int_equal(icmp[1], code);
	assert_int_equal(get16(quoted), 40000);
	assert_int_equal(get16(quoted + 2), 80);
	assert_int_equal(get32(quoted + 4), 1000);
}

static void test_each_connect_failure_reaches_the_container(void **state)
{
	static const struct {
		int err;
		bool rst;
		int type4, code4, type6, code6;
	} cases[] = {
		{ECONNREFUSED, true, 0, 0, 0, 0},
		{EMFILE, true, 0, 0, 0, 0},
		{ENOBUFS, true, 0, 0, 0, 0},
		{ENETUNREACH, false, 3, 0, 1, 0},
		{EHOSTUNREACH, false, 3, 1, 1, 3},
		{EACCES, false, 3, 13, 1, 1},
		{ETIMEDOUT, false, -1, 0, -1, 0},
	};
	struct rig *r = *state;

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		bool v4 = i % 2 == 0;
		struct rig_peer p = rig_peer(hosts[i % 2], 80, 40000);
		struct rig_owner o = {0};
		struct rig_segment *s;

		rig_drain(r);
		r->next_owner = &o;
		rig_send(r, &p, SYN, NULL, 0);
		r->other_len = 0;
		stream_refuse(o.stream, cases[i / 2].err);
		stack_flush(r->st);
		s = rig_take(r);
		assert_int_equal(!!s, cases[i / 2].rst);
		if (s) {
			assert_int_equal(s->flags, RST | ACK);
			assert_int_equal(s->ack, 1001);
		} else if (cases[i / 2].type4 >= 0) {
			expect_icmp(r, v4,
				    (uint8_t)(v4 ? cases[i / 2].type4
						 : cases[i / 2].type6),
				    (uint8_t)(v4 ? cases[i / 2].code4
						 : cases[i / 2].code6));
		} else {
			assert_int_equal(r->other_len, 0);
		}
		assert_int_equal(o.closed, 0);
		assert_int_equal(stack_streams(r->st), 0);
	}
}

static void test_an_abort_while_connecting_refuses(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	r->next_owner = &o;
	rig_send(r, &p, SYN, NULL, 0);
	stream_abort(o.stream);
	assert_int_equal(rig_take(r)->flags, RST | ACK);
}

static void test_a_reset_while_connecting_cancels(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	r->next_owner = &o;
	rig_send(r, &p, SYN, NULL, 0);
	p.seq++;
	rig_send(r, &p, RST, NULL, 0);
	assert_int_equal(o.closed, 1);
	assert_int_equal(o.err, -ECONNRESET);
	assert_int_equal(stack_streams(r->st), 0);
}

static void test_a_handshake_that_never_ends_times_out(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	r->next_owner = &o;
	rig_send(r, &p, SYN, NULL, 0);
	stream_accept(o.stream);
	rig_advance(r, 30 * NSEC_PER_SEC);
	assert_int_equal(o.closed, 1);
	assert_int_equal(o.err, -ETIMEDOUT);
	assert_int_equal(stack_streams(r->st), 0);
}

static void test_bytes_arrive_in_order_with_one_ack_a_burst(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	for (int i = 0; i < 10; i++) {
		rig_send_raw(r, &p, ACK, 0, NULL, 0, pattern, 1460);
		p.seq += 1460;
	}
	assert_int_equal(r->sent_count, 0);
	stack_flush(r->st);
	assert_int_equal(o.readable, 1);
	assert_int_equal(o.got, 14600);
	assert_int_equal(r->sent_count, 1);
	assert_int_equal(r->sent[0].ack, p.seq);
	rig_close(r, &p, &o);
}

static void test_a_super_frame_arrives_whole(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[1], 80, 40000);
	struct rig_owner o = {0};
	uint32_t want = 0;

	fill_pattern();
	for (size_t i = 0; i < 65000; i++)
		want = want * 31 + pattern[i];
	rig_open(r, &p, &o);
	rig_send(r, &p, ACK, pattern, 65000);
	p.seq += 65000;
	assert_int_equal(o.got, 65000);
	assert_int_equal(o.sum, want);
	rig_close(r, &p, &o);
}

static void test_segments_out_of_order_are_put_in_order(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};
	uint32_t want = 0;

	fill_pattern();
	for (size_t i = 0; i < 3000; i++)
		want = want * 31 + pattern[i];
	rig_open(r, &p, &o);
	rig_send_raw(r, &p, ACK, 2000, NULL, 0, pattern + 2000, 1000);
	rig_send_raw(r, &p, ACK, 1000, NULL, 0, pattern + 1000, 1000);
	stack_flush(r->st);
	assert_int_equal(o.got, 0);
	rig_send(r, &p, ACK, pattern, 1000);
	p.seq += 3000;
	assert_int_equal(o.got, 3000);
	assert_int_equal(o.sum, want);
	rig_close(r, &p, &o);
}

static void test_container_closes_first_and_still_receives(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	rig_send(r, &p, FIN | ACK, "last", 4);
	p.seq += 5;
	assert_int_equal(o.got, 4);
	assert_true(stream_in_eof(o.stream));
	rig_ack_all(r, &p);
	rig_advance(r, 300 * NSEC_PER_SEC);
	assert_int_equal(o.closed, 0);
	rig_write(r, &o, 20000);
	assert_int_equal(rig_ack_all(r, &p), 20000);
	stream_shutdown(o.stream);
	stream_release(o.stream);
	assert_int_equal(r->sent[r->sent_count - 1].flags & FIN, FIN);
	rig_ack_all(r, &p);
	stack_flush(r->st);
	assert_int_equal(stack_streams(r->st), 0);
}

static void test_host_closes_first_and_still_receives(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[1], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	stream_shutdown(o.stream);
	rig_ack_all(r, &p);
	rig_advance(r, 300 * NSEC_PER_SEC);
	assert_int_equal(o.closed, 0);
	rig_send(r, &p, ACK, pattern, 30000);
	p.seq += 30000;
	assert_int_equal(o.got, 30000);
	rig_send(r, &p, FIN | ACK, NULL, 0);
	p.seq++;
	assert_true(stream_in_eof(o.stream));
	stream_release(o.stream);
	rig_advance(r, 2 * NSEC_PER_SEC);
	assert_int_equal(stack_streams(r->st), 0);
}

static void test_both_close_at_once(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	stream_shutdown(o.stream);
	rig_send(r, &p, FIN | ACK, NULL, 0); /* does not ack our FIN yet */
	p.seq++;
	stream_release(o.stream);
	rig_ack_all(r, &p);
	rig_advance(r, 2 * NSEC_PER_SEC);
	assert_int_equal(stack_streams(r->st), 0);
}

static void test_nothing_is_lost_when_the_host_closes_at_once(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};
	size_t got = 0;

	rig_open(r, &p, &o);
	rig_write(r, &o, 60000);
	stream_shutdown(o.stream);
	for (int i = 0; i < 10; i++)
		got += rig_ack_all(r, &p);
	assert_int_equal(got, 60000);
	rig_send(r, &p, FIN | ACK, NULL, 0);
	p.seq++;
	stream_release(o.stream);
}

static void test_bytes_wait_for_a_slow_host_after_both_fins(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {.keep_bytes = true};
	struct iovec iov[4];
	size_t len;

	rig_open(r, &p, &o);
	stream_shutdown(o.stream);
	rig_ack_all(r, &p);
	rig_send(r, &p, FIN | ACK, pattern, 5000);
	p.seq += 5001;
	rig_advance(r, 60 * NSEC_PER_SEC); /* TIME_WAIT came and went */
	assert_int_equal(o.closed, 0);
	assert_false(stream_in_eof(o.stream));
	assert_int_equal(stream_peek(o.stream, iov, 4, &len), 1);
	assert_int_equal(len, 5000);
	stream_consume(o.stream, len);
	assert_true(stream_in_eof(o.stream));
	stream_release(o.stream);
	stack_flush(r->st);
	assert_int_equal(stack_streams(r->st), 0);
}

static void test_a_reset_of_the_container_is_told(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	rig_write(r, &o, 10000);
	rig_send(r, &p, RST | ACK, NULL, 0);
	assert_int_equal(o.closed, 1);
	assert_int_equal(o.err, -ECONNRESET);
	assert_int_equal(stack_streams(r->st), 0);
}

static void test_an_abort_resets_the_container(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	rig_write(r, &o, 10000);
	stream_abort(o.stream);
	stack_flush(r->st);
	assert_true(r->sent[r->sent_count - 1].flags & RST);
	assert_int_equal(o.closed, 0);
	assert_int_equal(stack_streams(r->st), 0);
}

static void test_a_segment_nobody_acknowledges_is_sent_again(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	rig_write(r, &o, 5000);
	rig_drain(r); /* lost */
	rig_advance(r, 2 * NSEC_PER_SEC);
	assert_true(r->sent_count >= 1);
	assert_true(rig_ack_all(r, &p) >= 5000);
	rig_close(r, &p, &o);
}

static void test_a_container_that_vanished_times_out(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	rig_write(r, &o, 5000);
	rig_advance(r, 2000 * NSEC_PER_SEC);
	assert_int_equal(o.closed, 1);
	assert_int_equal(o.err, -ETIMEDOUT);
}

/* lwIP puts the FIN into the last segment that waits, and leaves it in both
 * halves if that is cut in two. */
static void test_a_fin_behind_waiting_bytes_comes_after_them(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};
	struct rig_segment *s;
	uint32_t start;

	rig_open(r, &p, &o);
	rig_shut_window(r, &p);
	start = p.ack;
	rig_write(r, &o, 3000);
	stream_shutdown(o.stream);
	p.wnd = 1000 >> RIG_WSCALE;
	for (int i = 0; i < 40; i++) {
		while ((s = rig_take(r))) {
			if (s->flags & FIN)
				assert_int_equal(s->seq + s->len - start, 3000);
			if (s->seq + s->len - start > p.ack - start)
				p.ack = s->seq + (uint32_t)s->len;
		}
		rig_send(r, &p, ACK, NULL, 0);
		rig_advance(r, NSEC_PER_SEC / 10);
	}
	assert_int_equal(p.ack - start, 3000);
	stream_abort(o.stream);
}

/* A kernel takes a reset only inside its window (RFC 5961), and the byte of a
 * zero window probe lies outside. */
static void test_a_reset_passes_a_shut_window(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	rig_shut_window(r, &p);
	rig_write(r, &o, 3000);
	rig_advance(r, NSEC_PER_SEC);
	assert_true(r->sent_count > 0); /* probes */
	stream_abort(o.stream);
	stack_flush(r->st);
	assert_true(r->sent[r->sent_count - 1].flags & RST);
	assert_int_equal(r->sent[r->sent_count - 1].seq, p.ack);
}

/* A fast retransmission that the tap did not take must not become the place
 * where new bytes are appended. */
static void test_a_tap_that_fails_mixes_no_bytes(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};
	struct rig_segment *s;
	uint8_t got[6] = {0};
	uint32_t start;

	rig_open(r, &p, &o);
	start = p.ack;
	for (int i = 0; i < 6; i++) {
		struct chunk *c = chunk_new_beyond(stack_pool(r->st), 1);

		if (i == 5) {
			for (int k = 0; k < 2; k++)
				rig_send(r, &p, ACK, NULL, 0);
			r->put_result = -ENOBUFS;
			rig_send(r, &p, ACK, NULL, 0);
		}
		c->data[0] = (uint8_t)('a' + i);
		assert_int_equal(stream_write(o.stream, c, 0, 1), 0);
		stream_flush(o.stream);
	}
	r->put_result = 0;
	rig_drain(r);
	rig_advance(r, 3 * NSEC_PER_SEC);
	while ((s = rig_take(r))) {
		for (size_t i = 0; i < s->len; i++) {
			assert_true(s->seq + i - start < sizeof(got));
			got[s->seq + i - start] = s->payload[i];
		}
	}
	assert_memory_equal(got, "abcdef", 6);
	stream_abort(o.stream);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_syn_is_answered_only_after_accept),
		CASE(test_a_syn_that_comes_again_opens_nothing_new),
		CASE(test_each_connect_failure_reaches_the_container),
		CASE(test_an_abort_while_connecting_refuses),
		CASE(test_a_reset_while_connecting_cancels),
		CASE(test_a_handshake_that_never_ends_times_out),
		CASE(test_bytes_arrive_in_order_with_one_ack_a_burst),
		CASE(test_a_super_frame_arrives_whole),
		CASE(test_segments_out_of_order_are_put_in_order),
		CASE(test_container_closes_first_and_still_receives),
		CASE(test_host_closes_first_and_still_receives),
		CASE(test_both_close_at_once),
		CASE(test_nothing_is_lost_when_the_host_closes_at_once),
		CASE(test_bytes_wait_for_a_slow_host_after_both_fins),
		CASE(test_a_reset_of_the_container_is_told),
		CASE(test_an_abort_resets_the_container),
		CASE(test_a_segment_nobody_acknowledges_is_sent_again),
		CASE(test_a_container_that_vanished_times_out),
		CASE(test_a_fin_behind_waiting_bytes_comes_after_them),
		CASE(test_a_reset_passes_a_shut_window),
		CASE(test_a_tap_that_fails_mixes_no_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
