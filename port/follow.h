/* Asks sock_diag what the container listens on, again and again while somebody
 * wants to know, and never else. */
#ifndef PORT_FOLLOW_H
#define PORT_FOLLOW_H

#include "port/loop.h"
#include "tapdev/sockdiag.h"

/* So that the host's port opens and closes within 250 ms of the container's. */
#define FOLLOW_PERIOD (100 * NSEC_PER_MSEC)
/* So many sockets double it, twice as many triple it, and so on: a container
 * that makes them by the ten thousand must not keep us busy reading them. */
#define FOLLOW_MANY 4096

/* Embedded in its owner. */
struct follow {
	/* After each look, also from inside follow_use(): f->diag tells what it
	 * saw. May use and unuse. */
	void (*looked)(struct follow *f);
	struct sockdiag *diag; /* borrowed; NULL: following is not possible */
	struct loop *loop;     /* borrowed */
	struct loop_timer timer;
	unsigned users[SOCKDIAG_PROTOS];
};

void follow_init(struct follow *f, struct loop *loop, struct sockdiag *diag,
		 void (*looked)(struct follow *f));
/* One more wants to know about @proto: a look is taken before it returns. 0;
 * -EOPNOTSUPP without sock_diag; -errno of the look, and then nothing is
 * followed for it. Later looks that fail are taken again a period later. */
int follow_use(struct follow *f, enum sockdiag_proto proto);
/* Once for each follow_use() that was successful. */
void follow_unuse(struct follow *f, enum sockdiag_proto proto);
void follow_fini(struct follow *f);

#endif
