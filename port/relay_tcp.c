/* One struct call for each connection of the container.
 *
 * relay_tcp_open() dials; on_dialled() hears of the result: stream_accept() or
 * stream_refuse(). When the container has finished its handshake, conn_open()
 * takes over. */
#include "port/relay_tcp.h"

#include "port/conn.h"
#include "port/resolver.h"
#include "stack/container_of.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>

/* Resolvers that are left to try. */
struct candidates {
	struct endpoint list[RESOLVER_MAX];
	size_t count, next;
};

struct call {
	struct conn conn;
	struct relay_tcp *relay;
	struct loop_timer wait; /* for a resolver */
	struct candidates *dns; /* owned; NULL: an ordinary target */
	struct loop_deferred gone;
	TAILQ_ENTRY(call) link;
};

struct relay_tcp {
	struct relay_host *host;
	struct resolver *resolver;
	TAILQ_HEAD(, call) calls;
};

static struct call *call_of(struct stream_user *u)
{
	return container_of(u, struct call, conn.user);
}

static void free_call(struct loop_deferred *d)
{
	struct call *c = container_of(d, struct call, gone);

	free(c->dns);
	free(c);
}

static void on_ended(struct conn *conn)
{
	struct call *c = container_of(conn, struct call, conn);
	struct relay_tcp *r = c->relay;

	loop_timer_clear(r->host->loop, &c->wait);
	TAILQ_REMOVE(&r->calls, c, link);
	c->gone.run = free_call;
	loop_defer(r->host->loop, &c->gone);
}

static void dial(struct call *c, const struct endpoint *to);

static bool next_candidate(struct call *c, bool ok)
{
	struct relay_tcp *r = c->relay;
	struct candidates *d = c->dns;

	if (!d)
		return false;
	loop_timer_clear(r->host->loop, &c->wait);
	resolver_report(r->resolver, &d->list[d->next], ok,
			loop_now(r->host->loop));
	if (ok || ++d->next >= d->count)
		return false;
	dial(c, &d->list[d->next]);
	return true;
}

/* The host cannot be reached, for reason @err (positive). */
static void dial_failed(struct call *c, int err)
{
	conn_let_go(&c->conn, hostsock_close);
	if (next_candidate(c, false))
		return;
	stream_refuse(c->conn.stream, err);
	c->conn.stream = NULL;
	conn_end(&c->conn);
}

/* Between the host's answer and the end of the container's handshake. */
static void on_early(struct loop_fd *f, uint32_t events)
{
	struct call *c = container_of(f, struct call, conn.sock);

	/* Over before the container knew that it began. */
	if (events & EPOLLERR)
		conn_reset(&c->conn);
	else
		loop_del(c->relay->host->loop, f);
}

static void on_dialled(struct loop_fd *f, uint32_t events)
{
	struct call *c = container_of(f, struct call, conn.sock);
	int err = hostsock_error(c->conn.fd);

	if (err < 0) {
		dial_failed(c, -err);
		return;
	}
	next_candidate(c, true);
	flow_set_state(&c->conn.flow, FLOW_OPEN);
	if (loop_set(c->relay->host->loop, f, 0) < 0) {
		dial_failed(c, ENOMEM);
		return;
	}
	f->ready = on_early;
	stream_accept(c->conn.stream);
}

static void dial(struct call *c, const struct endpoint *to)
{
	struct relay_host *h = c->relay->host;
	int err;

	c->conn.fd = hostsock_connect(
		to, c->dns ? resolver_source(c->relay->resolver, &to->addr)
			   : &h->source);
	if (c->conn.fd < 0) {
		err = c->conn.fd;
		c->conn.fd = -1;
		dial_failed(c, -err);
		return;
	}
	err = loop_add(h->loop, &c->conn.sock, c->conn.fd, EPOLLOUT);
	if (err == 0 && c->dns)
		err = loop_timer_set(h->loop, &c->wait,
				     loop_now(h->loop) + RELAY_TCP_DNS_WAIT);
	if (err < 0)
		dial_failed(c, -err);
}

static void on_wait(struct loop_timer *t)
{
	dial_failed(container_of(t, struct call, wait), ETIMEDOUT);
}

static void on_opened(struct stream_user *u)
{
	conn_open(&call_of(u)->conn);
}

static void on_closed(struct stream_user *u, int err)
{
	struct call *c = call_of(u);

	c->conn.stream = NULL;
	conn_reset(&c->conn);
}

/* Until conn_open(). */
static const struct stream_events events = {
	.opened = on_opened,
	.readable = conn_too_early,
	.writable = conn_too_early,
	.closed = on_closed,
};

struct relay_tcp *relay_tcp_new(struct relay_host *host,
				struct resolver *resolver)
{
	struct relay_tcp *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->host = host;
	r->resolver = resolver;
	TAILQ_INIT(&r->calls);
	return r;
}

void relay_tcp_free(struct relay_tcp *r)
{
	struct call *c;

	if (!r)
		return;
	while ((c = TAILQ_FIRST(&r->calls)))
		conn_reset(&c->conn);
	free(r);
}

static struct call *new_call(struct relay_tcp *r, struct stream *s)
{
	struct call *c = calloc(1, sizeof(*c));
	struct flow_key key = {FLOW_TCP, *stream_container(s),
			       *stream_remote(s)};

	if (!c)
		return NULL;
	conn_init(&c->conn, r->host, on_ended);
	if (conn_enter(&c->conn, &key) < 0) {
		free(c);
		return NULL;
	}
	c->relay = r;
	c->wait.fire = on_wait;
	c->conn.stream = s;
	c->conn.sock.ready = on_dialled;
	c->conn.user.events = &events;
	TAILQ_INSERT_TAIL(&r->calls, c, link);
	stream_attach(s, &c->conn.user);
	return c;
}

static bool list_resolvers(struct call *c)
{
	struct relay_tcp *r = c->relay;

	c->dns = calloc(1, sizeof(*c->dns));
	if (!c->dns)
		return false;
	c->dns->count = resolver_list(r->resolver, c->dns->list, RESOLVER_MAX,
				      loop_now(r->host->loop));
	return true;
}

void relay_tcp_open(struct relay_tcp *r, struct stream *s)
{
	struct endpoint to;
	enum policy_verdict verdict =
		policy_out(r->host->policy, stream_remote(s), &to);
	struct call *c;

	if (verdict == POLICY_REFUSE || verdict == POLICY_DROP) {
		bool say = verdict == POLICY_REFUSE;

		relay_count(r->host, say ? RELAY_COUNT_REFUSED
					 : RELAY_COUNT_DROP_POLICY);
		stream_refuse(s, say ? ENETUNREACH : ETIMEDOUT);
		return;
	}
	c = new_call(r, s);
	if (!c) {
		stream_refuse(s, ENOMEM);
		return;
	}
	if (verdict == POLICY_HOST)
		dial(c, &to);
	else if (list_resolvers(c))
		dial(c, &c->dns->list[0]);
	else
		dial_failed(c, ENOMEM);
}
