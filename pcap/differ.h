/* Says in words how one frame differs from another. */
#ifndef PCAP_DIFFER_H
#define PCAP_DIFFER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct differ_frame {
	const uint8_t *bytes;
	size_t len;
};

/* One line for each field that differs, "FIELD: wanted X, got Y" behind
 * @prefix, and one for the first byte of payload that does. How many lines: 0
 * if the frames are the same. Both may be anything. */
unsigned differ_frames(const struct differ_frame *want,
		       const struct differ_frame *got, const char *prefix,
		       FILE *to);

#endif
