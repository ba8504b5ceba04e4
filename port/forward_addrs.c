#include "port/forward_addrs.h"

#include "port/hostsock.h"

#include <errno.h>
#include <ifaddrs.h>
#include <string.h>
#include <sys/socket.h>

static unsigned family_of(const struct in6_addr *a)
{
	return addr_is_v4(a) ? RULE_IPV4 : RULE_IPV6;
}

static bool from_sockaddr(const struct sockaddr *sa, struct in6_addr *ret)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sa && sa->sa_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		*ret = addr_from_v4(ntohl(v4.sin_addr.s_addr));
		return true;
	}
	if (!sa || sa->sa_family != AF_INET6)
		return false;
	memcpy(&v6, sa, sizeof(v6));
	*ret = v6.sin6_addr;
	return true;
}

static int add(struct forward_addrs *to, const struct in6_addr *a)
{
	if (to->n == FORWARD_ADDRS_MAX)
		return -E2BIG;
	to->addr[to->n++] = *a;
	to->families |= family_of(a);
	return 0;
}

/* The addresses of one family that the interface has. */
static int add_family(const struct ifaddrs *list, const char *name,
		      unsigned family, struct forward_addrs *ret)
{
	struct in6_addr a;
	int err = 0;

	for (const struct ifaddrs *i = list; i && !err; i = i->ifa_next) {
		if (strcmp(i->ifa_name, name) == 0 &&
		    from_sockaddr(i->ifa_addr, &a) && family_of(&a) == family &&
		    hostsock_scoped(&a, name, &a) == 0)
			err = add(ret, &a);
	}
	return err;
}

/* All of 127.0.0.0/8 is on lo, which lists but 127.0.0.1. */
static bool is_among(const struct forward_addrs *list, const struct in6_addr *a)
{
	for (unsigned i = 0; i < list->n; i++) {
		const struct in6_addr *one = &list->addr[i];

		if (addr_equal(one, a) ||
		    (addr_is_v4(one) && addr_is_v4(a) &&
		     addr_is_loopback(one) && addr_is_loopback(a)))
			return true;
	}
	return false;
}

/* Of @list, which the rule's interface has, the one that the rule names. */
static int pick_named(const struct rule *r, struct forward_addrs *list,
		      struct fail *why)
{
	char text[ADDR_STRLEN];

	if (addr_is_unspecified(&r->host_addr))
		return 0;
	if (!is_among(list, &r->host_addr))
		return fail_set(why, -EADDRNOTAVAIL,
				"interface '%s' does not have the address %s",
				r->ifname, addr_format(&r->host_addr, text));
	list->addr[0] = r->host_addr;
	list->n = 1;
	return 0;
}

static int find_of_interface(const struct rule *r, struct forward_addrs *ret,
			     struct fail *why)
{
	struct ifaddrs *list;
	int err = 0;

	if (if_nametoindex(r->ifname) == 0)
		return fail_set(why, -ENODEV, "the host has no interface '%s'",
				r->ifname);
	if (getifaddrs(&list) < 0)
		return fail_errno(why, "cannot list the host's addresses");
	if (r->families & RULE_IPV4)
		err = add_family(list, r->ifname, RULE_IPV4, ret);
	if (!err && r->families & RULE_IPV6)
		err = add_family(list, r->ifname, RULE_IPV6, ret);
	freeifaddrs(list);
	if (err < 0)
		return fail_set(why, err,
				"interface '%s' has more than %d addresses: "
				"name one, or none for every address",
				r->ifname, FORWARD_ADDRS_MAX);
	if (ret->n == 0)
		return fail_set(why, -EADDRNOTAVAIL,
				"interface '%s' has no address%s", r->ifname,
				r->families == RULE_IPV4   ? " of IPv4"
				: r->families == RULE_IPV6 ? " of IPv6"
							   : "");
	return pick_named(r, ret, why);
}

int forward_addrs_find(const struct rule *r, struct forward_addrs *ret,
		       struct fail *why)
{
	const struct in6_addr any[] = {addr_from_v4(INADDR_ANY), in6addr_any};

	ret->n = ret->families = 0;
	if (r->ifname[0])
		return find_of_interface(r, ret, why);
	if (!addr_is_unspecified(&r->host_addr))
		return add(ret, &r->host_addr);
	if (r->families & RULE_IPV4)
		add(ret, &any[0]);
	if (r->families & RULE_IPV6)
		add(ret, &any[1]);
	return 0;
}
