/* One struct client for each, until its connection ends.
 *
 * attempt() asks the target's addresses, one after the other, each by a
 * connection in the client's name. Who refuses says so in on_closed(), who is
 * silent while another is left loses its turn in on_wait(), and has it again,
 * for as long as it takes, once the other has refused: it may just be busy. The
 * first that answers is opened() and the client's bytes, which nobody has read
 * until then, are conn_open()'s business. */
#include "port/inbound_tcp.h"

#include "port/conn.h"
#include "stack/container_of.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>

/* Ports that are tried for a client whose own is taken: all clients on the
 * host's loopback look like the gateway to the container, and a closed
 * connection keeps its port for a while. */
#define PORT_TRIES 256
#define PORT_FIRST 1024

struct client {
	struct conn conn;
	struct inbound_tcp *inbound;
	struct target *target; /* a reference */
	struct endpoint from;
	uint16_t port; /* the container's */
	struct in6_addr list[TARGET_MAX];
	unsigned count, current; /* of list: all, and the one that is asked */
	bool lane_left;          /* the loopback lane can be tried yet */
	bool silent;             /* the first was, when its turn was over */
	struct loop_timer wait;  /* for current */
	struct loop_timer hurry; /* for all, once the client has ended */
	struct loop_deferred gone;
	TAILQ_ENTRY(client) link;
};

struct inbound_tcp {
	struct relay_host *host;
	const struct guestaddr *guest;
	struct lanes *lanes; /* NULL: none */
	TAILQ_HEAD(, client) clients;
};

static struct client *client_of(struct stream_user *u)
{
	return container_of(u, struct client, conn.user);
}

static bool is_v4(const struct client *c)
{
	return addr_is_v4(&c->from.addr);
}

static nsec_t now(const struct client *c)
{
	return loop_now(c->inbound->host->loop);
}

static void free_client(struct loop_deferred *d)
{
	free(container_of(d, struct client, gone));
}

static void on_ended(struct conn *conn)
{
	struct client *c = container_of(conn, struct client, conn);
	struct inbound_tcp *r = c->inbound;

	loop_timer_clear(r->host->loop, &c->wait);
	loop_timer_clear(r->host->loop, &c->hurry);
	target_put(c->target);
	TAILQ_REMOVE(&r->clients, c, link);
	c->gone.run = free_client;
	loop_defer(r->host->loop, &c->gone);
}

static uint16_t port_after(uint16_t port)
{
	return port < PORT_FIRST || port == UINT16_MAX ? PORT_FIRST
						       : (uint16_t)(port + 1);
}

/* A connection of the container may be over for its owner while the stack still
 * has it, and the other way round: both are asked. */
static int connect_as(struct client *c, const struct flow_key *key)
{
	struct relay_host *h = c->inbound->host;
	int err;

	if (flow_find(h->flows, key))
		return -EADDRINUSE;
	err = conn_enter(&c->conn, key);
	if (err < 0)
		return err;
	return stack_tcp_connect(h->stack, &key->container, &key->remote,
				 &c->conn.user, &c->conn.stream);
}

/* From the client's own port if that is free, else better from another than not
 * at all. */
static int connect_to(struct client *c, const struct in6_addr *addr)
{
	const struct guestaddr *guest = c->inbound->guest;
	struct flow_key key = {
		.proto = FLOW_TCP,
		.container = {*addr, c->port},
		.remote = {guestaddr_show(guest, &c->from.addr,
					  addr_is_v4(addr)),
			   c->from.port},
	};
	int err = connect_as(c, &key);

	for (int i = 1; i < PORT_TRIES && err == -EADDRINUSE; i++) {
		key.remote.port = port_after(key.remote.port);
		err = connect_as(c, &key);
	}
	if (err == -EADDRINUSE)
		relay_count(c->inbound->host, RELAY_COUNT_DROP_LIMIT);
	return err;
}

static void nobody(struct inbound_tcp *r, struct target *t, bool v4,
		   uint16_t port)
{
	relay_count(r->host, RELAY_COUNT_INBOUND_REFUSED);
	target_failed(t, v4, port);
}

static void missed_at_last(const struct lanes_client *l)
{
	nobody(l->inbound, l->target, addr_is_v4(&l->from.addr), l->port);
	hostsock_reset(l->fd);
}

/* All that is left is the client. */
static void leave_to_lane(struct client *c)
{
	struct inbound_tcp *r = c->inbound;
	struct lanes_client l = {
		.fd = c->conn.fd,
		.from = c->from,
		.target = c->target,
		.port = c->port,
		.last = true,
		.inbound = r,
		.missed = missed_at_last,
	};

	loop_del(r->host->loop, &c->conn.sock);
	c->conn.fd = -1;
	lanes_open(r->lanes, &l);
}

static void unanswered(struct client *c)
{
	if (c->lane_left)
		leave_to_lane(c);
	else
		nobody(c->inbound, c->target, is_v4(c), c->port);
	conn_reset(&c->conn);
}

/* From the current address on. 0, -EHOSTUNREACH if none is left, or what else
 * connect_to() says. */
static int connect_next(struct client *c)
{
	int err = -EHOSTUNREACH;

	while (err == -EHOSTUNREACH && c->current < c->count) {
		err = connect_to(c, &c->list[c->current]);
		if (err == -EHOSTUNREACH)
			c->current++;
	}
	return err;
}

static void attempt(struct client *c)
{
	struct loop *loop = c->inbound->host->loop;
	int err = connect_next(c);

	if (err == -EHOSTUNREACH && c->silent) {
		c->silent = false;
		c->current = 0;
		c->count = 1;
		err = connect_next(c);
	}
	if (err == 0 && c->current + 1 < c->count)
		err = loop_timer_set(loop, &c->wait, now(c) + INBOUND_TCP_WAIT);
	if (err == -EHOSTUNREACH)
		unanswered(c);
	else if (err < 0) /* no fault of the container */
		conn_reset(&c->conn);
}

static void attempt_next(struct client *c)
{
	loop_timer_clear(c->inbound->host->loop, &c->wait);
	c->conn.stream = NULL;
	c->current++;
	attempt(c);
}

static void on_wait(struct loop_timer *t)
{
	struct client *c = container_of(t, struct client, wait);

	stream_abort(c->conn.stream);
	c->silent = true;
	attempt_next(c);
}

static void on_hurry(struct loop_timer *t)
{
	unanswered(container_of(t, struct client, hurry));
}

/* Before the container answered. */
static void on_gone(struct loop_fd *f, uint32_t events)
{
	struct client *c = container_of(f, struct client, conn.sock);
	struct loop *loop = c->inbound->host->loop;

	if (events & (EPOLLHUP | EPOLLERR) || loop_set(loop, f, 0) < 0 ||
	    loop_timer_set(loop, &c->hurry, now(c) + INBOUND_TCP_HURRY) < 0)
		conn_reset(&c->conn);
}

static void answered(struct client *c)
{
	const struct in6_addr *addr = &c->list[c->current];

	loop_timer_clear(c->inbound->host->loop, &c->wait);
	loop_timer_clear(c->inbound->host->loop, &c->hurry);
	target_answered(c->target, is_v4(c), c->port, addr, now(c));
	if (addr_is_v4(addr) != is_v4(c))
		relay_count(c->inbound->host, RELAY_COUNT_INBOUND_OTHER);
}

static void on_opened(struct stream_user *u)
{
	struct client *c = client_of(u);

	answered(c);
	conn_open(&c->conn);
}

static void on_closed(struct stream_user *u, int err)
{
	struct client *c = client_of(u);

	if (err == -ETIMEDOUT) /* two minutes are enough for both */
		c->silent = false;
	if (err == -ECONNREFUSED || err == -EHOSTUNREACH || err == -ETIMEDOUT) {
		attempt_next(c);
		return;
	}
	/* It opened, and broke before anybody was told. */
	answered(c);
	conn_closed(&c->conn);
}

/* Until conn_open(). */
static const struct stream_events events = {
	.opened = on_opened,
	.readable = conn_too_early,
	.writable = conn_too_early,
	.closed = on_closed,
};

struct inbound_tcp *inbound_tcp_new(struct relay_host *host,
				    const struct guestaddr *guest)
{
	struct inbound_tcp *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->host = host;
	r->guest = guest;
	TAILQ_INIT(&r->clients);
	return r;
}

void inbound_tcp_free(struct inbound_tcp *r)
{
	struct client *c;

	if (!r)
		return;
	while ((c = TAILQ_FIRST(&r->clients)))
		conn_reset(&c->conn);
	free(r);
}

static struct client *new_client(struct inbound_tcp *r, int fd,
				 const struct endpoint *from, struct target *t,
				 uint16_t port)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	conn_init(&c->conn, r->host, on_ended);
	c->conn.fd = fd;
	c->conn.sock.ready = on_gone;
	c->conn.user.events = &events;
	c->inbound = r;
	c->target = target_ref(t);
	c->from = *from;
	c->port = port;
	c->wait.fire = on_wait;
	c->hurry.fire = on_hurry;
	TAILQ_INSERT_TAIL(&r->clients, c, link);
	return c;
}

static void open_by_tap(struct inbound_tcp *r, int fd,
			const struct endpoint *client, struct target *t,
			uint16_t port, bool lane_left)
{
	struct client *c = new_client(r, fd, client, t, port);

	if (!c) {
		hostsock_reset(fd);
		return;
	}
	if (loop_add(r->host->loop, &c->conn.sock, fd, EPOLLRDHUP) < 0) {
		conn_reset(&c->conn);
		return;
	}
	c->lane_left = lane_left;
	c->count = target_list(t, is_v4(c), port, now(c), c->list);
	attempt(c);
}

static void missed_at_first(const struct lanes_client *l)
{
	open_by_tap(l->inbound, l->fd, &l->from, l->target, l->port, false);
}

void inbound_tcp_open(struct inbound_tcp *r, int fd,
		      const struct endpoint *client, struct target *t,
		      uint16_t port)
{
	struct lanes_client l = {
		.fd = fd,
		.from = *client,
		.target = t,
		.port = port,
		.inbound = r,
		.missed = missed_at_first,
	};

	if (lanes_first(r->lanes, t, port, client))
		lanes_open(r->lanes, &l);
	else
		open_by_tap(r, fd, client, t, port, lanes_last(r->lanes, t));
}

void inbound_tcp_use_lanes(struct inbound_tcp *r, struct lanes *lanes)
{
	r->lanes = lanes;
}
