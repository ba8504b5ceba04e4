#include "port/listener.h"

#include "stack/container_of.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

/* Most clients or datagrams taken in a turn of the loop; epoll brings us back
 * for the rest, so one busy port cannot starve everybody else. */
#define BURST 64

/* The largest datagram. */
#define DATAGRAM_MAX 65535

static void back_off(struct listener *l)
{
	/* without memory for the timer nothing would wake it: then rather
	 * watched on */
	if (loop_timer_set(l->loop, &l->again,
			   loop_now(l->loop) + LISTENER_BACK_OFF) == 0)
		loop_del(l->loop, &l->watch);
}

/* Did accept() tell what befell the next client (accept(2), "Error handling"),
 * so that the one behind it may be well? */
static bool is_clients(int err)
{
	switch (-err) {
	case ECONNABORTED:
	case EPERM:
	case EPROTO:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

static void accept_some(struct listener *l)
{
	for (int n = 0; n < BURST && l->listening; n++) {
		struct endpoint client;
		int fd = hostsock_accept(l->fd, &client);

		if (fd >= 0) {
			l->events->accepted(l, fd, &client);
		} else if (fd == -EAGAIN) {
			return;
		} else if (!is_clients(fd)) {
			/* the client stays readable: watched on, the loop would
			 * turn without end until there is room for it */
			back_off(l);
			return;
		}
	}
}

static void receive_some(struct listener *l)
{
	uint8_t buf[DATAGRAM_MAX];

	for (int n = 0; n < BURST && l->fd >= 0; n++) {
		struct endpoint client;
		struct endpoint local = {.port = l->local.port};
		ssize_t len = hostsock_recv_at(l->fd, &client, &local.addr, buf,
					       sizeof(buf));

		if (len == -EAGAIN)
			return;
		if (len >= 0)
			l->events->received(l, &client, &local, buf,
					    (size_t)len);
	}
}

static void on_ready(struct loop_fd *f, uint32_t events)
{
	struct listener *l = container_of(f, struct listener, watch);

	if (l->udp)
		receive_some(l);
	else
		accept_some(l);
}

static void on_again(struct loop_timer *t)
{
	struct listener *l = container_of(t, struct listener, again);

	if (loop_add(l->loop, &l->watch, l->fd, EPOLLIN) < 0)
		back_off(l);
}

int listener_adopt(struct listener *l, struct loop *loop, bool udp, int fd,
		   const struct endpoint *local,
		   const struct listener_events *events)
{
	int err = fd < 0 ? fd : 0;

	*l = (struct listener){
		.events = events,
		.loop = loop,
		.watch = {.ready = on_ready, .fd = -1},
		.again.fire = on_again,
		.fd = fd < 0 ? -1 : fd,
		.local = *local,
		.udp = udp,
		.listening = udp,
	};
	if (!err && local->port == 0)
		err = hostsock_local(fd, &l->local);
	if (!err && udp)
		err = loop_add(loop, &l->watch, fd, EPOLLIN);
	if (err)
		listener_close(l);
	return err;
}

int listener_open(struct listener *l, struct loop *loop, bool udp,
		  const struct endpoint *local,
		  const struct listener_events *events)
{
	return listener_adopt(l, loop, udp, hostsock_bind(local, udp), local,
			      events);
}

int listener_start(struct listener *l)
{
	int err;

	assert(l->fd >= 0);
	if (l->listening)
		return 0;
	err = hostsock_listen(l->fd);
	if (err)
		return err;
	err = loop_add(l->loop, &l->watch, l->fd, EPOLLIN);
	if (err)
		hostsock_unlisten(l->fd);
	else
		l->listening = true;
	return err;
}

static void unwatch(struct listener *l)
{
	l->listening = false;
	loop_del(l->loop, &l->watch);
	loop_timer_clear(l->loop, &l->again);
}

int listener_stop(struct listener *l)
{
	int err;

	assert(!l->udp);
	if (!l->listening)
		return 0;
	unwatch(l);
	err = hostsock_unlisten(l->fd);
	if (err)
		listener_close(l);
	return err;
}

void listener_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	assert(LIST_EMPTY(&l->flows));
	unwatch(l);
	hostsock_close(l->fd);
	l->fd = -1;
}

int listener_send(struct listener *l, const struct endpoint *client,
		  const struct endpoint *local,
		  const struct hostsock_opts *opts, const void *buf, size_t len)
{
	ssize_t n;

	assert(l->fd >= 0);
	n = hostsock_send_from(l->fd, client, &local->addr, opts, &l->opts, buf,
			       len);
	return n < 0 ? (int)n : 0;
}
