#include "port/cli_pasta_impl.h"
#include "port/searchlist.h"

#include <errno.h>
#include <string.h>

#define MTU_MIN 576   /* every IPv4 host takes as much, RFC 791 3.1 */
#define MTU_MAX 65521 /* what the kernel lets a tap have */

static struct cli_pasta *pasta_of(struct cli *c)
{
	return (struct cli_pasta *)c;
}

static struct config_host *host_of(struct cli *c)
{
	return &c->config->host;
}

static enum cli_verdict complain(const struct cli *c, const char *option,
				 const char *arg, const char *why)
{
	fprintf(c->err, "%s: --%s '%s': %s\n", c->name, option, arg, why);
	return CLI_BAD;
}

/* The option that is being applied. */
static enum cli_verdict refuse(const struct cli *c, const char *arg,
			       const char *why)
{
	return complain(c, c->now->name, arg, why);
}

/* Could a host have it? */
static bool is_host_address(const struct in6_addr *a)
{
	return !addr_is_unspecified(a) && !addr_is_loopback(a) &&
	       !addr_is_multicast(a) &&
	       !(addr_is_v4(a) && addr_v4(a) >> 28 == 0xf);
}

static enum cli_verdict take(struct cli *c, const char *arg,
			     struct in6_addr *ret)
{
	if (addr_parse(arg, ret) == 0 && is_host_address(ret))
		return CLI_GO;
	return refuse(c, arg, "want the IPv4 or IPv6 address of a host");
}

/* The last one of a family counts. */
static enum cli_verdict take_pair(struct cli *c, const char *arg,
				  struct in6_addr *ret4, struct in6_addr *ret6)
{
	struct in6_addr a;

	if (take(c, arg, &a) != CLI_GO)
		return CLI_BAD;
	*(addr_is_v4(&a) ? ret4 : ret6) = a;
	return CLI_GO;
}

static enum cli_verdict take_pair_or_none(struct cli *c, const char *arg,
					  struct in6_addr *ret4,
					  struct in6_addr *ret6)
{
	if (strcmp(arg, "none") != 0)
		return take_pair(c, arg, ret4, ret6);
	*ret4 = *ret6 = in6addr_any;
	return CLI_GO;
}

enum cli_verdict cli_pasta_address(struct cli *c, const char *arg)
{
	struct config_host *h = host_of(c);
	const char *slash = strchr(arg, '/');
	char text[ADDR_STRLEN] = "";
	size_t len = slash ? (size_t)(slash - arg) : strlen(arg);
	struct in6_addr a;
	long bits = 0;

	if (len < sizeof(text))
		memcpy(text, arg, len);
	if (addr_parse(text, &a) < 0 || !is_host_address(&a))
		return refuse(c, arg,
			      "want ADDR or ADDR/BITS, of a host that can be");
	if (slash &&
	    cli_number(slash + 1, 1, addr_is_v4(&a) ? 32 : 128, &bits) < 0)
		return refuse(c, arg,
			      "want 1 to 32 bits behind the '/', of "
			      "IPv6 1 to 128");
	if (addr_is_v4(&a)) {
		h->addr4 = a;
		h->bits4 = (uint8_t)bits;
	} else {
		h->addr6 = a;
	}
	return CLI_GO;
}

enum cli_verdict cli_pasta_gateway(struct cli *c, const char *arg)
{
	return take_pair(c, arg, &host_of(c)->gateway4, &host_of(c)->gateway6);
}

enum cli_verdict cli_pasta_outbound(struct cli *c, const char *arg)
{
	struct in6_addr a;

	if (cli_source(arg, true, &a) == 0)
		c->config->outbound4 = a;
	else if (cli_source(arg, false, &a) == 0)
		c->config->outbound6 = a;
	else
		return refuse(c, arg,
			      "want an address of this host, or the "
			      "name of an interface that has one");
	return CLI_GO;
}

enum cli_verdict cli_pasta_map_loopback(struct cli *c, const char *arg)
{
	pasta_of(c)->maps_loopback = true;
	return take_pair_or_none(c, arg, &host_of(c)->loop4,
				 &host_of(c)->loop6);
}

enum cli_verdict cli_pasta_map_guest(struct cli *c, const char *arg)
{
	return take_pair_or_none(c, arg, &host_of(c)->self4,
				 &host_of(c)->self6);
}

enum cli_verdict cli_pasta_dns_forward(struct cli *c, const char *arg)
{
	return take_pair_or_none(c, arg, &host_of(c)->dns4, &host_of(c)->dns6);
}

/* A resolver may well be on loopback. */
static enum cli_verdict take_resolver(struct cli *c, const char *arg,
				      struct in6_addr *list, unsigned *n)
{
	if (*n == PLAN_DNS_MAX)
		return refuse(c, arg, "there are eight already");
	if (addr_parse(arg, &list[*n]) < 0 || addr_is_multicast(&list[*n]))
		return refuse(c, arg, "want the address of a resolver");
	++*n;
	return CLI_GO;
}

enum cli_verdict cli_pasta_dns_host(struct cli *c, const char *arg)
{
	return take_resolver(c, arg, c->config->resolvers,
			     &c->config->resolver_count);
}

enum cli_verdict cli_pasta_dns(struct cli *c, const char *arg)
{
	struct cli_pasta *p = pasta_of(c);
	struct plan_offer *o = &c->config->offer;

	p->no_dns = strcmp(arg, "none") == 0;
	if (p->no_dns) {
		o->dns_count = 0;
		return CLI_GO;
	}
	return take_resolver(c, arg, o->dns, &o->dns_count);
}

/* "24" or "255.255.255.0" */
static int parse_netmask(const char *text, uint8_t *ret)
{
	struct in6_addr a;
	uint32_t mask;
	long bits;

	if (cli_number(text, 1, 32, &bits) == 0) {
		*ret = (uint8_t)bits;
		return 0;
	}
	if (addr_parse(text, &a) < 0 || !addr_is_v4(&a))
		return -EINVAL;
	mask = addr_v4(&a);
	if (mask == 0 || (~mask & (~mask + 1)) != 0)
		return -EINVAL;
	*ret = (uint8_t)__builtin_popcount(mask);
	return 0;
}

static enum cli_verdict take_mtu(struct cli_pasta *p)
{
	struct config *config = p->config;
	long v;

	if (!p->mtu)
		return CLI_GO;
	if (strcmp(p->mtu, "0") == 0)
		v = 0;
	else if (cli_number(p->mtu, MTU_MIN, MTU_MAX, &v) < 0)
		return complain(&p->cli, "mtu", p->mtu,
				"want a number from 576 to 65521, or 0 to "
				"leave it as it is");
	config->mtu = (uint16_t)v;
	return CLI_GO;
}

static enum cli_verdict take_macs(struct cli_pasta *p)
{
	struct config *config = p->config;
	struct fail why;

	if (p->ns_mac) {
		if (cli_mac(p->ns_mac, config->mac, &why) < 0)
			return complain(&p->cli, "ns-mac-addr", p->ns_mac,
					why.text);
		config->has_mac = true;
	}
	if (p->mac) {
		if (cli_mac(p->mac, config->host.mac, &why) < 0)
			return complain(&p->cli, "mac-addr", p->mac, why.text);
		config->host.has_mac = true;
	}
	return CLI_GO;
}

static enum cli_verdict take_families(struct cli_pasta *p)
{
	struct config *config = p->config;

	if (p->only4 && p->only6) {
		fprintf(p->cli.err,
			"%s: --ipv4-only and --ipv6-only exclude each other\n",
			p->cli.name);
		return CLI_BAD;
	}
	config->ipv4 = !p->only6;
	config->ipv6 = !p->only4;
	return CLI_GO;
}

enum cli_verdict cli_pasta_take_addresses(struct cli_pasta *p)
{
	struct config *config = p->config;
	struct config_host *h = &config->host;

	if (take_families(p) != CLI_GO || take_mtu(p) != CLI_GO ||
	    take_macs(p) != CLI_GO)
		return CLI_BAD;
	if (p->netmask && parse_netmask(p->netmask, &h->bits4) < 0)
		return complain(&p->cli, "netmask", p->netmask,
				"want 1 to 32, or a mask like 255.255.255.0");
	/* An outbound interface is also the one to look at. */
	h->ifname4 = p->interface ? p->interface : config->outbound_if4;
	h->ifname6 = p->interface ? p->interface : config->outbound_if6;
	h->gateway_is_loopback = !p->no_map_gw && !p->maps_loopback;
	return CLI_GO;
}

static enum cli_verdict take_search(struct cli_pasta *p)
{
	if (!p->search || strcmp(p->search, "none") == 0)
		return CLI_GO;
	if (searchlist_parse(p->search, &p->config->offer) == 0)
		return CLI_GO;
	return complain(&p->cli, "search", p->search,
			"want domain names with spaces between them, of 255 "
			"bytes in all");
}

static enum cli_verdict take_hostname(struct cli_pasta *p, const char *option,
				      const char *arg, char *ret)
{
	if (!arg)
		return CLI_GO;
	if (strlen(arg) > PLAN_NAME_MAX || !*arg)
		return complain(&p->cli, option, arg,
				"want a name of 1 to 253 characters");
	memcpy(ret, arg, strlen(arg) + 1);
	return CLI_GO;
}

enum cli_verdict cli_pasta_take_services(struct cli_pasta *p)
{
	struct config *config = p->config;
	struct plan_offer *o = &config->offer;

	o->dhcp4 = !p->no_dhcp;
	o->dhcp6 = !p->no_dhcpv6;
	/* What is configured from outside shall not be configured again. */
	o->ra = !p->no_ra && !p->no_ndp && !p->no_icmp && !p->config_net;
	o->no_ndp = p->no_ndp || p->no_icmp;
	config->no_icmp = p->no_icmp;
	config->host.offer_dns = p->dhcp_dns && !p->no_dhcp_dns && !p->no_dns;
	config->host.offer_search =
		p->dhcp_search && !p->no_dhcp_search && !p->search;
	/* -D is also who is asked, if nobody else is named. */
	if (config->resolver_count == 0) {
		memcpy(config->resolvers, o->dns, sizeof(o->dns));
		config->resolver_count = o->dns_count;
	}
	if (!p->dhcp_dns)
		o->dns_count = 0;
	if (p->dhcp_search && take_search(p) != CLI_GO)
		return CLI_BAD;
	config->dns = !addr_is_unspecified(&config->host.dns4) ||
		      !addr_is_unspecified(&config->host.dns6);
	if (take_hostname(p, "hostname", p->hostname, o->hostname) != CLI_GO)
		return CLI_BAD;
	return take_hostname(p, "fqdn", p->fqdn, o->fqdn);
}
