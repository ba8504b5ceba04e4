/* The loopback lane (DESIGN D14): clients of published ports that are led to
 * the container's own 127.0.0.1 and ::1, where no tap can bring them, and the
 * container's own clients that are led to named ports of the host's. TCP goes on
 * as splice.h says; UDP has a socket for each client. */
#ifndef PORT_LANES_H
#define PORT_LANES_H

#include "port/listener.h"
#include "port/relay.h"
#include "port/rule.h"
#include "port/splice.h"
#include "port/target.h"
#include "tapdev/lane.h"

struct lanes;
struct inbound_tcp;

/* What the configuration asks for. */
struct lanes_wish {
	bool loopback; /* any client that nobody answers otherwise */
	bool splice;   /* those on the host's loopback first; TCP */
};

/* All are borrowed. NULL without memory. */
struct lanes *lanes_new(struct relay_host *host, struct lane *lane,
			struct lanes_wish wish);
/* Ends everything; accepts NULL. */
void lanes_free(struct lanes *ls);

/* Lets the container reach what @r of config.lane_rules names: listens on the
 * container's loopback, in both families as far as they are there. 0, or -errno
 * with the reason; then none of its ports is open. */
int lanes_listen(struct lanes *ls, const struct rule *r, struct fail *why);

/* Published ports, TCP. NULL for @ls is the same as a wish for nothing. */

/* May the lane be tried for clients of @t once nobody has answered? */
bool lanes_last(const struct lanes *ls, const struct target *t);
/* Is it to be tried first for @client: as it is on loopback and that was asked
 * for, or because it was the lane that answered lately on that port? */
bool lanes_first(const struct lanes *ls, const struct target *t, uint16_t port,
		 const struct endpoint *client);

/* Takes over @fd, accepted from @client, and leads it to @port on the
 * container's loopback, the client's family first. Nobody there: @missed, to whom
 * the descriptor belongs then, untouched; maybe from inside this call. @last:
 * everything else was tried, so that an answer is remembered. */
struct lanes_client {
	int fd;
	struct endpoint from;
	struct target *target; /* lent for the call */
	uint16_t port;
	bool last;
	struct inbound_tcp *inbound; /* for missed() */
	void (*missed)(const struct lanes_client *c);
};
void lanes_open(struct lanes *ls, const struct lanes_client *c);

/* Published ports, UDP. */

/* A datagram that @l received from @client at @local: true if the client is one
 * that was led through the lane, and it has been sent on. */
bool lanes_udp_client(struct lanes *ls, struct listener *l,
		      const struct endpoint *client,
		      const struct endpoint *local, const uint8_t *buf,
		      size_t len);
/* Makes it one, for @port of 127.0.0.1 (@v4) or ::1. False: it could not be
 * (counted). */
bool lanes_udp_open(struct lanes *ls, struct listener *l,
		    const struct endpoint *client, const struct endpoint *local,
		    bool v4, uint16_t port);
/* @l is about to be closed: its flows end. */
void lanes_udp_forget(struct lanes *ls, const struct listener *l);

#endif
