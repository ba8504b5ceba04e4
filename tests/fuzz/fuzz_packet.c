/* Everything in front of lwIP on frames of a hostile container. The input is a
 * sequence of frames, each behind a byte of flags and two of length. Flags mend
 * what a fuzzer does not find by chance: addresses and checksums. */
#include "stack/arp.h"
#include "stack/dhcp4.h"
#include "stack/dhcpv6.h"
#include "stack/domain.h"
#include "stack/icmpin.h"
#include "stack/icmpmsg.h"
#include "stack/ndp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MEND_MACS     0x01
#define MEND_IP4_CSUM 0x02
#define VOUCH_L4_CSUM 0x04
#define PARTIAL_CSUM  0x08
#define TIME_PASSES   0x10
#define SHARED_PLAN   0x20 /* of the first frame: the host's own networks */

#define FRAME_MAX (WIRE_ETH_LEN + 40 + 65535)

static const uint8_t gateway_mac[WIRE_MAC_LEN] = {0x52, 0x55, 10, 0, 2, 2};
static const uint8_t guest_mac[WIRE_MAC_LEN] = {2, 0, 0, 0, 0, 1};

struct world {
	struct plan plan;
	struct counters count;
	struct frame_sink sink;
	struct chunk_pool pool;
	struct link link;
	struct packet_layer pl;
	struct ndp ndp;
	nsec_t now;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Reads every byte, so that the sanitizer sees what was never written. */
static int swallow(struct frame_sink *sink, const struct frame *f)
{
	size_t len = 0;

	for (int i = 0; i < f->iovcnt; i++)
		len += f->iov[i].iov_len;
	assert(len == f->len && len <= FRAME_MAX);
	csum_add_iov(0, f->iov, f->iovcnt, 0);
	return 0;
}

/* As pasta has it: everything is offered, gateways are elsewhere. Addresses end
 * as those of plan_make() do. */
static void share(struct plan *plan)
{
	plan->shared = true;
	plan->bits4 = 32;
	plan->net4 = plan->guest4 = plan->dhcp4 = addr_from_v4(0x0a00020f);
	plan->self4 = addr_from_v4(0xa9fe0102);
	plan->loop4 = plan->loop6 = (struct in6_addr){0};
	plan->gateway6 = plan->router6;
	plan->offer.dhcp6 = true;
	plan->offer.search_len =
		(uint8_t)domain_encode("example.net", plan->offer.search);
	memcpy(plan->offer.hostname, "box", 4);
	memcpy(plan->offer.fqdn, "box.example.net", 16);
}

static void world_init(struct world *w, bool shared)
{
	*w = (struct world){.sink = {.put = swallow}};
	w->plan = plan_make(addr_from_v4(0x0a000200), 24, 1500, gateway_mac);
	if (shared)
		share(&w->plan);
	chunk_pool_init(&w->pool, (size_t)8 * CHUNK_ROOM);
	link_init(&w->link, &w->sink, &w->plan, &w->count, false);
	packet_init(&w->pl, &w->link, &w->pool, &w->plan, &w->count, 1);
	ndp_init(&w->ndp, &w->pl, w->now);
}

static void world_fini(struct world *w)
{
	packet_fini(&w->pl);
	chunk_pool_fini(&w->pool);
}

static void mend(uint8_t *frame, size_t len, uint8_t flags)
{
	uint8_t *ip = frame + WIRE_ETH_LEN;
	size_t hlen;

	if (flags & MEND_MACS && len >= WIRE_ETH_LEN) {
		memcpy(frame, gateway_mac, WIRE_MAC_LEN);
		memcpy(frame + WIRE_MAC_LEN, guest_mac, WIRE_MAC_LEN);
	}
	if (!(flags & MEND_IP4_CSUM) ||
	    len < WIRE_ETH_LEN + sizeof(struct wire_ip4) || ip[0] >> 4 != 4)
		return;
	hlen = (size_t)(ip[0] & 0xf) * 4;
	if (hlen < sizeof(struct wire_ip4) || hlen > len - WIRE_ETH_LEN)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, csum_fold(csum_add(0, ip, hlen)));
}

static void take(struct world *w, const struct packet *p)
{
	struct icmpmsg_error e = {.why = ICMPMSG_TOO_BIG, .mtu = 1280};
	struct icmpin_unreach u;
	struct icmpmsg_echo echo;

	assert(p->l4_len >= 8 && p->l4_len <= 65535);
	if (p->proto == WIRE_PROTO_UDP && get16(p->l4 + 2) == DHCP4_SERVER_PORT)
		dhcp4_input(&w->pl, p);
	else if (p->proto == WIRE_PROTO_UDP && addr_is_multicast(&p->dst))
		dhcpv6_input(&w->pl, p);
	else if (p->proto == WIRE_PROTO_ICMPV6 && ndp_input(&w->ndp, p))
		return;
	else if ((p->proto == WIRE_PROTO_ICMP ||
		  p->proto == WIRE_PROTO_ICMPV6) &&
		 !icmpin_unreachable(&w->plan, p, &u) &&
		 icmpmsg_input(&w->pl, p, &echo))
		icmpmsg_send_reply(
			&w->pl, &(struct icmpmsg_echo){.src = echo.dst,
						       .dst = echo.src,
						       .payload = echo.payload,
						       .len = echo.len});
	icmpmsg_send_error(&w->pl, &e, &p->src, &p->dst, p->proto, p->l4,
			   p->l4_len);
}

/* The frame lies at the end of its chunk, where a read too far is seen. */
static void give(struct world *w, const uint8_t *frame, size_t len,
		 uint8_t flags)
{
	struct offload off = {.csum_valid = flags & VOUCH_L4_CSUM,
			      .csum_partial = flags & PARTIAL_CSUM};
	struct chunk *c = chunk_new(&w->pool, len);
	struct packet p;
	struct view v;
	uint16_t type;

	if (!c)
		return;
	v = (struct view){c->data + c->room - len, len};
	if (len)
		memcpy(c->data + c->room - len, frame, len);
	mend(c->data + c->room - len, len, flags);
	if (off.csum_partial) {
		off.csum_start = WIRE_ETH_LEN + sizeof(struct wire_ip4);
		off.csum_offset = offsetof(struct wire_udp, csum);
	}
	type = link_input(&w->link, v, &v);
	if (type == WIRE_ETH_ARP) {
		arp_input(&w->link, v);
	} else if (type &&
		   packet_input(&w->pl, c, v,
				type == WIRE_ETH_IPV4 ? AF_INET : AF_INET6,
				&off, w->now, &p)) {
		take(w, &p);
		chunk_put(p.chunk);
	}
	chunk_put(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct view in = {data, len};
	struct world w;
	const uint8_t *head, *frame;

	world_init(&w, len > 0 && data[0] & SHARED_PLAN);
	while ((head = view_take(&in, 3)) != NULL) {
		size_t n = get16(head + 1);

		if (n > in.left)
			n = in.left;
		frame = view_take(&in, n);
		give(&w, frame, n, head[0]);
		if (!(head[0] & TIME_PASSES))
			continue;
		w.now += NSEC_PER_SEC * 10;
		packet_tick(&w.pl, w.now);
		ndp_tick(&w.ndp, w.now);
	}
	world_fini(&w);
	return 0;
}
