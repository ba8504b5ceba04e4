/* All TCP connections of the container: finds the one a segment belongs to,
 * ticks those that need it, tells owners what happened once a burst. */
#ifndef STACK_STREAMS_H
#define STACK_STREAMS_H

#include "stack/engine.h"
#include "stack/stream.h"

#include <sys/queue.h>

TAILQ_HEAD(stream_list, stream);
STAILQ_HEAD(stream_queue, stream);

struct streams_config {
	size_t flow_limit; /* bytes buffered for a flow, a direction */
	unsigned max_streams;
	bool offload; /* super-frames may be sent */
	uint64_t key[2];
};

struct streams {
	struct streams_config config;
	struct engine *engine;        /* borrowed */
	struct packet_layer *packets; /* borrowed */
	struct chunk_pool *pool;      /* borrowed */
	struct counters *count;       /* borrowed */
	/* A new connection: attach a user to it. @arg as given to init. */
	void (*opened)(void *arg, struct stream *s);
	void *arg;
	struct stream **buckets; /* owned; by 4-tuple */
	uint32_t mask;
	unsigned live; /* streams that exist */
	struct stream_list all;
	struct stream_list armed;   /* a tick each 100 ms */
	struct stream_list waiting; /* TIME_WAIT, oldest first */
	struct stream_queue dirty;  /* something to tell or to ACK */
	nsec_t next_tick;
	uint64_t steps; /* bucket and list steps taken, for tests of cost */
};

/* 0 or -ENOMEM. */
int streams_init(struct streams *ss, const struct streams_config *config,
		 struct engine *engine, struct chunk_pool *pool,
		 void (*opened)(void *arg, struct stream *s), void *arg);
/* Resets what is open, without callbacks. */
void streams_fini(struct streams *ss);

/* stack_tcp_connect(). */
int streams_connect(struct streams *ss, const struct endpoint *container,
		    const struct endpoint *remote, struct stream_user *u,
		    struct stream **ret);
/* Takes a TCP packet that packet_input() let through. */
void streams_input(struct streams *ss, const struct packet *p);
/* The container says by ICMP that the segment of sequence number @seq to
 * @container arrived nowhere: @err, if it was the SYN of a connection that is
 * still to open, ends that. Anything later may be forged or pass by (RFC 5927),
 * and is left to TCP. */
void streams_unreachable(struct streams *ss, const struct endpoint *container,
			 const struct endpoint *remote, uint32_t seq, int err);
/* Callbacks that are due, and one ACK for each stream that got bytes. */
void streams_flush(struct streams *ss);
nsec_t streams_deadline(const struct streams *ss);
void streams_tick(struct streams *ss);

#endif
