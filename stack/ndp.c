#include "stack/ndp.h"

#include <assert.h>
#include <string.h>

#define TYPE_MLD_QUERY  130
#define TYPE_MLD_REPORT 131
#define TYPE_MLD_DONE   132
#define TYPE_RS         133
#define TYPE_RA         134
#define TYPE_NS         135
#define TYPE_NA         136
#define TYPE_REDIRECT   137
#define TYPE_MLD2       143

#define OPT_SOURCE_LLA 1
#define OPT_TARGET_LLA 2
#define OPT_PREFIX     3
#define OPT_MTU        5
#define OPT_RDNSS      25
#define OPT_DNSSL      31

#define RA_MANAGED 0x80 /* addresses come from DHCPv6 */

#define PREFIX_ON_LINK    0x80
#define PREFIX_AUTONOMOUS 0x40

#define NA_ROUTER    0x80
#define NA_SOLICITED 0x40
#define NA_OVERRIDE  0x20

/* Nobody but a neighbour can send 255 (RFC 4861 11.2). */
#define HOP_LIMIT 255

#define MTU_MIN 1280

#define LIFETIME_FOR_EVER UINT32_MAX
/* The longest a router may promise (RFC 8319), and a third of it between
 * unsolicited advertisements: an idle program should sleep. */
#define ROUTER_LIFETIME 65535
#define RA_INTERVAL     (6 * 3600 * NSEC_PER_SEC)

/* RFC 4861 4.3 and 4.4: the target, with flags in front in an NA. */
struct wire_neighbour {
	uint8_t type;
	uint8_t code;
	uint8_t csum[2];
	uint8_t flags;
	uint8_t reserved[3];
	uint8_t target[16];
};

struct wire_lla {
	uint8_t type;
	uint8_t len; /* of options: in units of 8 bytes */
	uint8_t mac[WIRE_MAC_LEN];
};

/* RFC 4861 4.2 */
struct wire_ra {
	uint8_t type;
	uint8_t code;
	uint8_t csum[2];
	uint8_t hop_limit;
	uint8_t flags;
	uint8_t lifetime[2]; /* seconds, as all others */
	uint8_t reachable[4];
	uint8_t retrans[4];
};

struct wire_prefix {
	uint8_t type;
	uint8_t len;
	uint8_t bits;
	uint8_t flags;
	uint8_t valid[4];
	uint8_t preferred[4];
	uint8_t reserved[4];
	uint8_t prefix[16];
};

struct wire_mtu {
	uint8_t type;
	uint8_t len;
	uint8_t reserved[2];
	uint8_t mtu[4];
};

/* RFC 8106 5.1 and 5.2: servers follow, or names */
struct wire_dns {
	uint8_t type;
	uint8_t len;
	uint8_t reserved[2];
	uint8_t lifetime[4];
};

/* An advertisement with everything that a plan can make it tell. */
#define RA_MAX                                                                 \
	(sizeof(struct wire_ra) + sizeof(struct wire_lla) +                    \
	 sizeof(struct wire_prefix) + sizeof(struct wire_mtu) +                \
	 2 * sizeof(struct wire_dns) + PLAN_DNS_MAX * 16 + PLAN_SEARCH_MAX +   \
	 7)

struct ra_msg {
	uint8_t data[RA_MAX];
	size_t len;
};

static const struct in6_addr all_nodes = {{{0xff, 2, [15] = 1}}};

static bool is_router(const struct plan *plan)
{
	return plan->offer.ra && !plan->offer.no_ndp;
}

void ndp_init(struct ndp *n, struct packet_layer *pl, nsec_t now)
{
	*n = (struct ndp){
		.pl = pl,
		.next_ra = pl->plan->ipv6 && is_router(pl->plan) ? now
								 : NSEC_NEVER,
	};
}

/* Sends the @len bytes of @msg, whose checksum is zero. */
static void send_msg(struct packet_layer *pl, const struct in6_addr *src,
		     const struct in6_addr *dst, void *msg, size_t len)
{
	struct iovec iov = {msg, len};
	struct packet_out out = {
		.src = src,
		.dst = dst,
		.proto = WIRE_PROTO_ICMPV6,
		.ttl = HOP_LIMIT,
	};

	put16((uint8_t *)msg + offsetof(struct wire_icmp, csum),
	      packet_csum(src, dst, WIRE_PROTO_ICMPV6, &iov, 1));
	packet_send(pl, &out, &iov, 1);
}

static void fill_lla(struct wire_lla *o, uint8_t type, const struct plan *plan)
{
	o->type = type;
	o->len = sizeof(*o) / 8;
	memcpy(o->mac, plan->mac, sizeof(o->mac));
}

static void append(struct ra_msg *m, const void *data, size_t len)
{
	assert(len <= sizeof(m->data) - m->len);
	if (len > 0)
		memcpy(m->data + m->len, data, len);
	m->len += len;
}

/* The header of an option with @len bytes behind it, a multiple of 8. */
static void append_dns(struct ra_msg *m, uint8_t type, size_t len)
{
	struct wire_dns h = {.type = type};

	h.len = (uint8_t)((sizeof(h) + len) / 8);
	put32(h.lifetime, LIFETIME_FOR_EVER);
	append(m, &h, sizeof(h));
}

static void append_servers(struct ra_msg *m, const struct plan_offer *offer)
{
	unsigned n = 0;

	for (unsigned i = 0; i < offer->dns_count; i++)
		n += addr_is_v4(&offer->dns[i]) ? 0 : 1;
	if (n == 0)
		return;
	append_dns(m, OPT_RDNSS, n * sizeof(offer->dns[0]));
	for (unsigned i = 0; i < offer->dns_count; i++)
		if (!addr_is_v4(&offer->dns[i]))
			append(m, &offer->dns[i], sizeof(offer->dns[i]));
}

static void append_search(struct ra_msg *m, const struct plan_offer *offer)
{
	static const uint8_t zero[8];
	size_t pad = 7 - (offer->search_len + 7u) % 8;

	if (offer->search_len == 0)
		return;
	append_dns(m, OPT_DNSSL, offer->search_len + pad);
	append(m, offer->search, offer->search_len);
	append(m, zero, pad);
}

static void append_prefix(struct ra_msg *m, const struct plan *plan)
{
	struct wire_prefix prefix = {
		.type = OPT_PREFIX,
		.len = sizeof(prefix) / 8,
		.bits = 64,
		.flags = PREFIX_ON_LINK | PREFIX_AUTONOMOUS,
	};

	put32(prefix.valid, LIFETIME_FOR_EVER);
	put32(prefix.preferred, LIFETIME_FOR_EVER);
	memcpy(prefix.prefix, &plan->net6, sizeof(prefix.prefix));
	append(m, &prefix, sizeof(prefix));
}

static void send_ra(struct ndp *n, const struct in6_addr *dst)
{
	const struct plan *plan = n->pl->plan;
	struct wire_ra ra = {
		.type = TYPE_RA,
		.hop_limit = 64,
		.flags = plan->offer.dhcp6 ? RA_MANAGED : 0,
	};
	struct wire_mtu mtu = {.type = OPT_MTU, .len = sizeof(mtu) / 8};
	struct wire_lla lla;
	struct ra_msg m = {.len = 0};

	put16(ra.lifetime, ROUTER_LIFETIME);
	append(&m, &ra, sizeof(ra));
	fill_lla(&lla, OPT_SOURCE_LLA, plan);
	append(&m, &lla, sizeof(lla));
	/* Below that IPv6 does not run (RFC 8200 5), and nobody listens. */
	if (plan->mtu >= MTU_MIN) {
		put32(mtu.mtu, plan->mtu);
		append(&m, &mtu, sizeof(mtu));
	}
	append_prefix(&m, plan);
	append_servers(&m, &plan->offer);
	append_search(&m, &plan->offer);
	send_msg(n->pl, &plan->router6, dst, m.data, m.len);
}

static void send_na(struct ndp *n, const struct in6_addr *target,
		    const struct in6_addr *dst, uint8_t flags)
{
	struct {
		struct wire_neighbour na;
		struct wire_lla lla;
	} msg = {.na = {.type = TYPE_NA, .flags = flags}};

	if (n->pl->plan->offer.no_ndp)
		return;
	memcpy(msg.na.target, target, sizeof(msg.na.target));
	fill_lla(&msg.lla, OPT_TARGET_LLA, n->pl->plan);
	send_msg(n->pl, target, dst, &msg, sizeof(msg));
}

/* Are the options well-formed (RFC 4861 6.1.1, 7.1.1)? *@ret_lla tells whether
 * a source link-layer address is among them. */
static bool options_ok(struct view v, bool *ret_lla)
{
	*ret_lla = false;
	while (v.left > 0) {
		size_t len;

		if (v.left < 2)
			return false;
		if (v.at[0] == OPT_SOURCE_LLA)
			*ret_lla = true;
		len = (size_t)v.at[1] * 8;
		if (len == 0 || !view_take(&v, len))
			return false;
	}
	return true;
}

static bool take_rs(struct ndp *n, const struct packet *p)
{
	bool early = addr_is_unspecified(&p->src);
	bool lla;

	if (!options_ok((struct view){p->l4 + sizeof(struct wire_icmp),
				      p->l4_len - sizeof(struct wire_icmp)},
			&lla) ||
	    (early && lla))
		return false;
	if (is_router(n->pl->plan))
		send_ra(n, early ? &all_nodes : &p->src);
	return true;
}

/* ff02::1:ff00:0/104 with the last three bytes of the target (RFC 4291 2.7.1) */
static bool is_solicited_node(const struct in6_addr *a,
			      const struct in6_addr *target)
{
	static const struct in6_addr group = {
		{{0xff, 2, [11] = 1, [12] = 0xff}}};

	return addr_in_prefix(a, &group, 104) &&
	       memcmp(a->s6_addr + 13, target->s6_addr + 13, 3) == 0;
}

static void answer_probe(struct ndp *n, const struct in6_addr *target)
{
	/* Anything else is about to be the container's own: an answer would
	 * make it a duplicate. */
	if (plan_is_taken(n->pl->plan, target))
		send_na(n, target, &all_nodes, NA_ROUTER | NA_OVERRIDE);
	else
		link_learn(n->pl->link, target);
}

/* Reads what NS and NA have in common. */
static bool read_neighbour(const struct packet *p, struct in6_addr *ret_target,
			   bool *ret_lla)
{
	struct view v = {p->l4, p->l4_len};
	const struct wire_neighbour *m = view_take(&v, sizeof(*m));

	if (!m || !options_ok(v, ret_lla))
		return false;
	memcpy(ret_target, m->target, sizeof(*ret_target));
	return !addr_is_multicast(ret_target) && !addr_is_v4(ret_target);
}

static bool take_ns(struct ndp *n, const struct packet *p)
{
	struct in6_addr target;
	uint8_t flags = NA_SOLICITED;
	bool lla;

	if (!read_neighbour(p, &target, &lla))
		return false;
	if (addr_is_multicast(&p->dst) && !is_solicited_node(&p->dst, &target))
		return false;
	if (addr_is_unspecified(&p->src)) {
		if (lla || !addr_is_multicast(&p->dst))
			return false;
		answer_probe(n, &target);
		return true;
	}
	if (!link_answers(n->pl->link, &target))
		return true;
	if (plan_is_taken(n->pl->plan, &target))
		flags |= NA_ROUTER | NA_OVERRIDE;
	send_na(n, &target, &p->src, flags);
	return true;
}

static bool take_na(struct ndp *n, const struct packet *p)
{
	struct in6_addr target;
	bool lla;

	if (!read_neighbour(p, &target, &lla))
		return false;
	link_learn(n->pl->link, &target);
	return true;
}

/* Fragments are refused because nobody needs them and much hides in them (RFC
 * 6980). */
static bool discovery_ok(const struct packet *p)
{
	return p->ttl == HOP_LIMIT && p->dont_fragment && p->l4[1] == 0;
}

bool ndp_input(struct ndp *n, const struct packet *p)
{
	bool ok = discovery_ok(p);

	switch (p->l4[0]) {
	case TYPE_MLD_QUERY:
	case TYPE_MLD_REPORT:
	case TYPE_MLD_DONE:
	case TYPE_MLD2:
		return true;
	case TYPE_RA:
	case TYPE_REDIRECT:
		break;
	case TYPE_RS:
		ok = ok && take_rs(n, p);
		break;
	case TYPE_NS:
		ok = ok && take_ns(n, p);
		break;
	case TYPE_NA:
		ok = ok && take_na(n, p);
		break;
	default:
		return false;
	}
	if (!ok)
		count(n->pl->count, COUNT_DROP_NDP);
	return true;
}

nsec_t ndp_deadline(const struct ndp *n)
{
	return n->next_ra;
}

void ndp_tick(struct ndp *n, nsec_t now)
{
	if (now < n->next_ra)
		return;
	send_ra(n, &all_nodes);
	n->next_ra = now + RA_INTERVAL;
}
