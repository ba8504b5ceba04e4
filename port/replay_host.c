/* A connection does one action of its rule after the other; advance() goes as
 * far as it can and is called again whenever something has changed. */
#include "port/replay_host.h"

#include "stack/container_of.h"
#include "stack/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

struct conn {
	struct stream_user user;
	struct replay_host *host;
	struct stream *stream;
	const struct script_action *action; /* the one that is under way */
	bool accepted, opened, ended;       /* ended: this side sent FIN */
	bool started;  /* the action's beginning has been noted */
	uint64_t done; /* bytes of it */
	uint64_t got;  /* bytes that came and no `wait` has used up */
	nsec_t until;  /* SCRIPT_AFTER */
	bool on_clock;
	TAILQ_ENTRY(conn) all, clock;
};

TAILQ_HEAD(conns, conn);

struct replay_host {
	struct stack_host hooks;
	struct stack *stack;
	const struct script *script;
	const struct policy *policy;
	nsec_t now;
	struct conns all;
	struct conns clock; /* those in SCRIPT_AFTER, the next first */
};

static struct conn *conn_of(struct stream_user *u)
{
	return container_of(u, struct conn, user);
}

static void set_clock(struct conn *c, nsec_t until)
{
	struct conns *clock = &c->host->clock;
	struct conn *after = TAILQ_LAST(clock, conns);

	c->until = until;
	c->on_clock = true;
	while (after && after->until > until)
		after = TAILQ_PREV(after, conns, clock);
	if (after)
		TAILQ_INSERT_AFTER(clock, after, c, clock);
	else
		TAILQ_INSERT_HEAD(clock, c, clock);
}

static void clear_clock(struct conn *c)
{
	if (c->on_clock)
		TAILQ_REMOVE(&c->host->clock, c, clock);
	c->on_clock = false;
}

/* Its stream is gone. */
static void drop(struct conn *c)
{
	clear_clock(c);
	TAILQ_REMOVE(&c->host->all, c, all);
	free(c);
}

static void next(struct conn *c)
{
	c->action++;
	c->started = false;
	c->done = 0;
}

/* One piece of at most @len bytes to the container, made by the pattern or
 * taken from @from. How many; 0: no room, or no memory. */
static size_t write_piece(struct conn *c, const struct iovec *from,
			  uint64_t len)
{
	size_t room = stream_room(c->stream);
	size_t unit = stream_unit(c->stream);
	size_t n = room < unit ? room : unit;
	struct chunk *k;

	if (n > len)
		n = (size_t)len;
	if (n == 0)
		return 0;
	k = chunk_new_beyond(stack_pool(c->host->stack), n);
	if (!k)
		return 0;
	for (size_t i = 0; i < n; i++)
		k->data[i] = from ? ((const uint8_t *)from->iov_base)[i]
				  : SCRIPT_BYTE(c->done + i);
	if (stream_write(c->stream, k, 0, n) == 0)
		return n;
	chunk_put(k);
	return 0;
}

/* Each of these is true once the action is done. */

static bool do_send(struct conn *c)
{
	size_t n;

	while (c->done < c->action->n &&
	       (n = write_piece(c, NULL, c->action->n - c->done)) > 0)
		c->done += n;
	stream_flush(c->stream);
	return c->done == c->action->n;
}

static void end_side(struct conn *c)
{
	if (!c->ended)
		stream_shutdown(c->stream);
	c->ended = true;
}

static bool do_echo(struct conn *c)
{
	struct iovec piece;
	size_t len, n;

	while (stream_peek(c->stream, &piece, 1, &len) > 0 &&
	       (n = write_piece(c, &piece, len)) > 0)
		stream_consume(c->stream, n);
	stream_flush(c->stream);
	if (!stream_in_eof(c->stream))
		return false;
	end_side(c);
	return true;
}

static bool do_after(struct conn *c)
{
	if (!c->started) {
		c->started = true;
		set_clock(c, c->host->now + (nsec_t)c->action->n);
	}
	return !c->on_clock;
}

static bool do_wait(struct conn *c)
{
	if (c->got < c->action->n)
		return false;
	c->got -= c->action->n;
	return true;
}

/* What comes is taken at once unless it is to be echoed. */
static void swallow(struct conn *c)
{
	struct iovec piece;
	size_t len;

	while (c->action->verb != SCRIPT_ECHO &&
	       stream_peek(c->stream, &piece, 1, &len) > 0) {
		c->got += len;
		stream_consume(c->stream, len);
	}
}

static bool act(struct conn *c)
{
	switch (c->action->verb) {
	case SCRIPT_ECHO:
		return do_echo(c);
	case SCRIPT_SEND:
		return do_send(c);
	case SCRIPT_AFTER:
		return do_after(c);
	case SCRIPT_WAIT:
		return do_wait(c);
	case SCRIPT_WAIT_END:
		return stream_in_eof(c->stream);
	case SCRIPT_CLOSE:
		end_side(c);
		return true;
	case SCRIPT_END:
	case SCRIPT_DROP:
	case SCRIPT_FAIL:
	case SCRIPT_TOO_BIG:
	case SCRIPT_RESET:
		break;
	}
	return false;
}

/* Before the connection stands. */
static void answer(struct conn *c)
{
	while (c->action->verb == SCRIPT_AFTER) {
		if (!do_after(c))
			return;
		next(c);
	}
	if (c->action->verb == SCRIPT_FAIL) {
		stream_refuse(c->stream, (int)c->action->n);
		drop(c);
		return;
	}
	c->accepted = true;
	stream_accept(c->stream);
}

static void advance(struct conn *c)
{
	if (!c->accepted) {
		answer(c);
		return;
	}
	if (!c->opened)
		return;
	swallow(c);
	while (act(c)) {
		next(c);
		swallow(c);
	}
	if (c->action->verb == SCRIPT_RESET) {
		stream_abort(c->stream);
		drop(c);
	} else if (c->ended && stream_in_eof(c->stream)) {
		stream_release(c->stream);
		drop(c);
	}
}

static void on_opened(struct stream_user *u)
{
	conn_of(u)->opened = true;
	advance(conn_of(u));
}

static void on_change(struct stream_user *u)
{
	advance(conn_of(u));
}

static void on_closed(struct stream_user *u, int err)
{
	drop(conn_of(u));
}

static const struct stream_events events = {
	.opened = on_opened,
	.readable = on_change,
	.writable = on_change,
	.closed = on_closed,
};

/* The hooks. */

static struct replay_host *host_of(struct stack_host *h)
{
	return container_of(h, struct replay_host, hooks);
}

static void on_tcp(struct stack_host *sh, struct stream *s)
{
	struct replay_host *h = host_of(sh);
	enum policy_verdict verdict;
	struct endpoint to;
	struct conn *c;

	verdict = policy_out(h->policy, stream_remote(s), &to);
	if (verdict == POLICY_REFUSE || verdict == POLICY_DROP) {
		stream_refuse(s, verdict == POLICY_REFUSE ? ENETUNREACH
							  : ETIMEDOUT);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		stream_refuse(s, ENOMEM);
		return;
	}
	c->user.events = &events;
	c->host = h;
	c->stream = s;
	c->action = script_find(h->script, SCRIPT_TCP, stream_remote(s));
	TAILQ_INSERT_TAIL(&h->all, c, all);
	stream_attach(s, &c->user);
	advance(c);
}

static void refuse_dgram(struct replay_host *h, const struct dgram *d, int err,
			 uint64_t mtu)
{
	struct icmpmsg_error e = {.why = icmpmsg_why_from_errno(err),
				  .mtu = (uint32_t)mtu};

	stack_udp_error(h->stack, &e, d);
}

/* Does the path of @a take a packet with @len bytes behind a UDP or ICMP header
 * of eight? */
static bool fits(const struct script_action *a, const struct in6_addr *dst,
		 size_t len)
{
	size_t headers = 8 + (addr_is_v4(dst) ? sizeof(struct wire_ip4)
					      : sizeof(struct wire_ip6));

	return a->verb != SCRIPT_TOO_BIG || len + headers <= a->n;
}

static void on_udp(struct stack_host *sh, const struct dgram *d)
{
	static const uint8_t empty[1];
	struct replay_host *h = host_of(sh);
	const struct script_action *a =
		script_find(h->script, SCRIPT_UDP, &d->dst);
	struct dgram reply = {.src = d->dst, .dst = d->src};
	uint8_t pattern[1400];
	struct endpoint to;

	switch (policy_out(h->policy, &d->dst, &to)) {
	case POLICY_DROP:
		return;
	case POLICY_REFUSE:
		refuse_dgram(h, d, ENETUNREACH, 0);
		return;
	case POLICY_HOST:
	case POLICY_DNS:
		break;
	}
	if (a->verb == SCRIPT_FAIL) {
		refuse_dgram(h, d, (int)a->n, 0);
		return;
	}
	if (!fits(a, &d->dst.addr, d->len)) {
		refuse_dgram(h, d, EMSGSIZE, a->n);
		return;
	}
	if (a->verb == SCRIPT_DROP)
		return;
	reply.payload = d->len ? d->payload : empty;
	reply.len = d->len;
	if (a->verb == SCRIPT_SEND) {
		reply.len = a->n < sizeof(pattern) ? a->n : sizeof(pattern);
		reply.payload = pattern;
		for (size_t i = 0; i < reply.len; i++)
			pattern[i] = SCRIPT_BYTE(i);
	}
	stack_udp_send(h->stack, &reply);
}

static void on_echo(struct stack_host *sh, const struct icmpmsg_echo *e)
{
	struct replay_host *h = host_of(sh);
	struct endpoint to = {e->dst, 0}, host;
	const struct script_action *a =
		script_find(h->script, SCRIPT_PING, &to);
	enum policy_verdict verdict = policy_out(h->policy, &to, &host);
	struct icmpmsg_error error = {.why = ICMPMSG_NET_UNREACH};
	struct icmpmsg_echo reply = *e;

	if (verdict == POLICY_DROP || a->verb == SCRIPT_DROP)
		return;
	if (a->verb == SCRIPT_FAIL)
		error.why = icmpmsg_why_from_errno((int)a->n);
	if (!fits(a, &e->dst, e->len))
		error = (struct icmpmsg_error){.why = ICMPMSG_TOO_BIG,
					       .mtu = (uint32_t)a->n};
	if (verdict == POLICY_REFUSE || a->verb == SCRIPT_FAIL ||
	    !fits(a, &e->dst, e->len)) {
		stack_echo_error(h->stack, &error, e);
		return;
	}
	reply.src = e->dst;
	reply.dst = e->src;
	stack_echo_reply(h->stack, &reply);
}

struct replay_host *replay_host_new(const struct script *script,
				    const struct policy *policy)
{
	struct replay_host *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->hooks = (struct stack_host){
		.tcp_open = on_tcp, .udp_input = on_udp, .echo_input = on_echo};
	h->script = script;
	h->policy = policy;
	TAILQ_INIT(&h->all);
	TAILQ_INIT(&h->clock);
	return h;
}

void replay_host_free(struct replay_host *h)
{
	struct conn *c, *after;

	if (!h)
		return;
	for (c = TAILQ_FIRST(&h->all); c; c = after) {
		after = TAILQ_NEXT(c, all);
		drop(c);
	}
	free(h);
}

struct stack_host *replay_host_hooks(struct replay_host *h)
{
	return &h->hooks;
}

void replay_host_attach(struct replay_host *h, struct stack *st)
{
	h->stack = st;
}

void replay_host_set_time(struct replay_host *h, nsec_t now)
{
	h->now = now;
}

nsec_t replay_host_deadline(const struct replay_host *h)
{
	const struct conn *c = TAILQ_FIRST(&h->clock);

	return c ? c->until : NSEC_NEVER;
}

void replay_host_tick(struct replay_host *h)
{
	struct conn *c, *after;

	for (c = TAILQ_FIRST(&h->clock); c && c->until <= h->now; c = after) {
		after = TAILQ_NEXT(c, clock);
		clear_clock(c);
		advance(c);
	}
}
