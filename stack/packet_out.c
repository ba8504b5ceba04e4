#include "stack/packet.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define IP_MAX           65535
#define IP6_FRAGMENT     44
#define IP6_FRAGMENT_LEN 8

/* Room for the longest header in front of a fragment. */
#define HEAD_MAX (sizeof(struct wire_ip6) + IP6_FRAGMENT_LEN)

/* What is left of the caller's pieces. */
struct cursor {
	const struct iovec *iov;
	int iovcnt;
	size_t skip; /* of iov[0] */
};

/* One packet to be written: the whole, or a fragment of it. */
struct part {
	size_t offset;
	size_t len;
	bool fragment;
	bool more;
	uint32_t id;
};

static size_t iov_len(const struct iovec *iov, int iovcnt)
{
	size_t len = 0;

	for (int i = 0; i < iovcnt; i++)
		len += iov[i].iov_len;
	return len;
}

/* The next @len bytes as pieces in @out; how many pieces. */
static int cut(struct cursor *cur, size_t len, struct iovec *out)
{
	int n = 0;

	while (len > 0) {
		size_t left = cur->iov->iov_len - cur->skip;
		size_t now = left < len ? left : len;

		if (now > 0)
			out[n++] = (struct iovec){
				(uint8_t *)cur->iov->iov_base + cur->skip, now};
		len -= now;
		cur->skip += now;
		if (cur->skip == cur->iov->iov_len && cur->iovcnt > 1) {
			cur->iov++;
			cur->iovcnt--;
			cur->skip = 0;
		}
	}
	return n;
}

static size_t head4(uint8_t *head, const struct packet_out *out,
		    const struct part *part)
{
	struct wire_ip4 *ip = (struct wire_ip4 *)head;

	ip->ver_ihl = 0x45;
	ip->tos = out->tos;
	put16(ip->tot_len, (uint16_t)(sizeof(*ip) + part->len));
	put16(ip->id, (uint16_t)part->id);
	put16(ip->frag,
	      (uint16_t)((part->more ? WIRE_IP4_MF : 0) | part->offset / 8));
	ip->ttl = out->ttl;
	ip->proto = out->proto;
	put16(ip->csum, 0);
	put32(ip->src, addr_v4(out->src));
	put32(ip->dst, addr_v4(out->dst));
	put16(ip->csum, csum_fold(csum_add(0, ip, sizeof(*ip))));
	return sizeof(*ip);
}

static size_t head6(uint8_t *head, const struct packet_out *out,
		    const struct part *part)
{
	struct wire_ip6 *ip = (struct wire_ip6 *)head;
	size_t ext = part->fragment ? IP6_FRAGMENT_LEN : 0;
	uint8_t *frag = head + sizeof(*ip);

	put32(ip->ver_tc_flow, UINT32_C(6) << 28 | (uint32_t)out->tos << 20);
	put16(ip->payload_len, (uint16_t)(ext + part->len));
	ip->next = part->fragment ? IP6_FRAGMENT : out->proto;
	ip->hop_limit = out->ttl;
	memcpy(ip->src, out->src, sizeof(ip->src));
	memcpy(ip->dst, out->dst, sizeof(ip->dst));
	if (part->fragment) {
		frag[0] = out->proto;
		frag[1] = 0;
		put16(frag + 2, (uint16_t)(part->offset | part->more));
		put32(frag + 4, part->id);
	}
	return sizeof(*ip) + ext;
}

/* The Ethernet address of a group (RFC 1112 6.4, RFC 2464 7); false for an
 * ordinary address. */
static bool group_mac(const struct packet_layer *pl, const struct in6_addr *dst,
		      uint8_t mac[WIRE_MAC_LEN])
{
	static const uint8_t head_v4[] = {0x01, 0x00, 0x5e};
	static const uint8_t head_v6[] = {0x33, 0x33};

	if (plan_is_broadcast(pl->plan, dst)) {
		memset(mac, 0xff, WIRE_MAC_LEN);
		return true;
	}
	if (!addr_is_multicast(dst))
		return false;
	memcpy(mac + 2, dst->s6_addr + 12, 4);
	if (addr_is_v4(dst)) {
		memcpy(mac, head_v4, sizeof(head_v4));
		mac[3] &= 0x7f;
	} else {
		memcpy(mac, head_v6, sizeof(head_v6));
	}
	return true;
}

static int send_part(struct packet_layer *pl, const struct packet_out *out,
		     const struct part *part, struct cursor *cur)
{
	bool v4 = addr_is_v4(out->src);
	struct iovec iov[FRAME_IOV_MAX - 1];
	uint8_t mac[WIRE_MAC_LEN];
	uint8_t head[HEAD_MAX];
	int n;

	iov[0].iov_base = head;
	iov[0].iov_len = v4 ? head4(head, out, part) : head6(head, out, part);
	n = 1 + cut(cur, part->len, iov + 1);
	return link_send(pl->link, v4 ? WIRE_ETH_IPV4 : WIRE_ETH_IPV6,
			 group_mac(pl, out->dst, mac) ? mac : NULL, iov, n,
			 NULL);
}

static uint32_t next_id(struct packet_layer *pl, bool v4)
{
	if (!v4)
		return pl->next_id6++;
	if (pl->next_id == 0)
		pl->next_id++;
	return pl->next_id++;
}

int packet_send(struct packet_layer *pl, const struct packet_out *out,
		const struct iovec *iov, int iovcnt)
{
	bool v4 = addr_is_v4(out->src);
	size_t head = v4 ? sizeof(struct wire_ip4) : sizeof(struct wire_ip6);
	size_t len = iov_len(iov, iovcnt);
	struct cursor cur = {.iov = iov, .iovcnt = iovcnt};
	struct part part = {.len = len};
	size_t step;

	assert(v4 == addr_is_v4(out->dst));
	assert(iovcnt > 0 && iovcnt <= FRAME_IOV_MAX - 2);
	if (len > (v4 ? IP_MAX - head : IP_MAX))
		return -EMSGSIZE;
	part.fragment = head + len > pl->plan->mtu;
	if (v4 || part.fragment)
		part.id = next_id(pl, v4);
	if (!part.fragment)
		return send_part(pl, out, &part, &cur);

	step = (pl->plan->mtu - (v4 ? head : HEAD_MAX)) & ~(size_t)7;
	for (; part.offset < len; part.offset += part.len) {
		int err;

		part.more = len - part.offset > step;
		part.len = part.more ? step : len - part.offset;
		err = send_part(pl, out, &part, &cur);
		if (err < 0)
			return err;
	}
	return 0;
}

/* The pseudo-headers of both families have the same sum over the same
 * numbers: addresses, length, protocol. */
static uint32_t pseudo(const struct in6_addr *src, const struct in6_addr *dst,
		       uint8_t proto, size_t len)
{
	size_t skip = addr_is_v4(src) ? 12 : 0;
	uint32_t sum = proto + (uint32_t)(len >> 16) + (uint32_t)(len & 0xffff);

	sum = csum_add(sum, src->s6_addr + skip, sizeof(*src) - skip);
	return csum_add(sum, dst->s6_addr + skip, sizeof(*dst) - skip);
}

uint16_t packet_csum_pseudo(const struct in6_addr *src,
			    const struct in6_addr *dst, uint8_t proto,
			    size_t l4_len)
{
	return (uint16_t)~csum_fold(pseudo(src, dst, proto, l4_len));
}

uint16_t packet_csum(const struct in6_addr *src, const struct in6_addr *dst,
		     uint8_t proto, const struct iovec *iov, int iovcnt)
{
	uint32_t sum = 0;
	uint16_t folded;

	if (proto != WIRE_PROTO_ICMP)
		sum = pseudo(src, dst, proto, iov_len(iov, iovcnt));
	folded = csum_fold(csum_add_iov(sum, iov, iovcnt, 0));
	return folded == 0 && proto == WIRE_PROTO_UDP ? 0xffff : folded;
}
