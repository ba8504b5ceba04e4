/* The address plan: which addresses the container's network has, and which of
 * them this side answers for. Set once at start, read-only afterwards. */
#ifndef STACK_PLAN_H
#define STACK_PLAN_H

#include "stack/addr.h"
#include "stack/wire.h"

#define PLAN_DNS_MAX    8
#define PLAN_SEARCH_MAX 255 /* RFC 1035 2.3.4 */
#define PLAN_NAME_MAX   253 /* of a host, as text */

/* What DHCP and router advertisements tell. */
struct plan_offer {
	bool dhcp4, dhcp6; /* are there such servers? */
	bool ra;           /* is there a router that says so? */
	bool no_ndp;       /* nobody answers for neighbours of IPv6 */
	/* Resolvers of both families, in order. */
	struct in6_addr dns[PLAN_DNS_MAX];
	unsigned dns_count;
	/* A search list as on the wire: names of labels, each ending with the
	 * root (RFC 1035 3.1, uncompressed). */
	uint8_t search[PLAN_SEARCH_MAX];
	uint8_t search_len;
	char hostname[PLAN_NAME_MAX + 1]; /* of the container; empty: none */
	char fqdn[PLAN_NAME_MAX + 1];
};

struct plan {
	uint16_t mtu;              /* bytes of IP packet, 576 to 65521 */
	uint8_t mac[WIRE_MAC_LEN]; /* the gateway's, ours */

	/* The networks are the host's own: their other addresses are reached
	 * through us, and the container has one that the host has. Else they
	 * are nowhere but here. */
	bool shared;

	bool ipv4;
	struct in6_addr net4; /* 10.0.2.0 */
	uint8_t bits4;        /* 24; prefix length, 1 to 32 */
	/* Where DHCP and ICMP errors come from. Need not lie in net4; may be
	 * 0.0.0.0 without DHCP. */
	struct in6_addr gateway4;
	struct in6_addr guest4; /* N+100: what -c gives the container */
	struct in6_addr dhcp4;  /* N+15: what DHCP gives it */

	bool ipv6;
	struct in6_addr net6;     /* fd00::, always a /64 */
	struct in6_addr gateway6; /* may be router6, or lie elsewhere */
	struct in6_addr guest6;   /* fd00::64: what `tapir run` gives */
	struct in6_addr router6;  /* fe80::2: link-local of the router */

	/* What the container calls ..., :: if it has no name for that: */
	struct in6_addr loop4, loop6; /* ... the host's loopback */
	struct in6_addr self4, self6; /* ... the host's own address */
	struct in6_addr dns4, dns6;   /* ... the resolver, if @dns */
	bool dns;

	struct plan_offer offer;
	/* What is not carried: dropped without an answer. */
	bool no_tcp, no_udp, no_icmp;
};

/* The plan of slirp4netns for network @net4/@bits4 and fd00::/64, both
 * families on, dns on: N+2 and fd00::2 are gateway and the host's loopback, N+3
 * and fd00::3 the resolver; with DHCPv4 and router advertisements. @mac is the
 * gateway's. */
struct plan plan_make(struct in6_addr net4, uint8_t bits4, uint16_t mtu,
		      const uint8_t mac[WIRE_MAC_LEN]);

/* Is @a one of our own addresses: of the host's loopback, of the host itself, of
 * the resolver (only with dns), of the router? None of a family that is off. */
bool plan_is_ours(const struct plan *plan, const struct in6_addr *a);
/* What the container sees as the source of what comes from the host's loopback,
 * or from the host's own address: its name for that, else the gateway. */
struct in6_addr plan_loopback(const struct plan *plan, bool v4);
struct in6_addr plan_host(const struct plan *plan, bool v4);
/* Is @a nothing that the container could have: our own, or a gateway's? */
bool plan_is_taken(const struct plan *plan, const struct in6_addr *a);
/* On the container's link: net4, net6 or fe80::/10, if the family is on. */
bool plan_on_link(const struct plan *plan, const struct in6_addr *a);
/* 255.255.255.255, or the first or last address of net4, if that has more than
 * two (RFC 3021) and the container was not given just that one. */
bool plan_is_broadcast(const struct plan *plan, const struct in6_addr *a);
/* May a packet from the container carry @a as its source? An on-link unicast
 * address that is not taken. */
bool plan_source_ok(const struct plan *plan, const struct in6_addr *a);

#endif
