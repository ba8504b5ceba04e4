/* Keeps policy.own4 and own6 what the host's addresses are, while these change:
 * new flows of the container to "the host" go where it is now. */
#ifndef PORT_OWNADDR_H
#define PORT_OWNADDR_H

#include "port/config.h"
#include "port/loop.h"
#include "port/policy.h"

/* News come in bursts: one look for all of them. */
#define OWNADDR_DELAY (200 * NSEC_PER_MSEC)

struct ownaddr {
	struct loop *loop;
	struct policy *policy;         /* borrowed */
	const struct config_host *how; /* borrowed */
	struct loop_fd watch;          /* owned */
	struct loop_timer look;
};

/* 0 or -errno. */
int ownaddr_init(struct ownaddr *o, struct loop *loop, struct policy *policy,
		 const struct config_host *how);
/* Also for one that is all zero but for ->watch.fd, -1. */
void ownaddr_fini(struct ownaddr *o);

#endif
