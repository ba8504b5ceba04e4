/* The table of connections, and the clock of those that are armed.
 *
 * streams_input(): guard_check(), lookup, then lwIP with that one PCB on its
 * list; a SYN nobody knows makes a stream in CONNECTING and no PCB, and
 * streams_connect() one in OPENING that has sent its own. lwIP's
 * callbacks (stream_pcb.c) only take notes; streams_flush() acts on them. */
#include "stack/streams.h"

#include "stack/guard.h"
#include "stack/siphash.h"
#include "stack/stream_impl.h"
#include "stack/wire.h"

#include <assert.h>
#include <errno.h>
#include <lwip/priv/tcp_priv.h>
#include <stdlib.h>
#include <string.h>

/* Long enough to answer a FIN that comes again, short enough not to be counted
 * for long; a new SYN ends it at once. */
#define TIME_WAIT_SPAN NSEC_PER_SEC

static uint32_t bucket_of(const struct streams *ss,
			  const struct endpoint *container,
			  const struct endpoint *remote)
{
	uint8_t id[36];

	memcpy(id, &container->addr, 16);
	memcpy(id + 16, &remote->addr, 16);
	put16(id + 32, container->port);
	put16(id + 34, remote->port);
	return (uint32_t)siphash(ss->config.key, id, sizeof(id)) & ss->mask;
}

static struct stream *find(struct streams *ss, const struct endpoint *container,
			   const struct endpoint *remote)
{
	struct stream *s = ss->buckets[bucket_of(ss, container, remote)];

	for (; s; s = s->hash_next) {
		ss->steps++;
		if (endpoint_equal(&s->container, container) &&
		    endpoint_equal(&s->remote, remote))
			break;
	}
	return s;
}

static void hash(struct stream *s)
{
	struct streams *ss = s->streams;
	struct stream **b =
		&ss->buckets[bucket_of(ss, &s->container, &s->remote)];

	s->hash_next = *b;
	*b = s;
	s->hashed = true;
}

void streams_unhash(struct stream *s)
{
	struct streams *ss = s->streams;
	struct stream **p;

	if (!s->hashed)
		return;
	p = &ss->buckets[bucket_of(ss, &s->container, &s->remote)];
	for (; *p != s; p = &(*p)->hash_next)
		ss->steps++;
	*p = s->hash_next;
	s->hashed = false;
}

void streams_mark(struct stream *s)
{
	if (s->dirty)
		return;
	s->dirty = true;
	STAILQ_INSERT_TAIL(&s->streams->dirty, s, dirty_link);
}

static void put_on_timer(struct stream *s, struct stream_list *list)
{
	if (s->timer_list == list)
		return;
	if (s->timer_list)
		TAILQ_REMOVE(s->timer_list, s, timer_link);
	if (list)
		TAILQ_INSERT_TAIL(list, s, timer_link);
	s->timer_list = list;
}

/* Puts the PCB on the clock it needs now. */
static void rearm(struct stream *s)
{
	struct streams *ss = s->streams;
	struct stream_list *list = NULL;

	if (s->pcb && s->pcb->state == TIME_WAIT)
		list = &ss->waiting;
	else if (s->pcb && engine_pcb_armed(s->pcb))
		list = &ss->armed;
	if (list == &ss->waiting && s->timer_list != list)
		s->expires = ss->engine->now + TIME_WAIT_SPAN;
	if (list == &ss->armed && TAILQ_EMPTY(list))
		ss->next_tick = ss->engine->now + ENGINE_TICK;
	put_on_timer(s, list);
}

void streams_enter(struct stream *s)
{
	engine_enter(s->streams->engine, s->pcb,
		     s->streams->config.offload ? s->segment : 0);
}

void streams_leave(struct stream *s)
{
	engine_leave(s->streams->engine, s->pcb);
	rearm(s);
}

static void end_pcb(struct stream *s, bool reset)
{
	streams_enter(s);
	/* The byte of a zero window probe is not in the container's window, and
	 * a RST behind it would not be either (RFC 5961 3.2). */
	if (s->pcb->persist_backoff && s->pcb->snd_nxt == s->pcb->lastack + 1)
		s->pcb->snd_nxt = s->pcb->lastack;
	tcp_err(s->pcb, NULL);
	tcp_abandon(s->pcb, reset);
	streams_leave(s);
}

void streams_abort_pcb(struct stream *s)
{
	end_pcb(s, true);
}

int streams_init(struct streams *ss, const struct streams_config *config,
		 struct engine *engine, struct chunk_pool *pool,
		 void (*opened)(void *arg, struct stream *s), void *arg)
{
	uint32_t size = 16;

	while (size < config->max_streams)
		size *= 2;
	*ss = (struct streams){.config = *config,
			       .engine = engine,
			       .packets = engine->packets,
			       .pool = pool,
			       .count = engine->packets->count,
			       .opened = opened,
			       .arg = arg,
			       .mask = size - 1};
	TAILQ_INIT(&ss->all);
	TAILQ_INIT(&ss->armed);
	TAILQ_INIT(&ss->waiting);
	STAILQ_INIT(&ss->dirty);
	ss->buckets = calloc(size, sizeof(struct stream *));
	if (!ss->buckets)
		return -ENOMEM;
	return engine_listen(engine, stream_pcb_on_accept, &stream_pcb_births);
}

void streams_fini(struct streams *ss)
{
	struct stream *s, *next;

	for (s = TAILQ_FIRST(&ss->all); s; s = next) {
		next = TAILQ_NEXT(s, all);
		s->dirty = true; /* so that its end does not queue it */
		if (s->pcb)
			streams_abort_pcb(s);
		s->dirty = false;
		streams_free(s);
	}
	free(ss->buckets);
	ss->buckets = NULL;
}

static void put_chunks(struct chunk *c)
{
	while (c) {
		struct chunk *next = c->next;

		chunk_put(c);
		c = next;
	}
}

void streams_free(struct stream *s)
{
	struct streams *ss = s->streams;

	assert(!s->pcb && !s->dirty);
	streams_unhash(s);
	put_on_timer(s, NULL);
	TAILQ_REMOVE(&ss->all, s, all);
	put_chunks(s->in_head);
	put_chunks(s->out_head);
	free(s->syn);
	free(s);
	ss->live--;
}

/* lwIP answers a segment that belongs to no PCB with RST (RFC 9293 3.5.2). */
static void reset_unknown(struct streams *ss, const struct packet *p,
			  const struct guard_segment *g)
{
	struct pbuf *pb = engine_pbuf(p->chunk, g->header, g->len);

	engine_enter(ss->engine, NULL, 0);
	engine_set_packet(ss->engine, &p->src, &p->dst);
	tcp_input(pb, &ss->engine->nif);
	engine_leave(ss->engine, NULL);
}

static int keep_syn(struct stream *s, const struct guard_segment *g)
{
	uint8_t *copy = malloc(g->len);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, g->header, g->len);
	free(s->syn);
	s->syn = copy;
	s->syn_len = g->len;
	return 0;
}

/* A stream without SYN and PCB, in the table. 0, -ENOSPC or -ENOMEM (counted). */
static int new_stream(struct streams *ss, const struct endpoint *container,
		      const struct endpoint *remote, enum stream_state state,
		      struct stream **ret)
{
	struct stream *s;

	if (ss->live >= ss->config.max_streams ||
	    chunk_pool_pressed(ss->pool)) {
		count(ss->count, COUNT_DROP_LIMIT);
		return -ENOSPC;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		count(ss->count, COUNT_DROP_MEMORY);
		return -ENOMEM;
	}
	s->streams = ss;
	s->container = *container;
	s->remote = *remote;
	s->state = state;
	TAILQ_INSERT_TAIL(&ss->all, s, all);
	ss->live++;
	hash(s);
	*ret = s;
	return 0;
}

static void open_stream(struct streams *ss, const struct endpoint *container,
			const struct endpoint *remote, const struct packet *p,
			const struct guard_segment *g)
{
	struct stream *s = NULL;
	int err = new_stream(ss, container, remote, STREAM_CONNECTING, &s);

	if (!err && keep_syn(s, g) < 0) {
		count(ss->count, COUNT_DROP_MEMORY);
		streams_free(s);
		err = -ENOMEM;
	}
	if (err)
		reset_unknown(ss, p, g);
	else
		ss->opened(ss->arg, s);
}

static bool in_time_wait(const struct stream *s)
{
	return s->pcb && s->pcb->state == TIME_WAIT;
}

int streams_connect(struct streams *ss, const struct endpoint *container,
		    const struct endpoint *remote, struct stream_user *u,
		    struct stream **ret)
{
	struct stream *s = find(ss, container, remote);
	uint32_t last;
	bool again = s && in_time_wait(s);
	int err;

	assert(addr_is_v4(&container->addr) == addr_is_v4(&remote->addr));
	if (!plan_source_ok(ss->packets->plan, &container->addr) ||
	    container->port == 0 || remote->port == 0)
		return -EHOSTUNREACH;
	if (s && !again)
		return -EADDRINUSE;
	if (again) {
		last = s->pcb->snd_nxt;
		streams_abort_pcb(s);
	}
	err = new_stream(ss, container, remote, STREAM_OPENING, &s);
	if (err)
		return err;
	s->user = u;
	err = stream_pcb_connect(s, again ? &last : NULL);
	if (err)
		streams_free(s);
	else
		*ret = s;
	return err;
}

static void connecting_input(struct stream *s, const struct guard_segment *g)
{
	if (g->flags & WIRE_TCP_RST) {
		s->err = -ECONNRESET;
		stream_set_state(s, STREAM_FAILED);
	} else if ((g->flags & (WIRE_TCP_SYN | WIRE_TCP_ACK)) == WIRE_TCP_SYN &&
		   g->seq != get32(((struct wire_tcp *)s->syn)->seq)) {
		/* The container gave up and tries anew. */
		keep_syn(s, g);
	}
}

/* Does this SYN end the TIME_WAIT of the last connection (RFC 9293 3.6.1, RFC
 * 6191)? lwIP would answer with RST. */
static bool reopens(const struct stream *s, const struct guard_segment *g)
{
	return in_time_wait(s) &&
	       (g->flags & (WIRE_TCP_SYN | WIRE_TCP_ACK)) == WIRE_TCP_SYN &&
	       TCP_SEQ_GT(g->seq, s->pcb->rcv_nxt);
}

/* Windows that were announced add up to more than there is memory. What is out
 * of order is kept while there is plenty; beyond the limit each stream may have
 * one segment waiting, and then none. */
static bool has_memory(const struct stream *s, const struct guard_segment *g)
{
	const struct chunk_pool *pool = s->streams->pool;

	if (TCP_SEQ_GT(g->seq, s->pcb->rcv_nxt))
		return !chunk_pool_pressed(pool);
	return pool->in_use <= pool->limit ||
	       (s->in_len == 0 && pool->in_use <= pool->limit / 4 * 5);
}

/* Segments out of order stay with lwIP for a while: a short one is copied, so
 * that few bytes do not hold a large buffer. */
static struct pbuf *segment_pbuf(struct stream *s, const struct packet *p,
				 const struct guard_segment *g)
{
	struct chunk *copy;
	struct pbuf *pb;

	if (g->seq == s->pcb->rcv_nxt || g->len == g->header_len ||
	    g->len > CHUNK_ROOM_SMALL)
		return engine_pbuf(p->chunk, g->header, g->len);
	copy = chunk_new_beyond(s->streams->pool, g->len);
	if (!copy)
		return NULL;
	memcpy(copy->data, g->header, g->len);
	pb = engine_pbuf(copy, copy->data, g->len);
	chunk_put(copy);
	return pb;
}

/* How much of the window [rcv_nxt, rcv_nxt + rcv_wnd) a segment may use. In the
 * handshake no more than the SYN-ACK could say: stream_pcb_on_accept() makes the
 * window smaller than lwIP's. One byte less while a FIN waits out of order,
 * since lwIP moves it behind any bytes that cover it. */
static uint32_t usable_window(const struct tcp_pcb *pcb)
{
	if (pcb->state == SYN_RCVD)
		return TCPWND_MIN16(pcb->rcv_wnd);
	for (struct tcp_seg *seg = pcb->ooseq; seg; seg = seg->next) {
		if (TCPH_FLAGS(seg->tcphdr) & TCP_FIN)
			return pcb->rcv_wnd - 1;
	}
	return pcb->rcv_wnd;
}

static void drop_payload(struct guard_segment *g)
{
	g->len = g->header_len;
	g->flags &= (uint8_t)~WIRE_TCP_FIN;
	((struct wire_tcp *)g->header)->flags = g->flags;
}

static void blank_options(struct guard_segment *g)
{
	memset(g->header + sizeof(struct wire_tcp), 1,
	       g->header_len - sizeof(struct wire_tcp));
}

static void hand_over(struct stream *s, const struct packet *p, struct pbuf *pb)
{
	struct engine *e = s->streams->engine;

	engine_set_packet(e, &p->src, &p->dst);
	tcp_input(pb, &e->nif);
}

/* Of a connection that we open lwIP takes SYN|ACK and RST, and answers another
 * ACK with RST. A bare SYN means that both opened at once (RFC 9293 3.5): the
 * container will answer ours as if it had not. lwIP would believe the options
 * of a SYN that does not answer ours, and a RST that acknowledges nothing. */
static void opening_input(struct stream *s, const struct packet *p,
			  struct guard_segment *g)
{
	if (!(g->flags & WIRE_TCP_ACK))
		return;
	if (g->ack != s->pcb->snd_nxt)
		blank_options(g);
	streams_enter(s);
	hand_over(s, p, engine_pbuf(p->chunk, g->header, g->len));
	streams_leave(s);
}

static void pcb_input(struct stream *s, const struct packet *p,
		      struct guard_segment *g)
{
	struct streams *ss = s->streams;
	bool fits = g->len == g->header_len || has_memory(s, g);
	struct pbuf *pb;

	if (!fits) {
		count(ss->count, COUNT_DROP_MEMORY);
		drop_payload(g);
	}
	if (s->pcb->state != TIME_WAIT)
		guard_trim(g, s->pcb->rcv_nxt, usable_window(s->pcb),
			   ss->count);
	if (g->flags & WIRE_TCP_SYN) /* a copy of one that was taken */
		blank_options(g);
	pb = segment_pbuf(s, p, g);
	if (!pb) {
		count(ss->count, COUNT_DROP_MEMORY);
		return;
	}
	streams_enter(s);
	hand_over(s, p, pb);
	if (s->pcb && !fits)
		tcp_ack_now(s->pcb);
	streams_leave(s);
	if (s->pcb && (s->pcb->flags & (TF_ACK_DELAY | TF_ACK_NOW)))
		streams_mark(s);
	if (s->starved)
		streams_mark(s);
}

void streams_input(struct streams *ss, const struct packet *p)
{
	const struct wire_tcp *h = (const void *)p->l4;
	struct endpoint container = {p->src, get16(h->sport)};
	struct endpoint remote = {p->dst, get16(h->dport)};
	struct guard_segment g;
	struct stream *s;

	if (!guard_check(p->l4, p->l4_len, ss->count, &g))
		return;
	s = find(ss, &container, &remote);
	if (s && reopens(s, &g)) {
		streams_abort_pcb(s);
		s = NULL;
	}
	if (s && s->state == STREAM_OPENING)
		opening_input(s, p, &g);
	else if (s && s->pcb)
		pcb_input(s, p, &g);
	else if (s)
		connecting_input(s, &g);
	else if ((g.flags & (WIRE_TCP_SYN | WIRE_TCP_ACK)) == WIRE_TCP_SYN)
		open_stream(ss, &container, &remote, p, &g);
	else
		reset_unknown(ss, p, &g);
}

void streams_unreachable(struct streams *ss, const struct endpoint *container,
			 const struct endpoint *remote, uint32_t seq, int err)
{
	struct stream *s = find(ss, container, remote);

	if (!s || s->state != STREAM_OPENING || seq != s->pcb->snd_nxt - 1)
		return;
	s->err = err;
	end_pcb(s, false);
	stream_set_state(s, STREAM_FAILED);
}

void streams_flush(struct streams *ss)
{
	struct stream *s;

	while ((s = STAILQ_FIRST(&ss->dirty))) {
		STAILQ_REMOVE_HEAD(&ss->dirty, dirty_link);
		stream_tell(s);
	}
}

nsec_t streams_deadline(const struct streams *ss)
{
	struct stream *oldest = TAILQ_FIRST(&ss->waiting);
	nsec_t at = oldest ? oldest->expires : NSEC_NEVER;

	if (!TAILQ_EMPTY(&ss->armed) && ss->next_tick < at)
		at = ss->next_tick;
	return at;
}

static void tick(struct stream *s)
{
	streams_enter(s);
	engine_tick_pcb(s->streams->engine, s->pcb);
	if (s->pcb && (s->pcb->flags & TF_CLOSEPEND))
		engine_send_fin(s->pcb);
	streams_leave(s);
}

void streams_tick(struct streams *ss)
{
	nsec_t now = ss->engine->now;
	struct stream *s, *next;

	while ((s = TAILQ_FIRST(&ss->waiting)) && s->expires <= now)
		streams_abort_pcb(s);
	if (TAILQ_EMPTY(&ss->armed) || now < ss->next_tick)
		return;
	for (s = TAILQ_FIRST(&ss->armed); s; s = next) {
		next = TAILQ_NEXT(s, timer_link);
		ss->steps++;
		tick(s);
	}
	ss->next_tick = now + ENGINE_TICK;
}
