/* How it works: read_lists() asks for all links, addresses and routes, and keeps
 * them in the order of the kernel; show_family() then finds the template by
 * pick_link() and copies what belongs to it. */
#include "tapdev/hostnet.h"

#include "stack/container_of.h"
#include "tapdev/grow.h"
#include "tapdev/nldump.h"
#include "tapdev/nlroute.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* How often a list is asked for while it changes under our hands. What the last
 * time tells is good enough: only what changed may be missing, or twice there. */
#define ROUNDS 8

/* In every network namespace. */
#define LOOPBACK_IFINDEX 1

struct reader {
	struct nldump dump;
	struct nldump_sink take_link, take_addr, take_route;
	struct nlroute_sink take_hop;
	uint8_t family;             /* whose routes are asked for */
	struct nlroute_link *links; /* owned, as the other two */
	size_t link_count, link_room;
	struct nlroute_addr *addrs;
	size_t addr_count, addr_room;
	struct nlroute_hop *hops;
	size_t hop_count, hop_room;
};

static int take_link(struct nldump_sink *sink, const struct nlmsghdr *h)
{
	struct reader *r = container_of(sink, struct reader, take_link);
	struct nlroute_link *at;

	at = grow_array(r->links, r->link_count, &r->link_room, sizeof(*at));
	if (!at)
		return -ENOMEM;
	r->links = at;
	if (nlroute_link(h, &at[r->link_count]))
		r->link_count++;
	return 0;
}

static int take_addr(struct nldump_sink *sink, const struct nlmsghdr *h)
{
	struct reader *r = container_of(sink, struct reader, take_addr);
	struct nlroute_addr *at;

	at = grow_array(r->addrs, r->addr_count, &r->addr_room, sizeof(*at));
	if (!at)
		return -ENOMEM;
	r->addrs = at;
	if (nlroute_addr(h, &at[r->addr_count]))
		r->addr_count++;
	return 0;
}

static int take_hop(struct nlroute_sink *sink, const struct nlroute_hop *hop)
{
	struct reader *r = container_of(sink, struct reader, take_hop);
	const struct in6_addr *dst = &hop->route.dst;
	struct nlroute_hop *at;

	/* Every link of IPv6 has these by itself. */
	if (!addr_is_v4(dst) &&
	    (addr_is_linklocal(dst) || addr_is_multicast(dst)))
		return 0;
	at = grow_array(r->hops, r->hop_count, &r->hop_room, sizeof(*at));
	if (!at)
		return -ENOMEM;
	r->hops = at;
	r->hops[r->hop_count++] = *hop;
	return 0;
}

static int take_route(struct nldump_sink *sink, const struct nlmsghdr *h)
{
	struct reader *r = container_of(sink, struct reader, take_route);
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);

	/* Asked for a family that it lacks, the kernel tells of all others. */
	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
	    m->rtm_family != r->family)
		return 0;
	return nlroute_hops(h, &r->take_hop);
}

/* Lists by a request of @type whose header @head of @len bytes is, into what
 * @sink adds to, of which *@count were there before. */
static int ask(struct reader *r, uint16_t type, const void *head, size_t len,
	       struct nldump_sink *sink, size_t *count)
{
	_Alignas(struct nlmsghdr) char buf[64];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	size_t before = *count;
	int err = -EINTR;

	h->nlmsg_type = type;
	memcpy(mnl_nlmsg_put_extra_header(h, len), head, len);
	for (int i = 0; i < ROUNDS && err == -EINTR; i++) {
		*count = before;
		err = nldump_run(&r->dump, h, sink);
	}
	return err == -EINTR ? 0 : err;
}

static int ask_routes(struct reader *r, uint8_t family)
{
	struct rtmsg m = {.rtm_family = family, .rtm_table = RT_TABLE_MAIN};
	int err;

	r->family = family;
	err = ask(r, RTM_GETROUTE, &m, sizeof(m), &r->take_route,
		  &r->hop_count);

	/* A kernel without the family, and a table without a route. */
	if (err == -EAFNOSUPPORT || err == -EOPNOTSUPP || err == -ENOENT)
		return 0;
	return err;
}

static int failed(struct fail *why, int err, const char *what)
{
	return fail_set(why, err, "cannot read the host's %s: %s", what,
			strerror(-err));
}

static int read_lists(struct reader *r, struct fail *why)
{
	struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
	struct ifaddrmsg addr = {.ifa_family = AF_UNSPEC};
	int err = ask(r, RTM_GETLINK, &link, sizeof(link), &r->take_link,
		      &r->link_count);

	if (err < 0)
		return failed(why, err, "interfaces");
	err = ask(r, RTM_GETADDR, &addr, sizeof(addr), &r->take_addr,
		  &r->addr_count);
	if (err < 0)
		return failed(why, err, "addresses");
	err = ask_routes(r, AF_INET);
	if (err == 0)
		err = ask_routes(r, AF_INET6);
	return err < 0 ? failed(why, err, "routes") : 0;
}

/* How little @a serves to be shown: 0 is best, negative not at all. */
static int demerits(const struct nlroute_addr *a)
{
	bool local = a->scope >= RT_SCOPE_LINK;
	bool probed = (a->flags & IFA_F_TENTATIVE) &&
		      !(a->flags & IFA_F_OPTIMISTIC); /* RFC 4429 */

	if (addr_is_loopback(&a->addr) || (a->flags & IFA_F_DADFAILED) ||
	    a->scope >= RT_SCOPE_HOST || (local && !addr_is_v4(&a->addr)))
		return -1;
	/* The kernel calls secondary ones of IPv4 temporary. */
	return local << 3 | probed << 2 |
	       ((a->flags & IFA_F_DEPRECATED) != 0) << 1 |
	       ((a->flags & IFA_F_TEMPORARY) != 0);
}

/* The address of link @index to show; NULL if there is none. */
static const struct nlroute_addr *pick_addr(const struct reader *r,
					    unsigned index, bool v4)
{
	const struct nlroute_addr *best = NULL;

	for (size_t i = 0; i < r->addr_count; i++) {
		const struct nlroute_addr *a = &r->addrs[i];

		if (a->index == index && addr_is_v4(&a->addr) == v4 &&
		    demerits(a) >= 0 && (!best || demerits(a) < demerits(best)))
			best = a;
	}
	return best;
}

static bool is_default(const struct nlroute_hop *hop)
{
	return hop->route.bits == 0;
}

/* The first link by which there is a default route, or, without @by_default, any
 * route; 0 if there is none. */
static unsigned first_link(const struct reader *r, bool v4, bool by_default)
{
	unsigned poor = 0; /* seen before, has no address */

	for (size_t i = 0; i < r->hop_count; i++) {
		const struct nlroute_hop *hop = &r->hops[i];

		if (addr_is_v4(&hop->route.dst) != v4 ||
		    hop->index == LOOPBACK_IFINDEX || hop->index == poor ||
		    (by_default && !is_default(hop)))
			continue;
		if (pick_addr(r, hop->index, v4))
			return hop->index;
		poor = hop->index;
	}
	return 0;
}

static const struct nlroute_link *find_link(const struct reader *r,
					    unsigned index, const char *name)
{
	for (size_t i = 0; i < r->link_count; i++) {
		const struct nlroute_link *l = &r->links[i];

		if (name ? strcmp(l->name, name) == 0 : l->index == index)
			return l;
	}
	return NULL;
}

static int fail_link(const struct reader *r, const char *name, struct fail *why)
{
	char names[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < r->link_count; i++) {
		const char *next = r->links[i].name;

		if (len + strlen(next) + sizeof(", , ...") > sizeof(names)) {
			snprintf(names + len, sizeof(names) - len, ", ...");
			break;
		}
		len += (size_t)snprintf(names + len, sizeof(names) - len,
					"%s%s", i > 0 ? ", " : "", next);
	}
	return fail_set(why, -ENODEV, "no interface %.64s: there is %s", name,
			names);
}

/* The template: called @name, or what first_link() finds; NULL if there is
 * none. */
static const struct nlroute_link *pick_link(const struct reader *r,
					    const char *name, bool v4)
{
	unsigned index;

	if (name)
		return find_link(r, 0, name);
	index = first_link(r, v4, true);
	if (index == 0)
		index = first_link(r, v4, false);
	return find_link(r, index, NULL);
}

/* Of those by way of link @index the ones on the link, or those by a gateway,
 * added to @f->routes, which has room. */
static void copy_routes(const struct reader *r, unsigned index, bool v4,
			bool on_link, struct hostnet_family *f)
{
	for (size_t i = 0; i < r->hop_count; i++) {
		const struct nlroute_hop *hop = &r->hops[i];
		bool direct = addr_is_unspecified(&hop->route.gateway);

		if (hop->index == index && direct == on_link &&
		    addr_is_v4(&hop->route.dst) == v4)
			f->routes[f->route_count++] = hop->route;
	}
}

static struct in6_addr first_gateway(const struct reader *r, unsigned index,
				     bool v4)
{
	for (size_t i = 0; i < r->hop_count; i++) {
		const struct nlroute_hop *hop = &r->hops[i];
		const struct in6_addr *gateway = &hop->route.gateway;

		if (hop->index == index && is_default(hop) &&
		    addr_is_v4(&hop->route.dst) == v4)
			return addr_is_v4(gateway) == v4 ? *gateway
							 : in6addr_any;
	}
	return in6addr_any;
}

/* 0, with @f->found or not, or -ENOMEM. */
static int show_family(const struct reader *r, const struct nlroute_link *link,
		       bool v4, struct hostnet_family *f)
{
	const struct nlroute_addr *addr =
		link ? pick_addr(r, link->index, v4) : NULL;

	if (!addr)
		return 0;
	f->routes = calloc(r->hop_count + 1, sizeof(*f->routes));
	if (!f->routes)
		return -ENOMEM;
	f->found = true;
	memcpy(f->ifname, link->name, sizeof(f->ifname));
	f->addr = addr->addr;
	f->bits = addr->bits;
	f->gateway = first_gateway(r, link->index, v4);
	copy_routes(r, link->index, v4, true, f);
	copy_routes(r, link->index, v4, false, f);
	return 0;
}

static int show(const struct reader *r, const char *ifname4,
		const char *ifname6, struct hostnet *ret, struct fail *why)
{
	const struct nlroute_link *link4 = pick_link(r, ifname4, true);
	const struct nlroute_link *link6 = pick_link(r, ifname6, false);
	struct hostnet h = {.v4.found = false};
	int err;

	if (ifname4 && !link4)
		return fail_link(r, ifname4, why);
	if (ifname6 && !link6)
		return fail_link(r, ifname6, why);
	err = show_family(r, link4, true, &h.v4);
	if (err == 0)
		err = show_family(r, link6, false, &h.v6);
	if (err < 0) {
		hostnet_fini(&h);
		return failed(why, err, "routes");
	}
	*ret = h;
	return 0;
}

static int open_reader(struct reader *r)
{
	const int on = 1;
	int fd = nldump_socket(NETLINK_ROUTE, 0);

	if (fd < 0)
		return fd;
	nldump_init(&r->dump, fd);
	r->take_link.put = take_link;
	r->take_addr.put = take_addr;
	r->take_route.put = take_route;
	r->take_hop.put = take_hop;
	/* So that only routes of the table asked for come, where the kernel can
	 * tell them apart. */
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return 0;
}

static void close_reader(struct reader *r)
{
	nldump_fini(&r->dump);
	free(r->links);
	free(r->addrs);
	free(r->hops);
}

int hostnet_read(const char *ifname4, const char *ifname6, struct hostnet *ret,
		 struct fail *why)
{
	struct reader *r = calloc(1, sizeof(*r));
	int err = r ? open_reader(r) : -ENOMEM;

	if (err < 0) {
		free(r);
		return failed(why, err, "network");
	}
	err = read_lists(r, why);
	if (err == 0)
		err = show(r, ifname4, ifname6, ret, why);
	close_reader(r);
	free(r);
	return err;
}

void hostnet_fini(struct hostnet *h)
{
	free(h->v4.routes);
	free(h->v6.routes);
	*h = (struct hostnet){.v4.found = false};
}
