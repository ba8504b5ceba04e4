/* The wiring of the container's side. stack_input() is the way of a frame:
 * link -> packet -> streams, dgram, ndp, icmpin, icmpmsg. */
#include "stack/stack.h"

#include "stack/arp.h"
#include "stack/dhcp4.h"
#include "stack/dhcpv6.h"
#include "stack/engine.h"
#include "stack/icmpin.h"
#include "stack/link.h"
#include "stack/ndp.h"
#include "stack/packet.h"
#include "stack/streams.h"
#include "stack/wire.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct stack {
	struct plan plan;
	struct counters count;
	struct chunk_pool pool;
	struct link link;
	struct packet_layer packets;
	struct ndp ndp;
	struct engine engine;
	struct streams streams;
	struct stack_host *host; /* borrowed */
	nsec_t now;
};

static void on_stream(void *arg, struct stream *s)
{
	struct stack *st = arg;

	st->host->tcp_open(st->host, s);
}

static void on_dgram(void *arg, const struct dgram *d)
{
	struct stack *st = arg;

	st->host->udp_input(st->host, d);
}

static int init_tcp(struct stack *st, const struct stack_config *config)
{
	struct streams_config sc = {
		.flow_limit = config->flow_limit,
		.max_streams = config->max_streams,
		.offload = config->offload,
		.key = {config->seed[0], config->seed[1]},
	};
	int err = engine_init(&st->engine, &st->link, &st->packets, &st->pool,
			      config->seed);

	if (err < 0)
		return err;
	err = streams_init(&st->streams, &sc, &st->engine, &st->pool, on_stream,
			   st);
	if (err < 0) {
		streams_fini(&st->streams);
		engine_fini(&st->engine);
	}
	return err;
}

struct stack *stack_new(const struct stack_config *config,
			struct frame_sink *sink, struct stack_host *host,
			nsec_t now)
{
	struct stack *st = calloc(1, sizeof(*st));

	assert(config->flow_limit >= 64u << 10 &&
	       config->flow_limit <= TCP_SND_BUF);
	if (!st)
		return NULL;
	st->plan = config->plan;
	st->host = host;
	chunk_pool_init(&st->pool, config->memory_limit);
	link_init(&st->link, sink, &st->plan, &st->count, config->offload);
	link_set_peer(&st->link, config->peer);
	packet_init(&st->packets, &st->link, &st->pool, &st->plan, &st->count,
		    (uint32_t)config->seed[1]);
	if (init_tcp(st, config) < 0) {
		packet_fini(&st->packets);
		free(st);
		return NULL;
	}
	stack_set_time(st, now);
	ndp_init(&st->ndp, &st->packets, now);
	return st;
}

void stack_free(struct stack *st)
{
	if (!st)
		return;
	streams_fini(&st->streams);
	engine_fini(&st->engine);
	packet_fini(&st->packets);
	chunk_pool_fini(&st->pool);
	free(st);
}

struct chunk_pool *stack_pool(struct stack *st)
{
	return &st->pool;
}

const struct counters *stack_counters(const struct stack *st)
{
	return &st->count;
}

bool stack_guest(const struct stack *st, bool v4, struct in6_addr *ret)
{
	return guest_newest(&st->link.guest, v4, ret);
}

unsigned stack_streams(const struct stack *st)
{
	return st->streams.live;
}

uint64_t stack_steps(const struct stack *st)
{
	return st->streams.steps;
}

void stack_set_time(struct stack *st, nsec_t now)
{
	assert(now >= st->now);
	st->now = now;
	engine_set_time(&st->engine, now);
}

/* A DHCP server elsewhere is asked like anybody else. */
static bool is_for_our_dhcp(const struct stack *st, const struct packet *p)
{
	const struct wire_udp *h = (const void *)p->l4;

	return st->plan.offer.dhcp4 && get16(h->dport) == DHCP4_SERVER_PORT &&
	       (addr_equal(&p->dst, &st->plan.gateway4) ||
		plan_is_broadcast(&st->plan, &p->dst));
}

static void udp(struct stack *st, const struct packet *p)
{
	if (is_for_our_dhcp(st, p))
		dhcp4_input(&st->packets, p);
	else if (addr_is_multicast(&p->dst)) /* of UDP only DHCPv6 gets here */
		dhcpv6_input(&st->packets, p);
	else if (st->plan.no_udp)
		count(&st->count, COUNT_DROP_IP_PROTO);
	else
		dgram_input(&st->engine, p, on_dgram, st);
}

static void unreachable(struct stack *st, const struct icmpin_unreach *u)
{
	if (u->proto == WIRE_PROTO_TCP)
		streams_unreachable(&st->streams, &u->container, &u->remote,
				    u->seq,
				    u->refused ? -ECONNREFUSED : -EHOSTUNREACH);
	else if (st->host->udp_unreachable)
		st->host->udp_unreachable(st->host, &u->container, &u->remote);
}

static void control(struct stack *st, const struct packet *p)
{
	struct icmpin_unreach u;
	struct icmpmsg_echo echo;

	if (p->proto == WIRE_PROTO_ICMPV6 && ndp_input(&st->ndp, p))
		return;
	if (st->plan.no_icmp)
		count(&st->count, COUNT_DROP_IP_PROTO);
	else if (icmpin_unreachable(&st->plan, p, &u))
		unreachable(st, &u);
	else if (icmpmsg_input(&st->packets, p, &echo))
		st->host->echo_input(st->host, &echo);
}

static void packet(struct stack *st, const struct packet *p)
{
	switch (p->proto) {
	case WIRE_PROTO_TCP:
		if (st->plan.no_tcp)
			count(&st->count, COUNT_DROP_IP_PROTO);
		else
			streams_input(&st->streams, p);
		break;
	case WIRE_PROTO_UDP:
		udp(st, p);
		break;
	case WIRE_PROTO_ICMP:
	case WIRE_PROTO_ICMPV6:
		control(st, p);
		break;
	default:
		count(&st->count, COUNT_DROP_IP_PROTO);
	}
}

void stack_input(struct stack *st, struct chunk *c, size_t start, size_t len,
		 const struct offload *off)
{
	struct view frame = {c->data + start, len}, rest;
	struct packet p;
	uint16_t type = link_input(&st->link, frame, &rest);

	if (type == WIRE_ETH_ARP) {
		arp_input(&st->link, rest);
	} else if (type == WIRE_ETH_IPV4 || type == WIRE_ETH_IPV6) {
		int family = type == WIRE_ETH_IPV4 ? AF_INET : AF_INET6;

		if (!packet_input(&st->packets, c, rest, family, off, st->now,
				  &p))
			return;
		packet(st, &p);
		chunk_put(p.chunk);
	} else if (type) {
		count(&st->count, COUNT_DROP_ETHERTYPE);
	}
}

void stack_flush(struct stack *st)
{
	streams_flush(&st->streams);
}

static nsec_t earlier(nsec_t a, nsec_t b)
{
	return a < b ? a : b;
}

nsec_t stack_deadline(const struct stack *st)
{
	return earlier(
		streams_deadline(&st->streams),
		earlier(packet_deadline(&st->packets), ndp_deadline(&st->ndp)));
}

void stack_tick(struct stack *st)
{
	streams_tick(&st->streams);
	packet_tick(&st->packets, st->now);
	if (ndp_deadline(&st->ndp) <= st->now)
		ndp_tick(&st->ndp, st->now);
}

int stack_tcp_connect(struct stack *st, const struct endpoint *container,
		      const struct endpoint *remote, struct stream_user *u,
		      struct stream **ret)
{
	return streams_connect(&st->streams, container, remote, u, ret);
}

int stack_udp_send(struct stack *st, const struct dgram *d)
{
	return dgram_send(&st->engine, d);
}

/* Sends the error about a message that began with @header and went on with
 * @payload. */
static void send_error(struct stack *st, const struct icmpmsg_error *e,
		       const struct in6_addr *src, const struct in6_addr *dst,
		       uint8_t proto, const void *header,
		       const uint8_t *payload, size_t len)
{
	uint8_t quote[ICMPMSG_QUOTE_MAX];
	const size_t header_len = 8; /* of UDP and of an echo alike */
	size_t room = sizeof(quote) - header_len;

	memcpy(quote, header, header_len);
	if (len > 0)
		memcpy(quote + header_len, payload, len < room ? len : room);
	icmpmsg_send_error(&st->packets, e, src, dst, proto, quote,
			   header_len + len);
}

void stack_udp_error(struct stack *st, const struct icmpmsg_error *e,
		     const struct dgram *d)
{
	struct wire_udp h = {0};

	put16(h.sport, d->src.port);
	put16(h.dport, d->dst.port);
	put16(h.len, (uint16_t)(sizeof(h) + d->len));
	send_error(st, e, &d->src.addr, &d->dst.addr, WIRE_PROTO_UDP, &h,
		   d->payload, d->len);
}

int stack_echo_reply(struct stack *st, const struct icmpmsg_echo *e)
{
	return icmpmsg_send_reply(&st->packets, e);
}

void stack_echo_error(struct stack *st, const struct icmpmsg_error *e,
		      const struct icmpmsg_echo *echo)
{
	bool v4 = addr_is_v4(&echo->dst);
	struct wire_icmp h = {.type = v4 ? 8 : 128};

	put16(h.rest, echo->id);
	put16(h.rest + 2, echo->seq);
	send_error(st, e, &echo->src, &echo->dst,
		   v4 ? WIRE_PROTO_ICMP : WIRE_PROTO_ICMPV6, &h, echo->payload,
		   echo->len);
}
