/* Clients of published ports, from their accept() to the container's answer or
 * refusal. */
#include "stack/wire.h"
#include "tests/inbound_rig.h"

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

#define CLIENT4  "192.0.2.9"
#define CLIENT6  "2001:db8::9"
#define GATEWAY4 "10.0.2.2"
#define GATEWAY6 "fd00::2"

static void test_a_client_is_seen_as_itself(void **state)
{
	struct inbound_rig *b = *state;
	struct rig_peer p;
	struct fake_sock *s = inbound_rig_open(b, CLIENT4, 5555, &p);

	inbound_rig_served(b, s, &p);
	s = inbound_rig_open(b, CLIENT6, 5555, &p);
	inbound_rig_served(b, s, &p);
	assert_int_equal(b->host.count[RELAY_COUNT_INBOUND_OTHER], 0);
	assert_int_equal(b->unanswered, 0);
}

static void test_what_cannot_be_routed_back_is_seen_as_the_gateway(void **state)
{
	static const struct {
		const char *client, *seen;
	} rows[] = {
		{"127.0.0.1", GATEWAY4},   {"::1", GATEWAY6},
		{"10.0.2.100", GATEWAY4},  {"fd00::64", GATEWAY6},
		{"fe80::1:2:3", GATEWAY6},
	};
	struct inbound_rig *b = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_sock *s =
			inbound_rig_client(b, rows[i].client, 5555);
		struct rig_peer p = inbound_rig_syn(b, rows[i].seen, 5555);

		inbound_rig_answer(b, &p);
		inbound_rig_served(b, s, &p);
		rig_drain(b->r);
		inbound_rig_pass(b, 2 * NSEC_PER_SEC);
	}
}

static void test_a_container_of_one_family_serves_both(void **state)
{
	struct inbound_rig *b = *state;

	for (int v4 = 0; v4 < 2; v4++) {
		const char *client = v4 ? CLIENT4 : CLIENT6;
		struct fake_sock *s;
		struct rig_peer p;

		b->guest.has4 = !v4;
		b->guest.has6 = v4;
		s = inbound_rig_client(b, client, 5555);
		p = inbound_rig_syn(b, v4 ? GATEWAY6 : GATEWAY4, 5555);
		inbound_rig_answer(b, &p);
		assert_int_equal(inbound_rig_syns(b), 1);
		inbound_rig_served(b, s, &p);
		rig_drain(b->r);
	}
	assert_int_equal(b->host.count[RELAY_COUNT_INBOUND_OTHER], 2);
}

/* Its service listens in the other family: one more round trip once, none while
 * that is remembered. */
static void test_the_family_that_answered_is_asked_first(void **state)
{
	struct inbound_rig *b = *state;
	struct rig_peer p, refused;
	struct fake_sock *s = inbound_rig_client(b, "::1", 5555);

	assert_int_equal(fake_write(s, "GET", 3), 3);
	refused = inbound_rig_syn(b, GATEWAY6, 5555);
	assert_int_equal(inbound_rig_syns(b), 1);
	inbound_rig_refuse(b, &refused);
	p = inbound_rig_syn(b, GATEWAY4, 5555);
	inbound_rig_answer(b, &p);
	assert_int_equal(inbound_rig_syns(b), 2);
	assert_int_equal(rig_ack_all(b->r, &p), 3);
	inbound_rig_served(b, s, &p);

	rig_drain(b->r);
	s = inbound_rig_client(b, "::1", 5556);
	p = inbound_rig_syn(b, GATEWAY4, 5556);
	inbound_rig_answer(b, &p);
	assert_int_equal(inbound_rig_syns(b), 1);
	inbound_rig_served(b, s, &p);

	inbound_rig_pass(b, TARGET_MEMORY);
	rig_drain(b->r);
	s = inbound_rig_client(b, "::1", 5557);
	p = inbound_rig_syn(b, GATEWAY6, 5557);
	inbound_rig_answer(b, &p);
	assert_int_equal(inbound_rig_syns(b), 1);
	inbound_rig_served(b, s, &p);
}

static void assert_flow(struct inbound_rig *b, const struct rig_peer *p,
			enum flow_state state)
{
	struct flow_key key = {FLOW_TCP, p->self, p->remote};
	struct flow *f = flow_find(b->host.flows, &key);

	assert_non_null(f);
	assert_int_equal(f->state, state);
	assert_int_equal(flow_count(b->host.flows, FLOW_TCP), 1);
}

static void test_a_client_is_the_flow_that_the_container_sees(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, CLIENT6, 5555);
	struct rig_peer p = inbound_rig_syn(b, CLIENT6, 5555);

	assert_flow(b, &p, FLOW_ASKING);
	inbound_rig_refuse(b, &p);
	p = inbound_rig_syn(b, GATEWAY4, 5555);
	assert_flow(b, &p, FLOW_ASKING);
	inbound_rig_answer(b, &p);
	assert_flow(b, &p, FLOW_OPEN);
	fake_shutdown(s);
	inbound_rig_turn(b);
	assert_flow(b, &p, FLOW_HALF);
	inbound_rig_close(b, s, &p);
}

static void test_nobody_listens_and_the_client_is_reset(void **state)
{
	struct inbound_rig *b = *state;

	for (int v4 = 0; v4 < 2; v4++) {
		const char *first = v4 ? CLIENT4 : CLIENT6;
		const char *second = v4 ? GATEWAY6 : GATEWAY4;
		struct fake_sock *s = inbound_rig_client(b, first, 5555);
		struct rig_peer p = inbound_rig_syn(b, first, 5555);

		assert_int_equal(fake_write(s, "GET", 3), 3);
		inbound_rig_refuse(b, &p);
		assert_int_equal(b->unanswered, v4);
		assert_false(s->was_reset);
		p = inbound_rig_syn(b, second, 5555);
		inbound_rig_refuse(b, &p);
		assert_true(s->was_reset);
		assert_int_equal(b->unanswered, v4 + 1);
		assert_int_equal(b->unanswered_port, INBOUND_PORT);
		assert_null(rig_take(b->r));
	}
	assert_int_equal(b->host.count[RELAY_COUNT_INBOUND_REFUSED], 2);
}

static void test_a_container_without_address_refuses_at_once(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s;

	b->guest.has4 = b->guest.has6 = false;
	s = inbound_rig_client(b, CLIENT4, 5555);
	assert_true(s->was_reset);
	assert_int_equal(b->unanswered, 1);
	assert_int_equal(inbound_rig_syns(b), 0);
}

static void test_an_address_no_container_may_have_is_skipped(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s;
	struct rig_peer p;

	assert_int_equal(addr_parse("2001:db8::1", &b->guest.plan.guest6), 0);
	s = inbound_rig_client(b, CLIENT6, 5555);
	p = inbound_rig_syn(b, GATEWAY4, 5555);
	inbound_rig_answer(b, &p);
	inbound_rig_served(b, s, &p);
}

static void test_an_address_that_was_asked_for_has_no_second(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s;
	struct rig_peer p;

	b->target->addr = b->guest.plan.guest4;
	s = inbound_rig_client(b, CLIENT6, 5555);
	p = inbound_rig_syn(b, GATEWAY4, 5555);
	inbound_rig_refuse(b, &p);
	assert_true(s->was_reset);
	assert_int_equal(inbound_rig_syns(b), 1);
}

/* The turn of an address that is silent ends. */
static void wait_out(struct inbound_rig *b)
{
	rig_advance(b->r, INBOUND_TCP_WAIT);
	rig_drain(b->r);
	inbound_rig_turn(b);
	assert_true(rig_take(b->r)->flags & RST);
}

static void test_who_is_silent_loses_its_turn_to_the_other(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, CLIENT6, 5555);
	struct rig_peer silent = inbound_rig_syn(b, CLIENT6, 5555), p;
	struct rig_segment *again;

	inbound_rig_pass(b, INBOUND_TCP_WAIT - 1);
	while ((again = rig_take(b->r)))
		assert_true(endpoint_equal(&again->src, &silent.remote));
	rig_advance(b->r, 1);
	rig_drain(b->r);
	inbound_rig_turn(b);
	assert_true(rig_take(b->r)->flags & RST);
	p = inbound_rig_syn(b, GATEWAY4, 5555);
	inbound_rig_answer(b, &p);
	/* Too late: a connection that nobody wants. */
	rig_drain(b->r);
	rig_send(b->r, &silent, SYN | ACK, NULL, 0);
	assert_true(rig_take(b->r)->flags & RST);
	inbound_rig_served(b, s, &p);
}

/* Its queue was full, say: that nobody listens in the other family must not cost
 * the client what time would have given it. */
static void test_who_is_merely_slow_has_its_turn_again(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, CLIENT6, 5555);
	struct rig_peer p;

	wait_out(b);
	p = inbound_rig_syn(b, GATEWAY4, 5555);
	inbound_rig_refuse(b, &p);
	assert_false(s->was_reset);
	p = inbound_rig_syn(b, CLIENT6, 5555);
	inbound_rig_pass(b, 2 * INBOUND_TCP_WAIT);
	assert_false(s->was_reset);
	rig_drain(b->r);
	inbound_rig_answer(b, &p);
	assert_int_equal(b->unanswered, 0);
	inbound_rig_served(b, s, &p);
}

static void test_who_was_slow_may_refuse_in_the_end(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, CLIENT6, 5555);
	struct rig_peer p;

	wait_out(b);
	p = inbound_rig_syn(b, GATEWAY4, 5555);
	inbound_rig_refuse(b, &p);
	p = inbound_rig_syn(b, CLIENT6, 5555);
	inbound_rig_refuse(b, &p);
	assert_true(s->was_reset);
	assert_int_equal(b->unanswered, 1);
	assert_int_equal(b->host.count[RELAY_COUNT_INBOUND_REFUSED], 1);
}

static void test_the_last_that_is_asked_may_take_longer(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, CLIENT6, 5555);
	struct rig_peer p = inbound_rig_syn(b, CLIENT6, 5555);

	inbound_rig_refuse(b, &p);
	p = inbound_rig_syn(b, GATEWAY4, 5555);
	inbound_rig_pass(b, INBOUND_TCP_WAIT + NSEC_PER_SEC);
	rig_drain(b->r);
	inbound_rig_answer(b, &p);
	inbound_rig_served(b, s, &p);
}

static void test_a_container_that_never_answers_ends_in_a_reset(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, CLIENT6, 5555);

	inbound_rig_pass(b, INBOUND_TCP_WAIT);
	inbound_rig_pass(b, 126 * NSEC_PER_SEC);
	assert_false(s->was_reset);
	inbound_rig_pass(b, 2 * NSEC_PER_SEC);
	assert_true(s->was_reset);
	assert_int_equal(b->unanswered, 1);
}

static void test_a_client_that_leaves_early_leaves_nothing(void **state)
{
	struct inbound_rig *b = *state;

	for (int second = 0; second < 2; second++) {
		struct fake_sock *s = inbound_rig_client(b, CLIENT6, 5555);
		struct rig_peer p = inbound_rig_syn(b, CLIENT6, 5555);

		if (second) {
			inbound_rig_refuse(b, &p);
			p = inbound_rig_syn(b, GATEWAY4, 5555);
		}
		fake_reset(s);
		inbound_rig_turn(b);
		assert_int_equal(s->fd, -1);
		assert_int_equal(flow_count(b->host.flows, FLOW_TCP), 0);
		rig_drain(b->r);
		rig_send(b->r, &p, SYN | ACK, NULL, 0);
		assert_true(rig_take(b->r)->flags & RST);
		inbound_rig_turn(b);
		rig_drain(b->r);
	}
	assert_int_equal(b->unanswered, 0);
}

static void test_a_client_that_only_said_all_it_has_is_served(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, CLIENT4, 5555);
	struct rig_peer p = inbound_rig_syn(b, CLIENT4, 5555);
	char buf[16];

	assert_int_equal(fake_write(s, "GET", 3), 3);
	fake_shutdown(s);
	inbound_rig_pass(b, NSEC_PER_SEC / 2);
	assert_true(s->fd >= 0);
	inbound_rig_answer(b, &p);
	assert_int_equal(rig_ack_all(b->r, &p), 3);
	assert_true(b->r->sent[b->r->sent_count - 1].flags & FIN);
	rig_send(b->r, &p, ACK, "page", 4);
	p.seq += 4;
	rig_send(b->r, &p, FIN | ACK, NULL, 0);
	inbound_rig_turn(b);
	assert_int_equal(fake_read(s, buf, sizeof(buf)), 4);
	assert_int_equal(fake_read(s, buf, sizeof(buf)), 0);
	assert_false(s->was_reset);
}

static void test_a_container_may_speak_first(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, CLIENT4, 5555);
	struct rig_peer p = inbound_rig_syn(b, CLIENT4, 5555);
	char buf[16];

	/* In one burst with its answer. */
	rig_send_raw(b->r, &p, SYN | ACK, 0, NULL, 0, NULL, 0);
	p.seq++;
	rig_send_raw(b->r, &p, ACK, 0, NULL, 0, "220 hello", 9);
	p.seq += 9;
	inbound_rig_turn(b);
	assert_int_equal(fake_read(s, buf, sizeof(buf)), 9);
	inbound_rig_served(b, s, &p);
}

static void test_an_answer_and_a_reset_at_once_are_no_refusal(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, CLIENT4, 5555);
	struct rig_peer p = inbound_rig_syn(b, CLIENT4, 5555);
	char buf[16];

	rig_send_raw(b->r, &p, SYN | ACK, 0, NULL, 0, NULL, 0);
	p.seq++;
	rig_send_raw(b->r, &p, ACK, 0, NULL, 0, "busy", 4);
	p.seq += 4;
	rig_send_raw(b->r, &p, RST | ACK, 0, NULL, 0, NULL, 0);
	inbound_rig_turn(b);
	assert_int_equal(fake_read(s, buf, sizeof(buf)), 4);
	assert_true(s->was_reset);
	assert_int_equal(inbound_rig_syns(b), 1);
	assert_int_equal(b->unanswered, 0);
}

#define T(f)                                                                   \
	cmocka_unit_test_setup_teardown(f, inbound_rig_setup,                  \
					inbound_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_client_is_seen_as_itself),
		T(test_what_cannot_be_routed_back_is_seen_as_the_gateway),
		T(test_a_container_of_one_family_serves_both),
		T(test_the_family_that_answered_is_asked_first),
		T(test_a_client_is_the_flow_that_the_container_sees),
		T(test_nobody_listens_and_the_client_is_reset),
		T(test_a_container_without_address_refuses_at_once),
		T(test_an_address_no_container_may_have_is_skipped),
		T(test_an_address_that_was_asked_for_has_no_second),
		T(test_who_is_silent_loses_its_turn_to_the_other),
		T(test_who_is_merely_slow_has_its_turn_again),
		T(test_who_was_slow_may_refuse_in_the_end),
		T(test_the_last_that_is_asked_may_take_longer),
		T(test_a_container_that_never_answers_ends_in_a_reset),
		T(test_a_client_that_leaves_early_leaves_nothing),
		T(test_a_client_that_only_said_all_it_has_is_served),
		T(test_a_container_may_speak_first),
		T(test_an_answer_and_a_reset_at_once_are_no_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
