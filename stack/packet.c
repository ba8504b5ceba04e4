/* The way of a packet in: packet4_parse() or packet6_parse() takes the header
 * apart, reass_add() puts fragments together, upper_ok() looks at the TCP, UDP
 * or ICMP header, packet4_addresses_ok() or packet6_addresses_ok() judges who
 * talks to whom. Addresses come last because DHCP and neighbour discovery, by
 * their upper header, may use some that nobody else may. */
#include "stack/packet.h"

#include "stack/packet_parse.h"

#include <assert.h>

#define IP4_MAX 65535

void packet_init(struct packet_layer *pl, struct link *link,
		 struct chunk_pool *pool, const struct plan *plan,
		 struct counters *count, uint32_t seed)
{
	*pl = (struct packet_layer){
		.link = link,
		.plan = plan,
		.count = count,
		.next_id = (uint16_t)(seed >> 8),
		.next_id6 = seed * 0x9e3779b1,
	};
	reass_init(&pl->reass, pool, count);
}

void packet_fini(struct packet_layer *pl)
{
	reass_fini(&pl->reass);
}

nsec_t packet_deadline(const struct packet_layer *pl)
{
	return reass_deadline(&pl->reass);
}

void packet_tick(struct packet_layer *pl, nsec_t now)
{
	reass_tick(&pl->reass, now);
}

bool packet_drop(struct packet_layer *pl, enum count_reason why)
{
	count(pl->count, why);
	return false;
}

static bool addresses_ok(struct packet_layer *pl, int family,
			 const struct packet *p, bool whole)
{
	return family == AF_INET ? packet4_addresses_ok(pl, p, whole)
				 : packet6_addresses_ok(pl, p, whole);
}

/* Makes the UDP length field and what there is agree: bytes after the datagram
 * are nobody's. */
static bool udp_length_ok(struct packet *p)
{
	size_t len;

	if (p->l4_len < sizeof(struct wire_udp))
		return false;
	len = get16(((const struct wire_udp *)p->l4)->len);
	if (len < sizeof(struct wire_udp) || len > p->l4_len)
		return false;
	p->l4_len = len;
	return true;
}

static bool tcp_length_ok(const struct packet *p)
{
	const struct wire_tcp *tcp = (const struct wire_tcp *)p->l4;
	size_t hlen;

	if (p->l4_len < sizeof(*tcp))
		return false;
	hlen = (size_t)(tcp->doff >> 4) * 4;
	return hlen >= sizeof(*tcp) && hlen <= p->l4_len;
}

static bool csum_ok(const struct packet *p, int family)
{
	bool v4_icmp = p->proto == WIRE_PROTO_ICMP;
	uint32_t sum = 0;

	if (p->proto == WIRE_PROTO_UDP &&
	    get16(((const struct wire_udp *)p->l4)->csum) == 0)
		return family == AF_INET;
	if (!v4_icmp)
		sum = packet_csum_pseudo(&p->src, &p->dst, p->proto, p->l4_len);
	return csum_fold(csum_add(sum, p->l4, p->l4_len)) == 0;
}

/* Do the offsets beside the frame name this packet's own checksum field? They
 * come from the container's kernel, but a super-frame is believed by them. */
static bool offload_ok(const struct packet *p, int family,
		       const struct offload *off, size_t l4_at)
{
	bool tcp = p->proto == WIRE_PROTO_TCP;

	if (off->gso != GSO_NONE &&
	    (!tcp || !off->csum_partial || off->gso_size == 0 ||
	     off->gso != (family == AF_INET ? GSO_TCP4 : GSO_TCP6)))
		return false;
	if (!off->csum_partial)
		return true;
	if (!tcp && p->proto != WIRE_PROTO_UDP)
		return false;
	return off->csum_start == l4_at &&
	       off->csum_offset == (tcp ? offsetof(struct wire_tcp, csum)
					: offsetof(struct wire_udp, csum));
}

static bool length_ok(struct packet *p)
{
	switch (p->proto) {
	case WIRE_PROTO_TCP:
		return tcp_length_ok(p);
	case WIRE_PROTO_UDP:
		return udp_length_ok(p);
	default:
		return p->l4_len >= sizeof(struct wire_icmp);
	}
}

/* The upper header: known, long enough, offload told the truth, sum right.
 * @l4_at counts from the Ethernet header; @off is all zero for what was
 * reassembled. */
static bool upper_ok(struct packet_layer *pl, struct packet *p, int family,
		     const struct offload *off, size_t l4_at)
{
	uint8_t icmp = family == AF_INET ? WIRE_PROTO_ICMP : WIRE_PROTO_ICMPV6;

	if (p->proto != WIRE_PROTO_TCP && p->proto != WIRE_PROTO_UDP &&
	    p->proto != icmp)
		return packet_drop(pl, COUNT_DROP_IP_PROTO);
	if (!length_ok(p))
		return packet_drop(pl, COUNT_DROP_L4_LENGTH);
	if (!offload_ok(p, family, off, l4_at))
		return packet_drop(pl, COUNT_DROP_OFFLOAD);
	if (!addresses_ok(pl, family, p, true))
		return false;
	if (!off->csum_partial && !off->csum_valid && !csum_ok(p, family))
		return packet_drop(pl, COUNT_DROP_L4_CSUM);
	return true;
}

/* Adds a fragment; true once *@p is whole, in a chunk of its own. */
static bool gather(struct packet_layer *pl, struct packet *p,
		   const struct packet_rest *rest, int family,
		   const struct offload *off, nsec_t now)
{
	bool v4 = family == AF_INET;
	struct reass_whole whole;
	struct reass_frag f = {
		.src = p->src,
		.dst = p->dst,
		.id = rest->id,
		.proto = v4 ? p->proto : 0,
		.next = p->proto,
		.ttl = p->ttl,
		.tos = p->tos,
		.offset = rest->offset,
		.more = rest->more,
		.data = rest->v.at,
		.len = rest->v.left,
	};

	if (off->csum_partial || off->gso != GSO_NONE)
		return packet_drop(pl, COUNT_DROP_OFFLOAD);
	if (!addresses_ok(pl, family, p, false) ||
	    !reass_add(&pl->reass, &f, now, &whole))
		return false;
	p->chunk = whole.chunk;
	p->l4 = whole.chunk->data;
	p->l4_len = whole.len;
	p->proto = whole.next;
	p->ttl = whole.ttl;
	p->tos = whole.tos;
	p->dont_fragment = false;
	if (v4 && p->l4_len > IP4_MAX - sizeof(struct wire_ip4)) {
		chunk_put(p->chunk);
		return packet_drop(pl, COUNT_DROP_FRAG_BAD);
	}
	if (!v4 && !packet6_unwrap(pl, p)) {
		chunk_put(p->chunk);
		return false;
	}
	return true;
}

bool packet_input(struct packet_layer *pl, struct chunk *c, struct view v,
		  int family, const struct offload *off, nsec_t now,
		  struct packet *ret)
{
	static const struct offload none;
	struct packet_rest rest;
	struct packet p = {0};
	size_t l4_at = 0;
	bool known;

	if (family == AF_INET ? !pl->plan->ipv4 : !pl->plan->ipv6)
		return packet_drop(pl, COUNT_DROP_ETHERTYPE);
	known = family == AF_INET ? packet4_parse(pl, v, &p, &rest)
				  : packet6_parse(pl, v, &p, &rest);
	if (!known)
		return false;
	if (rest.fragment) {
		if (!gather(pl, &p, &rest, family, off, now))
			return false;
		off = &none;
	} else {
		p.chunk = chunk_ref(c);
		p.l4 = c->data + (rest.v.at - c->data);
		p.l4_len = rest.v.left;
		l4_at = WIRE_ETH_LEN + (size_t)(rest.v.at - v.at);
	}
	if (!upper_ok(pl, &p, family, off, l4_at)) {
		chunk_put(p.chunk);
		return false;
	}
	link_learn(pl->link, &p.src);
	*ret = p;
	return true;
}
