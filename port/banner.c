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
