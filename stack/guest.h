/* The addresses that the container was seen using, most recent first. Bounded:
 * a container that changes its address for every packet forgets its own. */
#ifndef STACK_GUEST_H
#define STACK_GUEST_H

#include "stack/addr.h"

#define GUEST_ADDRS 16

struct guest {
	struct in6_addr addr[GUEST_ADDRS];
	unsigned n;
};

/* Cheap for the address that was learned last. */
void guest_learn(struct guest *g, const struct in6_addr *a);
/* The address of the family, not link-local, that was learned last; false if
 * there is none. */
bool guest_newest(const struct guest *g, bool v4, struct in6_addr *ret);
bool guest_has(const struct guest *g, const struct in6_addr *a);

#endif
