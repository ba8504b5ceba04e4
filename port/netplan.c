#include "port/netplan.h"

#include "port/hostplan.h"
#include "port/resolvconf.h"
#include "port/searchlist.h"
#include "tapdev/hostnet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESOLV_CONF   "/etc/resolv.conf"
#define MTU_MIN_STACK 576 /* every IPv4 host takes as much, RFC 791 3.1 */

struct plan netplan_of_net(const struct config *c)
{
	uint16_t mtu = c->mtu < MTU_MIN_STACK ? MTU_MIN_STACK : c->mtu;
	uint32_t gateway = addr_v4(&c->net4) + 2;
	/* As slirp4netns has it: scripts know it by the first two bytes. */
	uint8_t mac[WIRE_MAC_LEN] = {0x52,
				     0x55,
				     (uint8_t)(gateway >> 24),
				     (uint8_t)(gateway >> 16),
				     (uint8_t)(gateway >> 8),
				     (uint8_t)gateway};
	struct plan plan = plan_make(c->net4, c->bits4, mtu, mac);

	plan.ipv4 = c->ipv4;
	plan.ipv6 = c->ipv6;
	plan.dns = c->dns;
	if (!c->dns)
		plan.offer.dns_count = 0;
	return plan;
}

static int copy_routes(struct netplan *n, const struct netcfg_route *from,
		       size_t count)
{
	size_t had = n->netcfg.route_count;
	struct netcfg_route *more;

	if (count == 0)
		return 0;
	more = realloc(n->routes, (had + count) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memcpy(more + had, from, count * sizeof(*more));
	n->routes = more;
	n->netcfg.routes = more;
	n->netcfg.route_count = had + count;
	return 0;
}

static int copy_host_routes(struct netplan *n, const struct hostplan *h,
			    const struct hostnet *host)
{
	int err = 0;

	if (h->copies4)
		err = copy_routes(n, host->v4.routes, host->v4.route_count);
	if (err == 0 && h->copies6)
		err = copy_routes(n, host->v6.routes, host->v6.route_count);
	if (err == 0)
		err = copy_routes(n, h->own, h->own_count);
	return err;
}

/* What DHCP and advertisements tell of the host's own lists. A resolver on
 * loopback is out of the container's reach. */
static void offer_lists(struct plan *plan, const struct config_host *c)
{
	char *text = resolvconf_text(RESOLV_CONF);
	struct plan_offer *o = &plan->offer;
	struct endpoint servers[PLAN_DNS_MAX];
	size_t n = 0;

	if (text && c->offer_search)
		searchlist_find(text, o);
	if (text && c->offer_dns && o->dns_count == 0)
		n = resolvconf_parse(text, servers, PLAN_DNS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!addr_is_loopback(&servers[i].addr) &&
		    !addr_is_linklocal(&servers[i].addr))
			o->dns[o->dns_count++] = servers[i].addr;
	}
	free(text);
}

static int of_host(struct netplan *n, const struct config *c, struct fail *why)
{
	struct hostplan h;
	struct hostnet host;
	int err = hostnet_read(c->host.ifname4, c->host.ifname6, &host, why);

	if (err < 0)
		return err;
	err = hostplan_make(c, &host, &h, why);
	if (err == 0) {
		n->plan = h.plan;
		offer_lists(&n->plan, &c->host);
		memcpy(n->ifname, h.ifname, sizeof(n->ifname));
		memcpy(n->addrs, h.addrs, sizeof(n->addrs));
		n->netcfg.addr_count = h.addr_count;
		n->own4 = hostplan_own(&host, true);
		n->own6 = hostplan_own(&host, false);
		if (copy_host_routes(n, &h, &host) < 0)
			err = fail_set(why, -ENOMEM, "no memory for routes");
	}
	hostnet_fini(&host);
	return err;
}

static int of_net(struct netplan *n, const struct config *c)
{
	struct netcfg_route routes[2];
	size_t count = 0;

	n->plan = netplan_of_net(c);
	if (c->ipv4) {
		n->addrs[n->netcfg.addr_count++] =
			(struct netcfg_addr){n->plan.guest4, n->plan.bits4};
		routes[count++] = netcfg_default_by(&n->plan.gateway4);
	}
	if (c->ipv6) {
		n->addrs[n->netcfg.addr_count++] =
			(struct netcfg_addr){n->plan.guest6, 64};
		routes[count++] = netcfg_default_by(&n->plan.gateway6);
	}
	return copy_routes(n, routes, count);
}

int netplan_init(struct netplan *n, const struct config *config,
		 struct fail *why)
{
	int err;

	*n = (struct netplan){
		.netcfg =
			{
				.lo_only = !config->configure,
				.mtu = config->mtu,
				.has_mac = config->has_mac,
			},
	};
	memcpy(n->netcfg.mac, config->mac, sizeof(n->netcfg.mac));
	if (config->from_host)
		err = of_host(n, config, why);
	else if (of_net(n, config) < 0)
		err = fail_set(why, -ENOMEM, "no memory for routes");
	else
		err = 0;
	if (err < 0) {
		netplan_fini(n);
		return err;
	}
	n->fresh = config->from_host && !config->ifname;
	n->netcfg.addrs = n->addrs;
	n->netcfg.ipv6 = n->plan.ipv6 && config->configure6;
	n->netcfg.no_ipv6 = config->from_host && !config->ipv6;
	if (config->ifname && strlen(config->ifname) >= sizeof(n->ifname))
		err = fail_set(why, -EINVAL,
			       "interface name '%s': want 1 to %zu characters",
			       config->ifname, sizeof(n->ifname) - 1);
	else if (config->ifname)
		memcpy(n->ifname, config->ifname, strlen(config->ifname) + 1);
	return err;
}

void netplan_fini(struct netplan *n)
{
	free(n->routes);
	n->routes = NULL;
}
