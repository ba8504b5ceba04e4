/* TCP clients of published ports: for each accepted client a connection into
 * the container that seems to come from the client itself. The client's family
 * is tried first, then the other, before a byte of the client is read; if none
 * answers the client is reset. Then as relay_tcp. */
#ifndef PORT_INBOUND_TCP_H
#define PORT_INBOUND_TCP_H

#include "port/lanes.h"
#include "port/relay.h"
#include "port/target.h"

struct inbound_tcp;

/* How long an address has to answer while there is another to try; a packet
 * filter inside the container may swallow SYNs of one family. If the other
 * refuses, the first is asked again and may take its time. */
#define INBOUND_TCP_WAIT (3 * NSEC_PER_SEC)

/* How long the container has to answer a client that has ended its side: it may
 * be gone altogether, which looks the same from here. */
#define INBOUND_TCP_HURRY (10 * NSEC_PER_SEC)

/* NULL without memory. Both are borrowed. */
struct inbound_tcp *inbound_tcp_new(struct relay_host *host,
				    const struct guestaddr *guest);
/* Clients may be led through @lanes, too, once nobody answered, or first: see
 * there. */
void inbound_tcp_use_lanes(struct inbound_tcp *r, struct lanes *lanes);
/* Resets all its connections on both sides; accepts NULL. */
void inbound_tcp_free(struct inbound_tcp *r);

/* Takes over @fd, a client that was accepted from @client, and leads it to
 * container port @port of @t, to which it keeps a reference. */
void inbound_tcp_open(struct inbound_tcp *r, int fd,
		      const struct endpoint *client, struct target *t,
		      uint16_t port);

#endif
