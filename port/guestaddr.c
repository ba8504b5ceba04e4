#include "port/guestaddr.h"

#include "stack/container_of.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct guestaddr {
	struct loop *loop;
	struct netaddr *na; /* NULL: only the stack knows */
	struct loop_fd watch;
	const char *ifname;
	const struct stack *stack;
	const struct plan *plan;
};

static void on_change(struct loop_fd *f, uint32_t events)
{
	struct guestaddr *g = container_of(f, struct guestaddr, watch);

	/* A namespace that cannot be asked any more has what it had. */
	if (netaddr_refresh(g->na) < 0 && events & (EPOLLERR | EPOLLHUP))
		loop_del(g->loop, f);
}

struct guestaddr *guestaddr_new(struct loop *loop, struct netaddr *na,
				const char *ifname, const struct stack *stack,
				const struct plan *plan)
{
	struct guestaddr *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	*g = (struct guestaddr){
		.loop = loop,
		.na = na,
		.watch = {.ready = on_change, .fd = -1},
		.ifname = ifname,
		.stack = stack,
		.plan = plan,
	};
	if (!na)
		return g;
	if (netaddr_refresh(na) < 0 ||
	    loop_add(loop, &g->watch, netaddr_fd(na), EPOLLIN) < 0) {
		free(g);
		return NULL;
	}
	return g;
}

void guestaddr_free(struct guestaddr *g)
{
	if (!g)
		return;
	loop_del(g->loop, &g->watch);
	free(g);
}

/* How well @e serves as the container's address of family @v4; 0: not at all. */
static int fitness(const struct guestaddr *g, const struct netaddr_entry *e,
		   bool v4)
{
	const struct plan *plan = g->plan;

	if (!e->usable || addr_is_v4(&e->addr) != v4 ||
	    strcmp(e->ifname, g->ifname) != 0 || addr_is_linklocal(&e->addr))
		return 0;
	if (addr_equal(&e->addr, v4 ? &plan->guest4 : &plan->guest6))
		return 3;
	return plan_on_link(plan, &e->addr) ? 2 : 1;
}

bool guestaddr_own(const struct guestaddr *g, bool v4, struct in6_addr *ret)
{
	const struct netaddr_entry *list;
	int best = 0;
	size_t n;

	if (!(v4 ? g->plan->ipv4 : g->plan->ipv6))
		return false;
	if (!g->na) {
		*ret = g->plan->guest4;
		return v4 || stack_guest(g->stack, false, ret);
	}
	list = netaddr_list(g->na, &n);
	for (size_t i = 0; i < n; i++) {
		int fit = fitness(g, &list[i], v4);

		if (fit > best) {
			best = fit;
			*ret = list[i].addr;
		}
	}
	return best > 0;
}

bool guestaddr_is_local(const struct guestaddr *g, const struct in6_addr *a)
{
	const struct netaddr_entry *list = NULL;
	size_t n = 0;

	if (plan_on_link(g->plan, a))
		return true;
	if (g->na)
		list = netaddr_list(g->na, &n);
	for (size_t i = 0; i < n; i++) {
		if (addr_is_v4(&list[i].addr) == addr_is_v4(a) &&
		    addr_in_prefix(a, &list[i].addr, list[i].bits))
			return true;
	}
	return false;
}

struct in6_addr guestaddr_show(const struct guestaddr *g,
			       const struct in6_addr *client, bool v4)
{
	if (addr_is_v4(client) == v4 && !addr_is_unspecified(client) &&
	    !addr_is_loopback(client) && !addr_is_linklocal(client) &&
	    !addr_is_multicast(client) && !guestaddr_is_local(g, client))
		return *client;
	return v4 ? g->plan->gateway4 : g->plan->gateway6;
}
