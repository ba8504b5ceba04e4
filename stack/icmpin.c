#include "stack/icmpin.h"

#include "stack/wire.h"

#include <string.h>

#define V4_UNREACHABLE 3
#define V4_PORT        3
#define V4_TOO_BIG     4 /* a message about the size, not about the way */
#define V6_UNREACHABLE 1
#define V6_PORT        4

/* Ports, and of TCP the sequence number: as much as every error quotes. */
#define L4_MIN 8

static bool take4(struct view *v, struct icmpin_unreach *u)
{
	const struct wire_ip4 *h = view_take(v, sizeof(*h));
	size_t header;

	if (!h || h->ver_ihl >> 4 != 4)
		return false;
	header = (size_t)(h->ver_ihl & 0xf) * 4;
	if (header < sizeof(*h) || !view_take(v, header - sizeof(*h)))
		return false;
	u->proto = h->proto;
	u->remote.addr = addr_from_v4(get32(h->src));
	u->container.addr = addr_from_v4(get32(h->dst));
	return (get16(h->frag) & WIRE_IP4_OFFS) == 0;
}

/* Packets of ours have no extension headers but for fragments, which begin
 * with bytes of the middle. */
static bool take6(struct view *v, struct icmpin_unreach *u)
{
	const struct wire_ip6 *h = view_take(v, sizeof(*h));

	if (!h || h->ver_tc_flow[0] >> 4 != 6)
		return false;
	u->proto = h->next;
	memcpy(&u->remote.addr, h->src, sizeof(u->remote.addr));
	memcpy(&u->container.addr, h->dst, sizeof(u->container.addr));
	return !addr_is_v4(&u->remote.addr) && !addr_is_v4(&u->container.addr);
}

bool icmpin_unreachable(const struct plan *plan, const struct packet *p,
			struct icmpin_unreach *ret)
{
	bool v4 = p->proto == WIRE_PROTO_ICMP;
	struct view v = {p->l4, p->l4_len};
	const struct wire_icmp *icmp = view_take(&v, sizeof(*icmp));
	struct icmpin_unreach u = {0};
	const uint8_t *l4;

	if (!icmp || icmp->type != (v4 ? V4_UNREACHABLE : V6_UNREACHABLE) ||
	    (v4 && icmp->code == V4_TOO_BIG))
		return false;
	if (!(v4 ? take4(&v, &u) : take6(&v, &u)))
		return false;
	l4 = view_take(&v, L4_MIN);
	if (!l4 || (u.proto != WIRE_PROTO_TCP && u.proto != WIRE_PROTO_UDP) ||
	    !addr_equal(&u.remote.addr, &p->dst) ||
	    !plan_source_ok(plan, &u.container.addr))
		return false;
	u.remote.port = get16(l4);
	u.container.port = get16(l4 + 2);
	u.seq = u.proto == WIRE_PROTO_TCP ? get32(l4 + 4) : 0;
	u.refused = icmp->code == (v4 ? V4_PORT : V6_PORT);
	*ret = u;
	return true;
}
