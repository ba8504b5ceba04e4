/* One struct conn a connection, between a stream (the container's side) and a
 * host socket.
 *
 * relay_tcp_open() dials; on_sock() hears of the result: stream_accept() or
 * stream_refuse(). From opened() on bytes move whenever one side has some and
 * the other has room: to_host() and to_container(). update() then says what to
 * wait for. A side that has ended is remembered in host_eof and container_eof;
 * once both have, the connection is let go. */
#include "port/relay_tcp.h"

#include "port/resolver.h"
#include "stack/container_of.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>

/* Reads a turn: others want their turn too. */
#define READS_A_TURN 4
#define IOV_MAX_SEND 64

/* Resolvers that are left to try. */
struct candidates {
	struct endpoint list[RESOLVER_MAX];
	size_t count, next;
};

struct conn {
	struct flow flow;
	struct stream_user user;
	struct relay_tcp *relay;
	struct stream *stream;  /* NULL once it is gone */
	struct loop_fd sock;    /* .fd is -1 while it is not watched */
	int fd;                 /* owned; -1: none */
	struct loop_timer wait; /* for a resolver */
	struct candidates *dns; /* owned; NULL: an ordinary target */
	struct loop_deferred gone;
	TAILQ_ENTRY(conn) link;
	bool opened;         /* the container finished its handshake */
	bool send_blocked;   /* the host socket took no more */
	bool hung_up;        /* EPOLLHUP is on and stays on */
	bool last_was_small; /* the read before fitted a small chunk */
	bool host_eof, container_eof;
};

struct relay_tcp {
	struct relay_host *host;
	struct resolver *resolver;
	TAILQ_HEAD(, conn) conns;
};

static struct conn *conn_of(struct stream_user *u)
{
	return container_of(u, struct conn, user);
}

static void free_conn(struct loop_deferred *d)
{
	struct conn *c = container_of(d, struct conn, gone);

	free(c->dns);
	free(c);
}

/* The connection is over on both sides; its memory goes with the turn. The
 * descriptor was closed by the caller. */
static void drop(struct conn *c)
{
	struct relay_host *h = c->relay->host;

	assert(c->fd < 0 && !c->stream);
	loop_timer_clear(h->loop, &c->wait);
	flow_remove(h->flows, &c->flow);
	TAILQ_REMOVE(&c->relay->conns, c, link);
	c->gone.run = free_conn;
	loop_defer(h->loop, &c->gone);
}

static void let_go(struct conn *c, void (*how)(int fd))
{
	if (c->fd < 0)
		return;
	loop_del(c->relay->host->loop, &c->sock);
	how(c->fd);
	c->fd = -1;
}

static void reset_host(struct conn *c)
{
	let_go(c, hostsock_reset);
	drop(c);
}

/* The host's connection broke: so does the container's. */
static void reset_both(struct conn *c)
{
	stream_abort(c->stream);
	c->stream = NULL;
	reset_host(c);
}

/* Both sides have ended in order; what is queued is still delivered, by the
 * kernel here and by lwIP there. */
static void finish(struct conn *c)
{
	stream_release(c->stream);
	c->stream = NULL;
	let_go(c, hostsock_close);
	drop(c);
}

/* Waits for what can happen next, and for nothing that cannot be acted on:
 * epoll tells hang-ups whether asked for or not. */
static void update(struct conn *c)
{
	struct loop *loop = c->relay->host->loop;
	uint32_t want = c->send_blocked ? EPOLLOUT : 0;
	int err;

	if (!c->host_eof && stream_room(c->stream) > 0)
		want |= EPOLLIN;
	if (want == 0 && c->hung_up) {
		loop_del(loop, &c->sock);
		return;
	}
	err = c->sock.fd < 0 ? loop_add(loop, &c->sock, c->fd, want)
			     : loop_set(loop, &c->sock, want);
	if (err < 0)
		reset_both(c);
}

/* Moves what waits to the host socket. False if the connection broke. */
static bool to_host(struct conn *c)
{
	struct iovec iov[IOV_MAX_SEND];
	size_t len;
	ssize_t n;
	int pieces;

	c->send_blocked = false;
	while ((pieces = stream_peek(c->stream, iov, IOV_MAX_SEND, &len)) > 0) {
		n = hostsock_send(c->fd, iov, pieces);
		if (n == -EAGAIN || n == -ENOBUFS) {
			c->send_blocked = true;
			return true;
		}
		if (n < 0)
			return false;
		stream_consume(c->stream, (size_t)n);
		if ((size_t)n < len) {
			c->send_blocked = true;
			return true;
		}
	}
	if (stream_in_eof(c->stream) && !c->container_eof) {
		c->container_eof = true;
		flow_set_state(&c->flow, FLOW_HALF);
		return hostsock_shutdown(c->fd) == 0;
	}
	return true;
}

/* One read into one chunk. How many bytes passed; 0 at the end of what there
 * is to read for now; -errno if the connection broke. */
static ssize_t read_one(struct conn *c, struct chunk_pool *pool)
{
	size_t room = stream_room(c->stream);
	size_t unit = stream_unit(c->stream);
	size_t want = room < unit ? room : unit;
	struct chunk *k;
	struct iovec iov;
	ssize_t n;

	if (want == 0)
		return 0;
	if (c->last_was_small && want > CHUNK_ROOM_SMALL)
		want = CHUNK_ROOM_SMALL;
	k = chunk_new_beyond(pool, want);
	if (!k)
		return -ENOMEM;
	iov = (struct iovec){k->data, want};
	n = hostsock_recv(c->fd, &iov, 1);
	if (n > 0 && stream_write(c->stream, k, 0, (size_t)n) == 0) {
		bool more = (size_t)n == want;

		c->last_was_small = n <= CHUNK_ROOM_SMALL && !more;
		return more ? n : 0;
	}
	chunk_put(k);
	if (n == -EAGAIN)
		return 0;
	if (n != 0)
		return n < 0 ? n : -ENOMEM;
	c->host_eof = true;
	flow_set_state(&c->flow, FLOW_HALF);
	return 0;
}

/* Moves what the host socket has to the container. False if it broke. */
static bool to_container(struct conn *c)
{
	struct chunk_pool *pool = stack_pool(c->relay->host->stack);
	ssize_t n = 1;

	for (int i = 0; i < READS_A_TURN && n > 0 && !c->host_eof; i++)
		n = read_one(c, pool);
	if (c->host_eof)
		stream_shutdown(c->stream);
	else
		stream_flush(c->stream);
	return n >= 0;
}

/* After bytes moved. */
static void settle(struct conn *c, bool alive)
{
	if (!alive)
		reset_both(c);
	else if (c->host_eof && c->container_eof)
		finish(c);
	else
		update(c);
}

static void dial(struct conn *c, const struct endpoint *to);

static bool next_candidate(struct conn *c, bool ok)
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
static void dial_failed(struct conn *c, int err)
{
	let_go(c, hostsock_close);
	if (next_candidate(c, false))
		return;
	stream_refuse(c->stream, err);
	c->stream = NULL;
	drop(c);
}

static void dial(struct conn *c, const struct endpoint *to)
{
	struct relay_host *h = c->relay->host;
	int err;

	c->fd = hostsock_connect(
		to, c->dns ? resolver_source(c->relay->resolver, &to->addr)
			   : &h->source);
	if (c->fd < 0) {
		err = c->fd;
		c->fd = -1;
		dial_failed(c, -err);
		return;
	}
	err = loop_add(h->loop, &c->sock, c->fd, EPOLLOUT);
	if (err == 0 && c->dns)
		err = loop_timer_set(h->loop, &c->wait,
				     loop_now(h->loop) + RELAY_TCP_DNS_WAIT);
	if (err < 0)
		dial_failed(c, -err);
}

static void on_wait(struct loop_timer *t)
{
	dial_failed(container_of(t, struct conn, wait), ETIMEDOUT);
}

static void dialled(struct conn *c)
{
	int err = hostsock_error(c->fd);

	if (err < 0) {
		dial_failed(c, -err);
		return;
	}
	next_candidate(c, true);
	flow_set_state(&c->flow, FLOW_OPEN);
	if (loop_set(c->relay->host->loop, &c->sock, 0) < 0) {
		dial_failed(c, ENOMEM);
		return;
	}
	stream_accept(c->stream);
}

static void on_sock(struct loop_fd *f, uint32_t events)
{
	struct conn *c = container_of(f, struct conn, sock);
	bool alive = true;

	if (c->flow.state == FLOW_ASKING) {
		dialled(c);
		return;
	}
	if (events & EPOLLHUP)
		c->hung_up = true;
	if (!c->opened) {
		/* Over before the container knew that it began. */
		if (events & EPOLLERR)
			reset_both(c);
		else
			loop_del(c->relay->host->loop, f);
		return;
	}
	if (events & EPOLLOUT)
		alive = to_host(c);
	/* What arrived before a reset is still passed on. */
	if (alive && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		alive = to_container(c);
	if (alive && events & EPOLLERR)
		alive = hostsock_error(c->fd) == 0;
	settle(c, alive);
}

static void on_opened(struct stream_user *u)
{
	struct conn *c = conn_of(u);

	c->opened = true;
	update(c);
}

static void on_readable(struct stream_user *u)
{
	struct conn *c = conn_of(u);

	if (!c->send_blocked)
		settle(c, to_host(c));
}

static void on_writable(struct stream_user *u)
{
	struct conn *c = conn_of(u);

	if (!c->host_eof)
		settle(c, to_container(c));
}

static void on_closed(struct stream_user *u, int err)
{
	struct conn *c = conn_of(u);

	/* What arrived before a reset is still passed on. */
	if (c->opened && !c->send_blocked)
		to_host(c);
	c->stream = NULL;
	reset_host(c);
}

static const struct stream_events events = {
	.opened = on_opened,
	.readable = on_readable,
	.writable = on_writable,
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
	TAILQ_INIT(&r->conns);
	return r;
}

void relay_tcp_free(struct relay_tcp *r)
{
	struct conn *c;

	if (!r)
		return;
	while ((c = TAILQ_FIRST(&r->conns)))
		reset_both(c);
	free(r);
}

/* The only end that the flow table could ask for is that of an idle flow, and
 * TCP flows never are. */
static void never_idle(struct flow *f)
{
	assert(f->idle != FLOW_IDLE_NEVER);
}

static struct conn *new_conn(struct relay_tcp *r, struct stream *s)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct flow_key key = {FLOW_TCP, *stream_container(s),
			       *stream_remote(s)};

	if (!c)
		return NULL;
	c->relay = r;
	c->stream = s;
	c->fd = c->sock.fd = -1;
	c->sock.ready = on_sock;
	c->wait.fire = on_wait;
	c->user.events = &events;
	c->flow.end = never_idle;
	if (flow_add(r->host->flows, &c->flow, &key, FLOW_IDLE_NEVER) < 0) {
		relay_count(r->host, RELAY_COUNT_DROP_LIMIT);
		free(c);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&r->conns, c, link);
	stream_attach(s, &c->user);
	return c;
}

static bool list_resolvers(struct conn *c)
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
	struct conn *c;

	if (verdict == POLICY_REFUSE || verdict == POLICY_DROP) {
		bool say = verdict == POLICY_REFUSE;

		relay_count(r->host, say ? RELAY_COUNT_REFUSED
					 : RELAY_COUNT_DROP_POLICY);
		stream_refuse(s, say ? ENETUNREACH : ETIMEDOUT);
		return;
	}
	c = new_conn(r, s);
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
