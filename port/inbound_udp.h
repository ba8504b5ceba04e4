/* UDP clients of published ports: a flow for each client, seen in the container
 * as the client itself, answered from the host address that the client asked.
 * The client's family is tried first; ICMP unreachable from the container moves
 * a flow that nothing has answered yet to the other family, with its first
 * datagram sent again, or ends it. Its like, of which the container said
 * nothing, follow when their clients ask again. */
#ifndef PORT_INBOUND_UDP_H
#define PORT_INBOUND_UDP_H

#include "port/listener.h"
#include "port/relay.h"
#include "port/target.h"

struct inbound_udp;

/* NULL without memory. Both are borrowed. */
struct inbound_udp *inbound_udp_new(struct relay_host *host,
				    const struct guestaddr *guest);
/* Ends all its flows; accepts NULL. */
void inbound_udp_free(struct inbound_udp *r);

/* A datagram that listener @l received: listener_events.received(), for
 * container port @port of @t. */
void inbound_udp_client(struct inbound_udp *r, struct listener *l,
			const struct endpoint *client,
			const struct endpoint *local, struct target *t,
			uint16_t port, const uint8_t *buf, size_t len);
/* Has the container answered @client of @local? */
bool inbound_udp_serves(struct inbound_udp *r, const struct endpoint *client,
			const struct endpoint *local);
/* The container's datagram @d: true if it answers one of these flows (and has
 * been sent on), false if it is somebody else's. */
bool inbound_udp_input(struct inbound_udp *r, const struct dgram *d);
/* The container says by ICMP that nobody takes what @remote sent to @container:
 * stack_host.udp_unreachable(). */
void inbound_udp_unreachable(struct inbound_udp *r,
			     const struct endpoint *container,
			     const struct endpoint *remote);
/* A listener cannot be opened because @local is in use: is it no more, since the
 * container had it for datagrams of its own? Its peers are clients from then
 * on. */
bool inbound_udp_make_way(struct inbound_udp *r, const struct endpoint *local);
/* @l is about to be closed: its flows end. */
void inbound_udp_forget(struct inbound_udp *r, struct listener *l);

#endif
