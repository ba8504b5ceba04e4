#include "port/target.h"

#include <assert.h>
#include <stdlib.h>

struct target *target_new(const struct in6_addr *addr,
			  const struct guestaddr *guest)
{
	struct target *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->refs = 1;
	t->addr = *addr;
	t->guest = guest;
	return t;
}

struct target *target_ref(struct target *t)
{
	t->refs++;
	return t;
}

void target_put(struct target *t)
{
	if (!t)
		return;
	assert(t->refs > 0);
	if (--t->refs == 0)
		free(t);
}

static struct target_memory *memory_of(struct target *t, bool v4)
{
	return &t->memory[!v4];
}

unsigned target_list(const struct target *t, bool v4, nsec_t now,
		     struct in6_addr ret[TARGET_MAX])
{
	const struct target_memory *m = &t->memory[!v4];
	bool first = now < m->until ? m->v4 : v4;
	unsigned n = 0;

	if (!addr_is_unspecified(&t->addr)) {
		ret[0] = t->addr;
		return 1;
	}
	n += guestaddr_own(t->guest, first, &ret[n]);
	n += guestaddr_own(t->guest, !first, &ret[n]);
	return n;
}

bool target_prefers(const struct target *t, bool v4, nsec_t now,
		    const struct in6_addr *addr)
{
	const struct target_memory *m = &t->memory[!v4];

	return now < m->until && m->v4 == addr_is_v4(addr);
}

void target_answered(struct target *t, bool v4, const struct in6_addr *addr,
		     nsec_t now)
{
	bool other = addr_is_v4(addr) != v4;

	*memory_of(t, v4) = (struct target_memory){
		.v4 = addr_is_v4(addr),
		.until = other ? now + TARGET_MEMORY : 0,
	};
}

void target_failed(struct target *t, bool v4, uint16_t port)
{
	memory_of(t, v4)->until = 0;
	if (t->unanswered)
		t->unanswered(t, port);
}
