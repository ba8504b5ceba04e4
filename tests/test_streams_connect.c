/* The table of connections when the host opens some: pairs that are taken or
 * were, limits, crowds, and what is told about the container. */
#include "stack/wire.h"
#include "tests/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

static const char *const hosts[] = {"192.0.2.1", "2001:db8::1"};

static void test_a_pair_is_connected_once(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_peer q = rig_peer(hosts[0], 50001, 80);
	struct rig_owner o = {0}, o2 = {0}, o3 = {0};

	assert_int_equal(rig_connect(r, &p, &o), 0);
	assert_int_equal(rig_connect(r, &p, &o2), -EADDRINUSE);
	assert_null(o2.stream);
	assert_int_equal(rig_connect(r, &q, &o2), 0);
	assert_int_equal(stack_streams(r->st), 2);
	stream_abort(o.stream);
	stream_abort(o2.stream);
	stack_flush(r->st);
	/* Also by the container. */
	r->next_owner = &o3;
	rig_send(r, &p, SYN, NULL, 0);
	assert_int_equal(rig_connect(r, &p, &o), -EADDRINUSE);
	stream_accept(o3.stream);
	assert_int_equal(rig_connect(r, &p, &o), -EADDRINUSE);
	stream_abort(o3.stream);
}

static void test_what_cannot_answer_is_not_asked(void **state)
{
	static const char *const never[] = {"10.0.3.1",  "10.0.2.2",
					    "127.0.0.1", "224.0.0.1",
					    "0.0.0.0",   "10.0.2.255"};
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);
	struct rig_owner o = {0};

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		assert_int_equal(addr_parse(never[i], &p.self.addr), 0);
		assert_int_equal(rig_connect(r, &p, &o), -EHOSTUNREACH);
	}
	p = rig_peer(hosts[1], 0, 80);
	assert_int_equal(rig_connect(r, &p, &o), -EHOSTUNREACH);
	p = rig_peer(hosts[1], 50000, 0);
	assert_int_equal(rig_connect(r, &p, &o), -EHOSTUNREACH);
	assert_int_equal(r->sent_count, 0);
	assert_int_equal(stack_streams(r->st), 0);
}

static void test_the_limits_hold(void **state)
{
	struct rig *r = rig_new_with(&(struct rig_options){
		.offload = true,
		.mtu = RIG_MTU,
		.flow_limit = 64u << 10,
		.memory_limit = 1u << 20,
		.max_streams = 3,
	});
	struct rig_owner o[4];
	struct chunk *hoard[64];
	size_t n = 0;

	memset(o, 0, sizeof(o));
	for (unsigned i = 0; i < 4; i++) {
		struct rig_peer p =
			rig_peer(hosts[0], (uint16_t)(50000 + i), 80);

		assert_int_equal(rig_connect(r, &p, &o[i]),
				 i < 3 ? 0 : -ENOSPC);
	}
	for (unsigned i = 0; i < 3; i++)
		stream_abort(o[i].stream);
	stack_flush(r->st);
	while (n < 64 && !chunk_pool_pressed(stack_pool(r->st)))
		hoard[n++] = chunk_new_beyond(stack_pool(r->st), CHUNK_ROOM);
	assert_true(n < 64);
	assert_int_equal(rig_connect(r, &(struct rig_peer){0}, &o[0]),
			 -EHOSTUNREACH);
	{
		struct rig_peer p = rig_peer(hosts[0], 50000, 80);

		assert_int_equal(rig_connect(r, &p, &o[0]), -ENOSPC);
	}
	while (n > 0)
		chunk_put(hoard[--n]);
	*state = r;
	rig_teardown(state);
}

/* Both ends close at once, so both stay in TIME_WAIT. The container's takes a
 * SYN only beyond the old connection's bytes (RFC 9293 3.6.1), however fast
 * they went. */
static void test_time_wait_gives_way_with_a_newer_number(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80);

	for (int round = 0; round < 5; round++) {
		struct rig_owner o = {0}, again = {0};

		rig_open_inbound(r, &p, &o);
		for (int i = 0; i < 40; i++) {
			rig_write(r, &o, 60000);
			rig_ack_all(r, &p);
			rig_drain(r);
		}
		stream_shutdown(o.stream);
		rig_send(r, &p, FIN | ACK, NULL, 0);
		p.seq++;
		stream_release(o.stream);
		rig_ack_all(r, &p);
		assert_int_equal(stack_streams(r->st), 1);
		rig_drain(r);
		{
			struct rig_peer q = p;

			q.seq += 100000;
			assert_int_equal(rig_connect(r, &q, &again), 0);
			rig_take_syn(r, &q);
			assert_in_range(q.ack - p.ack, 2, INT32_MAX);
			assert_int_equal(r->sent_count, 1); /* no RST */
			rig_send(r, &q, SYN | ACK, NULL, 0);
			q.seq++;
			p = q;
		}
		assert_int_equal(again.opened, 1);
		assert_int_equal(stack_streams(r->st), 1);
		stream_abort(again.stream);
		rig_advance(r, NSEC_PER_SEC);
	}
}

/* Nothing is left on our side when the container closed first: then the clock
 * has to be ahead of what was sent. */
static void test_the_clock_outruns_the_connection_before(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[1], 50000, 80);

	for (int round = 0; round < 20; round++) {
		struct rig_owner o = {0};
		uint32_t before = p.ack;

		rig_open_inbound(r, &p, &o);
		if (round > 0)
			assert_in_range(p.ack - before, 2, INT32_MAX);
		for (int i = 0; i < 15; i++) {
			rig_write(r, &o, 60000);
			rig_ack_all(r, &p);
			rig_drain(r);
		}
		rig_close(r, &p, &o);
		rig_advance(r, 100 * NSEC_PER_MSEC);
		p.seq += 100000;
	}
}

/* Where it is not, Linux answers the SYN in TIME_WAIT with an ACK, takes the
 * RST, and the SYN comes once more. */
static void test_an_old_acknowledgement_is_reset_and_tried_again(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 50000, 80), old;
	struct rig_owner o = {0};

	assert_int_equal(rig_connect(r, &p, &o), 0);
	rig_take_syn(r, &p);
	old = p;
	old.ack += 1000000;
	old.seq = 777;
	rig_send(r, &old, ACK, NULL, 0);
	assert_int_equal(r->sent_count, 3);
	assert_true(r->sent[1].flags & RST);
	assert_int_equal(r->sent[1].seq, old.ack);
	assert_int_equal(r->sent[2].flags, SYN);
	assert_int_equal(r->sent[2].seq + 1, p.ack);
	assert_int_equal(o.closed, 0);
	rig_drain(r);
	rig_send(r, &p, SYN | ACK, NULL, 0);
	p.seq++;
	assert_int_equal(o.opened, 1);
	rig_close(r, &p, &o);
}

static const uint8_t nobody[WIRE_MAC_LEN];
static const uint8_t everybody[WIRE_MAC_LEN] = {255, 255, 255, 255, 255, 255};
static const uint8_t known[WIRE_MAC_LEN] = {2, 1, 2, 3, 4, 5};

/* A container that was told its address sends nothing before it is asked. */
static void test_the_first_syn_goes_to_the_mac_that_is_known(void **state)
{
	static const struct {
		const uint8_t *peer, *want;
	} cases[] = {{known, known}, {nobody, everybody}, {NULL, everybody}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *r = rig_new_with(&(struct rig_options){
			.offload = true,
			.mtu = RIG_MTU,
			.flow_limit = 64u << 10,
			.memory_limit = 1u << 20,
			.peer = cases[i].peer,
		});
		struct rig_peer p = rig_peer(hosts[0], 50000, 80);
		struct rig_owner o = {0};

		assert_int_equal(rig_connect(r, &p, &o), 0);
		assert_memory_equal(rig_take_syn(r, &p)->frame, cases[i].want,
				    WIRE_MAC_LEN);
		stream_abort(o.stream);
		*state = r;
		rig_teardown(state);
	}
}

static void test_the_container_is_where_it_was_seen_last(void **state)
{
	struct rig *r = *state;
	struct in6_addr a;

	assert_false(stack_guest(r->st, true, &a));
	assert_false(stack_guest(r->st, false, &a));
	for (size_t i = 0; i < 2; i++) {
		struct rig_peer p = rig_peer(hosts[i], 80, 40000);

		rig_send(r, &p, ACK, NULL, 0);
		assert_true(stack_guest(r->st, i == 0, &a));
		assert_true(addr_equal(&a, &p.self.addr));
		/* Seen, but not within the plan. */
		assert_int_equal(addr_parse(i == 0 ? "10.0.3.9" : "fd01::9",
					    &p.self.addr),
				 0);
		rig_send(r, &p, ACK, NULL, 0);
		assert_true(stack_guest(r->st, i == 0, &a));
		assert_false(addr_equal(&a, &p.self.addr));
	}
}

static void open_and_close_many(struct rig *r, unsigned n)
{
	struct rig_owner *owners = calloc(n, sizeof(*owners));
	struct rig_peer p = rig_peer(hosts[0], 1024, 80);
	uint64_t worst = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t before = stack_steps(r->st);

		p.remote.port = (uint16_t)(1024 + i);
		rig_open_inbound(r, &p, &owners[i]);
		before = stack_steps(r->st) - before;
		worst = before > worst ? before : worst;
	}
	assert_int_equal(stack_streams(r->st), n);
	assert_true(worst <= 10);
	/* An idle crowd has no clock. */
	assert_true(stack_deadline(r->st) > r->now + 60 * NSEC_PER_SEC);
	r->forget = true;
	for (unsigned i = 0; i < n; i++)
		stream_abort(owners[i].stream);
	stack_flush(r->st);
	r->forget = false;
	assert_int_equal(stack_streams(r->st), 0);
	assert_int_equal(stack_pool(r->st)->in_use, 0);
	free(owners);
}

static void test_the_ten_thousandth_costs_what_the_first_does(void **state)
{
	open_and_close_many(*state, 10000);
	open_and_close_many(*state, 10000);
}

static void test_many_that_are_never_answered_all_end(void **state)
{
	const unsigned n = 10000;
	struct rig *r = *state;
	struct rig_owner *owners = calloc(n, sizeof(*owners));
	struct rig_peer p = rig_peer(hosts[1], 1024, 80);

	r->forget = true;
	for (unsigned i = 0; i < n; i++) {
		p.remote.port = (uint16_t)(1024 + i);
		assert_int_equal(rig_connect(r, &p, &owners[i]), 0);
	}
	assert_int_equal(stack_streams(r->st), n);
	rig_advance(r, 128 * NSEC_PER_SEC);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(owners[i].err, -ETIMEDOUT);
	assert_int_equal(stack_streams(r->st), 0);
	free(owners);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_pair_is_connected_once),
		CASE(test_what_cannot_answer_is_not_asked),
		cmocka_unit_test(test_the_limits_hold),
		CASE(test_time_wait_gives_way_with_a_newer_number),
		CASE(test_the_clock_outruns_the_connection_before),
		CASE(test_an_old_acknowledgement_is_reset_and_tried_again),
		cmocka_unit_test(
			test_the_first_syn_goes_to_the_mac_that_is_known),
		CASE(test_the_container_is_where_it_was_seen_last),
		CASE(test_the_ten_thousandth_costs_what_the_first_does),
		CASE(test_many_that_are_never_answered_all_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
