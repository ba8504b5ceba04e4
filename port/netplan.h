/* From a configuration to the address plan, and to what the container's
 * interface is set up with. */
#ifndef PORT_NETPLAN_H
#define PORT_NETPLAN_H

#include "port/config.h"
#include "stack/plan.h"
#include "tapdev/netcfg.h"

#include <net/if.h>

struct netplan {
	struct plan plan;
	char ifname[IFNAMSIZ]; /* of the tap */
	bool fresh; /* it must not be there yet: nobody asked for that name */
	/* The host's own addresses, if the plan is the host's; else ::. */
	struct in6_addr own4, own6;
	struct netcfg netcfg; /* what it points to is owned */
	struct netcfg_addr addrs[2];
	struct netcfg_route *routes;
};

/* The plan of a network of our own (slirp4netns'). */
struct plan netplan_of_net(const struct config *config);
/* Looks at the host's network if the plan is to be the host's. 0 or -errno;
 * there is nothing to undo then. */
int netplan_init(struct netplan *n, const struct config *config,
		 struct fail *why);
void netplan_fini(struct netplan *n);

#endif
