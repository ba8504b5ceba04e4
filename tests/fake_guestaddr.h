/* A container whose addresses a test makes up, in place of port/guestaddr.c:
 * list fake_guestaddr.c among the SOURCES of a test. */
#ifndef TESTS_FAKE_GUESTADDR_H
#define TESTS_FAKE_GUESTADDR_H

#include "port/guestaddr.h"

struct guestaddr {
	struct plan plan;
	bool has4, has6; /* an address of that family: the plan's */
	unsigned changes;
};

/* Has an address of each family. */
void fake_guestaddr_init(struct guestaddr *g, const struct plan *plan);

#endif
