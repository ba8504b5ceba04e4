/* Link set-up inside the container's network namespace, over rtnetlink(7). */
#ifndef TAPDEV_NETCFG_H
#define TAPDEV_NETCFG_H

#include "stack/addr.h"
#include "stack/wire.h"
#include "tapdev/fail.h"

#include <stdbool.h>

struct netcfg {
	uint16_t mtu;
	bool has_mac;
	uint8_t mac[WIRE_MAC_LEN];
	bool ipv4;
	struct in6_addr addr4, gateway4;
	uint8_t bits4;
	bool ipv6; /* address without DAD, and default route, instead of what
		    * router advertisements would give; skipped without a word
		    * if the namespace has no IPv6 */
	struct in6_addr addr6, gateway6;
	uint8_t bits6;
};

/* In the caller's namespace and in this order: lo up, @ifname up (with no other
 * flag), MTU, MAC, address, default route; then IPv6. An address or route that
 * is there already is fine. 0 or -errno. */
int netcfg_apply(const char *ifname, const struct netcfg *cfg,
		 struct fail *why);
/* How many packets may wait in the tap before more are dropped. 0 or -errno. */
int netcfg_set_queue(const char *ifname, unsigned packets);

#endif
