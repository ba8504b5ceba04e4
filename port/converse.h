/* The TCP conversations of a capture that is replayed into a stack with sequence
 * numbers of its own: learns from what the recorded other side said and from
 * what this side says, translates what the container's frames acknowledge, and
 * notes where the two part ways. Works on frame bytes; owns no time. */
#ifndef PORT_CONVERSE_H
#define PORT_CONVERSE_H

#include "pcap/dissect.h"

#include <stdio.h>
#include <sys/queue.h>

/* One conversation. Fields are for reading, but for ->owner. */
struct converse_flow {
	struct endpoint container, remote;
	void *owner;      /* of whoever acts on it; NULL to start with */
	bool from_remote; /* the other side opened it */

	bool has_recorded, has_ours; /* the first sequence number of ... */
	uint32_t recorded, ours;     /* ... the other side, then and now */
	uint32_t container_isn;
	bool has_taken;
	uint32_t taken;  /* what this side acknowledged last */
	uint32_t fin_at; /* with fin_seen: what acknowledges it */
	bool fin_seen;   /* the container sent a FIN, perhaps a bad one */
	bool fin_container, fin_recorded, fin_ours;
	bool rst_container, rst_recorded, rst_ours;
	uint32_t sent;     /* payload that this side sent */
	uint64_t up, down; /* payload that the container sent, and that it
			    * acknowledged in this replay */

	uint64_t parted; /* number of the frame; 0: they go on */
	const char *parted_why;
	uint64_t first, last; /* frames of the container's, by number */
	uint64_t unfed;       /* not fed: its beginning is not recorded */
	TAILQ_ENTRY(converse_flow) order;
};

struct converse;

struct converse *converse_new(void);    /* NULL without memory */
void converse_free(struct converse *c); /* accepts NULL */

/* The conversation that @d belongs to, @from_container or not; NULL if its
 * beginning was not seen and @d is none (or without memory). A SYN with a new
 * sequence number begins a new one. */
struct converse_flow *converse_find(struct converse *c, const struct dissect *d,
				    bool from_container);

/* The same for a frame that the stack of this replay sent, which begins none. */
struct converse_flow *converse_ours_find(const struct converse *c,
					 const struct dissect *d);

/* Frame @number is from the recorded other side. */
void converse_recorded(struct converse_flow *f, const struct dissect *d,
		       uint64_t number);
/* The stack of this replay sent @d, while frame @number was the last fed. */
void converse_ours(struct converse_flow *f, const struct dissect *d,
		   uint64_t number);
/* Frame @number of the container, which is about to be fed: rewrites what it
 * acknowledges in place. */
void converse_container(struct converse_flow *f, const struct dissect *d,
			uint64_t number);
/* An ICMP message of the container, which is about to be fed: rewrites the
 * sequence number of the segment that it is about, if it is about one. */
void converse_quoted(struct converse *c, const struct dissect *icmp);
/* A frame of a conversation that began before the capture did. */
void converse_unfed(struct converse *c);

void converse_part(struct converse_flow *f, uint64_t number, const char *why);

/* One line a conversation and one for all; how many parted is returned. */
unsigned converse_report(const struct converse *c, FILE *to);

#endif
