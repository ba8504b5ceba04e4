/* A query is kept until it is answered. ask() sends it to the resolvers in
 * turn: to the next one at once when one says that it cannot, after ASK_TIME
 * when one says nothing. Once all were tried it goes on round, but no faster
 * than ASK_TIME, until LIFE_TIME is over. Any resolver asked may still answer:
 * a late answer of the first is as good as one of the second. */
#include "port/resolver.h"

#include "port/relay_dgram.h"
#include "stack/container_of.h"
#include "stack/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ASK_TIME  (2 * NSEC_PER_SEC)
#define LIFE_TIME (10 * NSEC_PER_SEC)
#define BAD_TIME  (30 * NSEC_PER_SEC)

#define HEADER_LEN 12   /* RFC 1035 4.1.1 */
#define QUERY_MAX  4096 /* questions are short; this bounds what is kept */

struct resolver {
	struct relay_host *host;
	struct resolvconf conf;
	nsec_t bad_until[RESOLVCONF_MAX]; /* of conf.servers[] */
	uint8_t buf[RELAY_DGRAM_BUF];
};

struct query {
	struct flow flow;
	struct relay_dgram sock;
	struct loop_timer timer;
	struct loop_deferred gone;
	struct resolver *resolver;
	struct endpoint alias; /* who the container asked */
	struct endpoint servers[RESOLVER_MAX];
	unsigned count;
	unsigned tries; /* the last asked is servers[(tries - 1) % count] */
	unsigned asked; /* bits: may answer on this socket */
	bool v4;        /* the socket's family */
	bool sending;
	nsec_t began;
	size_t len;
	uint8_t message[];
};

struct resolver *resolver_new(struct relay_host *host, const char *path)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->host = host;
	resolvconf_init(&r->conf, path);
	return r;
}

void resolver_ask(struct resolver *r, const struct in6_addr *servers, size_t n)
{
	if (n > 0)
		resolvconf_init_fixed(&r->conf, servers, n);
}

size_t resolver_list(struct resolver *r, struct endpoint *ret, size_t max,
		     nsec_t now)
{
	size_t n = 0;

	if (resolvconf_refresh(&r->conf))
		memset(r->bad_until, 0, sizeof(r->bad_until));
	for (int bad = 0; bad <= 1; bad++) {
		for (size_t i = 0; i < r->conf.count && n < max; i++) {
			if ((r->bad_until[i] > now) == (bool)bad)
				ret[n++] = r->conf.servers[i];
		}
	}
	return n;
}

const struct hostsock_source *resolver_source(const struct resolver *r,
					      const struct in6_addr *a)
{
	static const struct hostsock_source anywhere = {
		.v4.s6_addr = {[10] = 0xff, [11] = 0xff}};

	return addr_is_loopback(a) ? &anywhere : &r->host->source;
}

void resolver_report(struct resolver *r, const struct endpoint *e, bool ok,
		     nsec_t now)
{
	for (size_t i = 0; i < r->conf.count; i++) {
		if (endpoint_equal(e, &r->conf.servers[i]))
			r->bad_until[i] = ok ? 0 : now + BAD_TIME;
	}
}

static void free_query(struct loop_deferred *d)
{
	free(container_of(d, struct query, gone));
}

static void end_query(struct flow *f)
{
	struct query *q = container_of(f, struct query, flow);
	struct relay_host *h = q->resolver->host;

	loop_timer_clear(h->loop, &q->timer);
	relay_dgram_close(&q->sock);
	flow_remove(h->flows, f);
	loop_defer(h->loop, &q->gone);
}

/* Lets the container know at once that nobody will answer. */
static void fail_query(struct query *q)
{
	static const struct icmpmsg_error error = {.why = ICMPMSG_HOST_UNREACH};
	struct relay_host *h = q->resolver->host;
	struct dgram d = {
		.src = q->flow.key.container,
		.dst = q->alias,
		.payload = q->message,
		.len = q->len,
	};

	relay_count(h, RELAY_COUNT_HOST_FAILURES);
	stack_udp_error(h->stack, &error, &d);
	end_query(&q->flow);
}

static bool round_over(const struct query *q)
{
	return q->tries % q->count == 0;
}

static unsigned current(const struct query *q)
{
	return (q->tries - 1) % q->count;
}

static void mark_bad(struct query *q, const struct endpoint *server)
{
	struct resolver *r = q->resolver;

	resolver_report(r, server, false, loop_now(r->host->loop));
}

static void received(struct relay_dgram *s, const struct endpoint *from,
		     const uint8_t *buf, size_t len);
static void told(struct relay_dgram *s, const struct hostsock_err *e,
		 const uint8_t *buf);

static const struct relay_dgram_events query_events = {
	.received = received,
	.told = told,
};

static int open_for(struct query *q, const struct endpoint *server)
{
	struct relay_host *h = q->resolver->host;
	bool v4 = addr_is_v4(&server->addr);
	int fd;

	if (q->sock.watch.fd >= 0 && q->v4 == v4)
		return 0;
	relay_dgram_close(&q->sock);
	q->v4 = v4;
	q->asked = 0;
	fd = hostsock_udp(&server->addr, 0,
			  resolver_source(q->resolver, &server->addr));
	return relay_dgram_open(&q->sock, h->loop, fd, &query_events,
				q->resolver->buf);
}

static int ask_next(struct query *q)
{
	static const struct hostsock_opts opts;
	struct endpoint *server = &q->servers[q->tries++ % q->count];
	uint32_t mtu;
	int err = open_for(q, server);

	if (err)
		return err;
	q->asked |= 1u << current(q);
	q->sending = true;
	err = relay_dgram_send(&q->sock, server, &opts, q->message, q->len,
			       &mtu);
	q->sending = false;
	if (relay_dgram_busy(err)) {
		relay_count(q->resolver->host, RELAY_COUNT_DROP_BUSY);
		return 0; /* as if lost on the way */
	}
	return err;
}

static bool is_our_trouble(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM ||
	       err == -ENOBUFS;
}

/* May end @q. */
static void ask(struct query *q)
{
	struct relay_host *h = q->resolver->host;
	nsec_t end = q->began + LIFE_TIME;
	nsec_t at = loop_now(h->loop) + ASK_TIME;
	int err;

	do {
		if (q->tries > 0)
			relay_count(h, RELAY_COUNT_DNS_FAILOVERS);
		err = ask_next(q);
		if (is_our_trouble(err)) {
			fail_query(q);
			return;
		}
		if (err)
			mark_bad(q, &q->servers[current(q)]);
	} while (err && !round_over(q));
	if (loop_timer_set(h->loop, &q->timer, at < end ? at : end) < 0)
		fail_query(q);
}

static void time_out(struct loop_timer *t)
{
	struct query *q = container_of(t, struct query, timer);
	struct relay_host *h = q->resolver->host;

	mark_bad(q, &q->servers[current(q)]);
	if (loop_now(h->loop) >= q->began + LIFE_TIME) {
		relay_count(h, RELAY_COUNT_DNS_UNANSWERED);
		end_query(&q->flow);
		return;
	}
	ask(q);
}

static void told(struct relay_dgram *s, const struct hostsock_err *e,
		 const uint8_t *buf)
{
	struct query *q = container_of(s, struct query, sock);

	mark_bad(q, &e->to);
	if (!q->sending && !round_over(q) &&
	    endpoint_equal(&e->to, &q->servers[current(q)]))
		ask(q);
}

static bool was_asked(const struct query *q, const struct endpoint *from)
{
	for (unsigned i = 0; i < q->count; i++) {
		if (q->asked & 1u << i && endpoint_equal(from, &q->servers[i]))
			return true;
	}
	return false;
}

static bool answers(const struct query *q, const uint8_t *buf, size_t len)
{
	return len >= HEADER_LEN && memcmp(buf, q->message, 2) == 0 &&
	       buf[2] & 0x80;
}

static void received(struct relay_dgram *s, const struct endpoint *from,
		     const uint8_t *buf, size_t len)
{
	struct query *q = container_of(s, struct query, sock);
	struct relay_host *h = q->resolver->host;
	struct dgram d = {
		.src = q->alias,
		.dst = q->flow.key.container,
		.payload = buf,
		.len = len,
	};

	if (!was_asked(q, from) || !answers(q, buf, len)) {
		relay_count(h, RELAY_COUNT_DROP_FOREIGN);
		return;
	}
	resolver_report(q->resolver, from, true, loop_now(h->loop));
	stack_udp_send(h->stack, &d);
	end_query(&q->flow);
}

static struct query *new_query(struct resolver *r, const struct dgram *d)
{
	nsec_t now = loop_now(r->host->loop);
	struct query *q = calloc(1, sizeof(*q) + d->len);

	if (!q)
		return NULL;
	q->flow.end = end_query;
	q->sock.watch.fd = -1;
	q->timer.fire = time_out;
	q->gone.run = free_query;
	q->resolver = r;
	q->alias = d->dst;
	q->count = (unsigned)resolver_list(r, q->servers, RESOLVER_MAX, now);
	q->began = now;
	q->len = d->len;
	memcpy(q->message, d->payload, d->len);
	return q;
}

static void start_query(struct resolver *r, const struct dgram *d,
			const struct flow_key *key)
{
	struct relay_host *h = r->host;
	struct query *q = new_query(r, d);
	int err;

	if (!q) {
		relay_count(h, RELAY_COUNT_HOST_FAILURES);
		return;
	}
	err = flow_add(h->flows, &q->flow, key, FLOW_IDLE_NEVER);
	if (err) {
		relay_count(h, RELAY_COUNT_DROP_LIMIT);
		free(q);
		return;
	}
	ask(q);
}

void resolver_input(struct resolver *r, const struct dgram *d)
{
	struct relay_host *h = r->host;
	struct flow_key key = {
		.proto = FLOW_DNS,
		.container = d->src,
		.remote.addr = d->dst.addr,
	};
	struct flow *f;

	if (d->len < HEADER_LEN || d->len > QUERY_MAX) {
		relay_count(h, RELAY_COUNT_DROP_POLICY);
		return;
	}
	key.remote.port = get16(d->payload);
	f = flow_find(h->flows, &key);
	if (f) {
		struct query *q = container_of(f, struct query, flow);

		/* the container repeats itself: the answer is on its way */
		if (q->len == d->len &&
		    memcmp(q->message, d->payload, d->len) == 0)
			return;
		end_query(f);
	}
	start_query(r, d, &key);
}

void resolver_free(struct resolver *r)
{
	struct flow *f, *next;

	if (!r)
		return;
	for (f = flow_next(r->host->flows, NULL); f; f = next) {
		next = flow_next(r->host->flows, f);
		if (f->key.proto == FLOW_DNS)
			end_query(f);
	}
	free(r);
}
