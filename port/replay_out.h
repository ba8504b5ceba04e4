/* What a replay puts out: written to a file, compared with another, both or
 * neither. */
#ifndef PORT_REPLAY_OUT_H
#define PORT_REPLAY_OUT_H

#include "stack/fail.h"
#include "stack/nsec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Where a comparison ends: lines about differences. */
#define REPLAY_OUT_DIFFERENCES 20

struct replay_out_config {
	const char *in;   /* what is replayed, which must not be written over */
	const char *path; /* NULL: nothing is written; "-": stdout */
	const char *want; /* NULL: nothing is compared */
	nsec_t first;     /* the time from which differences count; of 1970 */
	FILE *report;     /* of the differences; borrowed */
};

/* All zero: nothing comes out, and all calls are no-ops. */
struct replay_out {
	struct dump *file;
	struct source *want;
	FILE *report;
	nsec_t first;
	uint64_t n; /* frames so far */
	unsigned differences;
};

/* 0 or -errno with the reason; replay_out_close() either way. */
int replay_out_open(struct replay_out *o, const struct replay_out_config *c,
		    struct fail *why);
void replay_out_close(struct replay_out *o);

/* Does anybody look at the whole of a frame? */
bool replay_out_wants(const struct replay_out *o);
/* A frame of the time @when since 1970. 0 or -errno with the reason; to differ
 * is none. */
int replay_out_put(struct replay_out *o, nsec_t when, const uint8_t *bytes,
		   size_t len, struct fail *why);
/* That was all: writes what waits, tells what did not come. As above. */
int replay_out_end(struct replay_out *o, struct fail *why);

#endif
