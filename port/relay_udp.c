#include "port/relay_udp.h"

#include "port/relay_dgram.h"
#include "port/resolver.h"
#include "stack/container_of.h"

#include <errno.h>
#include <stdlib.h>

#define DNS_PORT 53

struct relay_udp {
	struct relay_host *host;
	struct resolver *resolver;
	uint8_t buf[RELAY_DGRAM_BUF];
};

/* An address and port of the container, and the host's socket for it. */
struct mapping {
	struct flow flow;
	struct relay_dgram sock;
	struct relay_udp *relay;
	struct loop_deferred gone;
	bool only_dns; /* it never asked another port than 53 */
};

static void free_mapping(struct loop_deferred *d)
{
	free(container_of(d, struct mapping, gone));
}

static void end_mapping(struct flow *f)
{
	struct mapping *m = container_of(f, struct mapping, flow);

	relay_dgram_close(&m->sock);
	flow_remove(m->relay->host->flows, f);
	loop_defer(m->relay->host->loop, &m->gone);
}

static void keep_alive(struct mapping *m)
{
	struct flow_table *t = m->relay->host->flows;
	enum flow_idle idle = FLOW_IDLE_UDP;

	if (m->only_dns)
		idle = FLOW_IDLE_BRIEF;
	else if (m->flow.state == FLOW_OPEN)
		idle = FLOW_IDLE_BOTH;
	if (idle != m->flow.idle)
		flow_set_idle(t, &m->flow, idle);
	else
		flow_touch(t, &m->flow);
}

/* Who could not have been asked cannot answer: the container has no way to
 * name a link of the host's, nor loopback if that is barred, nor a stranger
 * that has an address of ours (the resolver alias would be a rewarding one). */
static bool may_send(const struct relay_host *h, const struct in6_addr *from)
{
	if (addr_is_loopback(from))
		return h->policy->host_loopback;
	if (plan_is_ours(&h->policy->plan, from))
		return false;
	return addr_is_v4(from) || !addr_is_linklocal(from);
}

static void received(struct relay_dgram *s, const struct endpoint *from,
		     const uint8_t *buf, size_t len)
{
	struct mapping *m = container_of(s, struct mapping, sock);
	struct relay_host *h = m->relay->host;
	struct dgram d = {
		.src = {policy_in(h->policy, &from->addr), from->port},
		.dst = m->flow.key.container,
		.payload = buf,
		.len = len,
	};

	if (!may_send(h, &from->addr)) {
		relay_count(h, RELAY_COUNT_DROP_FOREIGN);
		return;
	}
	flow_set_state(&m->flow, FLOW_OPEN);
	keep_alive(m);
	stack_udp_send(h->stack, &d);
}

/* The quote names the target as the container did. */
static void told(struct relay_dgram *s, const struct hostsock_err *e,
		 const uint8_t *buf)
{
	struct mapping *m = container_of(s, struct mapping, sock);
	struct relay_host *h = m->relay->host;
	struct icmpmsg_error error = relay_dgram_error(e);
	struct in6_addr from = policy_in(h->policy, &e->from);
	struct dgram d = {
		.src = m->flow.key.container,
		.dst = {policy_in(h->policy, &e->to.addr), e->to.port},
		.payload = buf,
		.len = e->len,
	};

	if (!addr_is_unspecified(&from) && !addr_is_linklocal(&from))
		error.from = &from;
	relay_count(h, RELAY_COUNT_HOST_ERRORS);
	stack_udp_error(h->stack, &error, &d);
}

static const struct relay_dgram_events mapping_events = {
	.received = received,
	.told = told,
};

/* Tells the container that @d failed with @err (-errno) here. */
static void answer_error(struct relay_host *h, const struct dgram *d, int err,
			 uint32_t mtu)
{
	struct hostsock_err e = {.err = -err, .mtu = mtu, .to = d->dst};
	struct icmpmsg_error error = relay_dgram_error(&e);

	relay_count(h, RELAY_COUNT_HOST_ERRORS);
	stack_udp_error(h->stack, &error, d);
}

void relay_udp_failed(struct relay_host *h, const struct dgram *d, int err,
		      uint32_t mtu)
{
	if (relay_dgram_busy(err))
		relay_count(h, RELAY_COUNT_DROP_BUSY);
	else
		answer_error(h, d, err, mtu);
}

static bool holds(struct flow *f, const struct endpoint *local)
{
	struct mapping *m = container_of(f, struct mapping, flow);
	struct endpoint mine;

	return hostsock_local(m->sock.watch.fd, &mine) == 0 &&
	       mine.port == local->port &&
	       addr_is_v4(&mine.addr) == addr_is_v4(&local->addr);
}

bool relay_udp_make_way(struct relay_host *h, const struct endpoint *local)
{
	struct flow *f = flow_next(h->flows, NULL);

	for (; f; f = flow_next(h->flows, f)) {
		if (f->key.proto == FLOW_UDP &&
		    f->key.container.port == local->port && holds(f, local)) {
			end_mapping(f);
			return true;
		}
	}
	return false;
}

static int make_mapping(struct relay_udp *r, const struct dgram *d,
			const struct flow_key *key, struct mapping **ret)
{
	struct relay_host *h = r->host;
	bool only_dns = d->dst.port == DNS_PORT;
	struct mapping *m = calloc(1, sizeof(*m));
	int fd, err;

	if (!m)
		return -ENOMEM;
	m->relay = r;
	m->flow.end = end_mapping;
	m->gone.run = free_mapping;
	m->only_dns = only_dns;
	/* first, for an old flow that gives way frees a descriptor too */
	err = flow_add(h->flows, &m->flow, key,
		       only_dns ? FLOW_IDLE_BRIEF : FLOW_IDLE_UDP);
	if (err) {
		free(m);
		return err;
	}
	fd = hostsock_udp(&d->src.addr, d->src.port, &h->source);
	err = relay_dgram_open(&m->sock, h->loop, fd, &mapping_events, r->buf);
	if (err) {
		flow_remove(h->flows, &m->flow);
		free(m);
		return err;
	}
	*ret = m;
	return 0;
}

static int find_mapping(struct relay_udp *r, const struct dgram *d,
			struct mapping **ret)
{
	struct flow_key key = {.proto = FLOW_UDP, .container = d->src};
	struct flow *f = flow_find(r->host->flows, &key);

	if (!f)
		return make_mapping(r, d, &key, ret);
	*ret = container_of(f, struct mapping, flow);
	return 0;
}

static void forward(struct relay_udp *r, const struct dgram *d,
		    const struct endpoint *to)
{
	struct hostsock_opts opts = {d->ttl, d->tos, d->dont_fragment};
	struct relay_host *h = r->host;
	struct mapping *m;
	uint32_t mtu;
	int err = find_mapping(r, d, &m);

	if (err) {
		relay_count(h, err == -ENOSPC ? RELAY_COUNT_DROP_LIMIT
					      : RELAY_COUNT_HOST_FAILURES);
		answer_error(h, d, err, 0);
		return;
	}
	if (to->port != DNS_PORT)
		m->only_dns = false;
	keep_alive(m);
	err = relay_dgram_send(&m->sock, to, &opts, d->payload, d->len, &mtu);
	if (err)
		relay_udp_failed(h, d, err, mtu);
}

void relay_udp_input(struct relay_udp *r, const struct dgram *d)
{
	static const struct icmpmsg_error refused = {
		.why = ICMPMSG_NET_UNREACH};
	struct relay_host *h = r->host;
	struct endpoint to;

	switch (policy_out(h->policy, &d->dst, &to)) {
	case POLICY_HOST:
		forward(r, d, &to);
		return;
	case POLICY_DNS:
		resolver_input(r->resolver, d);
		return;
	case POLICY_REFUSE:
		relay_count(h, RELAY_COUNT_REFUSED);
		stack_udp_error(h->stack, &refused, d);
		return;
	case POLICY_DROP:
		relay_count(h, RELAY_COUNT_DROP_POLICY);
		return;
	}
}

struct relay_udp *relay_udp_new(struct relay_host *host,
				struct resolver *resolver)
{
	struct relay_udp *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->host = host;
	r->resolver = resolver;
	return r;
}

void relay_udp_free(struct relay_udp *r)
{
	struct flow *f, *next;

	if (!r)
		return;
	for (f = flow_next(r->host->flows, NULL); f; f = next) {
		next = flow_next(r->host->flows, f);
		if (f->key.proto == FLOW_UDP)
			end_mapping(f);
	}
	free(r);
}
