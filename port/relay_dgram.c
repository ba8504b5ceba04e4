#include "port/relay_dgram.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

#include "stack/container_of.h"

/* Datagrams, and errors, handled in one go: epoll brings us back for the rest,
 * so that one busy socket does not starve the others. */
#define BURST 64

/* How often a send is repeated because it returned an earlier one's error. */
#define RETRIES 4

/* Smallest MTU of a link that carries IPv4 datagrams whole (RFC 791), and of
 * IPv6 (RFC 8200 5): for errors that do not say. */
#define MTU_MIN4 576
#define MTU_MIN6 1280

static bool is_open(const struct relay_dgram *s)
{
	return s->watch.fd >= 0;
}

/* How many entries there were. One of this host's own about the datagram in
 * hand goes to *@ret_local instead of told(), for the kernel gives neither its
 * port nor its bytes. */
static unsigned read_errors(struct relay_dgram *s,
			    struct hostsock_err *ret_local)
{
	unsigned n = 0;

	for (; n < BURST && is_open(s); n++) {
		struct hostsock_err e;

		if (hostsock_recverr(s->watch.fd, &e, s->buf, RELAY_DGRAM_BUF) <
		    0)
			break;
		if (e.local)
			*ret_local = e;
		else
			s->events->told(s, &e, s->buf);
	}
	/* An error that found no memory for its entry would be signalled for
	 * ever. */
	if (n == 0 && is_open(s))
		hostsock_error(s->watch.fd);
	return n;
}

static void receive(struct relay_dgram *s)
{
	for (int i = 0; i < BURST && is_open(s); i++) {
		struct endpoint from;
		ssize_t n = hostsock_recvfrom(s->watch.fd, &from, s->buf,
					      RELAY_DGRAM_BUF);

		if (n >= 0) {
			s->events->received(s, &from, s->buf, (size_t)n);
		} else if (n == -EAGAIN || n == -ENOMEM || n == -ENOBUFS) {
			return;
		} else {
			struct hostsock_err ignored;

			if (read_errors(s, &ignored) == 0)
				return;
		}
	}
}

static void ready(struct loop_fd *f, uint32_t events)
{
	struct relay_dgram *s = container_of(f, struct relay_dgram, watch);
	struct hostsock_err ignored;

	if (events & EPOLLERR)
		read_errors(s, &ignored);
	if (events & EPOLLIN)
		receive(s);
}

int relay_dgram_open(struct relay_dgram *s, struct loop *loop, int fd,
		     const struct relay_dgram_events *events, uint8_t *buf)
{
	int err;

	*s = (struct relay_dgram){
		.events = events,
		.loop = loop,
		.watch = {.ready = ready, .fd = -1},
		.buf = buf,
	};
	if (fd < 0)
		return fd;
	err = loop_add(loop, &s->watch, fd, EPOLLIN);
	if (err)
		hostsock_close(fd);
	return err;
}

void relay_dgram_close(struct relay_dgram *s)
{
	int fd = s->watch.fd;

	loop_del(s->loop, &s->watch);
	hostsock_close(fd);
}

int relay_dgram_send(struct relay_dgram *s, const struct endpoint *to,
		     const struct hostsock_opts *opts, const void *buf,
		     size_t len, uint32_t *ret_mtu)
{
	ssize_t n = 0;

	assert(buf != s->buf);
	*ret_mtu = 0;
	for (int tries = 0; tries < RETRIES; tries++) {
		struct hostsock_err local = {.err = 0};

		if (!is_open(s))
			return -EBADF;
		n = hostsock_sendto(s->watch.fd, to, opts, &s->set, buf, len);
		if (n >= 0)
			return 0;
		if (relay_dgram_busy((int)n))
			return (int)n;
		if (read_errors(s, &local) == 0)
			break;
		if (local.err) {
			*ret_mtu = local.mtu;
			return -local.err;
		}
	}
	return (int)n;
}

bool relay_dgram_busy(int err)
{
	return err == -EAGAIN || err == -ENOBUFS || err == -ENOMEM;
}

struct icmpmsg_error relay_dgram_error(const struct hostsock_err *e)
{
	struct icmpmsg_error ret = {.why = ICMPMSG_TIME_EXCEEDED};

	if (e->time_exceeded)
		return ret;
	ret.why = icmpmsg_why_from_errno(e->err);
	if (ret.why == ICMPMSG_TOO_BIG) {
		ret.mtu = e->mtu;
		if (ret.mtu == 0)
			ret.mtu = addr_is_v4(&e->to.addr) ? MTU_MIN4 : MTU_MIN6;
	}
	return ret;
}
