/* A host socket for datagrams, as UDP, echo and the resolver use it: bounded
 * bursts, the error queue, and sends that tell an error of their own from one
 * that an earlier datagram met. Embedded in its owner. */
#ifndef PORT_RELAY_DGRAM_H
#define PORT_RELAY_DGRAM_H

#include "port/hostsock.h"
#include "port/loop.h"
#include "stack/icmpmsg.h"

#define RELAY_DGRAM_BUF 65536

struct relay_dgram;

/* Bytes are lent for the call. Either may close the socket. */
struct relay_dgram_events {
	void (*received)(struct relay_dgram *s, const struct endpoint *from,
			 const uint8_t *buf, size_t len);
	/* A datagram that was taken earlier did not arrive; e->len bytes of it
	 * are in @buf. */
	void (*told)(struct relay_dgram *s, const struct hostsock_err *e,
		     const uint8_t *buf);
};

struct relay_dgram {
	const struct relay_dgram_events *events;
	struct loop *loop;
	struct loop_fd watch; /* its fd is ours; -1 when closed */
	struct hostsock_opts set;
	uint8_t *buf; /* RELAY_DGRAM_BUF bytes, borrowed, for one call */
};

/* Takes over @fd, which may be -errno of the call that should have made it: then
 * that is returned. 0 or -errno, then @fd was closed. */
int relay_dgram_open(struct relay_dgram *s, struct loop *loop, int fd,
		     const struct relay_dgram_events *events, uint8_t *buf);
/* Closed already: no-op. */
void relay_dgram_close(struct relay_dgram *s);

/* 0, or -errno with @ret_mtu set if that is -EMSGSIZE (0: not known). What
 * earlier datagrams met is told() first, from inside the call, and @buf must
 * not be the borrowed one. -EBADF if told() closed the socket. */
int relay_dgram_send(struct relay_dgram *s, const struct endpoint *to,
		     const struct hostsock_opts *opts, const void *buf,
		     size_t len, uint32_t *ret_mtu);

/* The host took no more: the datagram is lost as in a full queue of a network
 * card, and nobody is told. @err is -errno. */
bool relay_dgram_busy(int err);
/* What @e is to the container, without from. */
struct icmpmsg_error relay_dgram_error(const struct hostsock_err *e);

#endif
