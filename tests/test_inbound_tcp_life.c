/* Clients of published ports: many, in each other's way, and to their end. */
#include "stack/wire.h"
#include "tests/inbound_rig.h"

#include <sys/resource.h>

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

#define CLIENT4  "192.0.2.9"
#define CLIENT6  "2001:db8::9"
#define GATEWAY4 "10.0.2.2"

#define MANY 1000

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
		inbound_rig_served(b, t, &q);
		inbound_rig_served(b, s, &p);
		inbound_rig_pass(b, 2 * NSEC_PER_SEC);
		rig_drain(b->r);
	}
}

/* The owner of a connection and the stack do not hear of its end at the same
 * time. */
static void test_a_port_is_taken_while_either_side_has_it(void **state)
{
	struct inbound_rig *b = *state;
	struct endpoint from = {.port = 5555};
	struct rig_peer p, q;
	struct fake_sock *s = inbound_rig_open(b, CLIENT4, 5555, &p);
	struct fake_sock *t;

	assert_int_equal(addr_parse(CLIENT4, &from.addr), 0);
	t = fake_client(&from);
	/* Reset, and nobody was told yet. */
	rig_send_raw(b->r, &p, RST | ACK, 0, NULL, 0, NULL, 0);
	inbound_tcp_open(b->inbound, t->fd, &from, b->target, INBOUND_PORT);
	q = inbound_rig_syn(b, CLIENT4, 5556);
	inbound_rig_answer(b, &q);
	assert_true(s->was_reset);
	inbound_rig_served(b, t, &q);

	/* Its last FIN is not acknowledged. */
	s = inbound_rig_open(b, CLIENT4, 6666, &p);
	rig_send(b->r, &p, FIN | ACK, NULL, 0);
	p.seq++;
	fake_shutdown(s);
	inbound_rig_turn(b);
	assert_int_equal(s->fd, -1);
	rig_drain(b->r);
	s = inbound_rig_client(b, CLIENT4, 6666);
	q = inbound_rig_syn(b, CLIENT4, 6667);
	inbound_rig_answer(b, &q);
	inbound_rig_served(b, s, &q);
	p.ack++;
	rig_send(b->r, &p, ACK, NULL, 0);
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
		inbound_rig_served(b, clients[i], &peers[i]);
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
		inbound_rig_served(b, s[0], &p[0]);
		inbound_rig_served(b, s[1], &p[1]);
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
	inbound_rig_served(b, s, &p);
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

static void test_who_ended_before_the_answer_is_not_kept_for_long(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = inbound_rig_client(b, "192.0.2.1", 5000);

	fake_shutdown(s);
	inbound_rig_turn(b);
	inbound_rig_pass(b, INBOUND_TCP_HURRY / 2);
	assert_true(s->fd >= 0);
	inbound_rig_pass(b, INBOUND_TCP_HURRY / 2);
	assert_true(s->was_reset);
	assert_int_equal(b->unanswered, 1);
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
		T(test_a_port_that_is_taken_is_replaced),
		T(test_a_port_is_taken_while_either_side_has_it),
		T(test_the_search_for_a_free_port_has_an_end),
		T(test_a_thousand_at_once_are_all_served),
		cmocka_unit_test(test_beyond_the_limits_the_newest_is_reset),
		T(test_a_rule_may_go_while_its_clients_wait),
		T(test_the_end_of_all_resets_who_waits_and_who_talks),
		T(test_who_ended_before_the_answer_is_not_kept_for_long),
		T(test_an_end_of_the_container_s_reaches_the_client),
		T(test_a_reset_of_the_client_reaches_the_container),
	};

	return cmocka_run_group_tests(tests, raise_limit, NULL);
}
