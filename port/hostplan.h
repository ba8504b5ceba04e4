/* The address plan that shows the container the host's own network (pasta's):
 * pure, from what was asked for and what the host has. */
#ifndef PORT_HOSTPLAN_H
#define PORT_HOSTPLAN_H

#include "port/config.h"
#include "stack/plan.h"
#include "tapdev/hostnet.h"
#include "tapdev/netcfg.h"

#include <net/if.h>

/* Each family has an address and a default route of our own make, if the host
 * has none. */
#define HOSTPLAN_OWN_ROUTES 2

struct hostplan {
	struct plan plan;
	char ifname[IFNAMSIZ]; /* of the tap, if none was asked for */
	struct netcfg_addr addrs[2];
	unsigned addr_count;
	/* In the order in which they can be added; those of the host are
	 * borrowed from struct hostnet. */
	struct netcfg_route own[HOSTPLAN_OWN_ROUTES];
	unsigned own_count;
	bool copies4, copies6; /* the host's routes of that family, too */
};

/* A family that the host has no address of, and none was asked for, is off;
 * without any the plan is a link of its own, 169.254.2.0/24 and fe80::/64, whose
 * gateway is the host. 0, or -EINVAL with the reason. */
int hostplan_make(const struct config *config, const struct hostnet *host,
		  struct hostplan *ret, struct fail *why);
/* The host's own addresses, which self4 and self6 stand for: :: for none. */
struct in6_addr hostplan_own(const struct hostnet *host, bool v4);

#endif
