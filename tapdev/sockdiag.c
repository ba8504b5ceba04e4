/* How it works: sockdiag_look() asks for the sockets of IPv4 and of IPv6 and
 * writes each down as (port, address) by add_socket(), a dual-stack wildcard
 * once for each family and everything that only loopback reaches under one
 * loopback address. Sorted, sockdiag_reach() finds each of the few that count
 * by binary search. */
#include "tapdev/sockdiag.h"

#include "stack/container_of.h"
#include "tapdev/nldump.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In every network namespace. */
#define LOOPBACK_IFINDEX 1

/* A container may have more, and then is not told about. */
#define BOUND_MAX (1u << 18)

struct bound {
	struct in6_addr addr;
	uint16_t port;
	bool connected;
};

struct list {
	struct bound *at; /* owned */
	size_t n, room;
};

struct sockdiag {
	struct nldump dump;
	struct nldump_sink sink;
	struct list known[SOCKDIAG_PROTOS]; /* sorted */
	struct list fresh;                  /* while it is asked for */
};

int sockdiag_socket(void)
{
	return nldump_socket(NETLINK_SOCK_DIAG, 0);
}

static int compare(const void *a, const void *b)
{
	const struct bound *x = a, *y = b;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->connected != y->connected)
		return x->connected ? 1 : -1;
	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

static struct in6_addr any_of(bool v4)
{
	return v4 ? addr_from_v4(INADDR_ANY) : in6addr_any;
}

static struct in6_addr loopback_of(bool v4)
{
	return v4 ? addr_from_v4(INADDR_LOOPBACK) : in6addr_loopback;
}

static int add(struct list *l, struct bound b)
{
	size_t room = l->room ? 2 * l->room : 256;
	struct bound *at;

	if (l->n == BOUND_MAX)
		return -E2BIG;
	if (l->n == l->room) {
		at = realloc(l->at, room * sizeof(*at));
		if (!at)
			return -ENOMEM;
		l->at = at;
		l->room = room;
	}
	l->at[l->n++] = b;
	return 0;
}

/* A socket bound as @b, which only a loopback interface reaches if @lo. */
static int add_addr(struct list *l, struct bound b, bool lo)
{
	if (lo || addr_is_loopback(&b.addr))
		b.addr = loopback_of(addr_is_v4(&b.addr));
	return add(l, b);
}

static struct in6_addr address_of(const struct inet_diag_msg *m)
{
	struct in6_addr a;

	if (m->idiag_family == AF_INET)
		return addr_from_v4(ntohl(m->id.idiag_src[0]));
	memcpy(&a, m->id.idiag_src, sizeof(a));
	return a;
}

static bool is_v6only(const struct nlmsghdr *h)
{
	const struct nlattr *attr = nldump_attr(h, sizeof(struct inet_diag_msg),
						INET_DIAG_SKV6ONLY);

	return attr && mnl_attr_get_payload_len(attr) > 0 &&
	       mnl_attr_get_u8(attr) != 0;
}

static int add_socket(struct nldump_sink *sink, const struct nlmsghdr *h)
{
	struct sockdiag *d = container_of(sink, struct sockdiag, sink);
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct bound b;
	bool lo;
	int err;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return -EPROTO;
	b.addr = address_of(m);
	b.port = ntohs(m->id.idiag_sport);
	b.connected = m->idiag_state == TCP_ESTABLISHED;
	lo = m->id.idiag_if == LOOPBACK_IFINDEX;
	err = add_addr(&d->fresh, b, lo);
	if (err < 0 || addr_is_v4(&b.addr) || !addr_is_unspecified(&b.addr) ||
	    is_v6only(h))
		return err;
	b.addr = any_of(true);
	return add_addr(&d->fresh, b, lo);
}

/* The sockets of one family, added to d->fresh. 0 or -errno. */
static int ask(struct sockdiag *d, enum sockdiag_proto proto, uint8_t family)
{
	_Alignas(struct nlmsghdr) char buf[128];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *r = mnl_nlmsg_put_extra_header(h, sizeof(*r));

	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	r->sdiag_family = family;
	r->sdiag_protocol = proto == SOCKDIAG_TCP ? IPPROTO_TCP : IPPROTO_UDP;
	/* A UDP socket is closed or established, for the kernel. */
	r->idiag_states = proto == SOCKDIAG_TCP
				  ? 1u << TCP_LISTEN
				  : 1u << TCP_CLOSE | 1u << TCP_ESTABLISHED;
	return nldump_run(&d->dump, h, &d->sink);
}

static int ask_both(struct sockdiag *d, enum sockdiag_proto proto)
{
	int err;

	d->fresh.n = 0;
	err = ask(d, proto, AF_INET);
	return err < 0 ? err : ask(d, proto, AF_INET6);
}

int sockdiag_look(struct sockdiag *d, enum sockdiag_proto proto)
{
	struct list old = d->known[proto];
	int err = ask_both(d, proto);

	if (err == -EINTR)
		err = ask_both(d, proto);
	if (err < 0)
		return err;
	if (d->fresh.n > 0)
		qsort(d->fresh.at, d->fresh.n, sizeof(*d->fresh.at), compare);
	d->known[proto] = d->fresh;
	d->fresh = old; /* its memory serves the next look */
	return 0;
}

static bool has(const struct list *l, struct in6_addr addr, uint16_t port,
		bool connected)
{
	struct bound key = {addr, port, connected};

	return l->n > 0 && bsearch(&key, l->at, l->n, sizeof(key), compare);
}

enum sockdiag_reach sockdiag_reach(const struct sockdiag *d,
				   enum sockdiag_proto proto,
				   const struct in6_addr *addr, uint16_t port)
{
	const struct list *l = &d->known[proto];
	bool v4 = addr_is_v4(addr);

	if (has(l, any_of(v4), port, false))
		return SOCKDIAG_LISTENS;
	if (!addr_is_loopback(addr) && has(l, *addr, port, false))
		return SOCKDIAG_LISTENS;
	if (!addr_is_loopback(addr) && has(l, *addr, port, true))
		return SOCKDIAG_TALKS;
	return has(l, loopback_of(v4), port, false) ? SOCKDIAG_LOOPBACK
						    : SOCKDIAG_NOBODY;
}

uint16_t sockdiag_next(const struct sockdiag *d, enum sockdiag_proto proto,
		       uint16_t after)
{
	const struct list *l = &d->known[proto];
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->at[middle].port <= after)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->n ? l->at[low].port : 0;
}

size_t sockdiag_count(const struct sockdiag *d, enum sockdiag_proto proto)
{
	return d->known[proto].n;
}

const char *sockdiag_explain(enum sockdiag_proto proto, int err)
{
	if (err == -ENOENT)
		return proto == SOCKDIAG_TCP
			       ? "the kernel cannot tell what listens "
				 "(modprobe tcp_diag)"
			       : "the kernel cannot tell what listens "
				 "(modprobe udp_diag)";
	if (err == -E2BIG)
		return "the container has too many sockets";
	return strerror(-err);
}

struct sockdiag *sockdiag_open(int fd)
{
	struct sockdiag *d;

	if (fd < 0)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d) {
		close(fd);
		return NULL;
	}
	nldump_init(&d->dump, fd);
	d->sink.put = add_socket;
	return d;
}

void sockdiag_close(struct sockdiag *d)
{
	if (!d)
		return;
	nldump_fini(&d->dump);
	for (int i = 0; i < SOCKDIAG_PROTOS; i++)
		free(d->known[i].at);
	free(d->fresh.at);
	free(d);
}
