/* What a container may answer to a connection from outside: errors by ICMP,
 * and everything that a correct TCP would not. */
#include "stack/wire.h"
#include "tests/frames.h"
#include "tests/rig.h"

#include <errno.h>
#include <string.h>

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

static const char *const hosts[] = {"192.0.2.1", "2001:db8::1"};

static uint8_t pattern[65536];

/* Has the container complain of @packet. */
static void complain(struct rig *r, const struct rig_peer *p, uint8_t type,
		     uint8_t code, const void *packet, size_t len)
{
	char self[ADDR_STRLEN], remote[ADDR_STRLEN];
	struct frames_buf b;

	frames_icmp_error(&b, addr_format(&p->self.addr, self),
			  addr_format(&p->remote.addr, remote), type, code,
			  packet, len);
	memcpy(b.data, r->plan.mac, WIRE_MAC_LEN);
	rig_inject(r, b.data, b.len, NULL);
}

static void complain_of(struct rig *r, const struct rig_peer *p, uint8_t type,
			uint8_t code, const struct rig_segment *s)
{
	complain(r, p, type, code, s->frame + WIRE_ETH_LEN,
		 s->frame_len - WIRE_ETH_LEN);
}

static void test_an_unreachable_ends_the_attempt(void **state)
{
	static const struct {
		size_t host;
		uint8_t type, code;
		int err;
	} cases[] = {
		{0, 3, 3, -ECONNREFUSED},  {0, 3, 0, -EHOSTUNREACH},
		{0, 3, 1, -EHOSTUNREACH},  {0, 3, 2, -EHOSTUNREACH},
		{0, 3, 13, -EHOSTUNREACH}, {1, 1, 4, -ECONNREFUSED},
		{1, 1, 0, -EHOSTUNREACH},  {1, 1, 1, -EHOSTUNREACH},
		{1, 1, 3, -EHOSTUNREACH},
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig_peer p = rig_peer(hosts[cases[i].host], 50000, 80);
		struct rig_owner o = {0};

		rig_drain(r);
		assert_int_equal(rig_connect(r, &p, &o), 0);
		complain_of(r, &p, cases[i].type, cases[i].code,
			    rig_take_syn(r, &p));
		assert_int_equal(o.closed, 0); /* told once a burst */
		stack_flush(r->st);
		assert_int_equal(o.closed, 1);
		assert_int_equal(o.err, cases[i].err);
		assert_int_equal(stack_streams(r->st), 0);
		assert_null(rig_take(r));
	}
}

static void test_a_retransmitted_syn_may_be_complained_of(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_drain(r);
	rig_advance(r, NSEC_PER_SEC);
	complain_of(r, &p, 3, 1, rig_take_syn(r, &p));
	stack_flush(r->st);
	assert_int_equal(o.err, -EHOSTUNREACH);
}

/* RFC 5927 */
static void test_what_quotes_another_segment_is_ignored(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		struct rig_peer p = rig_peer(hosts[i], 50000, 80);
		struct rig_owner o = {0};
		uint8_t type = i == 0 ? 3 : 1, code = i == 0 ? 3 : 4;
		size_t tcp = i == 0 ? 20 : 40;
		uint8_t packet[100];
		struct rig_segment *s;
		uint32_t seq;

		rig_drain(r);
		assert_int_equal(rig_connect(r, &p, &o), 0);
		s = rig_take_syn(r, &p);
		seq = s->seq;
		memcpy(packet, s->frame + WIRE_ETH_LEN, tcp + 20);
		for (uint32_t k = 0; k < 4; k++) {
			static const uint32_t off[] = {0x10000, UINT32_MAX, 1,
						       0};

			put32(packet + tcp + 4, seq + off[k]);
			packet[tcp + 3] ^= k == 3; /* another port */
			complain(r, &p, type, code, packet, tcp + 20);
			stack_flush(r->st);
			assert_int_equal(o.closed, 0);
		}
		/* Nor does it end what is open. */
		rig_send(r, &p, SYN | ACK, NULL, 0);
		p.seq++;
		assert_int_equal(o.opened, 1);
		complain_of(r, &p, type, code, s);
		stack_flush(r->st);
		assert_int_equal(o.closed, 0);
		rig_drain(r);
		rig_write(r, &o, 1000);
		complain_of(r, &p, type, code, &r->sent[0]);
		stack_flush(r->st);
		assert_int_equal(o.closed, 0);
		rig_ack_all(r, &p);
		rig_close(r, &p, &o);
	}
}

static void test_a_connection_of_the_container_hears_no_icmp(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	r->next_owner = &o;
	rig_send(r, &p, SYN, NULL, 0);
	stream_accept(o.stream);
	complain_of(r, &p, 3, 3, rig_take(r));
	stack_flush(r->st);
	assert_int_equal(o.closed, 0);
	stream_abort(o.stream);
}

static void test_a_datagram_that_nobody_takes_is_told(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		struct rig_peer p = rig_peer(hosts[i], 50000, 53);
		struct dgram d = {.src = p.remote,
				  .dst = p.self,
				  .payload = pattern,
				  .len = 300};
		uint8_t type = i == 0 ? 3 : 1, code = i == 0 ? 3 : 4;
		size_t header = (i == 0 ? 20 : 40) + 8;

		r->unreachables = 0;
		assert_int_equal(stack_udp_send(r->st, &d), 0);
		for (size_t len = header; len <= header + 300; len += 100) {
			complain(r, &p, type, code, r->other + WIRE_ETH_LEN,
				 len);
			assert_true(
				endpoint_equal(&r->lost_container, &p.self));
			assert_true(endpoint_equal(&r->lost_remote, &p.remote));
		}
		assert_int_equal(r->unreachables, 4);
		complain(r, &p, type, code, r->other + WIRE_ETH_LEN,
			 header - 1);
		assert_int_equal(r->unreachables, 4);
	}
	/* Nobody wants to know. */
	{
		struct rig_peer p = rig_peer(hosts[1], 50000, 53);

		r->host.udp_unreachable = NULL;
		complain(r, &p, 1, 4, r->other + WIRE_ETH_LEN, 48);
		assert_int_equal(r->unreachables, 4);
	}
}

/* As RFC 9293 3.10.7.3 wants it; and what it carried does not count. */
static void test_a_wrong_acknowledgement_opens_nothing(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80), liar;
	struct rig_owner o = {0};

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_take_syn(r, &p);
	liar = p;
	liar.ack += 5;
	liar.mss = 100;
	liar.seq = 99999;
	p.scale = false;
	rig_send(r, &liar, SYN | ACK, NULL, 0);
	assert_true(r->sent[1].flags & RST);
	assert_int_equal(r->sent[1].seq, liar.ack);
	assert_int_equal(o.opened + o.closed, 0);
	rig_drain(r);
	rig_send(r, &p, SYN | ACK, NULL, 0);
	p.seq++;
	assert_int_equal(o.opened, 1);
	assert_int_equal(r->sent[0].ack, p.seq);
	/* Without window scaling: 64 KiB, and units that fit several times. */
	assert_int_equal(r->sent[0].wnd, UINT16_MAX);
	assert_int_equal(stream_unit(o.stream), 16384 / 1460 * 1460);
	rig_close(r, &p, &o);
}

static void test_an_answer_that_comes_twice_opens_once(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[1], 50000, 80), copy;
	struct rig_owner o = {0};
	size_t unit;

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_take_syn(r, &p);
	copy = p;
	rig_send(r, &p, SYN | ACK, NULL, 0);
	p.seq++;
	unit = stream_unit(o.stream);
	rig_drain(r);
	copy.mss = 88;
	rig_send(r, &copy, SYN | ACK, NULL, 0);
	/* Our acknowledgement was lost. */
	assert_int_equal(r->sent_count, 1);
	assert_int_equal(r->sent[0].flags, ACK);
	assert_int_equal(r->sent[0].ack, p.seq);
	assert_int_equal(o.opened, 1);
	assert_int_equal(stream_unit(o.stream), unit);
	rig_close(r, &p, &o);
}

/* No fewer than the smallest MSS that is believed, and no more than a unit. */
static void test_tiny_segments_and_windows_are_bounded(void **state)
{
	struct rig *r = *state;

	for (uint16_t wnd = 0; wnd < 4; wnd++) {
		struct rig_peer p =
			rig_peer(hosts[0], (uint16_t)(50000 + wnd), 80);
		struct rig_owner o = {0};

		p.mss = wnd == 3 ? 0 : 1;
		p.wnd = wnd;
		p.scale = false;
		rig_open_inbound(r, &p, &o);
		rig_write(r, &o, stream_room(o.stream));
		rig_drain(r);
		p.wnd = 0xffff;
		rig_send(r, &p, ACK, NULL, 0);
		assert_in_range(r->sent_count, 1, 16384 / 88);
		rig_ack_all(r, &p);
		rig_drain(r);
		rig_write(r, &o, 16000);
		assert_in_range(r->sent_count, 1, 40);
		stream_abort(o.stream);
		stack_flush(r->st);
	}
}

static void test_bytes_in_the_answer_are_sent_again(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_take_syn(r, &p);
	rig_send(r, &p, SYN | ACK, "early", 5);
	p.seq++;
	assert_int_equal(o.opened, 1);
	assert_int_equal(o.got, 0);
	assert_int_equal(rig_take(r)->ack, p.seq);
	rig_send(r, &p, ACK, "early", 5);
	p.seq += 5;
	assert_int_equal(o.got, 5);
	rig_close(r, &p, &o);
}

static void test_a_reset_must_acknowledge_the_syn(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80), liar;
	struct rig_owner o = {0};

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_take_syn(r, &p);
	for (int off = -2; off < 3; off++) {
		liar = p;
		liar.ack += (uint32_t)off;
		if (off != 0)
			rig_send(r, &liar, RST | ACK, NULL, 0);
	}
	for (int seq = -1; seq < 2; seq++)
		rig_send_raw(
			r,
			&(struct rig_peer){p.self, p.remote, 0, 0, 0, 0, false},
			RST, seq, NULL, 0, NULL, 0);
	stack_flush(r->st);
	assert_int_equal(o.closed, 0);
	assert_null(rig_take(r));
	rig_send(r, &p, RST | ACK, NULL, 0);
	assert_int_equal(o.err, -ECONNREFUSED);
}

/* The container opens the same pair at the same time (RFC 9293 3.5, figure 7):
 * its answer to our SYN opens both. */
static void test_both_open_at_once(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[1], 50000, 80);
	struct rig_owner o = {0};

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_take_syn(r, &p);
	p.mss = 100;
	rig_send(r, &p, SYN, NULL, 0);
	assert_int_equal(r->opens, 0);
	assert_int_equal(o.opened + o.closed, 0);
	assert_null(rig_take(r));
	p.mss = 1440;
	rig_send(r, &p, SYN | ACK, NULL, 0);
	p.seq++;
	assert_int_equal(o.opened, 1);
	assert_int_equal(rig_take(r)->ack, p.seq);
	assert_int_equal(stream_unit(o.stream), 65480 / 1440 * 1440);
	rig_close(r, &p, &o);
}

static uint32_t roll(uint32_t *dice)
{
	*dice = *dice * 1664525 + 1013904223;
	return *dice >> 8;
}

static void send_nonsense(struct rig *r, const struct rig_peer *p,
			  uint32_t *dice)
{
	static const int32_t near[] = {0, 0, 0, 1, -1, 2, 1000, 65536};
	struct rig_peer q = *p;
	uint8_t opts[8];

	q.ack += (uint32_t)near[roll(dice) % 8];
	q.wnd = (uint16_t)roll(dice);
	for (size_t i = 0; i < sizeof(opts); i++)
		opts[i] = (uint8_t)(roll(dice) % (i % 4 == 0 ? 6 : 256));
	rig_send_raw(r, &q, (uint8_t)roll(dice) & 0x3f, near[roll(dice) % 8],
		     opts, roll(dice) % 3 * 4, pattern,
		     roll(dice) % 4 ? 0 : roll(dice) % 3000);
}

static void test_nonsense_breaks_nothing(void **state)
{
	struct rig *r = *state;
	uint32_t dice = 4711;

	for (unsigned round = 0; round < 2000; round++) {
		struct rig_peer p = rig_peer(hosts[round % 2],
					     (uint16_t)(1024 + round), 80);
		struct rig_owner o = {.keep_bytes = round % 3 == 0};

		rig_drain(r);
		assert_int_equal(rig_connect(r, &p, &o), 0);
		rig_take_syn(r, &p);
		r->forget = true;
		for (int i = 0; i < 40 && o.stream; i++) {
			send_nonsense(r, &p, &dice);
			if (roll(&dice) % 4 == 0)
				stack_flush(r->st);
			if (o.stream && stream_room(o.stream) > 2000)
				rig_write(r, &o, 2000);
			rig_advance(r, roll(&dice) % 300 * NSEC_PER_MSEC);
		}
		if (o.stream)
			stream_abort(o.stream);
		stack_flush(r->st);
		r->forget = false;
	}
}

/* A RST each, and of our SYN no more copies than there would have been. */
static void test_a_flood_of_wrong_answers_is_not_amplified(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80), liar;
	struct rig_owner o = {0};
	unsigned syns = 0;

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_take_syn(r, &p);
	liar = p;
	for (uint32_t i = 0; i < 1000; i++) {
		liar.ack = p.ack + 7 + i;
		rig_send(r, &liar, i % 2 ? ACK : SYN | ACK, NULL, 0);
	}
	for (size_t i = 0; i < r->sent_count; i++)
		syns += r->sent[i].flags == SYN;
	assert_int_equal(syns, 1 + 7);
	assert_int_equal(r->sent_count, 1000 + syns);
	rig_advance(r, NSEC_PER_SEC);
	assert_int_equal(o.closed, 1);
	assert_int_equal(o.err, -ETIMEDOUT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_an_unreachable_ends_the_attempt),
		CASE(test_a_retransmitted_syn_may_be_complained_of),
		CASE(test_what_quotes_another_segment_is_ignored),
		CASE(test_a_connection_of_the_container_hears_no_icmp),
		CASE(test_a_datagram_that_nobody_takes_is_told),
		CASE(test_a_wrong_acknowledgement_opens_nothing),
		CASE(test_an_answer_that_comes_twice_opens_once),
		CASE(test_tiny_segments_and_windows_are_bounded),
		CASE(test_bytes_in_the_answer_are_sent_again),
		CASE(test_a_reset_must_acknowledge_the_syn),
		CASE(test_both_open_at_once),
		CASE(test_nonsense_breaks_nothing),
		CASE(test_a_flood_of_wrong_answers_is_not_amplified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
