/* A DHCPv4 server (RFC 2131) that has one lease to give: plan.dhcp4. */
#ifndef STACK_DHCP4_H
#define STACK_DHCP4_H

#include "stack/ip.h"

#define DHCP4_SERVER_PORT 67

/* Takes the UDP packet @p (header checked by ip_input()) sent to port 67. */
void dhcp4_input(struct ip *ip, const struct packet *p);

#endif
