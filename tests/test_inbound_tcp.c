/* Clients of published ports, from their accept() to the container's answer or
 * refusal. */
#include "stack/wire.h"
#include "tests/inbound_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

#define CLIENT4  "192.0.2.9"
#define CLIENT6  "2001:db8::9"
#define GATEWAY4 "10.0.2.2"
#define GATEWAY6 "fd00::2"

#define MANY 1000

static void assert_served(struct inbound_rig *b, struct fake_sock *s,
			  struct rig_peer *p)
{
	char buf[16];

	assert_int_equal(fake_write(s, "ping", 4), 4);
	inbound_rig_turn(b);
	assert_int_equal(rig_ack_all(b->r, p), 4);
	rig_send(b->r, p, ACK, "pong!", 5);
	p->seq += 5;
	inbound_rig_turn(b);
	assert_int_equal(fake_read(s, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "pong!", 5);
	inbound_rig_close(b, s, p);
}

static void test_a_client_is_seen_as_itself(void **state)
{
	struct inbound_rig *b = *state;
	struct rig_peer p;
	struct fake_sock *s = inbound_rig_open(b, CLIENT4, 5555, &p);

	assert_served(b, s, &p);
	s = inbound_rig_open(b, CLIENT6, 5555, &p);
	assert_served(b, s, &p);
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
		assert_served(b, s, &p);
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
		assert_served(b, s, &p);
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
	assert_served(b, s, &p);

	rig_drain(b->r);
	s = inbound_rig_client(b, "::1", 5556);
	p = inbound_rig_syn(b, GATEWAY4, 5556);
	inbound_rig_answer(b, &p);
	assert_int_equal(inbound_rig_syns(b), 1);
	assert_served(b, s, &p);

	inbound_rig_pass(b, TARGET_MEMORY);
	rig_drain(b->r);
	s = inbound_rig_client(b, "::1", 5557);
	p = inbound_rig_syn(b, GATEWAY6, 5557);
	inbound_rig_answer(b, &p);
	assert_int_equal(inbound_rig_syns(b), 1);
	assert_served(b, s, &p);
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

static void
test_an_address_that_no_container_may_have_is_passed_over(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s;
	struct rig_peer p;

	assert_int_equal(addr_parse("2001:db8::1", &b->guest.plan.guest6), 0);
	s = inbound_rig_client(b, CLIENT6, 5555);
	p = inbound_rig_syn(b, GATEWAY4, 5555);
	inbound_rig_answer(b, &p);
	assert_served(b, s, &p);
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
	assert_served(b, s, &p);
}

static void test_a_container_that_never_answers_ends_in_a_reset(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, CLIENT6, 5555);

	inbound_rig_pass(b, INBOUND_TCP_WAIT);
	inbound_rig_pass(b, 5 * NSEC_PER_SEC);
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
	assert_served(b, s, &p);
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

/* On IPv4 and on IPv6 a client has the same port; in the container both are the
 * gateway. */
static void test_a_port_that_is_taken_is_replaced(void **state)
{
	static const uint16_t ports[][2] = {
		{5000, 5001}, {UINT16_MAX, 1024}, {80, 1024}};
	struct inbound_rig *b = *state;

	b->guest.has6 = false;
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		uint16_t port = ports[i][0];
		struct fake_sock *s = inbound_rig_client(b, "127.0.0.1", port);
		struct fake_sock *t = inbound_rig_client(b, "::1", port);
		struct rig_peer p = inbound_rig_syn(b, GATEWAY4, port);
		struct rig_peer q = inbound_rig_syn(b, GATEWAY4, ports[i][1]);

		inbound_rig_answer(b, &p);
		inbound_rig_answer(b, &q);
		assert_served(b, t, &q);
		assert_served(b, s, &p);
		inbound_rig_pass(b, 2 * NSEC_PER_SEC);
		rig_drain(b->r);
	}
}

static void test_the_search_for_a_free_port_has_an_end(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *clients[MANY];
	unsigned served = 0;

	for (int i = 0; i < MANY; i++)
		clients[i] = inbound_rig_client(b, CLIENT4, 5000);
	for (int i = 0; i < MANY; i++)
		served += !clients[i]->was_reset;
	assert_in_range(served, 100, MANY / 2);
	assert_int_equal(b->host.count[RELAY_COUNT_DROP_LIMIT], MANY - served);
	assert_int_equal(b->unanswered, 0);
	for (int i = 0; i < MANY; i++) {
		if (!clients[i]->was_reset)
			fake_reset(clients[i]);
	}
	inbound_rig_turn(b);
}

static void test_a_thousand_at_once_are_all_served(void **state)
{
	struct inbound_rig *b = *state;
	static struct fake_sock *clients[MANY];
	static struct rig_peer peers[MANY];

	for (uint16_t i = 0; i < MANY; i++)
		clients[i] =
			inbound_rig_client(b, CLIENT4, (uint16_t)(20000 + i));
	for (uint16_t i = 0; i < MANY; i++)
		peers[i] = inbound_rig_syn(b, CLIENT4, (uint16_t)(20000 + i));
	for (int i = 0; i < MANY; i++) {
		rig_send_raw(b->r, &peers[i], SYN | ACK, 0, NULL, 0, NULL, 0);
		peers[i].seq++;
	}
	inbound_rig_turn(b);
	assert_int_equal(flow_count(b->host.flows, FLOW_TCP), MANY);
	rig_drain(b->r);
	for (int i = 0; i < MANY; i++) {
		assert_served(b, clients[i], &peers[i]);
		rig_drain(b->r);
	}
	assert_int_equal(inbound_rig_syns(b), 0);
}

static void test_beyond_the_limits_the_newest_is_reset(void **state)
{
	static const unsigned limits[][2] = {{2, 100}, {100, 2}};

	for (size_t i = 0; i < 2; i++) {
		struct inbound_rig *b =
			inbound_rig_new(limits[i][0], limits[i][1]);
		struct fake_sock *s[3];
		struct rig_peer p[2];

		s[0] = inbound_rig_open(b, CLIENT4, 5555, &p[0]);
		s[1] = inbound_rig_open(b, CLIENT4, 5556, &p[1]);
		s[2] = inbound_rig_client(b, CLIENT4, 5557);
		assert_true(s[2]->was_reset);
		assert_int_equal(inbound_rig_syns(b), 0);
		/* Nobody can tell whether somebody listens. */
		assert_int_equal(b->unanswered, 0);
		assert_served(b, s[0], &p[0]);
		assert_served(b, s[1], &p[1]);
		inbound_rig_free(b);
	}
}

static void test_a_rule_may_go_while_its_clients_wait(void **state)
{
	struct inbound_rig *b = *state;
	struct target *t = target_new(&in6addr_any, &b->guest);
	struct endpoint from = {.port = 5555};
	struct fake_sock *s;
	struct rig_peer p;

	assert_int_equal(addr_parse(CLIENT6, &from.addr), 0);
	s = fake_client(&from);
	inbound_tcp_open(b->inbound, s->fd, &from, t, INBOUND_PORT);
	target_put(t);
	p = inbound_rig_syn(b, CLIENT6, 5555);
	inbound_rig_refuse(b, &p);
	p = inbound_rig_syn(b, GATEWAY4, 5555);
	inbound_rig_answer(b, &p);
	assert_served(b, s, &p);
}

static void test_the_end_of_all_resets_who_waits_and_who_talks(void **state)
{
	struct inbound_rig *b = *state;
	struct rig_peer p;
	struct fake_sock *talks = inbound_rig_open(b, CLIENT4, 5555, &p);
	struct fake_sock *waits = inbound_rig_client(b, CLIENT4, 5556);

	inbound_rig_syn(b, CLIENT4, 5556);
	rig_drain(b->r);
	inbound_tcp_free(b->inbound);
	b->inbound = NULL;
	assert_true(talks->was_reset);
	assert_true(waits->was_reset);
	assert_true(rig_take(b->r)->flags & RST);
}

static void test_an_end_of_the_container_s_reaches_the_client(void **state)
{
	struct inbound_rig *b = *state;
	struct rig_peer p;
	struct fake_sock *s = inbound_rig_open(b, CLIENT6, 5555, &p);
	char buf[16];

	rig_send(b->r, &p, RST | ACK, NULL, 0);
	inbound_rig_turn(b);
	assert_true(s->was_reset);

	/* FIN, and then the client has still something to say. */
	s = inbound_rig_open(b, CLIENT6, 5556, &p);
	rig_send(b->r, &p, FIN | ACK, NULL, 0);
	p.seq++;
	inbound_rig_pass(b, 100 * NSEC_PER_SEC);
	assert_int_equal(fake_read(s, buf, sizeof(buf)), 0);
	assert_int_equal(fake_write(s, "late", 4), 4);
	inbound_rig_turn(b);
	assert_int_equal(rig_ack_all(b->r, &p), 4);
	fake_shutdown(s);
	inbound_rig_turn(b);
	rig_ack_all(b->r, &p);
	assert_int_equal(s->fd, -1);
	assert_false(s->was_reset);
}

static void test_a_reset_of_the_client_reaches_the_container(void **state)
{
	struct inbound_rig *b = *state;
	struct rig_peer p;
	struct fake_sock *s = inbound_rig_open(b, CLIENT6, 5555, &p);

	fake_reset(s);
	inbound_rig_turn(b);
	assert_true(rig_take(b->r)->flags & RST);
	assert_int_equal(flow_count(b->host.flows, FLOW_TCP), 0);
}

static int raise_limit(void **state)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
	if (l.rlim_cur < 4 * MANY)
		l.rlim_cur = l.rlim_max < 4 * MANY ? l.rlim_max : 4 * MANY;
	return setrlimit(RLIMIT_NOFILE, &l);
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
		T(test_nobody_listens_and_the_client_is_reset),
		T(test_a_container_without_address_refuses_at_once),
		T(test_an_address_that_no_container_may_have_is_passed_over),
		T(test_an_address_that_was_asked_for_has_no_second),
		T(test_who_is_silent_loses_its_turn_to_the_other),
		T(test_a_container_that_never_answers_ends_in_a_reset),
		T(test_a_client_that_leaves_early_leaves_nothing),
		T(test_a_client_that_only_said_all_it_has_is_served),
		T(test_a_container_may_speak_first),
		T(test_an_answer_and_a_reset_at_once_are_no_refusal),
		T(test_a_port_that_is_taken_is_replaced),
		T(test_the_search_for_a_free_port_has_an_end),
		T(test_a_thousand_at_once_are_all_served),
		cmocka_unit_test(test_beyond_the_limits_the_newest_is_reset),
		T(test_a_rule_may_go_while_its_clients_wait),
		T(test_the_end_of_all_resets_who_waits_and_who_talks),
		T(test_an_end_of_the_container_s_reaches_the_client),
		T(test_a_reset_of_the_client_reaches_the_container),
	};

	return cmocka_run_group_tests(tests, raise_limit, NULL);
}
