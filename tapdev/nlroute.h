/* What messages of rtnetlink(7) say of links, addresses and routes. */
#ifndef TAPDEV_NLROUTE_H
#define TAPDEV_NLROUTE_H

#include "stack/addr.h"
#include "tapdev/netcfg.h"

#include <linux/netlink.h>
#include <net/if.h>

struct nlroute_link {
	unsigned index;
	char name[IFNAMSIZ];
};

struct nlroute_addr {
	unsigned index; /* of the link */
	struct in6_addr addr;
	uint8_t bits;   /* of its subnet; within the family */
	uint8_t scope;  /* RT_SCOPE_* */
	uint32_t flags; /* IFA_F_* */
};

/* One way that a route goes. */
struct nlroute_hop {
	unsigned index; /* of the link */
	struct netcfg_route route;
};

/* Takes the hops of a route; embedded in its owner. */
struct nlroute_sink {
	/* 0, or -errno: that is the end. */
	int (*put)(struct nlroute_sink *s, const struct nlroute_hop *hop);
};

/* False if @h tells of no link with a name, or of no address of IPv4 or
 * IPv6. */
bool nlroute_link(const struct nlmsghdr *h, struct nlroute_link *ret);
bool nlroute_addr(const struct nlmsghdr *h, struct nlroute_addr *ret);
/* The hops in @h to @sink: of a route of IPv4 or IPv6 in table main that leads
 * to hosts by links (no prohibition, no cached one, none for a type of service)
 * and of a hop that is not dead. 0, or -errno of @sink. */
int nlroute_hops(const struct nlmsghdr *h, struct nlroute_sink *sink);

#endif
