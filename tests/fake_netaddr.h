/* A namespace whose addresses a test makes up, in place of tapdev/netaddr.c: list
 * fake_netaddr.c among the SOURCES of a test. */
#ifndef TESTS_FAKE_NETADDR_H
#define TESTS_FAKE_NETADDR_H

#include "tapdev/netaddr.h"

struct netaddr {
	struct netaddr_entry is[32], seen[32];
	size_t n, n_seen;
	int event; /* readable while there is news */
	unsigned refreshes;
	int err; /* what refreshing fails with; 0: it does not */
};

void fake_netaddr_init(struct netaddr *na);
void fake_netaddr_fini(struct netaddr *na);
/* Usable at once; seen with the next refresh, of which there is news. */
struct netaddr_entry *fake_netaddr_add(struct netaddr *na, const char *ifname,
				       const char *addr, uint8_t bits);
/* As above, of the newest. */
void fake_netaddr_remove(struct netaddr *na);

#endif
