#include "tapdev/netcfg.h"

#include "tapdev/scoped.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define MSG_ROOM 1024 /* the longest request here takes about 100 bytes */

struct netcfg_route netcfg_default_by(const struct in6_addr *gateway)
{
	return (struct netcfg_route){
		.dst = addr_is_v4(gateway) ? addr_from_v4(0) : in6addr_any,
		.gateway = *gateway,
	};
}

struct request {
	struct mnl_socket *nl; /* borrowed */
	const char *ifname;    /* borrowed */
	unsigned index;        /* of @ifname */
	char buf[MSG_ROOM];
};

static struct nlmsghdr *begin(struct request *r, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(r->buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	return h;
}

/* Sends @h and waits for its acknowledgement. 0 or -errno. */
static int talk(struct request *r, struct nlmsghdr *h)
{
	char answer[8192]; /* quotes the request, with extended errors */
	ssize_t len;

	assert(h->nlmsg_len <= sizeof(r->buf));
	if (mnl_socket_sendto(r->nl, h, h->nlmsg_len) < 0)
		return -errno;
	len = mnl_socket_recvfrom(r->nl, answer, sizeof(answer));
	if (len < 0)
		return -errno;
	if (mnl_cb_run(answer, (size_t)len, 0, mnl_socket_get_portid(r->nl),
		       NULL, NULL) < 0)
		return -errno;
	return 0;
}

/* As fail_errno(), for -errno from talk(). */
static int failed(struct fail *why, int err, const char *what, const char *of)
{
	return fail_set(why, err, "cannot set %s of %s: %s", what, of,
			strerror(-err));
}

static struct nlmsghdr *begin_link(struct request *r, unsigned index)
{
	struct nlmsghdr *h = begin(r, RTM_NEWLINK, 0);
	struct ifinfomsg *link =
		mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));

	link->ifi_family = AF_UNSPEC;
	link->ifi_index = (int)index;
	return h;
}

/* @change names the flags that become those of IFF_UP; the others stay. */
static int set_up(struct request *r, unsigned index, unsigned change)
{
	struct nlmsghdr *h = begin_link(r, index);
	struct ifinfomsg *link = mnl_nlmsg_get_payload(h);

	link->ifi_flags = IFF_UP;
	link->ifi_change = change;
	return talk(r, h);
}

static int set_mtu(struct request *r, uint16_t mtu)
{
	struct nlmsghdr *h = begin_link(r, r->index);

	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	return talk(r, h);
}

static int set_mac(struct request *r, const uint8_t mac[WIRE_MAC_LEN])
{
	struct nlmsghdr *h = begin_link(r, r->index);

	mnl_attr_put(h, IFLA_ADDRESS, WIRE_MAC_LEN, mac);
	return talk(r, h);
}

static void put_addr(struct nlmsghdr *h, uint16_t attr,
		     const struct in6_addr *a)
{
	if (addr_is_v4(a))
		mnl_attr_put(h, attr, 4, a->s6_addr + 12);
	else
		mnl_attr_put(h, attr, 16, a->s6_addr);
}

static uint8_t family_of(const struct in6_addr *a)
{
	return addr_is_v4(a) ? AF_INET : AF_INET6;
}

static void put_broadcast(struct nlmsghdr *h, const struct netcfg_addr *a)
{
	struct in6_addr broadcast;

	if (a->bits > 30) /* RFC 3021 */
		return;
	broadcast = addr_from_v4(addr_v4(&a->addr) | UINT32_MAX >> a->bits);
	put_addr(h, IFA_BROADCAST, &broadcast);
}

static int add_addr(struct request *r, const struct netcfg_addr *a)
{
	struct nlmsghdr *h =
		begin(r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg *m =
		mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));

	m->ifa_family = family_of(&a->addr);
	m->ifa_prefixlen = a->bits;
	m->ifa_index = r->index;
	m->ifa_scope = RT_SCOPE_UNIVERSE;
	put_addr(h, IFA_LOCAL, &a->addr);
	put_addr(h, IFA_ADDRESS, &a->addr);
	if (addr_is_v4(&a->addr))
		put_broadcast(h, a);
	else
		m->ifa_flags = IFA_F_NODAD;
	return talk(r, h);
}

static void put_gateway(struct nlmsghdr *h, const struct netcfg_route *route)
{
	/* struct rtvia */
	struct {
		sa_family_t family;
		uint8_t addr[16];
	} via = {.family = AF_INET6};

	if (family_of(&route->dst) == family_of(&route->gateway)) {
		put_addr(h, RTA_GATEWAY, &route->gateway);
		return;
	}
	memcpy(via.addr, &route->gateway, sizeof(via.addr));
	mnl_attr_put(h, RTA_VIA, sizeof(via), &via);
}

/* @flags are those of the next hop, @how those of the request. */
static int add_route(struct request *r, const struct netcfg_route *route,
		     uint16_t how, unsigned flags)
{
	struct nlmsghdr *h = begin(r, RTM_NEWROUTE, NLM_F_CREATE | how);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(struct rtmsg));
	bool on_link = addr_is_unspecified(&route->gateway);

	m->rtm_family = family_of(&route->dst);
	m->rtm_dst_len = route->bits;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_BOOT;
	m->rtm_scope = on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	m->rtm_type = RTN_UNICAST;
	m->rtm_flags = flags;
	if (route->bits > 0)
		put_addr(h, RTA_DST, &route->dst);
	if (!on_link)
		put_gateway(h, route);
	if (route->metric > 0)
		mnl_attr_put_u32(h, RTA_PRIORITY, route->metric);
	mnl_attr_put_u32(h, RTA_OIF, r->index);
	return talk(r, h);
}

/* No sysctl, no IPv6: then there is nothing to set either. */
static void set_sysctl6(const char *ifname, const char *key, const char *value)
{
	char path[128];
	scoped_fd int fd = -1;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", ifname,
		 key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, value, strlen(value)) < 0)
		return;
}

static int apply_mac(struct request *r, const struct netcfg *cfg,
		     struct fail *why)
{
	int err = cfg->has_mac ? set_mac(r, cfg->mac) : 0;

	return err < 0 ? failed(why, err, "MAC address", r->ifname) : 0;
}

static int apply_lo(struct request *r, struct fail *why)
{
	unsigned lo = if_nametoindex("lo");
	int err = lo ? set_up(r, lo, IFF_UP) : -errno;

	return err < 0 ? failed(why, err, "device up", "lo") : 0;
}

static int apply_link(struct request *r, const struct netcfg *cfg,
		      struct fail *why)
{
	int err;

	/* Before the link is up, or a first solicitation would go out. */
	if (cfg->ipv6) {
		set_sysctl6(r->ifname, "accept_ra", "0");
		set_sysctl6(r->ifname, "accept_dad", "0");
	}
	if (cfg->no_ipv6)
		set_sysctl6(r->ifname, "disable_ipv6", "1");
	/* Of it the kernel makes the link-local address then. */
	err = apply_mac(r, cfg, why);
	if (err < 0)
		return err;
	err = set_up(r, r->index, UINT32_MAX);
	if (err < 0)
		return failed(why, err, "device up", r->ifname);
	err = cfg->mtu > 0 ? set_mtu(r, cfg->mtu) : 0;
	return err < 0 ? failed(why, err, "MTU", r->ifname) : 0;
}

static int apply_addrs(struct request *r, const struct netcfg *cfg, bool v4,
		       struct fail *why)
{
	for (size_t i = 0; i < cfg->addr_count; i++) {
		const struct netcfg_addr *a = &cfg->addrs[i];
		int err = addr_is_v4(&a->addr) == v4 ? add_addr(r, a) : 0;

		if (err < 0)
			return failed(why, err, "device address", r->ifname);
	}
	return 0;
}

/* The kernel made it when the address was set. */
static bool comes_with_addr(const struct netcfg *cfg,
			    const struct netcfg_route *route)
{
	if (route->bits == 0 || !addr_is_unspecified(&route->gateway))
		return false;
	for (size_t i = 0; i < cfg->addr_count; i++) {
		const struct netcfg_addr *a = &cfg->addrs[i];

		if (addr_is_v4(&a->addr) == addr_is_v4(&route->dst) &&
		    a->bits == route->bits &&
		    addr_in_prefix(&a->addr, &route->dst, a->bits))
			return true;
	}
	return false;
}

/* Is there one of the list before @route that it must not take the place
 * of? */
static bool has_sibling(const struct netcfg *cfg,
			const struct netcfg_route *route)
{
	for (const struct netcfg_route *o = cfg->routes; o < route; o++) {
		if (o->bits == 0 && o->metric == route->metric &&
		    addr_equal(&o->dst, &route->dst))
			return true;
	}
	return false;
}

static int apply_route(struct request *r, const struct netcfg *cfg,
		       const struct netcfg_route *route)
{
	bool first = route->bits == 0 && !has_sibling(cfg, route);
	uint16_t how = first ? NLM_F_REPLACE : NLM_F_APPEND;
	int err;

	if (comes_with_addr(cfg, route))
		return 0;
	err = add_route(r, route, how, 0);
	if (err == -ENETUNREACH || err == -EHOSTUNREACH)
		err = add_route(r, route, how, RTNH_F_ONLINK);
	return err == -EEXIST ? 0 : err;
}

static int route_failed(struct request *r, const struct netcfg_route *route,
			int err, struct fail *why)
{
	char what[ADDR_STRLEN + 16], dst[ADDR_STRLEN];

	if (route->bits == 0)
		return failed(why, err, "route", r->ifname);
	snprintf(what, sizeof(what), "route %s/%d",
		 addr_format(&route->dst, dst), route->bits);
	return failed(why, err, what, r->ifname);
}

static int apply_routes(struct request *r, const struct netcfg *cfg, bool v4,
			struct fail *why)
{
	for (size_t i = 0; i < cfg->route_count; i++) {
		const struct netcfg_route *route = &cfg->routes[i];
		int err = addr_is_v4(&route->dst) == v4
				  ? apply_route(r, cfg, route)
				  : 0;

		if (err < 0)
			return route_failed(r, route, err, why);
	}
	return 0;
}

/* Built without IPv6, or started without it. */
static bool lacks_ipv6(int err)
{
	return err == -EOPNOTSUPP || err == -EAFNOSUPPORT;
}

/* Or switched off by disable_ipv6, or by an MTU too small for it. */
static bool refuses_ipv6(int err)
{
	return lacks_ipv6(err) || err == -EACCES || err == -ENODEV ||
	       err == -EINVAL;
}

static int apply6(struct request *r, const struct netcfg *cfg, struct fail *why)
{
	int err = apply_addrs(r, cfg, false, why);

	if (err < 0)
		return refuses_ipv6(err) ? 0 : err;
	err = apply_routes(r, cfg, false, why);
	return lacks_ipv6(err) ? 0 : err;
}

static int apply(struct request *r, const struct netcfg *cfg, struct fail *why)
{
	int err = apply_lo(r, why);

	if (err == 0 && cfg->lo_only)
		return apply_mac(r, cfg, why);
	if (err == 0)
		err = apply_link(r, cfg, why);
	if (err == 0)
		err = apply_addrs(r, cfg, true, why);
	if (err == 0)
		err = apply_routes(r, cfg, true, why);
	return err < 0 || !cfg->ipv6 ? err : apply6(r, cfg, why);
}

static int open_request(struct request *r, const char *ifname, struct fail *why)
{
	*r = (struct request){.ifname = ifname,
			      .index = if_nametoindex(ifname)};
	if (r->index == 0)
		return fail_errno(why, "interface %s", ifname);
	r->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!r->nl)
		return fail_errno(why, "netlink socket");
	if (mnl_socket_bind(r->nl, 0, MNL_SOCKET_AUTOPID) == 0)
		return 0;
	fail_errno(why, "netlink socket");
	mnl_socket_close(r->nl);
	return -EIO;
}

int netcfg_apply(const char *ifname, const struct netcfg *cfg, struct fail *why)
{
	struct request r;
	int err = open_request(&r, ifname, why);

	if (err < 0)
		return err;
	err = apply(&r, cfg, why);
	mnl_socket_close(r.nl);
	return err;
}

int netcfg_set_queue(const char *ifname, unsigned packets)
{
	struct nlmsghdr *h;
	struct request r;
	struct fail why;
	int err = open_request(&r, ifname, &why);

	if (err < 0)
		return err;
	h = begin_link(&r, r.index);
	mnl_attr_put_u32(h, IFLA_TXQLEN, packets);
	err = talk(&r, h);
	mnl_socket_close(r.nl);
	return err;
}
