#include "stack/plan.h"

#include <string.h>

static struct in6_addr addr6(uint16_t first, uint8_t last)
{
	struct in6_addr a = {0};

	a.s6_addr[0] = (uint8_t)(first >> 8);
	a.s6_addr[1] = (uint8_t)first;
	a.s6_addr[15] = last;
	return a;
}

struct plan plan_make(struct in6_addr net4, uint8_t bits4, uint16_t mtu,
		      const uint8_t mac[WIRE_MAC_LEN])
{
	uint32_t net = addr_v4(&net4);
	struct plan plan = {
		.mtu = mtu,
		.ipv4 = true,
		.net4 = net4,
		.bits4 = bits4,
		.gateway4 = addr_from_v4(net + 2),
		.guest4 = addr_from_v4(net + 100),
		.dhcp4 = addr_from_v4(net + 15),
		.ipv6 = true,
		.net6 = addr6(0xfd00, 0),
		.gateway6 = addr6(0xfd00, 2),
		.guest6 = addr6(0xfd00, 0x64),
		.router6 = addr6(0xfe80, 2),
		.loop4 = addr_from_v4(net + 2),
		.loop6 = addr6(0xfd00, 2),
		.dns4 = addr_from_v4(net + 3),
		.dns6 = addr6(0xfd00, 3),
		.dns = true,
		.offer = {.dhcp4 = true, .ra = true, .dns_count = 2},
	};

	plan.offer.dns[0] = plan.dns4;
	plan.offer.dns[1] = plan.dns6;
	memcpy(plan.mac, mac, WIRE_MAC_LEN);
	return plan;
}

bool plan_is_ours(const struct plan *plan, const struct in6_addr *a)
{
	if (addr_is_unspecified(a))
		return false;
	if (addr_is_v4(a))
		return plan->ipv4 &&
		       (addr_equal(a, &plan->loop4) ||
			addr_equal(a, &plan->self4) ||
			(plan->dns && addr_equal(a, &plan->dns4)));
	return plan->ipv6 &&
	       (addr_equal(a, &plan->loop6) || addr_equal(a, &plan->self6) ||
		addr_equal(a, &plan->router6) ||
		(plan->dns && addr_equal(a, &plan->dns6)));
}

bool plan_is_taken(const struct plan *plan, const struct in6_addr *a)
{
	bool v4 = addr_is_v4(a);

	return plan_is_ours(plan, a) ||
	       ((v4 ? plan->ipv4 : plan->ipv6) && !addr_is_unspecified(a) &&
		addr_equal(a, v4 ? &plan->gateway4 : &plan->gateway6));
}

static struct in6_addr or_gateway(const struct plan *plan, bool v4,
				  const struct in6_addr *name)
{
	if (!addr_is_unspecified(name))
		return *name;
	return v4 ? plan->gateway4 : plan->gateway6;
}

struct in6_addr plan_loopback(const struct plan *plan, bool v4)
{
	return or_gateway(plan, v4, v4 ? &plan->loop4 : &plan->loop6);
}

struct in6_addr plan_host(const struct plan *plan, bool v4)
{
	return or_gateway(plan, v4, v4 ? &plan->self4 : &plan->self6);
}

bool plan_on_link(const struct plan *plan, const struct in6_addr *a)
{
	if (addr_is_v4(a))
		return plan->ipv4 &&
		       addr_in_prefix(a, &plan->net4, plan->bits4);
	return plan->ipv6 &&
	       (addr_in_prefix(a, &plan->net6, 64) || addr_is_linklocal(a));
}

bool plan_is_broadcast(const struct plan *plan, const struct in6_addr *a)
{
	uint32_t host, v4;

	if (!addr_is_v4(a))
		return false;
	v4 = addr_v4(a);
	if (v4 == INADDR_BROADCAST)
		return true;
	if (plan->bits4 > 30 || addr_equal(a, &plan->guest4))
		return false;
	host = UINT32_MAX >> plan->bits4;
	return plan_on_link(plan, a) &&
	       ((v4 & host) == 0 || (v4 & host) == host);
}

bool plan_source_ok(const struct plan *plan, const struct in6_addr *a)
{
	return plan_on_link(plan, a) && !plan_is_broadcast(plan, a) &&
	       !plan_is_taken(plan, a);
}
