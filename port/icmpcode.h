/* What an ICMP or ICMPv6 error says, in the words of stack/icmpmsg.h. */
#ifndef PORT_ICMPCODE_H
#define PORT_ICMPCODE_H

#include "stack/icmpmsg.h"
#include "stack/wire.h"

#include <stdbool.h>

struct icmpcode {
	enum icmpmsg_why why;
	uint32_t mtu; /* of ICMPMSG_TOO_BIG */
	int err; /* what a connect() fails with, positive; 0: it does not */
};

/* False if it is no error, or one of which a host takes no notice. */
bool icmpcode_read(const struct wire_icmp *icmp, bool v4, struct icmpcode *ret);

#endif
