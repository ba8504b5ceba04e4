/* ARP (RFC 826) for a link with one peer: answers for every address of the
 * subnet except the container's own, and never to a probe or announcement of
 * an address that is not ours (RFC 5227). */
#ifndef STACK_ARP_H
#define STACK_ARP_H

#include "stack/link.h"

/* @v is the frame after its Ethernet header. */
void arp_input(struct link *l, struct view v);

#endif
