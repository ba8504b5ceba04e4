#include "port/policy.h"

#define DNS_PORT 53

static bool never_leaves(const struct plan *plan, const struct in6_addr *a)
{
	return addr_is_unspecified(a) || addr_is_loopback(a) ||
	       addr_is_multicast(a) || plan_is_broadcast(plan, a);
}

static struct in6_addr loopback(bool v4)
{
	return v4 ? addr_from_v4(INADDR_LOOPBACK) : in6addr_loopback;
}

enum policy_verdict policy_out(const struct policy *p,
			       const struct endpoint *dst, struct endpoint *ret)
{
	const struct plan *plan = &p->plan;
	bool v4 = addr_is_v4(&dst->addr);

	if (never_leaves(plan, &dst->addr))
		return POLICY_DROP;
	if (!(v4 ? plan->ipv4 : plan->ipv6))
		return POLICY_REFUSE;
	if (!v4 && addr_is_linklocal(&dst->addr))
		return POLICY_REFUSE;
	if (addr_equal(&dst->addr, v4 ? &plan->gateway4 : &plan->gateway6)) {
		if (!p->host_loopback)
			return POLICY_REFUSE;
		*ret = (struct endpoint){loopback(v4), dst->port};
		return POLICY_HOST;
	}
	if (plan->dns && addr_equal(&dst->addr, v4 ? &plan->dns4 : &plan->dns6))
		return dst->port == DNS_PORT ? POLICY_DNS : POLICY_REFUSE;
	*ret = *dst;
	return POLICY_HOST;
}

struct in6_addr policy_in(const struct policy *p, const struct in6_addr *from)
{
	if (!addr_is_loopback(from))
		return *from;
	return addr_is_v4(from) ? p->plan.gateway4 : p->plan.gateway6;
}
