/* Which addresses the container has: by netlink from inside its namespace where
 * there is such a socket, else as the stack saw them. Follows changes without
 * polling. */
#ifndef PORT_GUESTADDR_H
#define PORT_GUESTADDR_H

#include "port/loop.h"
#include "stack/stack.h"
#include "tapdev/netaddr.h"

struct guestaddr;

/* @na is borrowed, NULL if there is none; so are @loop, @stack and @plan. NULL
 * without memory or descriptors. @ifname is the tap's. */
struct guestaddr *guestaddr_new(struct loop *loop, struct netaddr *na,
				const char *ifname, const struct stack *stack,
				const struct plan *plan);
void guestaddr_free(struct guestaddr *g); /* accepts NULL */

/* The address of the family that connections from outside go to: the plan's if
 * the container has it, else one of the plan's network, on the tap or else on
 * another interface (a bridge that the tap is part of); none that is link-local,
 * ours or not usable yet. Without netlink: the plan's for IPv4, what was seen
 * last for IPv6. False, and @ret untouched, if there is none. */
bool guestaddr_own(const struct guestaddr *g, bool v4, struct in6_addr *ret);
/* Could @a be the container's: does the stack take packets from there? */
bool guestaddr_may_be(const struct guestaddr *g, const struct in6_addr *a);
/* Another number once the container's addresses may have changed. */
unsigned guestaddr_changes(const struct guestaddr *g);
/* Is @a an address that the container has on any interface, or inside a subnet
 * of one or of the plan? A packet that seems to come from there would not be
 * answered through the tap, or comes from one of our own addresses. */
bool guestaddr_is_local(const struct guestaddr *g, const struct in6_addr *a);

/* How the container sees the client @client of a published port when it is
 * reached at an address of family @v4: as itself where an answer finds back,
 * else as the gateway of that family (DESIGN D8): loopback, link-local,
 * unspecified, multicast, the other family, and what guestaddr_is_local(). */
struct in6_addr guestaddr_show(const struct guestaddr *g,
			       const struct in6_addr *client, bool v4);

#endif
