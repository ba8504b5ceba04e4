/* A frame in one line, for a log. */
#ifndef PCAP_TRACE_H
#define PCAP_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* As much of a frame as a line tells of. */
#define TRACE_BYTES 128

/* "> " for what the container sends, "< " for what it gets, then who to whom and
 * what. @bytes are the first of a frame's @len, @have of them; they may be
 * anything. */
void trace_frame(FILE *to, bool from_container, const uint8_t *bytes,
		 size_t have, size_t len);

#endif
