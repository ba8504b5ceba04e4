/* A DHCPv6 server (RFC 8415) that has one address to give: plan.guest6, for
 * ever. With it goes what plan.offer has. Keeps no state: the address is for
 * the one neighbour, whatever identifiers it has. */
#ifndef STACK_DHCPV6_H
#define STACK_DHCPV6_H

#include "stack/packet.h"

#define DHCPV6_SERVER_PORT 547

/* Takes the UDP packet @p (header checked by packet_input()) sent to the
 * servers' group, ff02::1:2; only if plan.offer.dhcp6. */
void dhcpv6_input(struct packet_layer *pl, const struct packet *p);

#endif
