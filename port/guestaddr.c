#include "port/guestaddr.h"

#include "stack/container_of.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* Root in the container can change its addresses as fast as it likes: after so
 * many times within a second, we look again when the second is over. */
#define REFRESH_MAX 50

struct guestaddr {
	struct loop *loop;
	struct netaddr *na; /* NULL: only the stack knows */
	bool known;         /* @na has been read */
	struct loop_fd watch;
	struct loop_timer again; /* while it is not watched */
	nsec_t since;            /* @refreshes is counted from then */
	unsigned refreshes;
	unsigned changes;
	const char *ifname;
	const struct stack *stack;
	const struct plan *plan;
};

static void pause_watch(struct guestaddr *g)
{
	loop_del(g->loop, &g->watch);
	loop_timer_set(g->loop, &g->again, loop_now(g->loop) + NSEC_PER_SEC);
}

static void refresh(struct guestaddr *g)
{
	nsec_t now = loop_now(g->loop);

	if (now - g->since >= NSEC_PER_SEC) {
		g->since = now;
		g->refreshes = 0;
	}
	g->refreshes++;
	g->changes++;
	/* One that failed has read the news away, so nothing would wake us. */
	if (netaddr_refresh(g->na) < 0)
		pause_watch(g);
	else
		g->known = true;
	if (g->refreshes >= REFRESH_MAX)
		pause_watch(g);
}

static void on_change(struct loop_fd *f, uint32_t events)
{
	refresh(container_of(f, struct guestaddr, watch));
}

static void on_again(struct loop_timer *t)
{
	struct guestaddr *g = container_of(t, struct guestaddr, again);

	if (loop_add(g->loop, &g->watch, netaddr_fd(g->na), EPOLLIN) == 0)
		refresh(g);
	else
		pause_watch(g);
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
		.again = {.fire = on_again},
		.ifname = ifname,
		.stack = stack,
		.plan = plan,
	};
	if (na && loop_add(loop, &g->watch, netaddr_fd(na), EPOLLIN) < 0) {
		free(g);
		return NULL;
	}
	if (na)
		refresh(g);
	return g;
}

void guestaddr_free(struct guestaddr *g)
{
	if (!g)
		return;
	loop_del(g->loop, &g->watch);
	loop_timer_clear(g->loop, &g->again);
	free(g);
}

/* How well @e serves as the container's address of its family; 0: not at all,
 * for the stack takes no packet from it. */
static int fitness(const struct guestaddr *g, const struct netaddr_entry *e)
{
	const struct in6_addr *a = &e->addr;

	if (!e->usable || !plan_source_ok(g->plan, a))
		return 0;
	/* On a host without a network that is a link-local one. */
	if (addr_equal(a, addr_is_v4(a) ? &g->plan->guest4 : &g->plan->guest6))
		return 3;
	if (addr_is_linklocal(a))
		return 0;
	return strcmp(e->ifname, g->ifname) == 0 ? 2 : 1;
}

static bool find_own(const struct guestaddr *g, bool v4, struct in6_addr *ret)
{
	const struct netaddr_entry *list;
	int best = 0;
	size_t n;

	list = netaddr_list(g->na, &n);
	for (size_t i = 0; i < n; i++) {
		int fit = addr_is_v4(&list[i].addr) == v4 ? fitness(g, &list[i])
							  : 0;

		if (fit > best) {
			best = fit;
			*ret = list[i].addr;
		}
	}
	return best > 0;
}

bool guestaddr_own(const struct guestaddr *g, bool v4, struct in6_addr *ret)
{
	if (!(v4 ? g->plan->ipv4 : g->plan->ipv6))
		return false;
	if (g->known)
		return find_own(g, v4, ret);
	if (!v4)
		return stack_guest(g->stack, false, ret);
	*ret = g->plan->guest4;
	return true;
}

bool guestaddr_may_be(const struct guestaddr *g, const struct in6_addr *a)
{
	return plan_source_ok(g->plan, a);
}

unsigned guestaddr_changes(const struct guestaddr *g)
{
	return g->changes;
}

/* Would the container take @client for somebody on a link that is not the tap,
 * or for itself? */
static bool is_behind(const struct guestaddr *g, const struct netaddr_entry *e,
		      const struct in6_addr *client)
{
	bool tap = g->plan->shared && strcmp(e->ifname, g->ifname) == 0;

	/* Never true for another family. */
	return tap ? addr_equal(client, &e->addr)
		   : addr_in_prefix(client, &e->addr, e->bits);
}

bool guestaddr_is_local(const struct guestaddr *g, const struct in6_addr *a)
{
	const struct plan *plan = g->plan;
	const struct netaddr_entry *list = NULL;
	size_t n = 0;

	if (plan_on_link(plan, a) && (!plan->shared || plan_is_ours(plan, a)))
		return true;
	if (g->known)
		list = netaddr_list(g->na, &n);
	for (size_t i = 0; i < n; i++) {
		if (is_behind(g, &list[i], a))
			return true;
	}
	return !g->known &&
	       addr_equal(a, addr_is_v4(a) ? &plan->guest4 : &plan->guest6);
}

struct in6_addr guestaddr_show(const struct guestaddr *g,
			       const struct in6_addr *client, bool v4)
{
	bool local = guestaddr_is_local(g, client);

	if (addr_is_loopback(client) || addr_is_v4(client) != v4)
		return plan_loopback(g->plan, v4);
	if (local && g->plan->shared)
		return plan_host(g->plan, v4);
	if (local || addr_is_unspecified(client) || addr_is_linklocal(client) ||
	    addr_is_multicast(client))
		return v4 ? g->plan->gateway4 : g->plan->gateway6;
	return *client;
}
