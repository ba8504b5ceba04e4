#include "stack/chunk.h"

#include <assert.h>
#include <stdlib.h>

/* Kept for reuse beyond this, freed chunks go back to libc: an idle program
 * should not hold what a burst once needed. */
#define CHUNK_CACHE (4u << 20)

void chunk_pool_init(struct chunk_pool *pool, size_t limit)
{
	*pool = (struct chunk_pool){.limit = limit};
}

static void free_list(struct chunk *c)
{
	while (c) {
		struct chunk *next = c->next;

		free(c);
		c = next;
	}
}

void chunk_pool_fini(struct chunk_pool *pool)
{
	assert(pool->in_use == 0);
	free_list(pool->free_big);
	free_list(pool->free_small);
	*pool = (struct chunk_pool){0};
}

static struct chunk **free_list_of(struct chunk_pool *pool, uint32_t room)
{
	return room == CHUNK_ROOM ? &pool->free_big : &pool->free_small;
}

static uint32_t room_for(size_t need)
{
	assert(need <= CHUNK_ROOM);
	return need <= CHUNK_ROOM_SMALL ? CHUNK_ROOM_SMALL : CHUNK_ROOM;
}

struct chunk *chunk_new_beyond(struct chunk_pool *pool, size_t need)
{
	uint32_t room = room_for(need);
	struct chunk **list = free_list_of(pool, room);
	struct chunk *c = *list;

	if (c) {
		*list = c->next;
		pool->cached -= room;
	} else {
		c = malloc(sizeof(*c) + room);
		if (!c)
			return NULL;
		c->pool = pool;
		c->room = room;
	}
	pool->in_use += room;
	c->next = NULL;
	c->refs = 1;
	c->off = c->len = 0;
	return c;
}

struct chunk *chunk_new(struct chunk_pool *pool, size_t need)
{
	if (pool->in_use + room_for(need) > pool->limit)
		return NULL;
	return chunk_new_beyond(pool, need);
}

bool chunk_pool_pressed(const struct chunk_pool *pool)
{
	return pool->in_use > pool->limit / 4 * 3;
}

struct chunk *chunk_ref(struct chunk *c)
{
	c->refs++;
	return c;
}

void chunk_put(struct chunk *c)
{
	struct chunk_pool *pool;
	struct chunk **list;

	if (!c || --c->refs > 0)
		return;
	pool = c->pool;
	pool->in_use -= c->room;
	if (pool->cached + c->room > CHUNK_CACHE) {
		free(c);
		return;
	}
	list = free_list_of(pool, c->room);
	c->next = *list;
	*list = c;
	pool->cached += c->room;
}
