#include "port/hostplan.h"

#include <errno.h>
#include <string.h>

#define MTU_DEFAULT  1500 /* of a tap */
#define MTU_MIN_IPV6 1280 /* RFC 8200 5 */

/* Without any network of the host. */
#define LOCAL_ADDR    0xa9fe0201 /* 169.254.2.1 */
#define LOCAL_GATEWAY 0xa9fe0202 /* 169.254.2.2 */
#define LOCAL_BITS    16         /* RFC 3927 2.1 */

/* As pasta has it: locally administered, and known by its look. */
static const uint8_t our_mac[WIRE_MAC_LEN] = {0x9a, 0x55, 0x9a,
					      0x55, 0x9a, 0x55};
static const struct in6_addr our_router = {{{0xfe, 0x80, [15] = 1}}};

static bool is_set(const struct in6_addr *a)
{
	return !addr_is_unspecified(a);
}

static struct in6_addr first_set(const struct in6_addr *a,
				 const struct in6_addr *b)
{
	return is_set(a) ? *a : *b;
}

/* Of an address that the host does not have: by its class (RFC 4632 appendix
 * A of old), as pasta has it. */
static uint8_t class_bits(const struct in6_addr *a)
{
	uint32_t v4 = addr_v4(a);

	if (v4 >> 31 == 0)
		return 8;
	return v4 >> 30 == 2 ? 16 : 24;
}

static struct in6_addr prefix_of(const struct in6_addr *a, unsigned bits)
{
	struct in6_addr net = *a;

	for (unsigned i = bits / 8 + 1; i < sizeof(net.s6_addr); i++)
		net.s6_addr[i] = 0;
	if (bits / 8 < sizeof(net.s6_addr))
		net.s6_addr[bits / 8] &= (uint8_t)(0xff00 >> bits % 8);
	return net;
}

static void plan4(struct plan *plan, const struct config_host *c,
		  const struct hostnet_family *host)
{
	plan->ipv4 = true;
	plan->guest4 = plan->dhcp4 = is_set(&c->addr4) ? c->addr4 : host->addr;
	plan->bits4 = c->bits4;
	if (!plan->bits4 && host->found &&
	    addr_in_prefix(&plan->guest4, &host->addr, host->bits))
		plan->bits4 = host->bits;
	if (!plan->bits4)
		plan->bits4 = class_bits(&plan->guest4);
	plan->net4 = prefix_of(&plan->guest4, 96u + plan->bits4);
	plan->gateway4 = first_set(&c->gateway4, &host->gateway);
	/* A line with nobody but the peer on it has no gateway. */
	if (!is_set(&plan->gateway4))
		plan->gateway4 = addr_from_v4(LOCAL_GATEWAY);
}

static void plan6(struct plan *plan, const struct config_host *c,
		  const struct hostnet_family *host)
{
	plan->ipv6 = true;
	plan->guest6 = is_set(&c->addr6) ? c->addr6 : host->addr;
	plan->net6 = prefix_of(&plan->guest6, 64);
	plan->gateway6 = first_set(&c->gateway6, &host->gateway);
	if (!is_set(&plan->gateway6))
		plan->gateway6 = our_router;
	plan->router6 = addr_is_linklocal(&plan->gateway6) ? plan->gateway6
							   : our_router;
}

static void plan_local(struct plan *plan, const struct config_host *c)
{
	struct in6_addr gateway = addr_from_v4(LOCAL_GATEWAY);

	plan->ipv4 = true;
	plan->guest4 = plan->dhcp4 = addr_from_v4(LOCAL_ADDR);
	plan->gateway4 = first_set(&c->gateway4, &gateway);
	plan->bits4 = c->bits4 ? c->bits4 : LOCAL_BITS;
	plan->net4 = prefix_of(&plan->guest4, 96u + plan->bits4);
}

static void plan_names(struct plan *plan, const struct config *config)
{
	const struct config_host *c = &config->host;

	plan->loop4 = c->loop4;
	plan->loop6 = c->loop6;
	if (c->gateway_is_loopback && plan->ipv4)
		plan->loop4 = plan->gateway4;
	if (c->gateway_is_loopback && plan->ipv6)
		plan->loop6 = plan->gateway6;
	plan->self4 = c->self4;
	plan->self6 = c->self6;
	plan->dns4 = c->dns4;
	plan->dns6 = c->dns6;
	plan->dns = config->dns;
}

/* Which resolvers DHCP and advertisements tell, if none were named: those that
 * lead to the host's. */
static void offer_resolvers(struct plan *plan)
{
	struct plan_offer *o = &plan->offer;

	if (is_set(&plan->dns4))
		o->dns[o->dns_count++] = plan->dns4;
	if (is_set(&plan->dns6))
		o->dns[o->dns_count++] = plan->dns6;
}

/* The host's routes, unless another gateway was asked for or there are none. */
static void choose_routes(struct hostplan *p, const struct config_host *c,
			  const struct hostnet *host)
{
	p->copies4 = p->plan.ipv4 && !is_set(&c->gateway4) && host->v4.found;
	p->copies6 = p->plan.ipv6 && !is_set(&c->gateway6) && host->v6.found;
	if (p->plan.ipv4 && !p->copies4)
		p->own[p->own_count++] = netcfg_default_by(&p->plan.gateway4);
	if (p->plan.ipv6 && !p->copies6)
		p->own[p->own_count++] = netcfg_default_by(&p->plan.gateway6);
}

static void choose_addrs(struct hostplan *p)
{
	const struct plan *plan = &p->plan;

	if (plan->ipv4)
		p->addrs[p->addr_count++] = (struct netcfg_addr){
			.addr = plan->guest4, .bits = plan->bits4};
	if (plan->ipv6)
		p->addrs[p->addr_count++] =
			(struct netcfg_addr){.addr = plan->guest6, .bits = 64};
}

static int choose_families(struct plan *plan, const struct config *config,
			   const struct hostnet *host, struct fail *why)
{
	const struct config_host *c = &config->host;
	bool has4 = host->v4.found || is_set(&c->addr4);
	bool has6 = host->v6.found || is_set(&c->addr6);

	if (config->ipv4 && has4)
		plan4(plan, c, &host->v4);
	if (config->ipv6 && has6 && plan->mtu >= MTU_MIN_IPV6)
		plan6(plan, c, &host->v6);
	if (plan->ipv4 || plan->ipv6)
		return 0;
	if (!config->ipv4 && has6)
		return fail_set(why, -EINVAL,
				"--mtu '%u': IPv6 wants %d or more",
				(unsigned)plan->mtu, MTU_MIN_IPV6);
	if (!config->ipv4)
		return fail_set(why, -EINVAL,
				"the host has no IPv6 address and route to "
				"show: want --address and --gateway, or IPv4");
	plan_local(plan, c);
	return 0;
}

int hostplan_make(const struct config *config, const struct hostnet *host,
		  struct hostplan *ret, struct fail *why)
{
	const struct config_host *c = &config->host;
	const char *ifname = host->v4.found ? host->v4.ifname : host->v6.ifname;
	struct plan *plan = &ret->plan;
	int err;

	*ret = (struct hostplan){
		.plan =
			{
				.mtu = config->mtu ? config->mtu : MTU_DEFAULT,
				.shared = true,
				.offer = config->offer,
				.no_tcp = config->no_tcp,
				.no_udp = config->no_udp,
				.no_icmp = config->no_icmp,
			},
	};
	memcpy(plan->mac, c->has_mac ? c->mac : our_mac, sizeof(plan->mac));
	err = choose_families(plan, config, host, why);
	if (err < 0)
		return err;
	plan_names(plan, config);
	if (c->offer_dns && plan->offer.dns_count == 0)
		offer_resolvers(plan);
	choose_addrs(ret);
	choose_routes(ret, c, host);
	memcpy(ret->ifname, *ifname ? ifname : "tap0",
	       strlen(*ifname ? ifname : "tap0") + 1);
	return 0;
}

struct in6_addr hostplan_own(const struct hostnet *host, bool v4)
{
	const struct hostnet_family *f = v4 ? &host->v4 : &host->v6;

	return f->found ? f->addr : in6addr_any;
}
