/* Bytes move whenever one side has some and the other has room: to_host() and
 * to_container(). update() then says what to wait for. A side that has ended is
 * remembered in host_eof and container_eof; once both have, the connection is
 * let go. */
#include "port/conn.h"

#include "stack/container_of.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

/* Reads a turn: others want their turn too. */
#define READS_A_TURN 4
#define IOV_MAX_SEND 64

static struct conn *conn_of(struct stream_user *u)
{
	return container_of(u, struct conn, user);
}

void conn_end(struct conn *c)
{
	assert(c->fd < 0 && !c->stream);
	if (c->flow.state != FLOW_NEW)
		flow_remove(c->host->flows, &c->flow);
	c->ended(c);
}

void conn_let_go(struct conn *c, void (*how)(int fd))
{
	if (c->fd < 0)
		return;
	loop_del(c->host->loop, &c->sock);
	how(c->fd);
	c->fd = -1;
}

void conn_reset(struct conn *c)
{
	if (c->stream)
		stream_abort(c->stream);
	c->stream = NULL;
	conn_let_go(c, hostsock_reset);
	conn_end(c);
}

/* Both sides have ended in order; what is queued is still delivered, by the
 * kernel here and by lwIP there. */
static void finish(struct conn *c)
{
	stream_release(c->stream);
	c->stream = NULL;
	conn_let_go(c, hostsock_close);
	conn_end(c);
}

/* Waits for what can happen next, and for nothing that cannot be acted on:
 * epoll tells hang-ups whether asked for or not. */
static void update(struct conn *c)
{
	struct loop *loop = c->host->loop;
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
		conn_reset(c);
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
	struct chunk_pool *pool = stack_pool(c->host->stack);
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
		conn_reset(c);
	else if (c->host_eof && c->container_eof)
		finish(c);
	else
		update(c);
}

static void on_sock(struct loop_fd *f, uint32_t events)
{
	struct conn *c = container_of(f, struct conn, sock);
	bool alive = true;

	if (events & EPOLLHUP)
		c->hung_up = true;
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
	update(conn_of(u));
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
	conn_closed(conn_of(u));
}

static const struct stream_events events = {
	.opened = on_opened,
	.readable = on_readable,
	.writable = on_writable,
	.closed = on_closed,
};

void conn_closed(struct conn *c)
{
	if (!c->send_blocked)
		to_host(c);
	c->stream = NULL;
	conn_reset(c);
}

/* The only end that the flow table could ask for is that of an idle flow, and
 * TCP flows never are. */
static void never_idle(struct flow *f)
{
	assert(f->idle != FLOW_IDLE_NEVER);
}

void conn_init(struct conn *c, struct relay_host *host,
	       void (*ended)(struct conn *c))
{
	c->ended = ended;
	c->host = host;
	c->fd = c->sock.fd = -1;
	c->flow.end = never_idle;
}

int conn_enter(struct conn *c, const struct flow_key *key)
{
	int err;

	if (c->flow.state != FLOW_NEW) {
		flow_set_key(c->host->flows, &c->flow, key);
		return 0;
	}
	err = flow_add(c->host->flows, &c->flow, key, FLOW_IDLE_NEVER);
	if (err < 0)
		relay_count(c->host, RELAY_COUNT_DROP_LIMIT);
	return err;
}

void conn_too_early(struct stream_user *u)
{
	assert(false);
}

void conn_open(struct conn *c)
{
	c->user.events = &events;
	c->sock.ready = on_sock;
	flow_set_state(&c->flow, FLOW_OPEN);
	update(c);
}
