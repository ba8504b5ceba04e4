/* Where a rule leads inside the container, and what was learned about it: shared
 * by the rule and the flows that it made, which may outlive it. */
#ifndef PORT_TARGET_H
#define PORT_TARGET_H

#include "port/guestaddr.h"
#include "stack/nsec.h"

/* For how long the family that answered is tried first. */
#define TARGET_MEMORY (30 * NSEC_PER_SEC)

/* A target has at most an address of each family. */
#define TARGET_MAX 2

/* So many of a rule's ports in succession are remembered apart. */
#define TARGET_PORTS 16

struct target {
	unsigned refs;
	struct in6_addr addr; /* :: is the container's own, of either family */
	const struct guestaddr *guest; /* borrowed */
	/* By the client's family, [0] IPv4 and [1] IPv6, and the container's
	 * port: behind the ports of one rule may be different services. */
	struct target_memory {
		uint16_t port;
		bool v4;      /* the family to try first ... */
		nsec_t until; /* ... until then; 0: the client's own */
	} memory[2][TARGET_PORTS];
	/* The loopback lane (port/lanes.h) answered clients of this port when
	 * nobody else did: it is tried first until then. */
	uint16_t lane_port;
	nsec_t lane_until;
	/* Nothing answered in any family. NULL: nobody wants to know (any
	 * more). */
	void (*unanswered)(struct target *t, uint16_t port);
	void *arg; /* for unanswered() */
};

/* With one reference; NULL without memory. */
struct target *target_new(const struct in6_addr *addr,
			  const struct guestaddr *guest);
struct target *target_ref(struct target *t);
/* Accepts NULL. */
void target_put(struct target *t);

/* The addresses to try for a client of family @v4 of the container's @port, best
 * first: its own family, then the other, unless the other answered there lately
 * and its own did not. How many: 0 if the container has no address. */
unsigned target_list(const struct target *t, bool v4, uint16_t port, nsec_t now,
		     struct in6_addr ret[TARGET_MAX]);
/* Did an address of @addr's family answer clients of family @v4 lately at @port,
 * in place of their own? */
bool target_prefers(const struct target *t, bool v4, uint16_t port, nsec_t now,
		    const struct in6_addr *addr);
/* For a client of family @v4, @addr answered at @port. */
void target_answered(struct target *t, bool v4, uint16_t port,
		     const struct in6_addr *addr, nsec_t now);
/* None of target_list() did: forgets, and tells. */
void target_failed(struct target *t, bool v4, uint16_t port);

#endif
