/* A frame as it would lie on a wire: in one piece, its checksum complete, and a
 * super-frame cut into the segments that a network card would send. Pure
 * functions of bytes; what a frame's offload says may be a lie. */
#ifndef PCAP_RECORD_H
#define PCAP_RECORD_H

#include "stack/frame.h"

/* The longest frame there is: 65,535 bytes behind an IPv6 and an Ethernet
 * header. */
#define RECORD_MAX 65589
/* A frame that falls into more segments is shown whole: a segment size of a few
 * bytes would turn one frame into 65,535 records. */
#define RECORD_SEGMENTS_MAX 2048

/* Copies the first @room bytes of @f to @buf, with the checksum that was left
 * open filled in if it lies among them. How many bytes were copied. */
size_t record_copy(const struct frame *f, uint8_t *buf, size_t room);

/* How a super-frame falls into segments. */
struct record_cut {
	const uint8_t *whole; /* all of it, as record_copy() made it; lent */
	size_t tcp_at;        /* where TCP begins */
	size_t header;        /* bytes before the payload */
	size_t payload;
	size_t unit; /* payload of each segment but the last */
	unsigned count;
	bool v4;
};

/* True with *@ret filled in if @f, of which @whole is the copy, has more than
 * one segment; false if it is to be shown whole: no super-frame, or headers that
 * are not what its offload says. */
bool record_cut(const struct frame *f, const uint8_t *whole,
		struct record_cut *ret);
/* Copies segment @n, counted from 0, to @buf of RECORD_MAX bytes as a frame of
 * its own: lengths, IPv4 identification, sequence number, flags and checksums
 * as Linux makes them. Its length. */
size_t record_segment(const struct record_cut *c, unsigned n, uint8_t *buf);

#endif
