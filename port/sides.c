#include "port/sides.h"

#include "stack/frame.h"

#include <string.h>

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68
#define ROUTER_SOLICIT   133
#define ROUTER_ADVERT    134

/* NULL: it is no address that a station may have, or there are too many. */
static struct sides_mac *find(struct sides *s, const uint8_t mac[WIRE_MAC_LEN])
{
	static const uint8_t zero[WIRE_MAC_LEN];

	if (mac[0] & 1 || memcmp(mac, zero, WIRE_MAC_LEN) == 0)
		return NULL;
	for (unsigned i = 0; i < s->n; i++) {
		if (memcmp(s->mac[i].mac, mac, WIRE_MAC_LEN) == 0)
			return &s->mac[i];
	}
	if (s->n == SIDES_MAX)
		return NULL;
	memcpy(s->mac[s->n].mac, mac, WIRE_MAC_LEN);
	return &s->mac[s->n++];
}

static void learn_addr(struct sides_mac *m, const struct in6_addr *a)
{
	if (addr_is_unspecified(a) || addr_is_linklocal(a))
		return;
	for (unsigned i = 0; i < m->addrs; i++) {
		if (addr_equal(&m->addr[i], a))
			return;
	}
	if (m->addrs < SIDES_MAX)
		m->addr[m->addrs++] = *a;
}

static void learn_role(struct sides_mac *m, const struct dissect *d)
{
	if (d->proto == WIRE_PROTO_ICMPV6 && !d->fragment && d->l4_len > 0) {
		m->serves |= d->l4[0] == ROUTER_ADVERT;
		m->asks |= d->l4[0] == ROUTER_SOLICIT;
	} else if (d->proto == WIRE_PROTO_UDP && d->ports) {
		m->serves |= d->sport == DHCP_SERVER_PORT &&
			     d->dport == DHCP_CLIENT_PORT;
		m->asks |= d->sport == DHCP_CLIENT_PORT &&
			   d->dport == DHCP_SERVER_PORT;
	}
}

void sides_look(struct sides *s, const struct dissect *d)
{
	struct sides_mac *from = find(s, d->eth->src), *to;

	if (from) {
		from->sent++;
		if (d->ip) {
			learn_addr(from, &d->src);
			learn_role(from, d);
		}
	}
	to = find(s, d->eth->dst);
	if (from && to)
		from->to |= 1u << (to - s->mac);
}

static bool same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, WIRE_MAC_LEN) == 0;
}

/* Does @a look more like a container than @b? */
static bool is_likelier(const struct sides_mac *a, const struct sides_mac *b,
			const struct plan *plan)
{
	unsigned home_a = 0, home_b = 0;

	for (unsigned i = 0; i < a->addrs; i++)
		home_a += plan_source_ok(plan, &a->addr[i]);
	for (unsigned i = 0; i < b->addrs; i++)
		home_b += plan_source_ok(plan, &b->addr[i]);
	return home_a != home_b ? home_a > home_b : a->addrs < b->addrs;
}

const struct sides_mac *sides_container(const struct sides *s,
					const struct plan *plan)
{
	const struct sides_mac *best = NULL;

	for (unsigned i = 0; i < s->n; i++) {
		const struct sides_mac *m = &s->mac[i];

		if (m->sent == 0 || same(m->mac, plan->mac))
			continue;
		/* A container may pose as a router; no gateway asks for one. */
		if (m->asks)
			return m;
		if (m->serves)
			continue;
		if (!best || is_likelier(m, best, plan))
			best = m;
	}
	return best;
}

bool sides_is_other(const struct sides *s, const struct sides_mac *container,
		    const struct plan *plan, const uint8_t mac[WIRE_MAC_LEN])
{
	if (same(mac, plan->mac))
		return true;
	if (container && same(mac, container->mac))
		return false;
	for (unsigned i = 0; i < s->n; i++) {
		const struct sides_mac *m = &s->mac[i];

		if (!same(m->mac, mac))
			continue;
		if (m->serves || !container)
			return m->serves;
		return m->to & 1u << (container - s->mac) ||
		       container->to & 1u << i;
	}
	return false;
}
