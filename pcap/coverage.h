/* Which bytes of a TCP stream have been seen, to tell new ones from those that
 * were sent again and from those that came out of order. */
#ifndef PCAP_COVERAGE_H
#define PCAP_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>

/* Of more holes the oldest is taken for lost by the capture. */
#define COVERAGE_HOLES 16

struct coverage_hole {
	uint32_t from, to; /* sequence numbers; to: the first behind it */
};

/* All zero: nothing seen. */
struct coverage {
	bool begun;
	uint8_t holes;
	uint32_t next;                             /* behind everything seen */
	struct coverage_hole hole[COVERAGE_HOLES]; /* by sequence number */
};

/* The stream begins at @seq. */
void coverage_begin(struct coverage *c, uint32_t seq);
/* @len bytes from @seq on. How many of them are new. */
uint32_t coverage_add(struct coverage *c, uint32_t seq, uint32_t len);

#endif
