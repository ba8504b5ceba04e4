/* The container's side as a whole: frames in, flows out. The only header of
 * this folder that the host's side needs besides stream.h, icmpmsg.h and
 * the shared words (addr.h, chunk.h, frame.h, plan.h, nsec.h, count.h).
 *
 * One stack a process: lwIP has global state. No clock, no file and no socket
 * is touched here; time comes in with each call, frames go out at the sink. */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include "stack/chunk.h"
#include "stack/count.h"
#include "stack/dgram.h"
#include "stack/frame.h"
#include "stack/icmpmsg.h"
#include "stack/nsec.h"
#include "stack/plan.h"
#include "stack/stream.h"

struct stack;

/* What the container wants of the host. Embedded in its owner. */
struct stack_host {
	/* A connection to stream_remote(): attach a user, then sooner or later
	 * stream_accept() or stream_refuse(), also from inside the call. */
	void (*tcp_open)(struct stack_host *h, struct stream *s);
	void (*udp_input)(struct stack_host *h, const struct dgram *d);
	/* An echo request to an address that is not the stack's own. */
	void (*echo_input)(struct stack_host *h, const struct icmpmsg_echo *e);
	/* The container told by ICMP that nobody takes the datagram which
	 * stack_udp_send() sent from @remote to @container. NULL: nobody
	 * wants to know. */
	void (*udp_unreachable)(struct stack_host *h,
				const struct endpoint *container,
				const struct endpoint *remote);
};

struct stack_config {
	struct plan plan;
	bool offload;      /* the sink and the source know virtio-net */
	size_t flow_limit; /* bytes buffered for a TCP flow, a direction: 64 KiB
			       * to 4 MiB */
	size_t memory_limit;  /* bytes buffered in all */
	unsigned max_streams; /* TCP connections at once */
	uint64_t seed[2];     /* secret: hash keys, ISNs, identifications */
	/* The container's MAC as far as it is known before its first frame;
	 * all zero: not. */
	uint8_t peer[WIRE_MAC_LEN];
};

/* NULL without memory. @sink and @host are borrowed. Starts by announcing
 * itself: an RA if plan.ipv6. */
struct stack *stack_new(const struct stack_config *config,
			struct frame_sink *sink, struct stack_host *host,
			nsec_t now);
/* Aborts what is open, without callbacks; accepts NULL. Asserts that no PCB,
 * pbuf or chunk is left. */
void stack_free(struct stack *st);

/* Where frame buffers and stream_write() chunks come from. */
struct chunk_pool *stack_pool(struct stack *st);
const struct counters *stack_counters(const struct stack *st);
/* TCP streams that exist, in any state. */
unsigned stack_streams(const struct stack *st);
/* Bucket and list steps that TCP has taken so far: what a test of constant work
 * counts. */
uint64_t stack_steps(const struct stack *st);

/* The time for everything that follows, once a turn of the loop, before any
 * other call of that turn. Never goes back. */
void stack_set_time(struct stack *st, nsec_t now);

/* A frame of @len bytes from the Ethernet header on, at c->data + @start; the
 * stack may change its bytes and takes references as it needs. Callbacks come
 * from inside, except readable(), which stack_flush() makes. */
void stack_input(struct stack *st, struct chunk *c, size_t start, size_t len,
		 const struct offload *off);
/* Ends a burst of stack_input(), and a turn of the loop in which any stream was
 * touched: callbacks that are due, one ACK for each stream that got bytes. */
void stack_flush(struct stack *st);

/* When stack_tick() wants to run, NSEC_NEVER if nothing is armed. Look after
 * every turn in which the stack was called. */
nsec_t stack_deadline(const struct stack *st);
void stack_tick(struct stack *st);

/* Opens a connection to @container that seems to come from @remote, for @u, which
 * hears opened() once the container has answered, or closed() with
 * -ECONNREFUSED (RST, or ICMP port unreachable), -EHOSTUNREACH (another ICMP
 * unreachable) or -ETIMEDOUT; never from inside this call. Until then only
 * stream_abort() is legal. Both addresses are of one family. 0 with *@ret,
 * attached; -EADDRINUSE: the pair has a connection already; -ENOSPC: too many,
 * or memory is short; -ENOMEM; -EHOSTUNREACH: @container is no address that the
 * plan lets it use, or a port is 0. */
int stack_tcp_connect(struct stack *st, const struct endpoint *container,
		      const struct endpoint *remote, struct stream_user *u,
		      struct stream **ret);

/* The address of family @v4, not link-local, that the container was last seen
 * using; false if none was. */
bool stack_guest(const struct stack *st, bool v4, struct in6_addr *ret);

/* To the container: d->src is who seems to send, d->dst the container. 0 or
 * -errno (lost, counted). */
int stack_udp_send(struct stack *st, const struct dgram *d);
/* The container's datagram @d (as udp_input() showed it; at least 8 bytes of
 * payload if it had them) did not arrive. */
void stack_udp_error(struct stack *st, const struct icmpmsg_error *e,
		     const struct dgram *d);

int stack_echo_reply(struct stack *st, const struct icmpmsg_echo *e);
void stack_echo_error(struct stack *st, const struct icmpmsg_error *e,
		      const struct icmpmsg_echo *echo);

#endif
