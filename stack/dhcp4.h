/* A DHCPv4 server (RFC 2131) that has one lease to give: plan.dhcp4. With it goes
 * what plan.offer has, as far as the client's message has room. */
#ifndef STACK_DHCP4_H
#define STACK_DHCP4_H

#include "stack/packet.h"

#define DHCP4_SERVER_PORT 67

/* Takes the UDP packet @p (header checked by packet_input()) sent to port 67;
 * only if plan.offer.dhcp4. */
void dhcp4_input(struct packet_layer *pl, const struct packet *p);

#endif
