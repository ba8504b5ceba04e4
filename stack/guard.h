/* What a TCP segment must satisfy before lwIP sees it. lwIP 2.2.1 trusts its
 * peer more than a hostile container deserves: options that change the MSS in
 * mid-flow, data beyond the window and flags that make no sense would reach
 * asserts of its. RFC 9293; each rule is a test in tests/test_guard.c. */
#ifndef STACK_GUARD_H
#define STACK_GUARD_H

#include "stack/count.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Smaller maximum segment sizes are raised to this: a peer that asks for one
 * byte a segment asks for a denial of service. Linux's floor is 48. */
#define GUARD_MSS_MIN 88

/* A segment taken apart, host byte order. */
struct guard_segment {
	uint8_t *header; /* wire_tcp, options, payload: @len bytes */
	size_t len;
	size_t header_len;
	uint32_t seq, ack;
	uint8_t flags; /* WIRE_TCP_* */
};

/* Checks the shape of the segment of @len >= 20 bytes at @tcp and makes its
 * options harmless in place: what is malformed, what lwIP has no use for, and
 * everything on a segment without SYN becomes NOP; the payload of a SYN is cut
 * off. True with *@ret filled in, false if it is to be dropped (counted). */
bool guard_check(uint8_t *tcp, size_t len, struct counters *count,
		 struct guard_segment *ret);

/* Cuts @s to the window [@rcv_nxt, @rcv_nxt + @rcv_wnd): what lies to its right
 * goes, a FIN with it. What remains may be without payload, which lwIP answers
 * with an ACK as it should. */
void guard_trim(struct guard_segment *s, uint32_t rcv_nxt, uint32_t rcv_wnd,
		struct counters *count);

#endif
