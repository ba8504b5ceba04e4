/* What the container's stack says by ICMP about a packet that it was sent: that
 * nobody takes it (RFC 792, RFC 4443 3.1). */
#ifndef STACK_ICMPIN_H
#define STACK_ICMPIN_H

#include "stack/packet.h"

/* The packet in question, by its quote. Nothing of it is to be trusted more
 * than the container is. */
struct icmpin_unreach {
	struct endpoint container,
		remote; /* it went from remote to container */
	uint8_t proto;  /* WIRE_PROTO_TCP or _UDP */
	uint32_t seq;   /* of TCP */
	bool refused;   /* by the port, not by the host or a filter */
};

/* Is @p an ICMP or ICMPv6 error that says "unreachable" to the source of a TCP
 * or UDP packet to an address that the container may use? Then *@ret is filled
 * in. A quote that is cut off, or of anything else, is none. */
bool icmpin_unreachable(const struct plan *plan, const struct packet *p,
			struct icmpin_unreach *ret);

#endif
