/* The TCP conversations of a capture that is replayed into a stack with sequence
 * numbers of its own: learns from what the recorded other side said ("there")
 * and from what this side says ("here"), translates what the container's frames
 * acknowledge, and notes where the two part ways. Works on frame bytes; owns no
 * time. */
#ifndef PORT_CONVERSE_H
#define PORT_CONVERSE_H

#include "pcap/dissect.h"

#include <stdio.h>
#include <sys/queue.h>

/* Conversations that are kept at once; beyond it the one that was silent for
 * longest is reported and forgotten. */
#define CONVERSE_MAX 65536

enum converse_from {
	CONVERSE_CONTAINER,
	CONVERSE_THERE,
	CONVERSE_HERE,
};

/* What one side has said so far, in its own sequence numbers. Bytes are counted
 * once, however often they came. */
struct converse_side {
	bool begun; /* a SYN: isn, top and sent are valid */
	uint32_t isn;
	uint32_t top; /* behind its last byte; its FIN is none */
	uint64_t sent;
	bool fin;        /* it ended its side; acknowledged by ... */
	uint32_t fin_at; /* ... this */
	bool rst;
	bool unreachable; /* it answered the SYN with an ICMP error */

	bool acks;      /* acked and got are valid */
	uint32_t acked; /* up to here its peer's bytes, and ... */
	uint64_t got;   /* ... how many these are */
	bool got_fin;
};

/* One conversation. Fields are for reading, but for ->owner. */
struct converse_flow {
	struct endpoint container, remote;
	void *owner;      /* of whoever acts on it; NULL to start with */
	bool from_remote; /* the other side opened it */
	/* The container's acknowledgements are translated: they are of what
	 * `here` sent. */
	struct converse_side guest, there, here;
	uint64_t invented; /* bytes sent here that the capture had lost */

	uint64_t parted; /* number of the frame; 0: they go on */
	const char *parted_why;
	uint64_t last; /* frame, by number */
	bool known;    /* a frame may belong to it */
	bool leaving;
	TAILQ_ENTRY(converse_flow) order, recent;
};

/* Told before a conversation is not looked at any more because another begins on
 * the same ports, or there are too many: its owner lets go of it, from inside
 * the call. */
struct converse_watch {
	void (*leaving)(struct converse_watch *w, struct converse_flow *f);
};

struct converse;

/* The lines of conversations go to @report. NULL without memory. */
struct converse *converse_new(FILE *report);
void converse_free(struct converse *c); /* accepts NULL */
/* "Here" does what "there" did, by means of owners that @w tells: any difference
 * at the end means that they parted. Without, the container may get other
 * answers than it got there. */
void converse_imitate(struct converse *c, struct converse_watch *w);

/* The conversation that @d, whose sender is @from, belongs to; NULL if its
 * beginning was not seen and @d is none (or without memory). A SYN that a stack
 * would believe begins a new one, unless it is from here. */
struct converse_flow *converse_find(struct converse *c, const struct dissect *d,
				    enum converse_from from);
/* The conversation of the container's that an ICMP error of @from quotes a segment
 * of: if that was not answered otherwise it is unreachable. NULL: there is none. */
struct converse_flow *converse_find_quoted(struct converse *c,
					   const struct dissect *quote,
					   enum converse_from from);

/* Frame @number is from the recorded other side. */
void converse_there(struct converse *c, struct converse_flow *f,
		    const struct dissect *d, uint64_t number);
/* The stack of this replay sent @d, while frame @number was the last fed. */
void converse_here(struct converse_flow *f, const struct dissect *d,
		   uint64_t number);
/* Frame @number of the container, which is about to be fed: rewrites what it
 * acknowledges in place. @open: its checksum is still to be made. */
void converse_container(struct converse_flow *f, const struct dissect *d,
			bool open, uint64_t number);
/* An ICMP error of the container about packet @quote, which is about to be fed:
 * rewrites the sequence number in it if that is a segment from outside. */
void converse_complaint(struct converse *c, const struct dissect *icmp,
			const struct dissect *quote);
/* A frame of a conversation that began before the capture did. */
void converse_unfed(struct converse *c);

void converse_part(struct converse_flow *f, uint64_t number, const char *why);

/* One line for each conversation that is still known and one for all; how many
 * parted is returned. Once. */
unsigned converse_report(struct converse *c);

#endif
