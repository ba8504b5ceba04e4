/* What the lane's process does, and what it is asked; for lane.c alone. */
#ifndef TAPDEV_LANE_SERVE_H
#define TAPDEV_LANE_SERVE_H

#include "tapdev/lane.h"

enum lane_act {
	LANE_ACT_MAKE,  /* a socket, which comes with the answer */
	LANE_ACT_ALLOW, /* from now on */
};

/* One message each, on a SOCK_SEQPACKET pair; the answer to a request is an
 * int32_t, 0 or -errno. */
struct lane_request {
	uint8_t act, way, proto, v4;
	uint16_t port;
};

/* The first message, from the process: it is ready, or why not. */
struct lane_hello {
	int err;
	struct fail why;
};

/* What the process is told by being forked with it. */
struct lane_birth {
	const struct netns_target *target;
	const struct lane_ports *ports;
	bool grows;
	int sock;     /* its end of the pair */
	pid_t parent; /* dies with it */
};

/* In the forked process: never returns. */
_Noreturn void lane_serve(const struct lane_birth *birth);

#endif
