/* TCP from a container's segments to host sockets and back: the real stack and
 * loop, a scripted host. */
#include "port/relay_tcp.h"
#include "port/resolver.h"
#include "stack/wire.h"
#include "tests/fake_hostsock.h"
#include "tests/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

#define HOST "192.0.2.1"

struct bench {
	struct rig *r;
	struct loop *loop;
	struct policy policy;
	struct relay_host host;
	struct relay_tcp *relay;
	struct rig_peer p;
};

static struct bench *the_bench; /* the hooks below have no context */
static nsec_t test_now;

static nsec_t test_clock(void)
{
	return test_now;
}

static void open_hook(struct stack_host *h, struct stream *s)
{
	relay_tcp_open(the_bench->relay, s);
}

/* A resolver of two, in place of port/resolver.c. */
static struct endpoint resolvers[2];
static unsigned reports_bad, reports_ok;
static struct hostsock_source source_for_resolvers;

size_t resolver_list(struct resolver *r, struct endpoint *ret, size_t max,
		     nsec_t now)
{
	ret[0] = resolvers[0];
	ret[1] = resolvers[1];
	return 2;
}

const struct hostsock_source *resolver_source(const struct resolver *r,
					      const struct in6_addr *a)
{
	return &source_for_resolvers;
}

void resolver_report(struct resolver *r, const struct endpoint *e, bool ok,
		     nsec_t now)
{
	*(ok ? &reports_ok : &reports_bad) += 1;
}

static int setup(void **state)
{
	static const unsigned max[FLOW_PROTOS] = {100, 100, 100, 100};
	static const uint64_t secret[2] = {3, 4};
	struct bench *b = calloc(1, sizeof(*b));

	b->r = rig_new();
	test_now = b->r->now;
	b->loop = loop_new(test_clock);
	b->policy = (struct policy){.plan = b->r->plan, .host_loopback = true};
	b->host = (struct relay_host){
		.loop = b->loop,
		.stack = b->r->st,
		.flows = flow_table_new(b->loop, secret, max),
		.policy = &b->policy,
	};
	b->host.source.v4 = addr_from_v4(0);
	b->relay = relay_tcp_new(&b->host, NULL);
	b->r->host.tcp_open = open_hook;
	b->p = rig_peer(HOST, 80, 40000);
	the_bench = b;
	reports_bad = reports_ok = 0;
	fake_start();
	*state = b;
	return 0;
}

/* A turn of the loop at the rig's time, and what the program does around it. */
static void turn(struct bench *b)
{
	test_now = b->r->now;
	assert_int_equal(loop_turn(b->loop, 0), 0);
	stack_flush(b->r->st);
}

static void pass(struct bench *b, nsec_t span)
{
	rig_advance(b->r, span);
	turn(b);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	pass(b, 5 * NSEC_PER_SEC);
	assert_int_equal(flow_count(b->host.flows, FLOW_TCP), 0);
	assert_int_equal(fake_open(), 0);
	assert_int_equal(stack_streams(b->r->st), 0);
	relay_tcp_free(b->relay);
	turn(b);
	flow_table_free(b->host.flows);
	loop_free(b->loop);
	rig_free(b->r);
	fake_finish();
	free(b);
	return 0;
}

/* An established connection; the fake host's end of it. */
static struct fake_sock *open_one(struct bench *b)
{
	struct rig_segment *s;

	rig_drain(b->r);
	rig_send(b->r, &b->p, SYN, NULL, 0);
	turn(b);
	s = rig_take(b->r);
	assert_non_null(s);
	assert_int_equal(s->flags, SYN | ACK);
	b->p.seq++;
	b->p.ack = s->seq + 1;
	rig_send(b->r, &b->p, ACK, NULL, 0);
	turn(b);
	rig_drain(b->r);
	return fake_last();
}

static void container_fin(struct bench *b)
{
	rig_send(b->r, &b->p, FIN | ACK, NULL, 0);
	b->p.seq++;
	turn(b);
}

static void host_fin(struct bench *b, struct fake_sock *s)
{
	fake_shutdown(s);
	turn(b);
	rig_ack_all(b->r, &b->p);
	turn(b);
}

static void test_no_syn_ack_before_the_host_accepted(void **state)
{
	struct bench *b = *state;
	struct endpoint to = b->p.remote;

	fake_script(&to, FAKE_LATER, 0);
	rig_send(b->r, &b->p, SYN, NULL, 0);
	pass(b, 20 * NSEC_PER_SEC);
	assert_null(rig_take(b->r));
	assert_true(endpoint_equal(&fake_last()->to, &to));
	fake_accept(fake_last());
	turn(b);
	assert_int_equal(rig_take(b->r)->flags, SYN | ACK);
	b->p.seq++;
	rig_send(b->r, &b->p, RST, NULL, 0);
}

static void test_each_failure_of_connect_is_passed_on(void **state)
{
	static const struct {
		int err;
		bool rst, icmp;
	} cases[] = {
		{ECONNREFUSED, true, false}, {ENETUNREACH, false, true},
		{EHOSTUNREACH, false, true}, {ETIMEDOUT, false, false},
		{EMFILE, true, false},       {ENOBUFS, true, false},
		{EAFNOSUPPORT, false, true}, {EADDRNOTAVAIL, false, true},
		{ENETDOWN, false, true},     {EHOSTDOWN, false, true},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		fake_script(&b->p.remote,
			    i % 2 ? FAKE_FAIL_NOW : FAKE_FAIL_LATER,
			    cases[i / 2].err);
		rig_drain(b->r);
		b->r->other_len = 0;
		rig_send(b->r, &b->p, SYN, NULL, 0);
		turn(b);
		assert_int_equal(b->r->sent_count, cases[i / 2].rst);
		if (cases[i / 2].rst)
			assert_int_equal(b->r->sent[0].flags, RST | ACK);
		assert_int_equal(b->r->other_len != 0, cases[i / 2].icmp);
		assert_int_equal(flow_count(b->host.flows, FLOW_TCP), 0);
	}
}

static void test_out_of_descriptors_only_the_new_one_suffers(void **state)
{
	struct bench *b = *state;
	struct fake_sock *s = open_one(b);
	struct rig_peer old = b->p;

	fake_no_sockets(EMFILE);
	b->p = rig_peer(HOST, 80, 40001);
	rig_send(b->r, &b->p, SYN, NULL, 0);
	assert_int_equal(rig_take(b->r)->flags, RST | ACK);
	fake_no_sockets(0);
	b->p = old;
	assert_int_equal(fake_write(s, "still", 5), 5);
	turn(b);
	assert_int_equal(rig_ack_all(b->r, &b->p), 5);
	host_fin(b, s);
	container_fin(b);
}

static void test_bytes_pass_both_ways(void **state)
{
	struct bench *b = *state;
	struct fake_sock *s = open_one(b);
	char buf[16];

	rig_send(b->r, &b->p, ACK, "ping", 4);
	b->p.seq += 4;
	assert_int_equal(fake_read(s, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "ping", 4);
	assert_int_equal(fake_write(s, "pong!", 5), 5);
	turn(b);
	assert_memory_equal(b->r->sent[b->r->sent_count - 1].payload, "pong!",
			    5);
	rig_ack_all(b->r, &b->p);
	container_fin(b);
	assert_int_equal(fake_read(s, buf, sizeof(buf)), 0);
	host_fin(b, s);
}

static void test_half_close_leaves_the_other_way_open(void **state)
{
	struct bench *b = *state;

	for (int host_first = 0; host_first < 2; host_first++) {
		struct fake_sock *s = open_one(b);
		char buf[16];

		if (host_first)
			host_fin(b, s);
		else
			container_fin(b);
		pass(b, 100 * NSEC_PER_SEC);
		assert_int_equal(flow_count(b->host.flows, FLOW_TCP), 1);
		if (host_first) {
			rig_send(b->r, &b->p, ACK, "late", 4);
			b->p.seq += 4;
			turn(b);
			assert_int_equal(fake_read(s, buf, 16), 4);
			container_fin(b);
		} else {
			assert_int_equal(fake_read(s, buf, 16), 0);
			assert_int_equal(fake_write(s, "late", 4), 4);
			turn(b);
			assert_int_equal(rig_ack_all(b->r, &b->p), 4);
			host_fin(b, s);
		}
		turn(b);
		assert_int_equal(flow_count(b->host.flows, FLOW_TCP), 0);
		assert_false(s->was_reset);
		pass(b, 2 * NSEC_PER_SEC);
		b->p = rig_peer(HOST, 80, (uint16_t)(40001 + host_first));
	}
}

static void test_a_reset_of_the_host_resets_the_container(void **state)
{
	struct bench *b = *state;
	struct fake_sock *s = open_one(b);

	fake_reset(s);
	turn(b);
	turn(b);
	assert_true(b->r->sent_count > 0);
	assert_true(b->r->sent[b->r->sent_count - 1].flags & RST);
	assert_int_equal(flow_count(b->host.flows, FLOW_TCP), 0);
}

static void test_a_reset_of_the_container_resets_the_host(void **state)
{
	struct bench *b = *state;
	struct fake_sock *s = open_one(b);

	rig_send(b->r, &b->p, RST | ACK, NULL, 0);
	turn(b);
	assert_true(s->was_reset);
}

static void test_bytes_before_a_reset_reach_the_host(void **state)
{
	struct bench *b = *state;
	struct fake_sock *s = open_one(b);
	char buf[16];

	rig_send_raw(b->r, &b->p, ACK, 0, NULL, 0, "last words", 10);
	b->p.seq += 10;
	rig_send(b->r, &b->p, RST | ACK, NULL, 0);
	turn(b);
	assert_true(s->was_reset);
	assert_int_equal(fake_read(s, buf, sizeof(buf)), 10);
}

static void test_a_slow_host_gets_every_byte_and_the_window_shuts(void **state)
{
	struct bench *b = *state;
	struct fake_sock *s = open_one(b);
	static uint8_t bytes[200000], got[200000];
	size_t sent = 0, read = 0;
	uint32_t window = 0xffff;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 11 + i / 253);
	fake_limit(s, 0);
	while (sent < sizeof(bytes)) {
		size_t n = sizeof(bytes) - sent;

		n = n < 50000 ? n : 50000;
		assert_true(window >= n);
		rig_send(b->r, &b->p, ACK, bytes + sent, n);
		b->p.seq += (uint32_t)n;
		sent += n;
		window = b->r->sent[b->r->sent_count - 1].wnd << 7;
	}
	pass(b, 30 * NSEC_PER_SEC);
	assert_in_range(window, (255u << 10) - sizeof(bytes),
			(256u << 10) - sizeof(bytes));
	container_fin(b);
	fake_limit(s, 777);
	while (read < sizeof(bytes)) {
		ssize_t n;

		turn(b);
		n = fake_read(s, got + read, sizeof(got) - read);
		assert_true(n > 0 || n == -EAGAIN);
		read += n > 0 ? (size_t)n : 0;
	}
	assert_memory_equal(got, bytes, sizeof(bytes));
	turn(b);
	assert_int_equal(fake_read(s, got, 1), 0);
	host_fin(b, s);
}

static void test_a_slow_container_stops_the_reading(void **state)
{
	struct bench *b = *state;
	struct fake_sock *s = open_one(b);
	static uint8_t bytes[65536];
	size_t written = 0, got = 0, n;

	rig_shut_window(b->r, &b->p);
	while ((n = fake_write(s, bytes, sizeof(bytes))) > 0) {
		written += n;
		turn(b);
	}
	for (int i = 0; i < 10; i++)
		turn(b);
	assert_true(stack_pool(b->r->st)->in_use <= 2 * CHUNK_ROOM);
	for (int i = 0; i < 30; i++) {
		pass(b, NSEC_PER_SEC);
		while (rig_take(b->r))
			rig_send(b->r, &b->p, ACK, NULL, 0);
	}
	b->p.wnd = 0xffff;
	rig_send(b->r, &b->p, ACK, NULL, 0);
	for (int i = 0; i < 1000 && got < written; i++) {
		uint32_t before = b->p.ack;

		turn(b);
		rig_ack_all(b->r, &b->p);
		got += b->p.ack - before;
		rig_drain(b->r);
	}
	assert_int_equal(got, written);
	host_fin(b, s);
	container_fin(b);
}

static void test_the_alias_tries_the_next_resolver(void **state)
{
	struct bench *b = *state;

	addr_parse("192.0.2.53", &resolvers[0].addr);
	addr_parse("192.0.2.54", &resolvers[1].addr);
	resolvers[0].port = resolvers[1].port = 53;
	addr_parse("127.0.0.77", &source_for_resolvers.v4);
	for (int refused = 0; refused < 2; refused++) {
		b->p = rig_peer("10.0.2.3", 53, (uint16_t)(41000 + refused));
		fake_script(&resolvers[0],
			    refused ? FAKE_FAIL_LATER : FAKE_LATER,
			    ECONNREFUSED);
		rig_drain(b->r);
		rig_send(b->r, &b->p, SYN, NULL, 0);
		turn(b);
		if (!refused) {
			assert_null(rig_take(b->r));
			pass(b, RELAY_TCP_DNS_WAIT);
		}
		turn(b);
		assert_true(endpoint_equal(&fake_last()->to, &resolvers[1]));
		assert_true(addr_equal(&fake_last()->from.v4,
				       &source_for_resolvers.v4));
		assert_int_equal(rig_take(b->r)->flags, SYN | ACK);
		b->p.seq++;
		rig_send(b->r, &b->p, RST, NULL, 0);
		turn(b);
	}
	assert_int_equal(reports_bad, 2);
	assert_int_equal(reports_ok, 2);
}

static void test_targets_nobody_may_ask_for_make_no_socket(void **state)
{
	struct bench *b = *state;

	b->policy.host_loopback = false;
	b->p = rig_peer("10.0.2.2", 80, 40000);
	rig_send(b->r, &b->p, SYN, NULL, 0);
	turn(b);
	assert_int_equal(fake_made(), 0);
	assert_int_equal(b->r->other[14 + 20], 3); /* net unreachable */
	assert_int_equal(b->r->other[14 + 21], 0);
}

static void test_too_many_connections_refuse_the_newest(void **state)
{
	struct bench *b = *state;

	for (uint16_t i = 0; i < 101; i++) {
		b->p = rig_peer(HOST, 80, (uint16_t)(1000 + i));
		rig_send(b->r, &b->p, SYN, NULL, 0);
	}
	assert_int_equal(fake_made(), 100);
	assert_int_equal(b->r->sent[b->r->sent_count - 1].flags, RST | ACK);
	turn(b);
	for (uint16_t i = 0; i < 100; i++) {
		b->p = rig_peer(HOST, 80, (uint16_t)(1000 + i));
		b->p.seq++;
		rig_send(b->r, &b->p, RST, NULL, 0);
	}
	turn(b);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_no_syn_ack_before_the_host_accepted),
		CASE(test_each_failure_of_connect_is_passed_on),
		CASE(test_out_of_descriptors_only_the_new_one_suffers),
		CASE(test_bytes_pass_both_ways),
		CASE(test_half_close_leaves_the_other_way_open),
		CASE(test_a_reset_of_the_host_resets_the_container),
		CASE(test_a_reset_of_the_container_resets_the_host),
		CASE(test_bytes_before_a_reset_reach_the_host),
		CASE(test_a_slow_host_gets_every_byte_and_the_window_shuts),
		CASE(test_a_slow_container_stops_the_reading),
		CASE(test_the_alias_tries_the_next_resolver),
		CASE(test_targets_nobody_may_ask_for_make_no_socket),
		CASE(test_too_many_connections_refuse_the_newest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
