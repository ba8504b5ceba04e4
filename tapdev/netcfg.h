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
	bool ipv6; /* address without DAD, and default route; skipped without a
		    * word if the namespace has no IPv6 */
	struct in6_addr addr6, gateway6;
	uint8_t bits6;
};

/* In this order (slirp4netns-contract 1.5): lo up, @ifname up, MTU, MAC,
 * address, default route; then IPv6. 0 or -errno. */
int netcfg_apply(const char *ifname, const struct netcfg *cfg,
		 struct fail *why);

#endif
