/* Connections that the host opens into the container. */
#include "stack/wire.h"
#include "tests/rig.h"

#include <errno.h>
#include <string.h>

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

#define TICK (NSEC_PER_SEC / 10)

static const char *const hosts[] = {"192.0.2.1", "2001:db8::1"};

static uint8_t pattern[65536];

static void test_a_syn_seems_to_come_from_the_client(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		struct rig_peer p = rig_peer(hosts[i], 50000, 80);
		struct rig_owner o = {0};
		struct rig_segment *s;

		rig_drain(r);
		assert_int_equal(rig_connect(r, &p, &o), 0);
		s = rig_take_syn(r, &p);
		assert_true(endpoint_equal(&s->src, &p.remote));
		assert_true(endpoint_equal(&s->dst, &p.self));
		assert_int_equal(s->mss, i == 0 ? 1460 : 1440);
		assert_int_equal(s->wnd, UINT16_MAX);
		assert_true(s->off.csum_partial);
		assert_true(
			endpoint_equal(stream_container(o.stream), &p.self));
		assert_true(endpoint_equal(stream_remote(o.stream), &p.remote));
		assert_null(rig_take(r));
		assert_int_equal(o.opened + o.closed, 0);
		stream_abort(o.stream);
	}
}

static void test_opened_comes_with_the_answer(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		struct rig_peer p = rig_peer(hosts[i], 50000, 80);
		struct rig_owner o = {0};

		rig_open_inbound(r, &p, &o);
		assert_int_equal(r->opens, 0);
		assert_int_equal(o.closed, 0);
		rig_close(r, &p, &o);
	}
}

static void test_bytes_go_both_ways(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		struct rig_peer p = rig_peer(hosts[i], 50000, 80);
		struct rig_owner o = {0};

		rig_open_inbound(r, &p, &o);
		rig_write(r, &o, 50000);
		assert_int_equal(rig_ack_all(r, &p), 50000);
		rig_send(r, &p, ACK, pattern, 60000);
		p.seq += 60000;
		assert_int_equal(o.got, 60000);
		rig_write(r, &o, 50000);
		assert_int_equal(rig_ack_all(r, &p), 50000);
		rig_close(r, &p, &o);
	}
}

/* As large frames as for a connection that the container opened; lwIP cuts to
 * half the largest window it has seen, which a SYN-ACK cannot scale. */
static void test_the_first_write_may_be_a_super_frame(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};

	rig_open_inbound(r, &p, &o);
	assert_int_equal(stream_unit(o.stream), 65480 / 1460 * 1460);
	assert_true(stream_room(o.stream) >= stream_unit(o.stream));
	rig_write(r, &o, stream_unit(o.stream));
	assert_in_range(r->sent_count, 1, 2);
	assert_int_equal(r->sent[0].off.gso, GSO_TCP4);
	assert_int_equal(r->sent[0].off.gso_size, 1460);
	rig_ack_all(r, &p);
	rig_drain(r);
	rig_write(r, &o, stream_unit(o.stream));
	assert_int_equal(r->sent_count, 1);
	rig_ack_all(r, &p);
	rig_close(r, &p, &o);
}

/* The SYN offered 64 KiB, the ACK of the handshake 256 KiB, and what the host
 * takes at once makes it grow. */
static void test_the_window_grows_as_for_outbound(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};
	uint32_t widest = 0;

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_take_syn(r, &p);
	rig_send(r, &p, SYN | ACK, NULL, 0);
	p.seq++;
	assert_int_equal(rig_take(r)->wnd, (256u << 10) >> RIG_WSCALE);
	for (int i = 0; i < 100; i++) {
		rig_send(r, &p, ACK, pattern, 60000);
		p.seq += 60000;
	}
	assert_int_equal(o.got, 6000000);
	for (size_t i = 1; i < r->sent_count; i++)
		widest = r->sent[i].wnd > widest ? r->sent[i].wnd : widest;
	assert_int_equal(widest, (1u << 20) >> RIG_WSCALE);
	rig_close(r, &p, &o);
}

static void test_the_container_may_speak_first(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[1], 50000, 80);
	struct rig_owner o = {0};

	/* In one burst with its SYN-ACK, before anybody was told. */
	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_take_syn(r, &p);
	rig_send_raw(r, &p, SYN | ACK, 0, NULL, 0, NULL, 0);
	p.seq++;
	rig_send_raw(r, &p, ACK, 0, NULL, 0, "220 hello", 9);
	p.seq += 9;
	assert_int_equal(o.opened, 0);
	stack_flush(r->st);
	assert_int_equal(o.opened, 1);
	assert_int_equal(o.got, 9);
	rig_close(r, &p, &o);
}

static void test_the_host_closes_first_and_still_receives(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};

	rig_open_inbound(r, &p, &o);
	rig_write(r, &o, 100);
	stream_shutdown(o.stream);
	assert_int_equal(rig_ack_all(r, &p), 100);
	rig_advance(r, 300 * NSEC_PER_SEC);
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

static void test_the_container_closes_first_and_still_receives(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[1], 50000, 80);
	struct rig_owner o = {0};

	rig_open_inbound(r, &p, &o);
	rig_send(r, &p, FIN | ACK, "last", 4);
	p.seq += 5;
	assert_true(stream_in_eof(o.stream));
	rig_advance(r, 300 * NSEC_PER_SEC);
	rig_drain(r);
	rig_write(r, &o, 20000);
	assert_int_equal(rig_ack_all(r, &p), 20000);
	stream_shutdown(o.stream);
	stream_release(o.stream);
	rig_ack_all(r, &p);
	stack_flush(r->st);
	assert_int_equal(stack_streams(r->st), 0);
}

static void test_a_reset_means_refused(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		struct rig_peer p = rig_peer(hosts[i], 50000, 80);
		struct rig_owner o = {0};

		rig_drain(r);
		assert_int_equal(rig_connect(r, &p, &o), 0);
		rig_take_syn(r, &p);
		p.seq = 0;
		rig_send(r, &p, RST | ACK, NULL, 0);
		assert_int_equal(o.closed, 1);
		assert_int_equal(o.err, -ECONNREFUSED);
		assert_int_equal(o.opened, 0);
		assert_int_equal(stack_streams(r->st), 0);
	}
}

static void test_a_reset_after_the_handshake_is_one(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};

	rig_open_inbound(r, &p, &o);
	rig_send(r, &p, RST | ACK, NULL, 0);
	assert_int_equal(o.err, -ECONNRESET);
}

/* When SYNs leave, and when nobody waits for their answer any more: as Linux
 * does it, with half the pressure each time (RFC 9293 3.8.1). */
static void test_silence_times_out(void **state)
{
	static const unsigned syns[] = {10,  30,  70,  150,
					310, 630, 1270}; /* ticks */
	const unsigned last = 1271;
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};
	unsigned seen = 0;
	uint32_t seq;

	assert_int_equal(rig_connect(r, &p, &o), 0);
	seq = rig_take_syn(r, &p)->seq;
	for (unsigned t = 1; t <= last; t++) {
		struct rig_segment *s;

		assert_int_equal(o.closed, 0);
		rig_advance(r, TICK);
		s = rig_take(r);
		assert_int_equal(s != NULL, seen < 7 && syns[seen] == t);
		if (!s)
			continue;
		assert_int_equal(s->flags, SYN);
		assert_int_equal(s->seq, seq);
		assert_int_equal(s->wnd, UINT16_MAX);
		seen++;
	}
	assert_int_equal(seen, 7);
	assert_int_equal(o.closed, 1);
	assert_int_equal(o.err, -ETIMEDOUT);
	assert_int_equal(stack_streams(r->st), 0);
	assert_true(stack_deadline(r->st) > r->now + 60 * NSEC_PER_SEC);
}

/* What a SYN that was sent again leaves behind in lwIP must neither hold back
 * the first bytes nor stretch the time until they are sent again. */
static void test_a_lost_syn_costs_nothing_later(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_advance(r, 75 * TICK);
	assert_int_equal(r->sent_count, 4);
	rig_take_syn(r, &p);
	rig_send(r, &p, SYN | ACK, NULL, 0);
	p.seq++;
	rig_drain(r);
	rig_write(r, &o, stream_unit(o.stream));
	rig_drain(r); /* lost */
	rig_advance(r, 11 * TICK);
	assert_int_equal(rig_ack_all(r, &p), stream_unit(o.stream));
	rig_close(r, &p, &o);
}

static void test_a_long_silence_is_no_round_trip(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};

	rig_open_inbound(r, &p, &o);
	rig_advance(r, 120 * NSEC_PER_SEC);
	rig_write(r, &o, 10);
	rig_ack_all(r, &p);
	rig_write(r, &o, 10);
	rig_drain(r); /* lost */
	rig_advance(r, 2 * NSEC_PER_SEC);
	assert_true(r->sent_count > 0);
	rig_ack_all(r, &p);
	rig_close(r, &p, &o);
}

static void test_an_abort_while_opening_is_silent_for_the_owner(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_take_syn(r, &p);
	stream_abort(o.stream);
	stack_flush(r->st);
	assert_int_equal(o.closed, 0);
	assert_int_equal(stack_streams(r->st), 0);
	rig_drain(r);
	/* The answer that was under way. */
	rig_send(r, &p, SYN | ACK, NULL, 0);
	assert_int_equal(r->sent_count, 1);
	assert_true(r->sent[0].flags & RST);
	assert_int_equal(r->sent[0].seq, p.ack);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_syn_seems_to_come_from_the_client),
		CASE(test_opened_comes_with_the_answer),
		CASE(test_bytes_go_both_ways),
		CASE(test_the_first_write_may_be_a_super_frame),
		CASE(test_the_window_grows_as_for_outbound),
		CASE(test_the_container_may_speak_first),
		CASE(test_the_host_closes_first_and_still_receives),
		CASE(test_the_container_closes_first_and_still_receives),
		CASE(test_a_reset_means_refused),
		CASE(test_a_reset_after_the_handshake_is_one),
		CASE(test_silence_times_out),
		CASE(test_a_lost_syn_costs_nothing_later),
		CASE(test_a_long_silence_is_no_round_trip),
		CASE(test_an_abort_while_opening_is_silent_for_the_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
