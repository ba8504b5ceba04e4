/* A capture between the stack and the tap: a sink in front of a sink, and an ear
 * for what comes from the container. Frames are recorded as they would lie on a
 * wire (pcap/record.h). While nothing is captured it passes frames on and does
 * nothing else. */
#ifndef PCAP_CAPTURE_H
#define PCAP_CAPTURE_H

#include "pcap/dump.h"
#include "stack/frame.h"

#include <stdio.h>

struct capture {
	struct frame_sink sink; /* for the stack, in place of ->to */
	struct frame_sink *to;  /* borrowed: the tap */
	/* Nanoseconds since 1970, for each frame. */
	nsec_t (*clock)(void);
	/* The output failed and the capture ends with this call, from which none
	 * may be started; @why in words, for the time of the call. */
	void (*failed)(struct capture *c, const char *why);

	FILE *trace;       /* a line for each frame; NULL: none */
	struct dump *dump; /* NULL: nothing is captured */
	struct dump *last; /* stopped, and its reader has not got all of it */
	bool segment;      /* super-frames in segments */
	uint8_t *bufs;     /* owned, while something is captured */
	struct dump_stats stats; /* of the capture that was stopped last */
};

void capture_init(struct capture *c, struct frame_sink *to,
		  nsec_t (*clock)(void),
		  void (*failed)(struct capture *c, const char *why));
/* Stops, and waits a second at most until a slow reader has got what it is still
 * owed. */
void capture_fini(struct capture *c);

/* 0, or -errno with the reason: -EBUSY if it captures already. */
int capture_start(struct capture *c, const struct dump_config *config,
		  bool segment, struct fail *why);
/* Never waits: what the reader does not take at once follows by
 * capture_flush(). Not capturing: no-op. */
void capture_stop(struct capture *c);
bool capture_running(const struct capture *c);
/* Of the capture that runs, or of the last one. */
struct dump_stats capture_stats(const struct capture *c);

/* A frame from the container, before anybody changes its bytes. */
void capture_input(struct capture *c, const uint8_t *bytes, size_t len,
		   const struct offload *off);
/* Does anything wait for capture_flush()? */
bool capture_waiting(const struct capture *c);
/* Writes what the output takes without waiting. */
void capture_flush(struct capture *c);

#endif
