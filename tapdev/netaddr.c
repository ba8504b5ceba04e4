#include "tapdev/netaddr.h"

#include "stack/container_of.h"
#include "tapdev/grow.h"
#include "tapdev/nldump.h"
#include "tapdev/nlroute.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than these are not told about, and of further interfaces not the
 * name. */
#define ENTRY_MAX 4096
#define LINK_MAX  4096

/* How often both lists are asked for while they change under our hands. */
#define ROUNDS 4

struct list {
	struct netaddr_entry *at; /* owned */
	size_t n, room;
};

struct netaddr {
	struct nldump dump;
	struct nldump_sink take_link, take_addr;
	struct nlroute_link
		*links; /* of this refresh, sorted by index; owned */
	size_t link_count, link_room;
	struct list known;
	struct list fresh; /* while it is asked for */
};

int netaddr_socket(void)
{
	return nldump_socket(NETLINK_ROUTE,
			     RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
}

static int compare(const void *a, const void *b)
{
	const struct nlroute_link *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

static int take_link(struct nldump_sink *sink, const struct nlmsghdr *h)
{
	struct netaddr *na = container_of(sink, struct netaddr, take_link);
	struct nlroute_link *at;

	if (na->link_count == LINK_MAX)
		return 0;
	at = grow_array(na->links, na->link_count, &na->link_room, sizeof(*at));
	if (!at)
		return -ENOMEM;
	na->links = at;
	if (nlroute_link(h, &at[na->link_count]))
		na->link_count++;
	return 0;
}

static void set_name(const struct netaddr *na, unsigned index,
		     struct netaddr_entry *e)
{
	struct nlroute_link key = {.index = index};
	const struct nlroute_link *l = NULL;

	if (na->link_count > 0)
		l = bsearch(&key, na->links, na->link_count, sizeof(key),
			    compare);
	if (l)
		memcpy(e->ifname, l->name, sizeof(e->ifname));
}

/* An optimistic address is in use while it is probed, RFC 4429. */
static bool is_usable(uint32_t flags)
{
	if (flags & IFA_F_DADFAILED)
		return false;
	return !(flags & IFA_F_TENTATIVE) || (flags & IFA_F_OPTIMISTIC);
}

static int take_addr(struct nldump_sink *sink, const struct nlmsghdr *h)
{
	struct netaddr *na = container_of(sink, struct netaddr, take_addr);
	struct list *l = &na->fresh;
	struct netaddr_entry *at;
	struct nlroute_addr a;

	if (!nlroute_addr(h, &a) || l->n == ENTRY_MAX)
		return 0;
	at = grow_array(l->at, l->n, &l->room, sizeof(*at));
	if (!at)
		return -ENOMEM;
	l->at = at;
	at += l->n++;
	*at = (struct netaddr_entry){
		.addr = a.addr, .bits = a.bits, .usable = is_usable(a.flags)};
	set_name(na, a.index, at);
	return 0;
}

static int ask_links(struct netaddr *na)
{
	_Alignas(struct nlmsghdr) char buf[64];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	int err;

	h->nlmsg_type = RTM_GETLINK;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	na->link_count = 0;
	err = nldump_run(&na->dump, h, &na->take_link);
	if (na->link_count > 0)
		qsort(na->links, na->link_count, sizeof(*na->links), compare);
	return err;
}

static int ask_addrs(struct netaddr *na)
{
	_Alignas(struct nlmsghdr) char buf[64];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = RTM_GETADDR;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));
	na->fresh.n = 0;
	return nldump_run(&na->dump, h, &na->take_addr);
}

/* Both lists once. 0; -EINTR if something changed meanwhile; -errno. */
static int ask(struct netaddr *na)
{
	int err = nldump_drain(&na->dump);
	unsigned news = na->dump.news;

	if (err == 0)
		err = ask_links(na);
	if (err == 0)
		err = ask_addrs(na);
	if (err == 0 && na->dump.news != news)
		err = -EINTR;
	return err;
}

int netaddr_refresh(struct netaddr *na)
{
	struct list old = na->known;
	int err = -EINTR;

	for (int i = 0; i < ROUNDS && err == -EINTR; i++)
		err = ask(na);
	/* Or news came faster than they are read away. */
	if (err == -EINTR || err == -ENOBUFS)
		return -EAGAIN;
	if (err < 0)
		return err;
	na->known = na->fresh;
	na->fresh = old; /* its memory serves the next time */
	return 0;
}

const struct netaddr_entry *netaddr_list(const struct netaddr *na,
					 size_t *ret_n)
{
	*ret_n = na->known.n;
	return na->known.at;
}

int netaddr_fd(const struct netaddr *na)
{
	return na->dump.fd;
}

struct netaddr *netaddr_open(int fd)
{
	struct netaddr *na;

	if (fd < 0)
		return NULL;
	na = calloc(1, sizeof(*na));
	if (!na) {
		close(fd);
		return NULL;
	}
	nldump_init(&na->dump, fd);
	na->take_link.put = take_link;
	na->take_addr.put = take_addr;
	return na;
}

void netaddr_close(struct netaddr *na)
{
	if (!na)
		return;
	nldump_fini(&na->dump);
	free(na->links);
	free(na->known.at);
	free(na->fresh.at);
	free(na);
}
