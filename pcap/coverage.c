#include "pcap/coverage.h"

#include <string.h>

/* A hole that is as far behind will not be filled, and before() would soon take
 * it for one ahead. */
#define OLD (UINT32_C(1) << 30)

/* Sequence numbers are compared as RFC 9293 3.4 has it. */
static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static void drop_hole(struct coverage *c, unsigned i)
{
	c->holes--;
	memmove(&c->hole[i], &c->hole[i + 1],
		(c->holes - i) * sizeof(c->hole[0]));
}

/* At place @i, which is not the first if there is no room. */
static void add_hole(struct coverage *c, unsigned i, uint32_t from, uint32_t to)
{
	if (c->holes == COVERAGE_HOLES) {
		drop_hole(c, 0);
		i--;
	}
	memmove(&c->hole[i + 1], &c->hole[i],
		(c->holes - i) * sizeof(c->hole[0]));
	c->hole[i] = (struct coverage_hole){from, to};
	c->holes++;
}

/* Takes [@from, @to) out of hole @i. How many bytes it filled; *@ret_gone if
 * nothing is left of the hole. */
static uint32_t fill(struct coverage *c, unsigned i, uint32_t from, uint32_t to,
		     bool *ret_gone)
{
	struct coverage_hole *h = &c->hole[i];
	uint32_t begin = before(from, h->from) ? h->from : from;
	uint32_t end = before(h->to, to) ? h->to : to;
	uint32_t rest = h->to;

	*ret_gone = false;
	if (!before(begin, end))
		return 0;
	if (begin == h->from && end == h->to) {
		drop_hole(c, i);
		*ret_gone = true;
	} else if (begin == h->from) {
		h->from = end;
	} else {
		h->to = begin;
		if (end != rest)
			add_hole(c, i + 1, end, rest);
	}
	return end - begin;
}

void coverage_begin(struct coverage *c, uint32_t seq)
{
	*c = (struct coverage){.begun = true, .next = seq};
}

uint32_t coverage_add(struct coverage *c, uint32_t seq, uint32_t len)
{
	uint32_t end = seq + len, fresh = 0;
	bool gone;

	if (!c->begun)
		coverage_begin(c, seq);
	if (len == 0)
		return 0;
	/* What is split off comes next, where nothing fills it. */
	for (unsigned i = 0; i < c->holes; i += !gone)
		fresh += fill(c, i, seq, end, &gone);
	if (before(c->next, seq)) {
		add_hole(c, c->holes, c->next, seq);
		c->next = end;
		fresh = len;
	} else if (before(c->next, end)) {
		fresh += end - c->next;
		c->next = end;
	}
	while (c->holes && c->next - c->hole[0].from > OLD)
		drop_hole(c, 0);
	return fresh;
}
