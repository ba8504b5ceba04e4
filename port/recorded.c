#include "port/recorded.h"

#include "stack/container_of.h"
#include "stack/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DHCP_SERVER_PORT 67

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
	uint32_t next; /* recorded sequence number of the next new byte */
	struct chunk *early, *early_last; /* what came before it opened */
	size_t early_len;
	TAILQ_ENTRY(peer) link;
};

struct recorded {
	struct stack_host hooks;
	struct stack *stack;
	const struct plan *plan;
	struct converse *conversations;
	struct converse_flow *expected;
	uint64_t number; /* of the frame in hand */
	uint64_t fragments;
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

static void write_out(struct peer *p, struct chunk *k)
{
	size_t len = k->len;

	if (stream_write(p->stream, k, 0, len) == 0)
		return;
	chunk_put(k);
	converse_part(p->flow, p->recorded->number,
		      "the container does not acknowledge what it is sent");
}

/* Bytes, @from NULL: zeros in place of what the capture lost. */
static void send_piece(struct peer *p, const uint8_t *from, size_t len)
{
	struct chunk *k = chunk_new_beyond(stack_pool(p->recorded->stack), len);

	if (!k || (!p->opened && p->early_len + len > EARLY_MAX)) {
		chunk_put(k);
		converse_part(p->flow, p->recorded->number,
			      "too much waits for the connection to open");
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
	while (len > 0) {
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
	if (p->fin && !p->ended) {
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
	p->next = f->recorded + 1;
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

static void accept_peer(struct peer *p)
{
	p->next = p->flow->recorded + 1;
	if (p->accepted)
		return;
	p->accepted = true;
	stream_accept(p->stream);
}

static void take_bytes(struct peer *p, const struct dissect *d)
{
	uint32_t skip = p->next - d->seq; /* known already, if it is positive */
	uint32_t gap = d->seq - p->next;
	size_t len = d->payload_len;

	if (gap > 0 && gap <= GAP_MAX) {
		send_bytes(p, NULL, gap);
		skip = 0;
	} else if (gap > GAP_MAX && gap < UINT32_C(1) << 31) {
		converse_part(p->flow, p->recorded->number,
			      "the capture has lost too much of the answer");
		return;
	}
	if (skip > len)
		return;
	send_bytes(p, d->payload + skip, len - skip);
	p->next = d->seq + (uint32_t)len;
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
	struct converse_flow *f = converse_find(r->conversations, d, false);
	struct peer *p;

	if (!f)
		return;
	converse_recorded(f, d, r->number);
	p = f->owner;
	if (!p && f->from_remote && !f->has_ours && !f->parted &&
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
	else if (p->accepted && (d->payload_len || d->flags & WIRE_TCP_FIN))
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

	if (d->ports && d->sport != DHCP_SERVER_PORT)
		stack_udp_send(r->stack, &dgram);
}

/* What an error says of a packet, as a positive errno; 0: it is no error that
 * ends anything. */
static int error_of(const struct wire_icmp *icmp, bool v4)
{
	static const int v4_codes[] = {
		[0] = ENETUNREACH,  [1] = EHOSTUNREACH, [2] = EHOSTUNREACH,
		[3] = ECONNREFUSED, [9] = EACCES,       [10] = EACCES,
		[13] = EACCES};
	static const int v6_codes[] = {ENETUNREACH, EACCES, EHOSTUNREACH,
				       EHOSTUNREACH, ECONNREFUSED};
	size_t n = v4 ? sizeof(v4_codes) / sizeof(v4_codes[0])
		      : sizeof(v6_codes) / sizeof(v6_codes[0]);

	if (icmp->type != (v4 ? 3 : 1) || icmp->code >= n)
		return 0;
	return v4 ? v4_codes[icmp->code] : v6_codes[icmp->code];
}

static void icmp_error(struct recorded *r, const struct dissect *quote, int err)
{
	struct icmpmsg_error e = {.why = icmpmsg_why_from_errno(err)};
	struct dgram d = {
		.src = {quote->src, quote->sport},
		.dst = {quote->dst, quote->dport},
		.payload = quote->payload,
		.len = quote->payload_len,
	};
	struct converse_flow *f;

	if (quote->proto == WIRE_PROTO_UDP && quote->ports) {
		stack_udp_error(r->stack, &e, &d);
		return;
	}
	/* Eight bytes of TCP are enough to know it by. */
	if (quote->proto != WIRE_PROTO_TCP || quote->l4_len < 8)
		return;
	f = converse_find(r->conversations,
			  &(struct dissect){.src = quote->src,
					    .dst = quote->dst,
					    .sport = get16(quote->l4),
					    .dport = get16(quote->l4 + 2)},
			  true);
	if (f && f->owner && !((struct peer *)f->owner)->accepted)
		refuse(f->owner, err);
}

static void icmp_frame(struct recorded *r, const struct dissect *d)
{
	const struct wire_icmp *icmp = (const void *)d->l4;
	bool v4 = d->proto == WIRE_PROTO_ICMP;
	struct icmpmsg_echo e;
	struct dissect quote;
	int err;

	if (d->l4_len < sizeof(*icmp))
		return;
	err = error_of(icmp, v4);
	if (err && dissect_quote(d->l4 + sizeof(*icmp),
				 d->l4_len - sizeof(*icmp), &quote))
		icmp_error(r, &quote, err);
	if (icmp->type != (v4 ? 0 : 129) || plan_is_ours(r->plan, &d->src))
		return;
	e = (struct icmpmsg_echo){
		.src = d->src,
		.dst = d->dst,
		.id = get16(icmp->rest),
		.seq = get16(icmp->rest + 2),
		.payload = d->l4 + sizeof(*icmp),
		.len = d->l4_len - sizeof(*icmp),
	};
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

struct recorded *recorded_new(struct converse *c)
{
	struct recorded *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->hooks = (struct stack_host){
		.tcp_open = on_tcp, .udp_input = on_udp, .echo_input = on_echo};
	r->conversations = c;
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
