/* Reassembly of IPv4 (RFC 791, RFC 815) and IPv6 fragments (RFC 8200 4.5, RFC
 * 5722: overlaps kill the whole datagram), bounded in datagrams and bytes. */
#ifndef STACK_REASS_H
#define STACK_REASS_H

#include "stack/chunk.h"
#include "stack/count.h"
#include "stack/nsec.h"

#include <netinet/in.h>
#include <stdbool.h>

#define REASS_DATAGRAMS 16 /* at once; the oldest gives way */
#define REASS_TIMEOUT                                                          \
	(30 * NSEC_PER_SEC) /* RFC 1122 3.3.2: 60 to 120 s is
					    * for the Internet; this is a tap */

struct reass_slot;

struct reass {
	struct chunk_pool *pool; /* borrowed */
	struct counters *count;  /* borrowed */
	struct reass_slot *slots;
};

/* One fragment; @key parts as RFC 791 3.2 and RFC 8200 4.5 name them. */
struct reass_frag {
	struct in6_addr src, dst;
	uint32_t id;
	uint8_t proto;
	size_t offset; /* bytes */
	bool more;     /* not the last */
	const uint8_t *data;
	size_t len;
};

int reass_init(struct reass *r, struct chunk_pool *pool,
	       struct counters *count);
void reass_fini(struct reass *r);

/* Takes a fragment. The whole payload as a chunk (caller owns the reference)
 * with its bytes from data[] on and *@ret_len bytes long once complete, NULL
 * before or when it was dropped (counted). */
struct chunk *reass_add(struct reass *r, const struct reass_frag *f, nsec_t now,
			size_t *ret_len);

nsec_t reass_deadline(const struct reass *r);
void reass_tick(struct reass *r, nsec_t now);

#endif
