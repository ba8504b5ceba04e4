#include "stack/packet_parse.h"

#define OPT_END  0
#define OPT_NOP  1
#define OPT_LSRR 0x83
#define OPT_SSRR 0x89

#define DHCP_PORT 67

/* Source routes would let the container name a destination that nobody
 * checked (RFC 7126 4.3). */
static bool options_ok(struct view v)
{
	while (v.left > 0) {
		uint8_t type = v.at[0];
		uint8_t len = 1;

		if (type == OPT_END)
			return true;
		if (type == OPT_LSRR || type == OPT_SSRR)
			return false;
		if (type != OPT_NOP) {
			if (v.left < 2)
				return false;
			len = v.at[1];
			if (len < 2)
				return false;
		}
		if (!view_take(&v, len))
			return false;
	}
	return true;
}

bool packet4_parse(struct packet_layer *pl, struct view v, struct packet *ret,
		   struct packet_rest *ret_rest)
{
	const uint8_t *start = v.at;
	const struct wire_ip4 *ip = view_take(&v, sizeof(*ip));
	size_t hlen, total;
	uint16_t frag;

	if (!ip)
		return packet_drop(pl, COUNT_DROP_IP_LENGTH);
	hlen = (size_t)(ip->ver_ihl & 0xf) * 4;
	total = get16(ip->tot_len);
	if (ip->ver_ihl >> 4 != 4 || hlen < sizeof(*ip))
		return packet_drop(pl, COUNT_DROP_IP_HEADER);
	if (total < hlen || total - sizeof(*ip) > v.left)
		return packet_drop(pl, COUNT_DROP_IP_LENGTH);
	if (csum_fold(csum_add(0, start, hlen)) != 0)
		return packet_drop(pl, COUNT_DROP_IP_CSUM);
	if (!options_ok((struct view){v.at, hlen - sizeof(*ip)}))
		return packet_drop(pl, COUNT_DROP_IP_OPTIONS);
	if (ip->ttl == 0)
		return packet_drop(pl, COUNT_DROP_IP_HEADER);

	frag = get16(ip->frag);
	ret->src = addr_from_v4(get32(ip->src));
	ret->dst = addr_from_v4(get32(ip->dst));
	ret->proto = ip->proto;
	ret->ttl = ip->ttl;
	ret->tos = ip->tos;
	ret->dont_fragment = frag & WIRE_IP4_DF;
	*ret_rest = (struct packet_rest){
		.v = {start + hlen, total - hlen},
		.fragment = frag & (WIRE_IP4_MF | WIRE_IP4_OFFS),
		.more = frag & WIRE_IP4_MF,
		.offset = (size_t)(frag & WIRE_IP4_OFFS) * 8,
		.id = get16(ip->id),
	};
	return true;
}

static bool is_dhcp(const struct packet_layer *pl, const struct packet *p,
		    bool whole)
{
	return pl->plan->offer.dhcp4 && whole && p->proto == WIRE_PROTO_UDP &&
	       get16(p->l4 + 2) == DHCP_PORT;
}

/* A client without an address has nothing else to say than DHCP, and to nobody
 * beyond the link, who could not answer. */
static bool is_early(struct packet_layer *pl, const struct packet *p,
		     bool whole)
{
	return addr_is_unspecified(&p->src) && is_dhcp(pl, p, whole) &&
	       (plan_is_broadcast(pl->plan, &p->dst) ||
		addr_equal(&p->dst, &pl->plan->gateway4));
}

bool packet4_addresses_ok(struct packet_layer *pl, const struct packet *p,
			  bool whole)
{
	uint32_t dst = addr_v4(&p->dst);

	if (!plan_source_ok(pl->plan, &p->src) && !is_early(pl, p, whole))
		return packet_drop(pl, COUNT_DROP_IP_SOURCE);
	if (dst == INADDR_BROADCAST && is_dhcp(pl, p, whole))
		return true;
	/* 0.0.0.0/8 is "this network" (RFC 1122 3.2.1.3), the host's own. */
	if (dst >> 24 == 0 || addr_is_loopback(&p->dst) ||
	    addr_is_multicast(&p->dst) || plan_is_broadcast(pl->plan, &p->dst))
		return packet_drop(pl, COUNT_DROP_IP_DEST);
	return true;
}
