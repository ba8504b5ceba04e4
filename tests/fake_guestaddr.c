#include "tests/fake_guestaddr.h"

#include <stdlib.h>

void fake_guestaddr_init(struct guestaddr *g, const struct plan *plan)
{
	*g = (struct guestaddr){.plan = *plan, .has4 = true, .has6 = true};
}

struct guestaddr *guestaddr_new(struct loop *loop, struct netaddr *na,
				const char *ifname, const struct stack *stack,
				const struct plan *plan)
{
	struct guestaddr *g = calloc(1, sizeof(*g));

	if (g)
		fake_guestaddr_init(g, plan);
	return g;
}

void guestaddr_free(struct guestaddr *g)
{
	free(g);
}

bool guestaddr_own(const struct guestaddr *g, bool v4, struct in6_addr *ret)
{
	if (v4 ? g->has4 : g->has6)
		*ret = v4 ? g->plan.guest4 : g->plan.guest6;
	return v4 ? g->has4 : g->has6;
}

bool guestaddr_may_be(const struct guestaddr *g, const struct in6_addr *a)
{
	return addr_is_v4(a) ? addr_in_prefix(a, &g->plan.guest4, 24)
			     : addr_in_prefix(a, &g->plan.guest6, 64);
}

unsigned guestaddr_changes(const struct guestaddr *g)
{
	return g->changes;
}

bool guestaddr_is_local(const struct guestaddr *g, const struct in6_addr *a)
{
	return plan_on_link(&g->plan, a);
}

struct in6_addr guestaddr_show(const struct guestaddr *g,
			       const struct in6_addr *client, bool v4)
{
	if (addr_is_v4(client) == v4 && !addr_is_loopback(client) &&
	    !addr_is_linklocal(client) && !addr_is_unspecified(client) &&
	    !guestaddr_is_local(g, client))
		return *client;
	return v4 ? g->plan.gateway4 : g->plan.gateway6;
}
