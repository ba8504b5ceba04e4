/* Buffers of the data path. A chunk holds one frame from the tap or one read
 * from a host socket; whoever needs its bytes longer than the call that handed
 * them out takes a reference. Freed chunks go on a last-in-first-out list, so
 * the next one used is the one still in the cache. */
#ifndef STACK_CHUNK_H
#define STACK_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room of a chunk: 65,535 bytes of IPv4, or 65,535 after an IPv6 header, with
 * Ethernet header and virtio-net header before it, and some alignment. */
#define CHUNK_ROOM       66048
#define CHUNK_ROOM_SMALL 2048

struct chunk {
	struct chunk *next; /* of whoever holds it: the pool's free list, the
			     * queue of a stream */
	struct chunk_pool *pool;
	uint32_t refs;
	uint32_t room; /* CHUNK_ROOM or CHUNK_ROOM_SMALL */
	uint32_t off;  /* the bytes that count, for a holder that queues it:
			   * data[off] to data[off + len - 1] */
	uint32_t len;
	uint64_t note[8]; /* for the stack: an lwIP buffer over data[] */
	uint8_t data[];
};

struct chunk_pool {
	struct chunk *free_big;
	struct chunk *free_small;
	size_t in_use; /* bytes of room handed out */
	size_t limit;  /* bytes; chunk_new() fails beyond it */
	size_t cached; /* bytes of room on the free lists */
};

void chunk_pool_init(struct chunk_pool *pool, size_t limit);
/* Frees what is cached; asserts that nothing is in use. */
void chunk_pool_fini(struct chunk_pool *pool);

/* A chunk with one reference and room for @need bytes (at most CHUNK_ROOM),
 * its bytes not initialised; NULL at the limit or without memory. */
struct chunk *chunk_new(struct chunk_pool *pool, size_t need);
/* The same without the limit, for bytes that cannot be refused any more and for
 * the one frame in hand; NULL only without memory. */
struct chunk *chunk_new_beyond(struct chunk_pool *pool, size_t need);
/* Three quarters of the limit are in use: time to close windows. */
bool chunk_pool_pressed(const struct chunk_pool *pool);
struct chunk *chunk_ref(struct chunk *c);
/* Gives up one reference; accepts NULL. */
void chunk_put(struct chunk *c);

#endif
