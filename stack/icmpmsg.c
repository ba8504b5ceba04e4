#include "stack/icmpmsg.h"

#include <errno.h>
#include <string.h>

#define V4_ECHO_REPLY   0
#define V4_UNREACHABLE  3
#define V4_QUENCH       4
#define V4_REDIRECT     5
#define V4_ECHO_REQUEST 8
#define V4_TIME         11
#define V4_PARAMETER    12

#define V6_UNREACHABLE  1
#define V6_TOO_BIG      2
#define V6_TIME         3
#define V6_PARAMETER    4
#define V6_ECHO_REQUEST 128
#define V6_ECHO_REPLY   129

/* An error has to fit where nothing is known of the path (RFC 1812 4.3.2.3, RFC
 * 4443 3.1). */
#define V4_ERROR_MAX 576
#define V6_ERROR_MAX ICMPMSG_QUOTE_MAX

#define TTL 64

struct kind {
	uint8_t v4_type, v4_code;
	uint8_t v6_type, v6_code;
};

static const struct kind kinds[] = {
	[ICMPMSG_NET_UNREACH] = {V4_UNREACHABLE, 0, V6_UNREACHABLE, 0},
	[ICMPMSG_HOST_UNREACH] = {V4_UNREACHABLE, 1, V6_UNREACHABLE, 3},
	[ICMPMSG_PORT_UNREACH] = {V4_UNREACHABLE, 3, V6_UNREACHABLE, 4},
	[ICMPMSG_ADMIN_PROHIB] = {V4_UNREACHABLE, 13, V6_UNREACHABLE, 1},
	[ICMPMSG_TOO_BIG] = {V4_UNREACHABLE, 4, V6_TOO_BIG, 0},
	[ICMPMSG_TIME_EXCEEDED] = {V4_TIME, 0, V6_TIME, 0},
};

enum icmpmsg_why icmpmsg_why_from_errno(int err)
{
	switch (err) {
	case ENETUNREACH:
	case ENETDOWN:
	case EAFNOSUPPORT:
	case EADDRNOTAVAIL:
		return ICMPMSG_NET_UNREACH;
	case ECONNREFUSED:
		return ICMPMSG_PORT_UNREACH;
	case EACCES:
	case EPERM:
		return ICMPMSG_ADMIN_PROHIB;
	case EMSGSIZE:
		return ICMPMSG_TOO_BIG;
	case EHOSTUNREACH:
	default:
		return ICMPMSG_HOST_UNREACH;
	}
}

/* iovec knows no const; packet_send() only reads. */
static struct iovec lend(const void *data, size_t len)
{
	return (struct iovec){(void *)(uintptr_t)data, len};
}

static uint8_t proto_of(bool v4)
{
	return v4 ? WIRE_PROTO_ICMP : WIRE_PROTO_ICMPV6;
}

/* Sends @iov, which starts with @icmp, after giving it its checksum. */
static int send_msg(struct packet_layer *pl, const struct in6_addr *src,
		    const struct in6_addr *dst, struct wire_icmp *icmp,
		    const struct iovec *iov, int iovcnt)
{
	uint8_t proto = proto_of(addr_is_v4(src));
	struct packet_out out = {
		.src = src, .dst = dst, .proto = proto, .ttl = TTL};

	put16(icmp->csum, 0);
	put16(icmp->csum, packet_csum(src, dst, proto, iov, iovcnt));
	return packet_send(pl, &out, iov, iovcnt);
}

/* Errors never answer errors, or two hosts would never stop (RFC 1122 3.2.2):
 * of ICMP only what asks may be complained about. */
static bool may_complain(const struct plan *plan, const struct in6_addr *src,
			 const struct in6_addr *dst, uint8_t proto,
			 const uint8_t *l4, size_t l4_len)
{
	if (!plan_source_ok(plan, src) || addr_is_multicast(dst) ||
	    plan_is_broadcast(plan, dst))
		return false;
	if (proto == WIRE_PROTO_ICMP)
		return l4_len > 0 && l4[0] == V4_ECHO_REQUEST;
	if (proto == WIRE_PROTO_ICMPV6)
		return l4_len > 0 && l4[0] == V6_ECHO_REQUEST;
	return true;
}

static size_t quote4(uint8_t *head, const struct in6_addr *src,
		     const struct in6_addr *dst, uint8_t proto, size_t l4_len,
		     bool df)
{
	struct wire_ip4 ip = {
		.ver_ihl = 0x45,
		.ttl = TTL,
		.proto = proto,
	};

	put16(ip.tot_len, (uint16_t)(sizeof(ip) + l4_len));
	put16(ip.frag, df ? WIRE_IP4_DF : 0);
	put32(ip.src, addr_v4(src));
	put32(ip.dst, addr_v4(dst));
	put16(ip.csum, csum_fold(csum_add(0, &ip, sizeof(ip))));
	memcpy(head, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t quote6(uint8_t *head, const struct in6_addr *src,
		     const struct in6_addr *dst, uint8_t proto, size_t l4_len)
{
	struct wire_ip6 ip = {.next = proto, .hop_limit = TTL};

	put32(ip.ver_tc_flow, UINT32_C(6) << 28);
	put16(ip.payload_len, (uint16_t)l4_len);
	memcpy(ip.src, src, sizeof(ip.src));
	memcpy(ip.dst, dst, sizeof(ip.dst));
	memcpy(head, &ip, sizeof(ip));
	return sizeof(ip);
}

int icmpmsg_send_error(struct packet_layer *pl, const struct icmpmsg_error *e,
		       const struct in6_addr *src, const struct in6_addr *dst,
		       uint8_t proto, const void *l4, size_t l4_len)
{
	bool v4 = addr_is_v4(src);
	const struct kind *k = &kinds[e->why];
	const struct in6_addr *from = e->from;
	struct wire_icmp icmp = {.type = v4 ? k->v4_type : k->v6_type,
				 .code = v4 ? k->v4_code : k->v6_code};
	uint8_t head[sizeof(struct wire_ip6)];
	struct iovec iov[] = {lend(&icmp, sizeof(icmp)), lend(head, 0),
			      lend(l4, l4_len)};
	size_t room;

	if (!may_complain(pl->plan, src, dst, proto, l4, l4_len))
		return 0;
	if (!from)
		from = v4 ? &pl->plan->gateway4 : &pl->plan->gateway6;
	/* On a link without a gateway the target itself says so. */
	if (addr_is_unspecified(from))
		from = v4 ? dst : &pl->plan->router6;
	if (v4) {
		iov[1].iov_len = quote4(head, src, dst, proto, l4_len,
					e->why == ICMPMSG_TOO_BIG);
		room = V4_ERROR_MAX - sizeof(struct wire_ip4);
	} else {
		iov[1].iov_len = quote6(head, src, dst, proto, l4_len);
		room = V6_ERROR_MAX - sizeof(struct wire_ip6);
	}
	if (e->why == ICMPMSG_TOO_BIG && v4)
		put16(icmp.rest + 2,
		      (uint16_t)(e->mtu < UINT16_MAX ? e->mtu : UINT16_MAX));
	else if (e->why == ICMPMSG_TOO_BIG)
		put32(icmp.rest, e->mtu);
	room -= sizeof(icmp) + iov[1].iov_len;
	if (iov[2].iov_len > room)
		iov[2].iov_len = room;
	return send_msg(pl, from, src, &icmp, iov, 3);
}

static bool is_request(const struct wire_icmp *icmp, bool v4)
{
	return icmp->type == (v4 ? V4_ECHO_REQUEST : V6_ECHO_REQUEST);
}

/* What the container's own stack says about packets that it got: replies to
 * pings of ours that nobody sends, and errors. */
static bool is_quiet(uint8_t type, bool v4)
{
	if (!v4)
		return type == V6_ECHO_REPLY ||
		       (type >= V6_UNREACHABLE && type <= V6_PARAMETER);
	switch (type) {
	case V4_ECHO_REPLY:
	case V4_UNREACHABLE:
	case V4_QUENCH:
	case V4_REDIRECT:
	case V4_TIME:
	case V4_PARAMETER:
		return true;
	default:
		return false;
	}
}

bool icmpmsg_input(struct packet_layer *pl, const struct packet *p,
		   struct icmpmsg_echo *ret)
{
	const struct wire_icmp *icmp = (const struct wire_icmp *)p->l4;
	bool v4 = p->proto == WIRE_PROTO_ICMP;
	struct icmpmsg_echo e = {
		.src = p->src,
		.dst = p->dst,
		.id = get16(icmp->rest),
		.seq = get16(icmp->rest + 2),
		.ttl = p->ttl,
		.dont_fragment = p->dont_fragment,
		.payload = p->l4 + sizeof(*icmp),
		.len = p->l4_len - sizeof(*icmp),
	};

	if (is_quiet(icmp->type, v4))
		return false;
	if (!is_request(icmp, v4) || icmp->code != 0 ||
	    addr_is_multicast(&p->dst)) {
		count(pl->count, COUNT_DROP_ICMP);
		return false;
	}
	if (!plan_is_ours(pl->plan, &p->dst)) {
		*ret = e;
		return true;
	}
	e.src = p->dst;
	e.dst = p->src;
	icmpmsg_send_reply(pl, &e);
	return false;
}

int icmpmsg_send_reply(struct packet_layer *pl, const struct icmpmsg_echo *e)
{
	struct wire_icmp icmp = {
		.type = addr_is_v4(&e->src) ? V4_ECHO_REPLY : V6_ECHO_REPLY,
	};
	struct iovec iov[] = {lend(&icmp, sizeof(icmp)),
			      lend(e->payload, e->len)};

	put16(icmp.rest, e->id);
	put16(icmp.rest + 2, e->seq);
	return send_msg(pl, &e->src, &e->dst, &icmp, iov, 2);
}
