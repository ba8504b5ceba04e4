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

/* What was learned of @port, or what took its place. */
static const struct target_memory *memory_of(const struct target *t, bool v4,
					     uint16_t port)
{
	return &t->memory[!v4][port % TARGET_PORTS];
}

static bool is_remembered(const struct target_memory *m, uint16_t port,
			  nsec_t now)
{
	return now < m->until && m->port == port;
}

unsigned target_list(const struct target *t, bool v4, uint16_t port, nsec_t now,
		     struct in6_addr ret[TARGET_MAX])
{
	const struct target_memory *m = memory_of(t, v4, port);
	bool first = is_remembered(m, port, now) ? m->v4 : v4;
	unsigned n = 0;

	if (!addr_is_unspecified(&t->addr)) {
		ret[0] = t->addr;
		return 1;
	}
	n += guestaddr_own(t->guest, first, &ret[n]);
	n += guestaddr_own(t->guest, !first, &ret[n]);
	return n;
}

bool target_prefers(const struct target *t, bool v4, uint16_t port, nsec_t now,
		    const struct in6_addr *addr)
{
	const struct target_memory *m = memory_of(t, v4, port);

	return is_remembered(m, port, now) && m->v4 == addr_is_v4(addr);
}

static void forget(struct target *t, bool v4, uint16_t port)
{
	struct target_memory *m = &t->memory[!v4][port % TARGET_PORTS];

	if (m->port == port)
		m->until = 0;
}

void target_answered(struct target *t, bool v4, uint16_t port,
		     const struct in6_addr *addr, nsec_t now)
{
	if (addr_is_v4(addr) == v4) {
		forget(t, v4, port);
		return;
	}
	t->memory[!v4][port % TARGET_PORTS] = (struct target_memory){
		.port = port,
		.v4 = addr_is_v4(addr),
		.until = now + TARGET_MEMORY,
	};
}

void target_failed(struct target *t, bool v4, uint16_t port)
{
	forget(t, v4, port);
	if (t->unanswered)
		t->unanswered(t, port);
}
