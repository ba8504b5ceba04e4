/* Link set-up inside the container's network namespace, over rtnetlink(7). */
#ifndef TAPDEV_NETCFG_H
#define TAPDEV_NETCFG_H

#include "stack/addr.h"
#include "stack/fail.h"
#include "stack/wire.h"

#include <stdbool.h>

struct netcfg_addr {
	struct in6_addr addr;
	uint8_t bits; /* of its subnet; within the family */
};

struct netcfg_route {
	struct in6_addr dst; /* its family is the route's; 0.0.0.0 and :: with
			      * 0 bits are the defaults */
	uint8_t bits;
	/* ::, 0.0.0.0: on the link. Of the other family for IPv4 by way of a
	 * neighbour of IPv6 (RFC 5549). */
	struct in6_addr gateway;
	uint32_t metric; /* 0: as the kernel has it */
};

/* The default route by @gateway, which is of the route's family. */
struct netcfg_route netcfg_default_by(const struct in6_addr *gateway);

struct netcfg {
	/* Only lo gets up, and the interface its MAC: what else there is to
	 * set somebody inside does, by DHCP or otherwise. */
	bool lo_only;
	uint16_t mtu; /* 0: left as it is */
	bool has_mac;
	uint8_t mac[WIRE_MAC_LEN];
	bool ipv6;    /* IPv6 is configured here, and there are no router
		    * advertisements and no duplicate address detection:
		    * addresses are good at once. Else those of the lists are
		    * left out. Skipped without a word if the namespace has no
		    * IPv6. */
	bool no_ipv6; /* the interface has none, not even link-local */
	const struct netcfg_addr *addrs; /* borrowed */
	size_t addr_count;
	/* Borrowed. Each after those by which its gateway is reached. */
	const struct netcfg_route *routes;
	size_t route_count;
};

/* In the caller's namespace and in this order: lo up, MAC, @ifname up (with no
 * other flag), MTU, addresses, routes; then IPv6. What is there already is fine,
 * and a default route takes the place of one of the same metric. A route to the
 * subnet of an address is left out, having come with the address; a gateway that
 * nothing leads to is one on the link. 0 or -errno. */
int netcfg_apply(const char *ifname, const struct netcfg *cfg,
		 struct fail *why);
/* How many packets may wait in the tap before more are dropped. 0 or -errno. */
int netcfg_set_queue(const char *ifname, unsigned packets);

#endif
