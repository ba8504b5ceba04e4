/* A lane in place of port/lanes.c: list fake_lanes.c among the SOURCES. It takes
 * clients, and does with them what the test says. */
#ifndef TESTS_FAKE_LANES_H
#define TESTS_FAKE_LANES_H

#include "port/lanes.h"

struct lanes {
	bool last, first;           /* what it is to be tried for */
	unsigned opened;            /* clients that it was given */
	struct lanes_client client; /* the last one; ->target is a reference */
};

/* Nobody is on loopback for the client that it has. */
void fake_lanes_miss(struct lanes *ls);
/* Somebody is; the client ends. */
void fake_lanes_serve(struct lanes *ls);

#endif
