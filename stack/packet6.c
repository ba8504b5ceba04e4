#include "stack/packet_parse.h"

#include <string.h>

#define EXT_HOPBYHOP 0
#define EXT_ROUTING  43
#define EXT_FRAGMENT 44
#define EXT_DESTOPTS 60

/* More than any stack sends; RFC 8504 5.3 allows a limit. */
#define EXT_MAX 8

#define OPT_PAD1 0

#define DHCP_PORT 547

#define ICMP6_MLD_REPORT 131
#define ICMP6_MLD_DONE   132
#define ICMP6_RS         133
#define ICMP6_NS         135
#define ICMP6_MLD2       143

struct wire_ext {
	uint8_t next;
	uint8_t len;  /* in units of 8 bytes, without the first 8 */
	uint8_t type; /* routing only */
	uint8_t segments_left;
	uint8_t rest[4];
};

struct wire_frag {
	uint8_t next;
	uint8_t reserved;
	uint8_t offs[2]; /* units of 8 bytes in the upper 13 bits, M in bit 0 */
	uint8_t id[4];
};

/* An unknown option says by its upper two bits whether it may be skipped (RFC
 * 8200 4.2). */
static bool options_ok(struct view v)
{
	while (v.left > 0) {
		uint8_t type = v.at[0];

		if (type == OPT_PAD1) {
			view_take(&v, 1);
			continue;
		}
		if (v.left < 2 || type >> 6 != 0 ||
		    !view_take(&v, 2 + (size_t)v.at[1]))
			return false;
	}
	return true;
}

/* Takes one extension header of type @type; the type of what follows, or -1. */
static int take_ext(struct view *v, uint8_t type)
{
	const struct wire_ext *e;
	struct view body = *v;

	if (v->left < sizeof(*e))
		return -1;
	body.left = ((size_t)v->at[1] + 1) * 8;
	e = view_take(v, body.left);
	if (!e)
		return -1;
	if (type == EXT_ROUTING)
		return e->segments_left == 0 ? e->next : -1;
	view_take(&body, 2);
	return options_ok(body) ? e->next : -1;
}

static bool take_fragment(struct view *v, struct packet *p,
			  struct packet_rest *rest)
{
	const struct wire_frag *f = view_take(v, sizeof(*f));

	if (!f)
		return false;
	p->proto = f->next;
	p->dont_fragment = false;
	rest->more = f->offs[1] & 1;
	rest->offset = get16(f->offs) & 0xfff8;
	rest->id = get32(f->id);
	/* Alone in its fragment header it needs no company (RFC 6946). */
	rest->fragment = rest->more || rest->offset > 0;
	return true;
}

/* Walks to the upper header or to the data of a fragment. */
static bool walk(struct packet_layer *pl, struct packet *p,
		 struct packet_rest *rest, bool first, bool fragments)
{
	for (int i = 0; i < EXT_MAX; i++) {
		int next;

		switch (p->proto) {
		case EXT_HOPBYHOP:
			if (i > 0 || !first)
				return packet_drop(pl, COUNT_DROP_IP_EXTHDR);
			break;
		case EXT_ROUTING:
		case EXT_DESTOPTS:
			break;
		case EXT_FRAGMENT:
			if (!fragments || !take_fragment(&rest->v, p, rest))
				return packet_drop(pl, COUNT_DROP_IP_EXTHDR);
			if (rest->fragment)
				return true;
			fragments = false;
			continue;
		default:
			return true;
		}
		next = take_ext(&rest->v, p->proto);
		if (next < 0)
			return packet_drop(pl, COUNT_DROP_IP_EXTHDR);
		p->proto = (uint8_t)next;
	}
	return packet_drop(pl, COUNT_DROP_IP_EXTHDR);
}

bool packet6_parse(struct packet_layer *pl, struct view v, struct packet *ret,
		   struct packet_rest *ret_rest)
{
	const struct wire_ip6 *ip = view_take(&v, sizeof(*ip));
	uint32_t first;

	if (!ip)
		return packet_drop(pl, COUNT_DROP_IP_LENGTH);
	first = get32(ip->ver_tc_flow);
	if (first >> 28 != 6 || ip->hop_limit == 0)
		return packet_drop(pl, COUNT_DROP_IP_HEADER);
	if (get16(ip->payload_len) > v.left)
		return packet_drop(pl, COUNT_DROP_IP_LENGTH);

	memcpy(&ret->src, ip->src, sizeof(ret->src));
	memcpy(&ret->dst, ip->dst, sizeof(ret->dst));
	ret->proto = ip->next;
	ret->ttl = ip->hop_limit;
	ret->tos = (uint8_t)(first >> 20);
	ret->dont_fragment = true;
	*ret_rest = (struct packet_rest){
		.v = {v.at, get16(ip->payload_len)},
	};
	return walk(pl, ret, ret_rest, true, true);
}

bool packet6_unwrap(struct packet_layer *pl, struct packet *p)
{
	struct packet_rest rest = {.v = {p->l4, p->l4_len}};

	if (!walk(pl, p, &rest, false, false))
		return false;
	p->l4 += p->l4_len - rest.v.left;
	p->l4_len = rest.v.left;
	return true;
}

/* ::a.b.c.d, deprecated by RFC 4291 2.5.5.1, and with it :: and ::1. */
static bool is_compat(const struct in6_addr *a)
{
	static const struct in6_addr zero;

	return addr_in_prefix(a, &zero, 96);
}

/* What is sent before an address is confirmed: NS for duplicate detection, RS,
 * and reports of the groups that those need. */
static bool is_early(const struct packet *p, bool whole)
{
	if (!whole || p->proto != WIRE_PROTO_ICMPV6)
		return false;
	switch (p->l4[0]) {
	case ICMP6_MLD_REPORT:
	case ICMP6_MLD_DONE:
	case ICMP6_RS:
	case ICMP6_NS:
	case ICMP6_MLD2:
		return true;
	default:
		return false;
	}
}

/* ff02::/16: discovery, and reports of any group of the link. */
static bool is_link_group(const struct in6_addr *a)
{
	return a->s6_addr[0] == 0xff && (a->s6_addr[1] & 0xf) == 2;
}

/* The servers' group has no other port. */
static bool is_dhcp(const struct packet_layer *pl, const struct packet *p,
		    bool whole)
{
	static const struct in6_addr servers = {
		{{0xff, 2, [13] = 1, [15] = 2}}};

	return pl->plan->offer.dhcp6 && whole && p->proto == WIRE_PROTO_UDP &&
	       get16(p->l4 + 2) == DHCP_PORT && addr_equal(&p->dst, &servers);
}

bool packet6_addresses_ok(struct packet_layer *pl, const struct packet *p,
			  bool whole)
{
	/* Inside tapir a mapped address means IPv4: on the wire it is a lie. */
	if (addr_is_v4(&p->src))
		return packet_drop(pl, COUNT_DROP_IP_SOURCE);
	if (!plan_source_ok(pl->plan, &p->src) &&
	    !(addr_is_unspecified(&p->src) && is_early(p, whole)))
		return packet_drop(pl, COUNT_DROP_IP_SOURCE);
	if (addr_is_multicast(&p->dst) && whole &&
	    p->proto == WIRE_PROTO_ICMPV6 && is_link_group(&p->dst))
		return true;
	if (is_dhcp(pl, p, whole))
		return true;
	if (addr_is_v4(&p->dst) || is_compat(&p->dst) ||
	    addr_is_multicast(&p->dst))
		return packet_drop(pl, COUNT_DROP_IP_DEST);
	return true;
}
