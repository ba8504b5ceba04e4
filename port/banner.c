#include "port/banner.h"

/* slirp4netns hands out N+15 to N+30; we have one container and one lease. */
static void print_addr(FILE *to, const char *what, const struct in6_addr *a)
{
	char buf[ADDR_STRLEN];

	fprintf(to, "* %-16s %s\n", what, addr_format(a, buf));
}

void banner_print(const struct config *c, const struct plan *plan, FILE *to)
{
	struct in6_addr mask = addr_from_v4(UINT32_MAX << (32 - plan->bits4));
	const uint8_t *m = c->mac;
	char gateway[ADDR_STRLEN];

	fputs("Starting slirp\n", to);
	fprintf(to, "* %-16s %u\n", "MTU:", (unsigned)c->mtu);
	print_addr(to, "Network:", &plan->net4);
	print_addr(to, "Netmask:", &mask);
	print_addr(to, "Gateway:", &plan->gateway4);
	print_addr(to, "DNS:", &plan->dns4);
	print_addr(to, "DHCP begin:", &plan->dhcp4);
	print_addr(to, "DHCP end:", &plan->dhcp4);
	print_addr(to, "Recommended IP:", &plan->guest4);
	if (c->api_path)
		fprintf(to, "* %-16s %s\n", "API Socket:", c->api_path);
	if (!addr_is_unspecified(&c->outbound4))
		print_addr(to, "Outbound IPv4:", &c->outbound4);
	if (!addr_is_unspecified(&c->outbound6))
		print_addr(to, "Outbound IPv6:", &c->outbound6);
	if (c->has_mac)
		fprintf(to, "* %-16s %02x:%02x:%02x:%02x:%02x:%02x\n",
			"MAC address:", m[0], m[1], m[2], m[3], m[4], m[5]);
	if (c->host_loopback)
		fprintf(to,
			"WARNING: 127.0.0.1 of the host can be reached as %s "
			"(--disable-host-loopback forbids it)\n",
			addr_format(&plan->gateway4, gateway));
}

static void print_family(FILE *to, const char *what, const struct in6_addr *a,
			 unsigned bits, const struct in6_addr *gateway)
{
	char addr[ADDR_STRLEN], by[ADDR_STRLEN];

	fprintf(to, "  %s %s/%u, gateway %s\n", what, addr_format(a, addr),
		bits, addr_format(gateway, by));
}

static void print_name(FILE *to, const char *what, const struct in6_addr *a)
{
	char addr[ADDR_STRLEN];

	if (!addr_is_unspecified(a))
		fprintf(to, "  %s is %s\n", addr_format(a, addr), what);
}

void banner_plan(const struct config *c, const struct plan *plan, FILE *to)
{
	fprintf(to, "%s: the container's interface is %s, MTU %u\n",
		c->process.name, c->ifname, (unsigned)plan->mtu);
	if (plan->ipv4)
		print_family(to, "IPv4", &plan->guest4, plan->bits4,
			     &plan->gateway4);
	if (plan->ipv6)
		print_family(to, "IPv6", &plan->guest6, 64, &plan->gateway6);
	print_name(to, "the host's loopback", &plan->loop4);
	print_name(to, "the host's loopback", &plan->loop6);
	print_name(to, "the host", &plan->self4);
	print_name(to, "the host", &plan->self6);
	print_name(to, "the resolver", &plan->dns4);
	print_name(to, "the resolver", &plan->dns6);
}
