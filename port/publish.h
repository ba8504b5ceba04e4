/* The published ports of a container as a whole: what is known of its addresses
 * and listeners, the relays for clients, the rules and the API socket. */
#ifndef PORT_PUBLISH_H
#define PORT_PUBLISH_H

#include "port/capturing.h"
#include "port/config.h"
#include "port/relay.h"
#include "stack/plan.h"
#include "tapdev/lane.h"
#include "tapdev/netaddr.h"
#include "tapdev/sockdiag.h"

struct publish;

/* What reaches into the container's namespace; NULL: could not be had. */
struct publish_netns {
	struct netaddr *addrs;
	struct sockdiag *diag;
	struct lane *lane;
};

/* With the rules of @config in force and its API socket open. @capturing is what
 * the API socket starts and stops. All are borrowed. NULL with the reason. */
struct publish *publish_new(const struct config *config,
			    const struct plan *plan, struct relay_host *relays,
			    const struct publish_netns *netns,
			    struct capturing *capturing, struct fail *why);
/* Ends all its flows; accepts NULL. */
void publish_free(struct publish *p);

/* The container's datagram @d: true if it answered a client of a published
 * port. */
bool publish_udp_input(struct publish *p, const struct dgram *d);
/* stack_host.udp_unreachable() */
void publish_udp_unreachable(struct publish *p,
			     const struct endpoint *container,
			     const struct endpoint *remote);

#endif
