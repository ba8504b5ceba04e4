#include "pcap/dissect.h"

#include "stack/frame.h"

#include <string.h>

/* IPv6 extension headers, RFC 8200 4 */
#define EXT_HOP_BY_HOP  0
#define EXT_ROUTING     43
#define EXT_FRAGMENT    44
#define EXT_DESTINATION 60
#define EXT_MAX         8

static void take_tcp(struct dissect *d)
{
	const struct wire_tcp *h = (const void *)d->l4;
	size_t header;

	if (d->l4_len < sizeof(*h))
		return;
	header = (size_t)(h->doff >> 4) * 4;
	if (header < sizeof(*h) || header > d->l4_len)
		return;
	d->ports = true;
	d->sport = get16(h->sport);
	d->dport = get16(h->dport);
	d->tcp = h;
	d->seq = get32(h->seq);
	d->ack = get32(h->ack);
	d->flags = h->flags;
	d->options = d->l4 + sizeof(*h);
	d->options_len = header - sizeof(*h);
	d->payload = d->l4 + header;
	d->payload_len = d->l4_len - header;
}

static void take_udp(struct dissect *d)
{
	const struct wire_udp *h = (const void *)d->l4;
	size_t said;

	if (d->l4_len < sizeof(*h))
		return;
	d->ports = true;
	d->sport = get16(h->sport);
	d->dport = get16(h->dport);
	d->payload = d->l4 + sizeof(*h);
	d->payload_len = d->l4_len - sizeof(*h);
	/* What a larger IP packet has behind it is padding. */
	said = get16(h->len);
	if (said >= sizeof(*h) && said - sizeof(*h) < d->payload_len)
		d->payload_len = said - sizeof(*h);
}

static void take_l4(struct dissect *d, const struct view *v, size_t said)
{
	d->ip = true;
	d->l4 = v->at;
	d->l4_len = said < v->left ? said : v->left;
	d->l4_said = said;
	if (d->fragment)
		return;
	if (d->proto == WIRE_PROTO_TCP)
		take_tcp(d);
	else if (d->proto == WIRE_PROTO_UDP)
		take_udp(d);
}

static void take_ip4(struct dissect *d, struct view v)
{
	const struct wire_ip4 *h = view_take(&v, sizeof(*h));
	size_t header, total;

	if (!h || h->ver_ihl >> 4 != 4)
		return;
	header = (size_t)(h->ver_ihl & 15) * 4;
	total = get16(h->tot_len);
	if (header < sizeof(*h) || total < header ||
	    !view_take(&v, header - sizeof(*h)))
		return;
	d->src = addr_from_v4(get32(h->src));
	d->dst = addr_from_v4(get32(h->dst));
	d->proto = h->proto;
	d->fragment = get16(h->frag) & (WIRE_IP4_MF | WIRE_IP4_OFFS);
	d->frag_at = (uint16_t)((get16(h->frag) & WIRE_IP4_OFFS) * 8);
	d->frag_id = get16(h->id);
	take_l4(d, &v, total - header);
}

/* Walks one extension header of @d->proto; false: that is none. */
static bool skip_extension(struct dissect *d, struct view *v, size_t *said)
{
	const uint8_t *h;
	size_t len = 8;

	if (d->proto != EXT_HOP_BY_HOP && d->proto != EXT_ROUTING &&
	    d->proto != EXT_DESTINATION && d->proto != EXT_FRAGMENT)
		return false;
	if (v->left < len || *said < len)
		return false;
	h = v->at;
	if (d->proto == EXT_FRAGMENT) {
		/* offset and M; an atomic fragment has neither */
		d->fragment = d->fragment || get16(h + 2) & 0xfff9;
		d->frag_at = get16(h + 2) & 0xfff8;
		d->frag_id = get32(h + 4);
	} else {
		len = ((size_t)h[1] + 1) * 8;
	}
	if (*said < len || !view_take(v, len))
		return false;
	d->proto = h[0];
	*said -= len;
	return true;
}

static void take_ip6(struct dissect *d, struct view v)
{
	const struct wire_ip6 *h = view_take(&v, sizeof(*h));
	size_t said;

	if (!h || h->ver_tc_flow[0] >> 4 != 6)
		return;
	said = get16(h->payload_len);
	memcpy(&d->src, h->src, sizeof(d->src));
	memcpy(&d->dst, h->dst, sizeof(d->dst));
	if (addr_is_v4(&d->src) || addr_is_v4(&d->dst))
		return; /* would pass for a packet of the other family */
	d->proto = h->next;
	for (int i = 0; i < EXT_MAX && !d->fragment; i++) {
		if (!skip_extension(d, &v, &said))
			break;
	}
	take_l4(d, &v, said);
}

bool dissect_frame(const uint8_t *bytes, size_t len, struct dissect *ret)
{
	struct view v = {bytes, len};

	*ret = (struct dissect){.eth = view_take(&v, WIRE_ETH_LEN)};
	if (!ret->eth)
		return false;
	ret->ethertype = get16(ret->eth->type);
	if (ret->ethertype == WIRE_ETH_IPV4)
		take_ip4(ret, v);
	else if (ret->ethertype == WIRE_ETH_IPV6)
		take_ip6(ret, v);
	return true;
}

bool dissect_quote(const uint8_t *bytes, size_t len, struct dissect *ret)
{
	struct view v = {bytes, len};

	*ret = (struct dissect){0};
	if (len > 0 && bytes[0] >> 4 == 4)
		take_ip4(ret, v);
	else if (len > 0)
		take_ip6(ret, v);
	return ret->ip;
}
