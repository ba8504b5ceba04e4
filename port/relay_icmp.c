#include "port/relay_icmp.h"

#include "port/relay_dgram.h"
#include "stack/container_of.h"
#include "stack/frame.h"
#include "stack/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ECHO_REQUEST4 8
#define ECHO_REPLY4   0
#define ECHO_REQUEST6 128
#define ECHO_REPLY6   129

#define REPLY_TTL 64

struct relay_icmp {
	struct relay_host *host;
	bool warned;
	uint8_t in[RELAY_DGRAM_BUF], out[RELAY_DGRAM_BUF];
};

/* An address and identifier of the container, and its ping socket. The kernel
 * puts an identifier of its own into what goes out. */
struct ping {
	struct flow flow;
	struct relay_dgram sock;
	struct relay_icmp *relay;
	struct loop_deferred gone;
};

static void free_ping(struct loop_deferred *d)
{
	free(container_of(d, struct ping, gone));
}

static void end_ping(struct flow *f)
{
	struct ping *p = container_of(f, struct ping, flow);

	relay_dgram_close(&p->sock);
	flow_remove(p->relay->host->flows, f);
	loop_defer(p->relay->host->loop, &p->gone);
}

static void received(struct relay_dgram *s, const struct endpoint *from,
		     const uint8_t *buf, size_t len)
{
	struct ping *p = container_of(s, struct ping, sock);
	struct relay_host *h = p->relay->host;
	const struct endpoint *container = &p->flow.key.container;
	const struct wire_icmp *icmp = (const void *)buf;
	struct icmpmsg_echo e = {
		.src = policy_in(h->policy, &from->addr),
		.dst = container->addr,
		.id = container->port,
		.ttl = REPLY_TTL,
	};

	if (len < sizeof(*icmp) ||
	    icmp->type != (addr_is_v4(&e.dst) ? ECHO_REPLY4 : ECHO_REPLY6)) {
		relay_count(h, RELAY_COUNT_DROP_FOREIGN);
		return;
	}
	e.seq = get16(icmp->rest + 2);
	e.payload = buf + sizeof(*icmp);
	e.len = len - sizeof(*icmp);
	flow_set_state(&p->flow, FLOW_OPEN);
	flow_touch(h->flows, &p->flow);
	stack_echo_reply(h->stack, &e);
}

static void told(struct relay_dgram *s, const struct hostsock_err *err,
		 const uint8_t *buf)
{
	struct ping *p = container_of(s, struct ping, sock);
	struct relay_host *h = p->relay->host;
	const struct wire_icmp *icmp = (const void *)buf;
	struct icmpmsg_error error = relay_dgram_error(err);
	struct in6_addr from = policy_in(h->policy, &err->from);
	struct icmpmsg_echo e = {
		.src = p->flow.key.container.addr,
		.dst = policy_in(h->policy, &err->to.addr),
		.id = p->flow.key.container.port,
	};

	/* without its number the container cannot tell which one it was */
	if (err->len < sizeof(*icmp))
		return;
	e.seq = get16(icmp->rest + 2);
	e.payload = buf + sizeof(*icmp);
	e.len = err->len - sizeof(*icmp);
	if (!addr_is_unspecified(&from) && !addr_is_linklocal(&from))
		error.from = &from;
	relay_count(h, RELAY_COUNT_HOST_ERRORS);
	stack_echo_error(h->stack, &error, &e);
}

static const struct relay_dgram_events ping_events = {
	.received = received,
	.told = told,
};

static void warn_once(struct relay_icmp *r)
{
	if (r->warned)
		return;
	r->warned = true;
	fputs("tapir: the container cannot ping the outside: the sysctl "
	      "net.ipv4.ping_group_range leaves out this process's group; "
	      "sysctl -w net.ipv4.ping_group_range='0 2147483647' lets it in\n",
	      stderr);
}

static int make_ping(struct relay_icmp *r, const struct flow_key *key,
		     struct ping **ret)
{
	struct relay_host *h = r->host;
	struct ping *p = calloc(1, sizeof(*p));
	int fd, err;

	if (!p)
		return -ENOMEM;
	p->relay = r;
	p->flow.end = end_ping;
	p->gone.run = free_ping;
	err = flow_add(h->flows, &p->flow, key, FLOW_IDLE_ECHO);
	if (err) {
		free(p);
		return err;
	}
	fd = hostsock_ping(&key->container.addr, &h->source);
	err = relay_dgram_open(&p->sock, h->loop, fd, &ping_events, r->in);
	if (err) {
		flow_remove(h->flows, &p->flow);
		free(p);
		return err;
	}
	*ret = p;
	return 0;
}

static int find_ping(struct relay_icmp *r, const struct icmpmsg_echo *e,
		     struct ping **ret)
{
	struct flow_key key = {.proto = FLOW_ECHO,
			       .container = {e->src, e->id}};
	struct flow *f = flow_find(r->host->flows, &key);

	if (!f)
		return make_ping(r, &key, ret);
	*ret = container_of(f, struct ping, flow);
	return 0;
}

/* Tells the container that @e failed with @err (-errno) here. */
static void answer_error(struct relay_host *h, const struct icmpmsg_echo *e,
			 int err, uint32_t mtu)
{
	struct hostsock_err he = {.err = -err, .mtu = mtu, .to.addr = e->dst};
	struct icmpmsg_error error = relay_dgram_error(&he);

	relay_count(h, RELAY_COUNT_HOST_ERRORS);
	stack_echo_error(h->stack, &error, e);
}

/* The kernel sees to identifier and checksum. */
static size_t build(struct relay_icmp *r, const struct icmpmsg_echo *e)
{
	struct wire_icmp *icmp = (void *)r->out;

	*icmp = (struct wire_icmp){
		.type = addr_is_v4(&e->dst) ? ECHO_REQUEST4 : ECHO_REQUEST6,
	};
	put16(icmp->rest, e->id);
	put16(icmp->rest + 2, e->seq);
	if (e->len > 0)
		memcpy(r->out + sizeof(*icmp), e->payload, e->len);
	return sizeof(*icmp) + e->len;
}

static void forward(struct relay_icmp *r, const struct icmpmsg_echo *e,
		    const struct endpoint *to)
{
	struct hostsock_opts opts = {.ttl = e->ttl,
				     .dont_fragment = e->dont_fragment};
	struct relay_host *h = r->host;
	struct ping *p;
	uint32_t mtu;
	int err = find_ping(r, e, &p);

	if (err) {
		if (err == -EACCES || err == -EPERM)
			warn_once(r);
		relay_count(h, err == -ENOSPC ? RELAY_COUNT_DROP_LIMIT
					      : RELAY_COUNT_HOST_FAILURES);
		answer_error(h, e, err, 0);
		return;
	}
	flow_touch(h->flows, &p->flow);
	err = relay_dgram_send(&p->sock, to, &opts, r->out, build(r, e), &mtu);
	if (relay_dgram_busy(err))
		relay_count(h, RELAY_COUNT_DROP_BUSY);
	else if (err)
		answer_error(h, e, err, mtu);
}

void relay_icmp_input(struct relay_icmp *r, const struct icmpmsg_echo *e)
{
	static const struct icmpmsg_error refused = {
		.why = ICMPMSG_NET_UNREACH};
	struct endpoint dst = {.addr = e->dst}, to;
	struct relay_host *h = r->host;

	if (e->len > RELAY_DGRAM_BUF - sizeof(struct wire_icmp)) {
		relay_count(h, RELAY_COUNT_DROP_POLICY);
		return;
	}
	switch (policy_out(h->policy, &dst, &to)) {
	case POLICY_HOST:
		forward(r, e, &to);
		return;
	case POLICY_DNS:
	case POLICY_REFUSE:
		relay_count(h, RELAY_COUNT_REFUSED);
		stack_echo_error(h->stack, &refused, e);
		return;
	case POLICY_DROP:
		relay_count(h, RELAY_COUNT_DROP_POLICY);
		return;
	}
}

struct relay_icmp *relay_icmp_new(struct relay_host *host)
{
	struct relay_icmp *r = calloc(1, sizeof(*r));

	if (r)
		r->host = host;
	return r;
}

void relay_icmp_free(struct relay_icmp *r)
{
	struct flow *f, *next;

	if (!r)
		return;
	for (f = flow_next(r->host->flows, NULL); f; f = next) {
		next = flow_next(r->host->flows, f);
		if (f->key.proto == FLOW_ECHO)
			end_ping(f);
	}
	free(r);
}
