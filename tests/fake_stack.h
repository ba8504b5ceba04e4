/* The datagram half of the stack, recording what the relays send to the
 * container: list fake_stack.c among the SOURCES of a test. Of the other half
 * it has a container without addresses, which cannot be connected to. */
#ifndef TESTS_FAKE_STACK_H
#define TESTS_FAKE_STACK_H

#include "stack/stack.h"

enum fake_out_kind {
	FAKE_OUT_UDP,
	FAKE_OUT_UDP_ERROR,
	FAKE_OUT_ECHO,
	FAKE_OUT_ECHO_ERROR,
};

struct fake_out {
	enum fake_out_kind kind;
	struct dgram dgram;       /* FAKE_OUT_UDP*; payload is a copy */
	struct icmpmsg_echo echo; /* FAKE_OUT_ECHO*; payload is a copy */
	enum icmpmsg_why why;     /* of errors */
	uint32_t mtu;
	bool has_from;
	struct in6_addr from;
	uint8_t *bytes; /* what payload points to */
};

/* What was sent since the last fake_stack_clear(). */
size_t fake_stack_count(void);
/* The @n-th of it, which must be there and of @kind. */
const struct fake_out *fake_stack_out(size_t n, enum fake_out_kind kind);
void fake_stack_clear(void);

#endif
