#include "stack/reass.h"

#include "stack/addr.h"

#include <string.h>

#define DATAGRAM_MAX 65535

void reass_init(struct reass *r, struct chunk_pool *pool,
		struct counters *count)
{
	*r = (struct reass){.pool = pool, .count = count};
}

static void release(struct reass_slot *s)
{
	chunk_put(s->chunk);
	s->chunk = NULL;
	s->used = false;
}

void reass_fini(struct reass *r)
{
	for (int i = 0; i < REASS_DATAGRAMS; i++)
		release(&r->slot[i]);
}

/* The slot stays, so that the rest of the datagram does not start another. */
static void kill_datagram(struct reass *r, struct reass_slot *s,
			  enum count_reason why)
{
	count(r->count, why);
	chunk_put(s->chunk);
	s->chunk = NULL;
	s->dead = true;
}

static struct reass_slot *find(struct reass *r, const struct reass_frag *f)
{
	for (int i = 0; i < REASS_DATAGRAMS; i++) {
		struct reass_slot *s = &r->slot[i];

		if (s->used && s->id == f->id && s->proto == f->proto &&
		    addr_equal(&s->src, &f->src) &&
		    addr_equal(&s->dst, &f->dst))
			return s;
	}
	return NULL;
}

/* A free slot, or that of the oldest datagram. */
static struct reass_slot *take_slot(struct reass *r)
{
	struct reass_slot *oldest = &r->slot[0];

	for (int i = 0; i < REASS_DATAGRAMS; i++) {
		struct reass_slot *s = &r->slot[i];

		if (!s->used)
			return s;
		if (s->expires < oldest->expires)
			oldest = s;
	}
	if (!oldest->dead)
		count(r->count, COUNT_DROP_FRAG_LIMIT);
	release(oldest);
	return oldest;
}

static struct reass_slot *start(struct reass *r, const struct reass_frag *f,
				nsec_t now)
{
	struct chunk *c = chunk_new(r->pool, CHUNK_ROOM);
	struct reass_slot *s;

	if (!c) {
		count(r->count, COUNT_DROP_MEMORY);
		return NULL;
	}
	s = take_slot(r);
	*s = (struct reass_slot){
		.src = f->src,
		.dst = f->dst,
		.id = f->id,
		.proto = f->proto,
		.used = true,
		.expires = now + REASS_TIMEOUT,
		.chunk = c,
	};
	return s;
}

/* Does the fragment agree with the datagram's end, as far as it is known? */
static bool end_agrees(const struct reass_slot *s, const struct reass_frag *f)
{
	size_t end = f->offset + f->len;

	if (s->total)
		return f->more ? end <= s->total : end == s->total;
	if (f->more || s->spans == 0)
		return true;
	return s->span[s->spans - 1].end <= end;
}

enum fit {
	FIT_NEW,
	FIT_REPEATED,
	FIT_OVERLAPS,
};

/* How the fragment lies among the spans; *@ret_at is the first span that ends
 * at or after its start. */
static enum fit look(const struct reass_slot *s, const struct reass_frag *f,
		     uint16_t *ret_at)
{
	size_t end = f->offset + f->len;
	uint16_t i = 0;

	while (i < s->spans && s->span[i].end < f->offset)
		i++;
	*ret_at = i;
	if (i < s->spans && s->span[i].end == f->offset)
		i++;
	if (i == s->spans || end <= s->span[i].start)
		return FIT_NEW;
	if (s->span[i].start <= f->offset && end <= s->span[i].end &&
	    memcmp(s->chunk->data + f->offset, f->data, f->len) == 0)
		return FIT_REPEATED;
	return FIT_OVERLAPS;
}

static void remove_span(struct reass_slot *s, uint16_t at)
{
	s->spans--;
	memmove(&s->span[at], &s->span[at + 1],
		(size_t)(s->spans - at) * sizeof(s->span[0]));
}

/* Adds the fragment's bytes at span @at, as look() found it; false if that
 * takes one span too many. */
static bool add_span(struct reass_slot *s, const struct reass_frag *f,
		     uint16_t at)
{
	uint16_t end = (uint16_t)(f->offset + f->len);
	bool joins_left = at < s->spans && s->span[at].end == f->offset;
	uint16_t right = (uint16_t)(joins_left ? at + 1 : at);
	bool joins_right = right < s->spans && s->span[right].start == end;

	if (joins_left && joins_right) {
		s->span[at].end = s->span[right].end;
		remove_span(s, right);
	} else if (joins_left) {
		s->span[at].end = end;
	} else if (joins_right) {
		s->span[at].start = (uint16_t)f->offset;
	} else {
		if (s->spans == REASS_SPANS)
			return false;
		memmove(&s->span[at + 1], &s->span[at],
			(size_t)(s->spans - at) * sizeof(s->span[0]));
		s->span[at] = (struct reass_span){(uint16_t)f->offset, end};
		s->spans++;
	}
	return true;
}

static bool complete(const struct reass_slot *s)
{
	return s->total && s->spans == 1 && s->span[0].start == 0 &&
	       s->span[0].end == s->total;
}

/* Puts the fragment into its datagram; false if it was dropped (counted). */
static bool put(struct reass *r, struct reass_slot *s,
		const struct reass_frag *f)
{
	uint16_t at;

	if (!end_agrees(s, f)) {
		kill_datagram(r, s, COUNT_DROP_FRAG_OVERLAP);
		return false;
	}
	switch (look(s, f, &at)) {
	case FIT_NEW:
		break;
	case FIT_REPEATED:
		return true;
	case FIT_OVERLAPS:
		kill_datagram(r, s, COUNT_DROP_FRAG_OVERLAP);
		return false;
	}
	if (!add_span(s, f, at)) {
		kill_datagram(r, s, COUNT_DROP_FRAG_LIMIT);
		return false;
	}
	memcpy(s->chunk->data + f->offset, f->data, f->len);
	if (!f->more)
		s->total = (uint16_t)(f->offset + f->len);
	if (f->offset == 0) {
		s->next = f->next;
		s->ttl = f->ttl;
		s->tos = f->tos;
	}
	return true;
}

bool reass_add(struct reass *r, const struct reass_frag *f, nsec_t now,
	       struct reass_whole *ret)
{
	struct reass_slot *s;

	if (f->len == 0 || (f->more && f->len % 8 != 0) ||
	    f->offset + f->len > DATAGRAM_MAX) {
		count(r->count, COUNT_DROP_FRAG_BAD);
		return false;
	}
	s = find(r, f);
	if (s && s->dead) {
		count(r->count, COUNT_DROP_FRAG_OVERLAP);
		return false;
	}
	if (!s)
		s = start(r, f, now);
	if (!s || !put(r, s, f) || !complete(s))
		return false;
	*ret = (struct reass_whole){
		.chunk = s->chunk,
		.len = s->total,
		.next = s->next,
		.ttl = s->ttl,
		.tos = s->tos,
	};
	s->chunk = NULL;
	release(s);
	return true;
}

nsec_t reass_deadline(const struct reass *r)
{
	nsec_t next = NSEC_NEVER;

	for (int i = 0; i < REASS_DATAGRAMS; i++)
		if (r->slot[i].used && r->slot[i].expires < next)
			next = r->slot[i].expires;
	return next;
}

void reass_tick(struct reass *r, nsec_t now)
{
	for (int i = 0; i < REASS_DATAGRAMS; i++) {
		struct reass_slot *s = &r->slot[i];

		if (!s->used || s->expires > now)
			continue;
		if (!s->dead)
			count(r->count, COUNT_DROP_FRAG_TIMEOUT);
		release(s);
	}
}
