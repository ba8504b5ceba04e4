/* Neighbour discovery (RFC 4861) as the router of the link: NA for NS, RA for
 * RS and now and then unsolicited, with prefix, MTU, RDNSS and DNSSL (RFC 8106);
 * as far as plan.offer has it: what is not offered is heard in silence. */
#ifndef STACK_NDP_H
#define STACK_NDP_H

#include "stack/packet.h"

struct ndp {
	struct packet_layer *pl; /* borrowed */
	nsec_t next_ra;          /* NSEC_NEVER: no router */
};

/* The first unsolicited RA is due at @now. */
void ndp_init(struct ndp *n, struct packet_layer *pl, nsec_t now);

/* Takes an ICMPv6 packet; false if it is not neighbour discovery or MLD, which
 * is then for icmpmsg_input(). */
bool ndp_input(struct ndp *n, const struct packet *p);

nsec_t ndp_deadline(const struct ndp *n);
void ndp_tick(struct ndp *n, nsec_t now);

#endif
