#include "port/recorded.h"

#include "port/icmpcode.h"
#include "stack/container_of.h"
#include "stack/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DHCP_SERVER_PORT 67
#define ECHO_REPLY_V4    0
#define ECHO_REQUEST_V4  8
#define ECHO_REQUEST_V6  128
#define ECHO_REPLY_V6    129

/* More than the largest window: the capture itself has lost something. */
#define GAP_MAX (4u << 20)
/* Bytes for a connection that does not open. */
#define EARLY_MAX (4u << 20)
#define PIECE_MAX 32768

/* The other side of one conversation. */
struct peer {
	struct stream_user user;
	struct recorded *recorded;
	struct converse_flow *flow;
	struct stream *stream;
	bool accepted, opened, ended;
	bool fin;      /* to be sent behind what waits */
	bool stuck;    /* something could not be sent: nothing else is */
	uint32_t next; /* recorded sequence number of the next new byte */
	struct chunk *early, *early_last; /* what came before it opened */
	size_t early_len;
	TAILQ_ENTRY(peer) link;
};

struct recorded {
	struct stack_host hooks;
	struct converse_watch watch;
	struct stack *stack;
	const struct plan *plan;
	struct converse *conversations;
	struct converse_flow *expected;
	uint64_t number; /* of the frame in hand */
	uint64_t fragments, cut;
	TAILQ_HEAD(, peer) peers;
};

static void drop(struct peer *p)
{
	struct chunk *k;

	while ((k = p->early)) {
		p->early = k->next;
		chunk_put(k);
	}
	TAILQ_REMOVE(&p->recorded->peers, p, link);
	p->flow->owner = NULL;
	free(p);
}

/* Both ends have ended: the stack delivers what is queued by itself. */
static void settle(struct peer *p)
{
	if (!p->ended || !stream_in_eof(p->stream))
		return;
	stream_release(p->stream);
	drop(p);
}

/* What comes behind a hole would be taken for what belongs there. */
static void get_stuck(struct peer *p, const char *why)
{
	p->stuck = true;
	converse_part(p->flow, p->recorded->number, why);
}

static void write_out(struct peer *p, struct chunk *k)
{
	size_t len = k->len;

	if (!p->stuck && stream_write(p->stream, k, 0, len) == 0)
		return;
	chunk_put(k);
	get_stuck(p, "the container does not acknowledge what it is sent");
}

/* Bytes, @from NULL: zeros in place of what the capture lost. */
static void send_piece(struct peer *p, const uint8_t *from, size_t len)
{
	struct chunk *k = chunk_new(stack_pool(p->recorded->stack), len);

	if (!k || (!p->opened && p->early_len + len > EARLY_MAX)) {
		chunk_put(k);
		get_stuck(p, "too much waits for the container");
		return;
	}
	if (from)
		memcpy(k->data, from, len);
	else
		memset(k->data, 0, len);
	k->len = (uint32_t)len;
	if (p->opened) {
		write_out(p, k);
		return;
	}
	k->next = NULL;
	if (p->early)
		p->early_last->next = k;
	else
		p->early = k;
	p->early_last = k;
	p->early_len += len;
}

static void send_bytes(struct peer *p, const uint8_t *from, size_t len)
{
	if (!from)
		p->flow->invented += len;
	while (len > 0 && !p->stuck) {
		size_t n = len < PIECE_MAX ? len : PIECE_MAX;

		send_piece(p, from, n);
		from = from ? from + n : NULL;
		len -= n;
	}
}

/* Sends what was written, and ends this side if that is due. */
static void pump(struct peer *p)
{
	if (!p->opened)
		return;
	if (p->fin && !p->ended && !p->stuck) {
		p->ended = true;
		stream_shutdown(p->stream);
		settle(p);
		return;
	}
	stream_flush(p->stream);
}

static void on_opened(struct stream_user *u)
{
	struct peer *p = container_of(u, struct peer, user);
	struct chunk *k;

	p->opened = true;
	while ((k = p->early)) {
		p->early = k->next;
		write_out(p, k);
	}
	pump(p);
}

static void on_readable(struct stream_user *u)
{
	struct peer *p = container_of(u, struct peer, user);
	struct iovec piece;
	size_t len;

	while (stream_peek(p->stream, &piece, 1, &len) > 0)
		stream_consume(p->stream, len);
	settle(p);
}

static void on_writable(struct stream_user *u)
{
}

static void on_closed(struct stream_user *u, int err)
{
	drop(container_of(u, struct peer, user));
}

static const struct stream_events events = {
	.opened = on_opened,
	.readable = on_readable,
	.writable = on_writable,
	.closed = on_closed,
};

static struct peer *new_peer(struct recorded *r, struct converse_flow *f,
			     struct stream *s)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->user.events = &events;
	p->recorded = r;
	p->flow = f;
	p->stream = s;
	p->next = f->there.isn + 1;
	f->owner = p;
	TAILQ_INSERT_TAIL(&r->peers, p, link);
	return p;
}

/* The connection as the recorded side saw it. */

static void refuse(struct peer *p, int err)
{
	if (p->accepted) {
		stream_abort(p->stream);
	} else {
		p->accepted = true;
		stream_refuse(p->stream, err);
	}
	drop(p);
}

/* Later SYNs are copies, or of another conversation. */
static void accept_peer(struct peer *p)
{
	if (p->accepted)
		return;
	p->next = p->flow->there.isn + 1;
	p->accepted = true;
	stream_accept(p->stream);
}

static void take_bytes(struct peer *p, const struct dissect *d)
{
	uint32_t skip = p->next - d->seq; /* known already, if it is positive */
	uint32_t gap = d->seq - p->next;
	size_t len = d->payload_len, cut = d->l4_said - d->l4_len;

	if (p->fin) /* nothing comes behind it */
		return;
	if (gap > GAP_MAX && gap < UINT32_C(1) << 31) {
		get_stuck(p, "the capture has lost too much of the answer");
		return;
	}
	if (gap > 0 && gap <= GAP_MAX) {
		send_bytes(p, NULL, gap);
		skip = 0;
	}
	if (skip > len + cut)
		return;
	if (skip < len)
		send_bytes(p, d->payload + skip, len - skip);
	skip = skip < len ? 0 : skip - (uint32_t)len;
	send_bytes(p, NULL, cut - skip);
	p->next = d->seq + (uint32_t)(len + cut);
	if (d->flags & WIRE_TCP_FIN)
		p->fin = true;
	pump(p);
}

static void open_from_outside(struct recorded *r, struct converse_flow *f)
{
	struct peer *p = new_peer(r, f, NULL);

	if (!p)
		return;
	p->accepted = true;
	if (stack_tcp_connect(r->stack, &f->container, &f->remote, &p->user,
			      &p->stream) < 0) {
		converse_part(f, r->number, "cannot be opened here");
		drop(p);
	}
}

static void tcp_frame(struct recorded *r, const struct dissect *d)
{
	struct converse_flow *f =
		converse_find(r->conversations, d, CONVERSE_THERE);
	struct peer *p;

	if (!f)
		return;
	converse_there(r->conversations, f, d, r->number);
	p = f->owner;
	if (!p && f->from_remote && !f->here.begun && !f->parted &&
	    (d->flags & (WIRE_TCP_SYN | WIRE_TCP_ACK)) == WIRE_TCP_SYN) {
		open_from_outside(r, f);
		return;
	}
	if (!p)
		return;
	if (d->flags & WIRE_TCP_RST)
		refuse(p, ECONNREFUSED);
	else if (d->flags & WIRE_TCP_SYN)
		accept_peer(p);
	else if (p->accepted && (d->l4_said > d->l4_len || d->payload_len ||
				 d->flags & WIRE_TCP_FIN))
		take_bytes(p, d);
}

static void udp_frame(struct recorded *r, const struct dissect *d)
{
	struct dgram dgram = {
		.src = {d->src, d->sport},
		.dst = {d->dst, d->dport},
		.payload = d->payload,
		.len = d->payload_len,
	};

	if (!d->ports || d->sport == DHCP_SERVER_PORT)
		return;
	if (d->l4_said > d->l4_len)
		r->cut++;
	else
		stack_udp_send(r->stack, &dgram);
}

static struct icmpmsg_echo echo_of(const struct dissect *d)
{
	const struct wire_icmp *icmp = (const void *)d->l4;

	return (struct icmpmsg_echo){
		.src = d->src,
		.dst = d->dst,
		.id = get16(icmp->rest),
		.seq = get16(icmp->rest + 2),
		.payload = d->l4 + sizeof(*icmp),
		.len = d->l4_len - sizeof(*icmp),
	};
}

/* About the container's packet @quote. */
static void send_error(struct recorded *r, const struct icmpmsg_error *e,
		       const struct dissect *quote)
{
	bool v4 = addr_is_v4(&quote->src);
	struct dgram dgram = {
		.src = {quote->src, quote->sport},
		.dst = {quote->dst, quote->dport},
		.payload = quote->payload,
		.len = quote->payload_len,
	};
	struct icmpmsg_echo echo;

	if (quote->proto == WIRE_PROTO_UDP && quote->ports) {
		stack_udp_error(r->stack, e, &dgram);
	} else if (quote->proto == (v4 ? WIRE_PROTO_ICMP : WIRE_PROTO_ICMPV6) &&
		   quote->l4_len >= sizeof(struct wire_icmp) &&
		   quote->l4[0] == (v4 ? ECHO_REQUEST_V4 : ECHO_REQUEST_V6)) {
		echo = echo_of(quote);
		stack_echo_error(r->stack, e, &echo);
	}
}

static void icmp_error(struct recorded *r, const struct dissect *d,
		       const struct icmpcode *code)
{
	struct icmpmsg_error e = {
		.why = code->why,
		.mtu = code->mtu,
		.from = plan_is_ours(r->plan, &d->src) ? NULL : &d->src,
	};
	struct converse_flow *f;
	struct dissect quote;
	struct peer *p;

	if (!dissect_quote(d->l4 + sizeof(struct wire_icmp),
			   d->l4_len - sizeof(struct wire_icmp), &quote) ||
	    quote.fragment || addr_is_v4(&quote.src) != addr_is_v4(&d->src))
		return;
	send_error(r, &e, &quote);
	if (code->err == 0)
		return;
	f = converse_find_quoted(r->conversations, &quote, CONVERSE_THERE);
	p = f ? f->owner : NULL;
	if (p && !p->accepted)
		refuse(p, code->err);
}

static void icmp_frame(struct recorded *r, const struct dissect *d)
{
	bool v4 = d->proto == WIRE_PROTO_ICMP;
	struct icmpmsg_echo e;
	struct icmpcode code;

	if (addr_is_v4(&d->src) != v4 || d->l4_len < sizeof(struct wire_icmp))
		return;
	if (icmpcode_read((const void *)d->l4, v4, &code))
		icmp_error(r, d, &code);
	if (d->l4[0] != (v4 ? ECHO_REPLY_V4 : ECHO_REPLY_V6) ||
	    plan_is_ours(r->plan, &d->src))
		return;
	if (d->l4_said > d->l4_len) {
		r->cut++;
		return;
	}
	e = echo_of(d);
	stack_echo_reply(r->stack, &e);
}

void recorded_frame(struct recorded *r, const struct dissect *d,
		    uint64_t number)
{
	r->number = number;
	if (!d->ip)
		return;
	if (d->fragment)
		r->fragments++;
	else if (d->proto == WIRE_PROTO_TCP && d->tcp)
		tcp_frame(r, d);
	else if (d->proto == WIRE_PROTO_UDP)
		udp_frame(r, d);
	else if (d->proto == WIRE_PROTO_ICMP || d->proto == WIRE_PROTO_ICMPV6)
		icmp_frame(r, d);
}

/* The hooks. */

static void on_tcp(struct stack_host *h, struct stream *s)
{
	struct recorded *r = container_of(h, struct recorded, hooks);
	struct converse_flow *f = r->expected;
	struct peer *p = f && !f->owner ? new_peer(r, f, s) : NULL;

	if (p)
		stream_attach(s, &p->user);
	else
		stream_refuse(s, ETIMEDOUT);
}

static void on_udp(struct stack_host *h, const struct dgram *d)
{
}

static void on_echo(struct stack_host *h, const struct icmpmsg_echo *e)
{
}

/* Its ports are taken, or nobody looks any more. */
static void on_leaving(struct converse_watch *w, struct converse_flow *f)
{
	refuse(f->owner, ETIMEDOUT);
}

struct recorded *recorded_new(struct converse *c)
{
	struct recorded *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->hooks = (struct stack_host){
		.tcp_open = on_tcp, .udp_input = on_udp, .echo_input = on_echo};
	r->watch.leaving = on_leaving;
	r->conversations = c;
	converse_imitate(c, &r->watch);
	TAILQ_INIT(&r->peers);
	return r;
}

void recorded_free(struct recorded *r)
{
	struct peer *p, *next;

	if (!r)
		return;
	for (p = TAILQ_FIRST(&r->peers); p; p = next) {
		next = TAILQ_NEXT(p, link);
		drop(p);
	}
	free(r);
}

struct stack_host *recorded_hooks(struct recorded *r)
{
	return &r->hooks;
}

void recorded_attach(struct recorded *r, struct stack *st,
		     const struct plan *plan)
{
	r->stack = st;
	r->plan = plan;
}

void recorded_expect(struct recorded *r, struct converse_flow *f)
{
	r->expected = f;
}

uint64_t recorded_fragments(const struct recorded *r)
{
	return r->fragments;
}

uint64_t recorded_cut(const struct recorded *r)
{
	return r->cut;
}
