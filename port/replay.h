/* tapir replay: the container's frames of a capture into the whole stack, without
 * a tap and without root, on a clock that follows the capture. */
#ifndef PORT_REPLAY_H
#define PORT_REPLAY_H

#include "stack/addr.h"
#include "stack/nsec.h"

#include <stdio.h>

struct replay_config {
	const char *in;
	const char *out;      /* NULL: nothing is written */
	const char *expect;   /* NULL: nothing is compared */
	const char *host;     /* a script (port/script.h); NULL: as recorded, or
			     * an echo if only the container was recorded */
	struct in6_addr net4; /* as --cidr */
	uint8_t bits4;
	uint16_t mtu;
};

/* For how long the clock goes on behind the last frame. */
#define REPLAY_TAIL (5 * NSEC_PER_SEC)

/* Says on @out what happened (on @err if the frames go to stdout), on @err what
 * went wrong. 0; 1 if something went wrong, the capture is cut off, or --expect
 * expected otherwise. */
int replay_run(const struct replay_config *config, FILE *out, FILE *err);

#endif
