/* The address plan: which addresses the container's network has, and which of
 * them this side answers for. Set once at start, read-only afterwards. */
#ifndef STACK_PLAN_H
#define STACK_PLAN_H

#include "stack/addr.h"
#include "stack/wire.h"

struct plan {
	uint16_t mtu;              /* bytes of IP packet, 576 to 65521 */
	uint8_t mac[WIRE_MAC_LEN]; /* the gateway's, ours */

	bool ipv4;
	struct in6_addr net4;     /* 10.0.2.0 */
	uint8_t bits4;            /* 24; prefix length, 1 to 25 */
	struct in6_addr gateway4; /* N+2: gateway and host alias */
	struct in6_addr dns4;     /* N+3: resolver alias */
	struct in6_addr guest4;   /* N+100: what -c gives the container */
	struct in6_addr dhcp4;    /* N+15: what DHCP gives it */

	bool ipv6;
	struct in6_addr net6;     /* fd00::, always a /64 */
	struct in6_addr gateway6; /* fd00::2: host alias */
	struct in6_addr dns6;     /* fd00::3: resolver alias */
	struct in6_addr guest6;   /* fd00::64: what `tapir run` gives */
	struct in6_addr router6;  /* fe80::2: link-local of the router */

	bool dns; /* dns4 and dns6 are announced and answered */
};

/* The plan of slirp4netns for network @net4/@bits4 and fd00::/64, both
 * families on, dns on. @mac is the gateway's. */
struct plan plan_make(struct in6_addr net4, uint8_t bits4, uint16_t mtu,
		      const uint8_t mac[WIRE_MAC_LEN]);

/* Is @a one of our own addresses: gateway, resolver alias (only with dns),
 * router? None of a family that is off. */
bool plan_is_ours(const struct plan *plan, const struct in6_addr *a);
/* On the container's link: net4, net6 or fe80::/10, if the family is on. */
bool plan_on_link(const struct plan *plan, const struct in6_addr *a);
/* 255.255.255.255, or the first or last address of net4. */
bool plan_is_broadcast(const struct plan *plan, const struct in6_addr *a);
/* May a packet from the container carry @a as its source? An on-link unicast
 * address that is not ours. */
bool plan_source_ok(const struct plan *plan, const struct in6_addr *a);

#endif
