/* A capture on the event loop: what it gathers is written when the loop has
 * nothing else to do, and after 200 ms at the latest. */
#ifndef PORT_CAPTURING_H
#define PORT_CAPTURING_H

#include "pcap/capture.h"
#include "port/loop.h"

#include <stdio.h>

#define CAPTURING_LATEST (200 * NSEC_PER_MSEC)

struct capturing_config {
	struct dump_config dump; /* its strings are copied */
	bool segment;            /* super-frames in segments */
};

/* Embedded in its owner. */
struct capturing {
	struct capture capture; /* between the stack and the tap */
	struct loop *loop;      /* borrowed */
	struct loop_hook end;
	struct loop_timer flush;
	nsec_t since;    /* when the oldest bytes that wait came */
	uint64_t seen;   /* frames when the timer was set */
	FILE *log;       /* why a capture ended; borrowed */
	char path[4096]; /* of the last capture, and ... */
	char ended[512]; /* ... why it ended by itself; empty: it did not */
};

/* Passes frames to @to until something is started. */
void capturing_init(struct capturing *c, struct loop *loop,
		    struct frame_sink *to, FILE *log);
/* From now on what waits is written when the loop idles. After whoever sends
 * frames at the end of a turn. */
void capturing_watch(struct capturing *c);
/* Ends what runs; says so if it lacks frames. The hook stays known to the loop: no turn may follow. All
 * zero: no-op. */
void capturing_fini(struct capturing *c);

/* 0 or -errno with the reason. */
int capturing_start(struct capturing *c, const struct capturing_config *config,
		    struct fail *why);
/* 0, or -ENOENT: nothing was captured. */
int capturing_stop(struct capturing *c);

#endif
