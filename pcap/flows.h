/* The conversations of a capture: who talked to whom, how much, and how it
 * ended. TCP, UDP and ping, over both families. Memory is bounded, and no frame
 * is trusted. */
#ifndef PCAP_FLOWS_H
#define PCAP_FLOWS_H

#include "pcap/coverage.h"
#include "pcap/source.h"
#include "stack/addr.h"

/* Conversations that are followed at most; frames of later ones are counted. */
#define FLOWS_MAX 262144

enum flows_end {
	FLOWS_OPEN,        /* TCP: no end was captured */
	FLOWS_CLOSED,      /* TCP: both sides have closed */
	FLOWS_HALF,        /* TCP: one has */
	FLOWS_RESET,       /* TCP: before both had closed */
	FLOWS_REFUSED,     /* TCP: a reset answered the SYN */
	FLOWS_ANSWERED,    /* UDP, ping: there was one answer at least */
	FLOWS_SILENT,      /* nothing came back */
	FLOWS_UNREACHABLE, /* nothing but an ICMP error */
};

/* What one end sent. */
struct flows_way {
	uint64_t frames;
	uint64_t bytes; /* of payload; what was sent again counts once */
	uint32_t resets;
	uint32_t retransmits;
	bool syn, fin;
	uint32_t syn_seq, fin_seq;
	struct coverage seen;
};

struct flows_talk {
	uint8_t proto; /* WIRE_PROTO_TCP, _UDP; _ICMP for ping, _ICMPV6 too */
	/* [0] began it, as far as one can tell; a ping's ports are its
	 * identifier. */
	struct endpoint end[2];
	const char *name[2]; /* from DNS, when it began; NULL: none */
	struct flows_way way[2];
	nsec_t first, last;
	uint32_t unreachable; /* ICMP errors that said so */
};

struct flows;

/* NULL without memory. @seed is one that the capture's maker does not know. */
struct flows *flows_new(uint64_t seed);
void flows_free(struct flows *f); /* accepts NULL */
void flows_add(struct flows *f, const struct source_frame *frame);

struct flows_totals {
	uint64_t frames;
	uint64_t other;    /* of them belong to no conversation */
	uint64_t too_many; /* of them belong to those beyond FLOWS_MAX */
};

struct flows_totals flows_totals(const struct flows *f);
/* Those with the most bytes first, then as they began. Good until the next
 * flows_add(). */
const struct flows_talk *const *flows_sort(struct flows *f, size_t *ret_count);

enum flows_end flows_end_of(const struct flows_talk *t);
/* "closed", "half-closed", ... */
const char *flows_end_name(enum flows_end end);

#endif
