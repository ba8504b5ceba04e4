#include "port/cli.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

int cli_mac(const char *text, uint8_t ret[WIRE_MAC_LEN], struct fail *why)
{
	unsigned b[WIRE_MAC_LEN];
	int used = 0;
	int n = sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2],
		       &b[3], &b[4], &b[5], &used);

	if (n != WIRE_MAC_LEN || text[used] ||
	    strspn(text, "0123456789abcdefABCDEF:") != strlen(text))
		return fail_set(why, -EINVAL,
				"invalid MAC address: %s (want six bytes like "
				"0e:d4:18:d9:38:fb)",
				text);
	if (b[0] & 1)
		return fail_set(why, -EINVAL,
				"invalid MAC address: %s (it is a multicast "
				"address)",
				text);
	for (int i = 0; i < WIRE_MAC_LEN; i++)
		ret[i] = (uint8_t)b[i];
	return 0;
}

/* The address in @sa if it is of @family and can be a source. */
static bool usable(const struct sockaddr *sa, int family, struct in6_addr *ret)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (!sa || sa->sa_family != family)
		return false;
	if (family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		*ret = addr_from_v4(ntohl(in.sin_addr.s_addr));
		return true;
	}
	memcpy(&in6, sa, sizeof(in6));
	*ret = in6.sin6_addr;
	return !IN6_IS_ADDR_LINKLOCAL(ret); /* it would need a scope */
}

/* The first address of @family that interface @name has. */
static bool find_interface_addr(const char *name, int family,
				struct in6_addr *ret)
{
	struct ifaddrs *list, *i;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (i = list; i && !found; i = i->ifa_next)
		found = strcmp(i->ifa_name, name) == 0 &&
			usable(i->ifa_addr, family, ret);
	freeifaddrs(list);
	return found;
}

int cli_source(const char *text, bool v4, struct in6_addr *ret)
{
	struct in6_addr a;

	if (addr_parse(text, &a) == 0 && addr_is_v4(&a) == v4) {
		*ret = a;
		return 0;
	}
	return find_interface_addr(text, v4 ? AF_INET : AF_INET6, ret)
		       ? 0
		       : -EINVAL;
}

enum cli_verdict cli_follow(struct cli *c, const char *arg)
{
	c->config->follow = true;
	return CLI_GO;
}

enum cli_verdict cli_api_socket(struct cli *c, const char *arg)
{
	c->config->api_path = arg;
	return CLI_GO;
}

enum cli_verdict cli_loopback(struct cli *c, const char *arg)
{
	c->config->loopback = true;
	return CLI_GO;
}

enum cli_verdict cli_splice(struct cli *c, const char *arg)
{
	c->config->splice = true;
	return CLI_GO;
}
