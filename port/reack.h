/* What a TCP segment acknowledges, moved to other sequence numbers. Both are of
 * frames that may be written to; their checksums follow, and one that was wrong
 * stays wrong. */
#ifndef PORT_REACK_H
#define PORT_REACK_H

#include "pcap/dissect.h"

/* Adds @by to the acknowledgement and to the edges of the SACK blocks of a
 * segment with ACK. @open: its checksum is still to be made, and left alone. */
void reack_segment(const struct dissect *d, uint32_t by, bool open);
/* Adds @by to the sequence number of the segment of which @quote has at least 8
 * bytes, within the ICMP message @icmp. */
void reack_quote(const struct dissect *icmp, const struct dissect *quote,
		 uint32_t by);

#endif
