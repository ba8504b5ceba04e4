#include "tests/inbound_rig.h"

#include "stack/wire.h"

#include <stdlib.h>

static nsec_t test_now; /* loop_new()'s clock has no context */

static nsec_t test_clock(void)
{
	return test_now;
}

static void on_unanswered(struct target *t, uint16_t port)
{
	struct inbound_rig *b = t->arg;

	b->unanswered++;
	b->unanswered_port = port;
}

struct inbound_rig *inbound_rig_new(unsigned max_flows, unsigned max_streams)
{
	static const uint64_t secret[2] = {3, 4};
	unsigned max[FLOW_PROTOS] = {[FLOW_TCP] = max_flows};
	struct inbound_rig *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->r = rig_new_with(&(struct rig_options){.offload = true,
						  .mtu = RIG_MTU,
						  .flow_limit = 1u << 20,
						  .memory_limit = 64u << 20,
						  .max_streams = max_streams});
	test_now = b->r->now;
	b->loop = loop_new(test_clock);
	b->policy = (struct policy){.plan = b->r->plan, .host_loopback = true};
	b->host = (struct relay_host){
		.loop = b->loop,
		.stack = b->r->st,
		.flows = flow_table_new(b->loop, secret, max),
		.policy = &b->policy,
	};
	fake_guestaddr_init(&b->guest, &b->r->plan);
	b->target = target_new(&in6addr_any, &b->guest);
	b->target->unanswered = on_unanswered;
	b->target->arg = b;
	b->inbound = inbound_tcp_new(&b->host, &b->guest);
	fake_start();
	return b;
}

void inbound_rig_turn(struct inbound_rig *b)
{
	test_now = b->r->now;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(loop_turn(b->loop, 0), 0);
		stack_flush(b->r->st);
	}
}

void inbound_rig_pass(struct inbound_rig *b, nsec_t span)
{
	rig_advance(b->r, span);
	inbound_rig_turn(b);
}

void inbound_rig_free(struct inbound_rig *b)
{
	inbound_rig_pass(b, 5 * NSEC_PER_SEC);
	assert_int_equal(flow_count(b->host.flows, FLOW_TCP), 0);
	assert_int_equal(loop_timers(b->loop), 0);
	assert_int_equal(fake_open(), 0);
	assert_int_equal(stack_streams(b->r->st), 0);
	assert_int_equal(stack_pool(b->r->st)->in_use, 0);
	assert_int_equal(b->target->refs, 1);
	inbound_tcp_free(b->inbound);
	target_put(b->target);
	flow_table_free(b->host.flows);
	loop_free(b->loop);
	rig_free(b->r);
	fake_finish();
	free(b);
}

int inbound_rig_setup(void **state)
{
	*state = inbound_rig_new(10000, 10000);
	return 0;
}

int inbound_rig_teardown(void **state)
{
	inbound_rig_free(*state);
	return 0;
}

static struct endpoint endpoint(const char *addr, uint16_t port)
{
	struct endpoint e = {.port = port};

	assert_int_equal(addr_parse(addr, &e.addr), 0);
	return e;
}

struct fake_sock *inbound_rig_client(struct inbound_rig *b, const char *addr,
				     uint16_t port)
{
	struct endpoint from = endpoint(addr, port);
	struct fake_sock *s = fake_client(&from);

	inbound_tcp_open(b->inbound, s->fd, &from, b->target, INBOUND_PORT);
	inbound_rig_turn(b);
	return s;
}

struct rig_peer inbound_rig_syn(struct inbound_rig *b, const char *addr,
				uint16_t port)
{
	struct endpoint from = endpoint(addr, port);
	bool v4 = addr_is_v4(&from.addr);
	struct rig_peer p = rig_peer(addr, port, INBOUND_PORT);
	struct rig_segment *s = rig_take_syn(b->r, &p);

	assert_true(endpoint_equal(&s->src, &from));
	assert_int_equal(s->dst.port, INBOUND_PORT);
	assert_true(addr_equal(&s->dst.addr,
			       v4 ? &b->r->plan.guest4 : &b->r->plan.guest6));
	return p;
}

void inbound_rig_answer(struct inbound_rig *b, struct rig_peer *p)
{
	rig_send(b->r, p, WIRE_TCP_SYN | WIRE_TCP_ACK, NULL, 0);
	p->seq++;
	inbound_rig_turn(b);
}

void inbound_rig_refuse(struct inbound_rig *b, struct rig_peer *p)
{
	p->seq = 0;
	rig_send(b->r, p, WIRE_TCP_RST | WIRE_TCP_ACK, NULL, 0);
	inbound_rig_turn(b);
}

struct fake_sock *inbound_rig_open(struct inbound_rig *b, const char *addr,
				   uint16_t port, struct rig_peer *ret_p)
{
	struct fake_sock *s;

	rig_drain(b->r);
	s = inbound_rig_client(b, addr, port);
	*ret_p = inbound_rig_syn(b, addr, port);
	inbound_rig_answer(b, ret_p);
	assert_int_equal(rig_take(b->r)->flags, WIRE_TCP_ACK);
	rig_drain(b->r);
	return s;
}

unsigned inbound_rig_syns(const struct inbound_rig *b)
{
	unsigned n = 0;

	for (size_t i = 0; i < b->r->sent_count; i++)
		n += b->r->sent[i].flags == WIRE_TCP_SYN;
	return n;
}

void inbound_rig_close(struct inbound_rig *b, struct fake_sock *s,
		       struct rig_peer *p)
{
	fake_shutdown(s);
	inbound_rig_turn(b);
	rig_ack_all(b->r, p);
	rig_send(b->r, p, WIRE_TCP_FIN | WIRE_TCP_ACK, NULL, 0);
	p->seq++;
	inbound_rig_turn(b);
	assert_int_equal(s->fd, -1);
	assert_false(s->was_reset);
}

void inbound_rig_served(struct inbound_rig *b, struct fake_sock *s,
			struct rig_peer *p)
{
	char buf[16];

	assert_int_equal(fake_write(s, "ping", 4), 4);
	inbound_rig_turn(b);
	assert_int_equal(rig_ack_all(b->r, p), 4);
	rig_send(b->r, p, WIRE_TCP_ACK, "pong!", 5);
	p->seq += 5;
	inbound_rig_turn(b);
	assert_int_equal(fake_read(s, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "pong!", 5);
	inbound_rig_close(b, s, p);
}
