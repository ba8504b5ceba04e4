/* Who is who in a capture: which Ethernet addresses are the container's
 * and which the gateway's. There may be several of either. */
#ifndef PORT_SIDES_H
#define PORT_SIDES_H

#include "pcap/dissect.h"
#include "stack/plan.h"

#include <stdbool.h>

/* Most addresses that are told apart; a tap has two. */
#define SIDES_MAX 8

struct sides {
	struct sides_mac {
		uint8_t mac[WIRE_MAC_LEN];
		uint64_t sent;
		unsigned to;    /* bit n: it sends to mac[n] */
		bool serves;    /* advertises a router, offers leases */
		bool asks;      /* solicits routers, wants a lease */
		unsigned addrs; /* different IP sources, as far as kept */
		struct in6_addr addr[SIDES_MAX];
	} mac[SIDES_MAX];
	unsigned n;
};

/* Takes note of one frame. */
void sides_look(struct sides *s, const struct dissect *d);
/* Whose the frames are: the container is who asks; else, of those who neither
 * serve nor have the plan's MAC, who has most addresses that the plan lets a
 * container have, or else the fewest of any, and spoke first. NULL: nobody
 * spoke. */
const struct sides_mac *sides_container(const struct sides *s,
					const struct plan *plan);
/* Is @mac the other side's, when @container is the container: the plan's MAC, or one
 * that it talks with, or one that serves? */
bool sides_is_other(const struct sides *s, const struct sides_mac *container,
		    const struct plan *plan, const uint8_t mac[WIRE_MAC_LEN]);

#endif
