/* Reassembly of IPv4 (RFC 791, RFC 815) and IPv6 fragments (RFC 8200 4.5, RFC
 * 5722: overlaps kill the whole datagram), bounded in datagrams, bytes and
 * work: a datagram costs at most one chunk, a fragment at most one pass over
 * REASS_SPANS spans. */
#ifndef STACK_REASS_H
#define STACK_REASS_H

#include "stack/chunk.h"
#include "stack/count.h"
#include "stack/nsec.h"

#include <netinet/in.h>
#include <stdbool.h>

#define REASS_DATAGRAMS 16 /* at once; the oldest gives way */
/* Separate runs of bytes of one datagram: 65,535 bytes at an MTU of 576 are 119
 * fragments, of which every second one may be late. */
#define REASS_SPANS 64
/* RFC 1122 3.3.2 wants 60 to 120 s for the Internet; this is a tap. */
#define REASS_TIMEOUT (30 * NSEC_PER_SEC)

/* One fragment. The key is @src, @dst, @id and @proto (RFC 791 3.2); IPv6 sets
 * @proto to 0, as it is not part of its key (RFC 8200 4.5). */
struct reass_frag {
	struct in6_addr src, dst;
	uint32_t id;
	uint8_t proto;
	uint8_t next, ttl, tos; /* told again if this is the first fragment */
	size_t offset;          /* bytes */
	bool more;              /* not the last */
	const uint8_t *data;
	size_t len;
};

/* A datagram put together. */
struct reass_whole {
	struct chunk
		*chunk; /* the caller's reference; payload from data[] on */
	size_t len;
	uint8_t next, ttl, tos; /* of the first fragment */
};

/* Bytes start to end - 1 are here. */
struct reass_span {
	uint16_t start, end;
};

struct reass_slot {
	struct in6_addr src, dst;
	uint32_t id;
	uint8_t proto;
	uint8_t next, ttl, tos;
	bool used;
	bool dead; /* overlapped: what still comes is dropped */
	nsec_t expires;
	struct chunk *chunk; /* owned; NULL if dead */
	uint16_t total;      /* bytes; 0 until the last fragment came */
	uint16_t spans;
	struct reass_span span[REASS_SPANS]; /* ascending, never touching */
};

struct reass {
	struct chunk_pool *pool; /* borrowed */
	struct counters *count;  /* borrowed */
	struct reass_slot slot[REASS_DATAGRAMS];
};

void reass_init(struct reass *r, struct chunk_pool *pool,
		struct counters *count);
void reass_fini(struct reass *r);

/* Takes a fragment. True with *@ret filled in if it completes its datagram;
 * false if others are still missing or it was dropped (counted). */
bool reass_add(struct reass *r, const struct reass_frag *f, nsec_t now,
	       struct reass_whole *ret);

/* When the next datagram is given up, or NSEC_NEVER. */
nsec_t reass_deadline(const struct reass *r);
void reass_tick(struct reass *r, nsec_t now);

#endif
