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

/* Addresses of our own make: nobody else has them. */
static bool is_nowhere(const struct plan *plan, const struct in6_addr *a)
{
	bool v4 = addr_is_v4(a);

	return !plan->shared && addr_equal(a, v4 ? &plan->dns4 : &plan->dns6) &&
	       plan->dns;
}

enum policy_verdict policy_out(const struct policy *p,
			       const struct endpoint *dst, struct endpoint *ret)
{
	const struct plan *plan = &p->plan;
	const struct in6_addr *a = &dst->addr;
	bool v4 = addr_is_v4(a);

	if (never_leaves(plan, a))
		return POLICY_DROP;
	if (!(v4 ? plan->ipv4 : plan->ipv6))
		return POLICY_REFUSE;
	*ret = *dst;
	if (addr_equal(a, v4 ? &plan->loop4 : &plan->loop6)) {
		ret->addr = loopback(v4);
		return p->host_loopback ? POLICY_HOST : POLICY_REFUSE;
	}
	if (addr_equal(a, v4 ? &plan->self4 : &plan->self6)) {
		ret->addr = v4 ? p->own4 : p->own6;
		return addr_is_unspecified(&ret->addr) ? POLICY_REFUSE
						       : POLICY_HOST;
	}
	if (plan->dns && dst->port == DNS_PORT &&
	    addr_equal(a, v4 ? &plan->dns4 : &plan->dns6))
		return POLICY_DNS;
	if (is_nowhere(plan, a) || (!v4 && addr_is_linklocal(a)))
		return POLICY_REFUSE;
	return POLICY_HOST;
}

struct in6_addr policy_in(const struct policy *p, const struct in6_addr *from)
{
	const struct plan *plan = &p->plan;
	bool v4 = addr_is_v4(from);

	if (addr_is_loopback(from))
		return plan_loopback(plan, v4);
	if (!addr_is_unspecified(from) &&
	    addr_equal(from, v4 ? &p->own4 : &p->own6))
		return plan_host(plan, v4);
	return *from;
}
