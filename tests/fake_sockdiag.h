/* What a container listens on, as a test says it: list fake_sockdiag.c among the
 * SOURCES of a test, in place of tapdev/sockdiag.c. */
#ifndef TESTS_FAKE_SOCKDIAG_H
#define TESTS_FAKE_SOCKDIAG_H

#include "tapdev/sockdiag.h"

/* Zero-initialise. What is set is seen with the next look. */
struct sockdiag {
	struct fake_service {
		enum sockdiag_proto proto;
		bool v4;
		uint16_t port;
		enum sockdiag_reach reach;
	} is[16], seen[SOCKDIAG_PROTOS][16];
	unsigned looks[SOCKDIAG_PROTOS];
	int err; /* what looks fail with; 0: they do not */
};

/* From the next look on, whoever asks for @port in that family is told @reach. */
void fake_sockdiag_set(struct sockdiag *d, enum sockdiag_proto proto, bool v4,
		       uint16_t port, enum sockdiag_reach reach);

#endif
