/* A capture file being read, by libpcap: classic pcap in microseconds and
 * nanoseconds, both byte orders, and pcapng. */
#ifndef PCAP_SOURCE_H
#define PCAP_SOURCE_H

#include "stack/fail.h"
#include "stack/nsec.h"

#include <stddef.h>
#include <stdint.h>

struct source;

struct source_frame {
	uint64_t number;      /* from 1, as Wireshark counts */
	nsec_t when;          /* since 1970; may run backwards, and the
			       * difference of any two is an nsec_t, too */
	const uint8_t *bytes; /* lent until the next call */
	size_t have;          /* of them are in the file */
	size_t len;           /* of the frame on the wire; never less */
};

/* @path "-" is stdin. NULL with the reason: no such file, no capture, another
 * link type than Ethernet. */
struct source *source_open(const char *path, struct fail *why);
void source_close(struct source *s); /* accepts NULL */
/* 1 with *@ret, 0 at the end, -errno with the reason (a file that is cut off,
 * ...). */
int source_next(struct source *s, struct source_frame *ret, struct fail *why);

#endif
