/* One bound address and port of the host on behalf of a rule: accepts clients or
 * takes datagrams, in bounded bursts, and backs off while descriptors are
 * short. Embedded in its owner. */
#ifndef PORT_LISTENER_H
#define PORT_LISTENER_H

#include "port/hostsock.h"
#include "port/loop.h"

#include <sys/queue.h>

/* After accept() failed for lack of descriptors or memory. */
#define LISTENER_BACK_OFF (100 * NSEC_PER_MSEC)

struct listener;

struct listener_events {
	/* TCP: a client; @fd is handed over, non-blocking, TCP_NODELAY set. May
	 * stop or close the listener. */
	void (*accepted)(struct listener *l, int fd,
			 const struct endpoint *client);
	/* UDP: a datagram that @client sent to @local; lent for the call. May
	 * close the listener. */
	void (*received)(struct listener *l, const struct endpoint *client,
			 const struct endpoint *local, const uint8_t *buf,
			 size_t len);
};

struct listener {
	const struct listener_events *events;
	struct loop *loop;
	struct loop_fd watch;      /* its fd is -1 while it is not watched */
	struct loop_timer again;   /* backing off */
	int fd;                    /* owned; -1: closed */
	struct endpoint local;     /* with the real port once it is bound */
	struct hostsock_opts opts; /* UDP: as last set */
	bool udp;
	bool listening; /* TCP: listen() was called, clients are let in; UDP:
			 * always while it is open */
	/* UDP: of inbound_udp, which answers through it. Empty when it is
	 * opened, and must be again before it is closed. */
	LIST_HEAD(, inbound_udp_flow) flows;
};

/* Binds @local (port 0: any that is free, then l->local has it). TCP does not
 * listen yet: the kernel refuses clients, and nobody else gets the port. 0 or
 * -errno: -EADDRINUSE, -EACCES (port below 1024), -EADDRNOTAVAIL,
 * -EAFNOSUPPORT, -EMFILE (also when fewer than HOSTSOCK_RESERVE descriptors
 * would be left); @l is closed then. */
int listener_open(struct listener *l, struct loop *loop, bool udp,
		  const struct endpoint *local,
		  const struct listener_events *events);
/* Takes over @fd, which was bound to @local elsewhere (and may listen already), or
 * is -errno of that: then that is returned. As above. */
int listener_adopt(struct listener *l, struct loop *loop, bool udp, int fd,
		   const struct endpoint *local,
		   const struct listener_events *events);
/* TCP: lets clients in (backlog SOMAXCONN). Listening already: no-op. 0 or
 * -errno, and it is as before. */
int listener_start(struct listener *l);
/* TCP: the kernel refuses from now on, the port stays ours. Whoever waited to be
 * accepted is reset. Not listening: no-op. 0 or -errno; then the listener is
 * closed. */
int listener_stop(struct listener *l);
/* Closed already: no-op. */
void listener_close(struct listener *l);
/* UDP: sends to @client from @local, an address that received() named. 0 or
 * -errno. */
int listener_send(struct listener *l, const struct endpoint *client,
		  const struct endpoint *local,
		  const struct hostsock_opts *opts, const void *buf,
		  size_t len);

#endif
