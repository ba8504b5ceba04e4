#include "stack/link.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* The longest packet there is: 65,535 bytes behind an IPv6 header. */
#define FRAME_MAX (WIRE_ETH_LEN + sizeof(struct wire_ip6) + 65535)

static const uint8_t broadcast[WIRE_MAC_LEN] = {0xff, 0xff, 0xff,
						0xff, 0xff, 0xff};

void link_init(struct link *l, struct frame_sink *sink, const struct plan *plan,
	       struct counters *count, bool offload)
{
	*l = (struct link){
		.sink = sink,
		.plan = plan,
		.count = count,
		.offload = offload,
	};
	memcpy(l->peer, broadcast, sizeof(l->peer));
}

static bool is_group(const uint8_t mac[WIRE_MAC_LEN])
{
	return mac[0] & 1;
}

static bool is_zero(const uint8_t mac[WIRE_MAC_LEN])
{
	static const uint8_t zero[WIRE_MAC_LEN];

	return memcmp(mac, zero, WIRE_MAC_LEN) == 0;
}

void link_set_peer(struct link *l, const uint8_t mac[WIRE_MAC_LEN])
{
	if (!is_group(mac) && !is_zero(mac))
		memcpy(l->peer, mac, sizeof(l->peer));
}

static bool macs_ok(const struct link *l, const struct wire_eth *eth)
{
	if (is_group(eth->src) || is_zero(eth->src) ||
	    memcmp(eth->src, l->plan->mac, WIRE_MAC_LEN) == 0)
		return false;
	return is_group(eth->dst) ||
	       memcmp(eth->dst, l->plan->mac, WIRE_MAC_LEN) == 0;
}

uint16_t link_input(struct link *l, struct view frame, struct view *ret)
{
	const struct wire_eth *eth;
	uint16_t type;

	count(l->count, COUNT_FRAMES_IN);
	if (frame.left > FRAME_MAX) {
		count(l->count, COUNT_DROP_FRAME_LONG);
		return 0;
	}
	eth = view_take(&frame, sizeof(*eth));
	if (!eth) {
		count(l->count, COUNT_DROP_FRAME_SHORT);
		return 0;
	}
	if (!macs_ok(l, eth)) {
		count(l->count, COUNT_DROP_FRAME_MAC);
		return 0;
	}
	type = get16(eth->type);
	if (type != WIRE_ETH_IPV4 && type != WIRE_ETH_IPV6 &&
	    type != WIRE_ETH_ARP) {
		count(l->count, COUNT_DROP_ETHERTYPE);
		return 0;
	}
	memcpy(l->peer, eth->src, sizeof(l->peer));
	*ret = frame;
	return type;
}

void link_learn(struct link *l, const struct in6_addr *a)
{
	if (plan_source_ok(l->plan, a))
		guest_learn(&l->guest, a);
}

bool link_is_guest(const struct link *l, const struct in6_addr *a)
{
	const struct plan *plan = l->plan;

	return addr_equal(a, &plan->guest4) || addr_equal(a, &plan->dhcp4) ||
	       addr_equal(a, &plan->guest6) || guest_has(&l->guest, a);
}

static bool may_be_far(const struct plan *plan, const struct in6_addr *a)
{
	return plan->shared && (addr_is_v4(a) ? plan->ipv4 : plan->ipv6) &&
	       !addr_is_unspecified(a) && !addr_is_loopback(a) &&
	       !addr_is_multicast(a);
}

bool link_answers(const struct link *l, const struct in6_addr *a)
{
	const struct plan *plan = l->plan;

	return plan_is_taken(plan, a) ||
	       ((plan_on_link(plan, a) || may_be_far(plan, a)) &&
		!plan_is_broadcast(plan, a) && !link_is_guest(l, a));
}

/* A sum of zero is written as its other form, which UDP wants and TCP takes. */
static void complete(const struct iovec *iov, int iovcnt,
		     const struct offload *off)
{
	uint16_t sum = csum_fold(csum_add_iov(0, iov, iovcnt, off->csum_start));
	size_t at = (size_t)off->csum_start + off->csum_offset;
	int i = 0;

	while (i < iovcnt && at >= iov[i].iov_len)
		at -= iov[i++].iov_len;
	assert(i < iovcnt && at + sizeof(sum) <= iov[i].iov_len);
	put16((uint8_t *)iov[i].iov_base + at, sum ? sum : 0xffff);
}

static struct offload shift(const struct offload *off)
{
	struct offload out = *off;

	out.csum_start = (uint16_t)(out.csum_start + WIRE_ETH_LEN);
	if (out.gso != GSO_NONE)
		out.hdr_len = (uint16_t)(out.hdr_len + WIRE_ETH_LEN);
	return out;
}

int link_send(struct link *l, uint16_t ethertype,
	      const uint8_t dst[WIRE_MAC_LEN], const struct iovec *iov,
	      int iovcnt, const struct offload *off)
{
	struct iovec all[FRAME_IOV_MAX];
	struct wire_eth eth;
	struct frame f = {.iov = all, .iovcnt = iovcnt + 1};
	int err;

	assert(iovcnt > 0 && iovcnt < FRAME_IOV_MAX);
	if (off && off->csum_partial && l->offload) {
		f.off = shift(off);
	} else if (off) {
		assert(off->gso == GSO_NONE);
		if (off->csum_partial)
			complete(iov, iovcnt, off);
	}

	memcpy(eth.dst, dst ? dst : l->peer, sizeof(eth.dst));
	memcpy(eth.src, l->plan->mac, sizeof(eth.src));
	put16(eth.type, ethertype);
	all[0] = (struct iovec){&eth, sizeof(eth)};
	f.len = sizeof(eth);
	for (int i = 0; i < iovcnt; i++) {
		all[i + 1] = iov[i];
		f.len += iov[i].iov_len;
	}

	err = l->sink->put(l->sink, &f);
	count(l->count, err < 0 ? COUNT_DROP_SINK : COUNT_FRAMES_OUT);
	return err;
}
