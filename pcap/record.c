#include "pcap/record.h"

#include "stack/wire.h"

#include <string.h>

#define FLAGS_LAST (WIRE_TCP_FIN | WIRE_TCP_PSH) /* on the last segment only */
#define FLAG_CWR   0x80 /* on the first only, RFC 3168 6.1.2 */

/* The sum of the open part; its field holds that of the pseudo-header. A sum of
 * zero is written as its other form, which UDP wants and TCP takes. */
static uint16_t open_csum(const struct frame *f)
{
	uint16_t sum = csum_fold(
		csum_add_iov(0, f->iov, f->iovcnt, f->off.csum_start));

	return sum ? sum : 0xffff;
}

size_t record_copy(const struct frame *f, uint8_t *buf, size_t room)
{
	size_t at = (size_t)f->off.csum_start + f->off.csum_offset;
	size_t n = 0;

	for (int i = 0; i < f->iovcnt && n < room; i++) {
		size_t len = f->iov[i].iov_len;

		if (len > room - n)
			len = room - n;
		/* of an empty piece the pointer may be none */
		if (len)
			memcpy(buf + n, f->iov[i].iov_base, len);
		n += len;
	}
	if (f->off.csum_partial && at + sizeof(uint16_t) <= n)
		put16(buf + at, open_csum(f));
	return n;
}

/* Where TCP begins in the @len bytes of an Ethernet frame, 0 if it does not
 * follow an IP header of that version at once. */
static size_t tcp_offset(const uint8_t *frame, size_t len, bool v4)
{
	const struct wire_eth *eth = (const void *)frame;
	const struct wire_ip4 *h4 = (const void *)(eth + 1);
	const struct wire_ip6 *h6 = (const void *)(eth + 1);
	size_t header = v4 ? sizeof(*h4) : sizeof(*h6);

	if (len < sizeof(*eth) + header ||
	    get16(eth->type) != (v4 ? WIRE_ETH_IPV4 : WIRE_ETH_IPV6))
		return 0;
	if (!v4)
		return h6->ver_tc_flow[0] >> 4 == 6 &&
				       h6->next == WIRE_PROTO_TCP
			       ? sizeof(*eth) + header
			       : 0;
	if (h4->ver_ihl >> 4 != 4 || h4->proto != WIRE_PROTO_TCP ||
	    (size_t)(h4->ver_ihl & 15) * 4 < header)
		return 0;
	return sizeof(*eth) + (size_t)(h4->ver_ihl & 15) * 4;
}

bool record_cut(const struct frame *f, const uint8_t *whole,
		struct record_cut *ret)
{
	const struct wire_tcp *tcp;
	struct record_cut c = {
		.whole = whole,
		.tcp_at = f->off.csum_start,
		.unit = f->off.gso_size,
		.v4 = f->off.gso == GSO_TCP4,
	};
	size_t header;

	if (f->off.gso == GSO_NONE || c.unit == 0 || !f->off.csum_partial ||
	    c.tcp_at == 0 || c.tcp_at != tcp_offset(whole, f->len, c.v4) ||
	    c.tcp_at + sizeof(*tcp) > f->len)
		return false;
	tcp = (const void *)(whole + c.tcp_at);
	header = (size_t)(tcp->doff >> 4) * 4;
	c.header = c.tcp_at + header;
	if (header < sizeof(*tcp) || c.header + c.unit >= f->len)
		return false;
	c.payload = f->len - c.header;
	c.count = (unsigned)((c.payload + c.unit - 1) / c.unit);
	if (c.count > RECORD_SEGMENTS_MAX)
		return false;
	*ret = c;
	return true;
}

/* Each returns the sum of its pseudo-header for @l4 bytes of TCP. */
static uint32_t mend_ip4(uint8_t *ip, size_t header, size_t l4, unsigned n)
{
	struct wire_ip4 *h = (struct wire_ip4 *)ip;

	put16(h->tot_len, (uint16_t)(header + l4));
	put16(h->id, (uint16_t)(get16(h->id) + n));
	put16(h->csum, 0);
	put16(h->csum, csum_fold(csum_add(0, ip, header)));
	return csum_add(WIRE_PROTO_TCP + (uint32_t)l4, h->src,
			sizeof(h->src) + sizeof(h->dst));
}

static uint32_t mend_ip6(uint8_t *ip, size_t l4)
{
	struct wire_ip6 *h = (struct wire_ip6 *)ip;

	put16(h->payload_len, (uint16_t)l4);
	return csum_add(WIRE_PROTO_TCP + (uint32_t)l4, h->src,
			sizeof(h->src) + sizeof(h->dst));
}

size_t record_segment(const struct record_cut *c, unsigned n, uint8_t *buf)
{
	size_t skip = n * c->unit;
	bool last = n + 1 == c->count;
	size_t len = last ? c->payload - skip : c->unit;
	size_t l4 = c->header - c->tcp_at + len;
	uint8_t *ip = buf + WIRE_ETH_LEN;
	struct wire_tcp *tcp = (struct wire_tcp *)(buf + c->tcp_at);
	uint32_t sum;

	memcpy(buf, c->whole, c->header);
	memcpy(buf + c->header, c->whole + c->header + skip, len);
	sum = c->v4 ? mend_ip4(ip, c->tcp_at - WIRE_ETH_LEN, l4, n)
		    : mend_ip6(ip, l4);
	put32(tcp->seq, get32(tcp->seq) + (uint32_t)skip);
	if (!last)
		tcp->flags &= (uint8_t)~FLAGS_LAST;
	if (n > 0)
		tcp->flags &= (uint8_t)~FLAG_CWR;
	put16(tcp->csum, 0);
	put16(tcp->csum, csum_fold(csum_add(sum, tcp, l4)));
	return c->header + len;
}
