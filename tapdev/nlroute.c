#include "tapdev/nlroute.h"

#include "tapdev/nldump.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

bool nlroute_link(const struct nlmsghdr *h, struct nlroute_link *ret)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr;
	const char *name;

	if (h->nlmsg_type != RTM_NEWLINK ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return false;
	attr = nldump_attr(h, sizeof(*m), IFLA_IFNAME);
	if (!attr || mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
		return false;
	name = mnl_attr_get_str(attr);
	if (strlen(name) >= IFNAMSIZ)
		return false;
	*ret = (struct nlroute_link){.index = (unsigned)m->ifi_index};
	memcpy(ret->name, name, strlen(name));
	return true;
}

/* False if @attr does not hold an address of @family. */
static bool get_addr(const struct nlattr *attr, uint8_t family,
		     struct in6_addr *ret)
{
	uint32_t v4;

	if (family == AF_INET && mnl_attr_get_payload_len(attr) == 4) {
		memcpy(&v4, mnl_attr_get_payload(attr), sizeof(v4));
		*ret = addr_from_v4(ntohl(v4));
		return true;
	}
	if (family == AF_INET6 && mnl_attr_get_payload_len(attr) == 16) {
		memcpy(ret, mnl_attr_get_payload(attr), sizeof(*ret));
		return true;
	}
	return false;
}

bool nlroute_addr(const struct nlmsghdr *h, struct nlroute_addr *ret)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *addr, *flags;

	if (h->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return false;
	/* Of a point-to-point link IFA_ADDRESS is the other end. */
	addr = nldump_attr(h, sizeof(*m), IFA_LOCAL);
	if (!addr)
		addr = nldump_attr(h, sizeof(*m), IFA_ADDRESS);
	if (!addr || !get_addr(addr, m->ifa_family, &ret->addr))
		return false;
	ret->index = m->ifa_index;
	ret->bits = m->ifa_prefixlen;
	ret->scope = m->ifa_scope;
	flags = nldump_attr(h, sizeof(*m), IFA_FLAGS);
	ret->flags = flags && mnl_attr_get_payload_len(flags) == 4
			     ? mnl_attr_get_u32(flags)
			     : m->ifa_flags;
	return true;
}

/* The attributes of a route, or of one of its hops. */
struct attrs {
	const char *at;
	int len;
};

static const struct nlattr *find(struct attrs in, uint16_t type)
{
	const struct nlattr *a = (const struct nlattr *)in.at;

	for (; mnl_attr_ok(a, (int)(in.at + in.len - (const char *)a));
	     a = mnl_attr_next(a)) {
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

static uint32_t get_u32(struct attrs in, uint16_t type, uint32_t otherwise)
{
	const struct nlattr *a = find(in, type);

	return a && mnl_attr_get_payload_len(a) == 4 ? mnl_attr_get_u32(a)
						     : otherwise;
}

/* False if there is one that is not understood. */
static bool get_gateway(struct attrs in, uint8_t family, struct in6_addr *ret)
{
	const struct nlattr *gateway = find(in, RTA_GATEWAY);
	const struct nlattr *via = find(in, RTA_VIA);
	const struct rtvia *v;

	*ret = in6addr_any;
	if (gateway)
		return get_addr(gateway, family, ret);
	if (!via)
		return true;
	v = mnl_attr_get_payload(via);
	if (mnl_attr_get_payload_len(via) != sizeof(*v) + sizeof(*ret) ||
	    v->rtvia_family != AF_INET6)
		return false;
	memcpy(ret, v->rtvia_addr, sizeof(*ret));
	return true;
}

/* @flags and @in are of the hop. */
static int put_hop(struct nlroute_sink *sink, struct nlroute_hop *hop,
		   uint8_t family, unsigned flags, struct attrs in)
{
	if (hop->index == 0 || (flags & RTNH_F_DEAD) ||
	    !get_gateway(in, family, &hop->route.gateway))
		return 0;
	return sink->put(sink, hop);
}

static bool is_hop(const struct rtnexthop *n, int left)
{
	return left >= (int)sizeof(*n) && n->rtnh_len >= sizeof(*n) &&
	       n->rtnh_len <= left;
}

static int put_hops(struct nlroute_sink *sink, struct nlroute_hop *hop,
		    uint8_t family, const struct nlattr *multipath)
{
	const struct rtnexthop *n = mnl_attr_get_payload(multipath);
	int left = mnl_attr_get_payload_len(multipath), err = 0;

	while (err == 0 && is_hop(n, left)) {
		struct attrs in = {(const char *)(n + 1),
				   (int)(n->rtnh_len - sizeof(*n))};

		hop->index = (unsigned)n->rtnh_ifindex;
		err = put_hop(sink, hop, family, n->rtnh_flags, in);
		left -= (int)RTNH_ALIGN(n->rtnh_len);
		n = (const void *)((const char *)n + RTNH_ALIGN(n->rtnh_len));
	}
	return err;
}

static bool leads_to_hosts(const struct rtmsg *m, struct attrs in)
{
	return (m->rtm_family == AF_INET || m->rtm_family == AF_INET6) &&
	       get_u32(in, RTA_TABLE, m->rtm_table) == RT_TABLE_MAIN &&
	       m->rtm_type == RTN_UNICAST && m->rtm_tos == 0 &&
	       !(m->rtm_flags & RTM_F_CLONED);
}

static bool get_dst(const struct rtmsg *m, struct attrs in,
		    struct in6_addr *ret)
{
	const struct nlattr *dst = find(in, RTA_DST);

	if (dst)
		return get_addr(dst, m->rtm_family, ret);
	*ret = m->rtm_family == AF_INET ? addr_from_v4(INADDR_ANY)
					: in6addr_any;
	return m->rtm_dst_len == 0;
}

int nlroute_hops(const struct nlmsghdr *h, struct nlroute_sink *sink)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *multipath;
	struct nlroute_hop hop;
	struct attrs in;

	if (h->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return 0;
	in.at = mnl_nlmsg_get_payload_offset(h, sizeof(*m));
	in.len = (int)((const char *)mnl_nlmsg_get_payload_tail(h) - in.at);
	if (!leads_to_hosts(m, in) || !get_dst(m, in, &hop.route.dst))
		return 0;
	hop.route.bits = m->rtm_dst_len;
	hop.route.metric = get_u32(in, RTA_PRIORITY, 0);
	multipath = find(in, RTA_MULTIPATH);
	if (multipath)
		return put_hops(sink, &hop, m->rtm_family, multipath);
	hop.index = get_u32(in, RTA_OIF, 0);
	return put_hop(sink, &hop, m->rtm_family, m->rtm_flags, in);
}
