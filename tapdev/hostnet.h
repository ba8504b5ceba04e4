/* What a container shall be shown of the host's network: address, gateway and
 * routes of the interface that leads out, by rtnetlink(7). */
#ifndef TAPDEV_HOSTNET_H
#define TAPDEV_HOSTNET_H

#include "stack/addr.h"
#include "stack/fail.h"
#include "tapdev/netcfg.h"

#include <net/if.h>

/* One family of the interface that serves as template. */
struct hostnet_family {
	bool found; /* else there is none, and the rest is zero */
	char ifname[IFNAMSIZ];
	struct in6_addr addr;
	uint8_t bits;            /* of the subnet; within the family */
	struct in6_addr gateway; /* of the first default route; :: if there is
				  * none of the family */
	/* Of the main table by way of the interface, those on the link before
	 * those by a gateway: each can be added after those before it. Owned. */
	struct netcfg_route *routes;
	size_t route_count;
};

struct hostnet {
	struct hostnet_family v4, v6;
};

/* Reads *@ret in the caller's network namespace, by the interfaces called
 * @ifname4 and @ifname6. NULL: the first by which there is a default route of
 * the family, else the first by which there is any route, lo left aside; without
 * an address that can be shown it does not count. A family that the kernel, or
 * the interface named, does not have is not found, which is no error. An address
 * is the interface's first global one; of IPv6, if it can be, one that is
 * neither tentative nor deprecated nor temporary.
 * 0 or -errno: -ENODEV if an interface named is not there. Call hostnet_fini()
 * after 0. */
int hostnet_read(const char *ifname4, const char *ifname6, struct hostnet *ret,
		 struct fail *why);
void hostnet_fini(struct hostnet *h);

#endif
