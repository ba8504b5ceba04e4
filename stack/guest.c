#include "stack/guest.h"

#include <string.h>

/* Where @a is, or g->n. */
static unsigned find(const struct guest *g, const struct in6_addr *a)
{
	unsigned i = 0;

	while (i < g->n && !addr_equal(&g->addr[i], a))
		i++;
	return i;
}

void guest_learn(struct guest *g, const struct in6_addr *a)
{
	unsigned i = find(g, a);

	if (i == 0 && g->n > 0)
		return;
	if (i == g->n && g->n < GUEST_ADDRS)
		g->n++;
	if (i == GUEST_ADDRS)
		i--;
	memmove(&g->addr[1], &g->addr[0], i * sizeof(g->addr[0]));
	g->addr[0] = *a;
}

bool guest_has(const struct guest *g, const struct in6_addr *a)
{
	return find(g, a) < g->n;
}

bool guest_newest(const struct guest *g, bool v4, struct in6_addr *ret)
{
	for (unsigned i = 0; i < g->n; i++) {
		const struct in6_addr *a = &g->addr[i];

		if (addr_is_v4(a) == v4 && !addr_is_linklocal(a)) {
			*ret = *a;
			return true;
		}
	}
	return false;
}
