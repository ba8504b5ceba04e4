/* The tap and the stack on the event loop: frames from the container in bounded
 * bursts, the stack's time and its timer. */
#ifndef PORT_TAPIO_H
#define PORT_TAPIO_H

#include "pcap/capture.h"
#include "port/loop.h"
#include "stack/stack.h"
#include "tapdev/tapdev.h"

struct tapio {
	struct loop_fd fd;       /* of the tap, for reading; -1: it is gone */
	struct loop_hook start;  /* gives the stack the time */
	struct loop_hook end;    /* arms tick */
	struct loop_timer tick;  /* at stack_deadline() */
	struct loop_timer retry; /* while libc has no memory for a frame */
	struct loop *loop;       /* borrowed */
	struct stack *stack;     /* borrowed */
	struct tapdev *tap;      /* borrowed */
	struct capture *capture; /* borrowed; NULL: nobody listens in */
	struct chunk *spare;     /* owned, within a burst; NULL else */
	uint64_t bad;            /* read, but no frame: cut off, header lies */
};

/* Watches the tap from the next turn on; @capture sees what comes. 0 or
 * -errno. */
int tapio_init(struct tapio *io, struct loop *loop, struct stack *stack,
	       struct tapdev *tap, struct capture *capture);
/* Before stack_free(). The hooks stay known to the loop: no turn may follow.
 * Accepts what is all zero. */
void tapio_fini(struct tapio *io);

#endif
