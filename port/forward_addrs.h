/* Which addresses of the host a rule means. */
#ifndef PORT_FORWARD_ADDRS_H
#define PORT_FORWARD_ADDRS_H

#include "port/rule.h"

/* Most addresses that a rule for an interface can have. */
#define FORWARD_ADDRS_MAX 64

struct forward_addrs {
	struct in6_addr addr[FORWARD_ADDRS_MAX]; /* IPv4 first; those that are
						  * link-local with scope, see
						  * hostsock.h */
	unsigned n;
	unsigned families; /* of these: RULE_IPV4, RULE_IPV6 */
};

/* 0.0.0.0 and ::, the one address, or those that the interface has now. 0, or
 * -errno with the reason: no such interface, none of the rule's families, more
 * than FORWARD_ADDRS_MAX. */
int forward_addrs_find(const struct rule *r, struct forward_addrs *ret,
		       struct fail *why);

#endif
