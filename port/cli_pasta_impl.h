/* What the files of the pasta command line share, and nobody else uses. */
#ifndef PORT_CLI_PASTA_IMPL_H
#define PORT_CLI_PASTA_IMPL_H

#include "port/cli.h"

struct cli_pasta {
	struct cli cli; /* must be first: cli_store_*() */
	struct config *config;

	/* Looked at once all options are known; NULL: not given */
	struct portspec tcp, udp, tcp_ns, udp_ns; /* owned */
	const char *netmask, *mtu, *interface, *ns_mac, *mac;
	const char *search, *hostname, *fqdn;
	const char *netns, *userns, *log_size, *runas;
	bool config_net, only4, only6, netns_only;
	bool no_map_gw, maps_loopback, no_dns;
	bool dhcp_dns, no_dhcp_dns, dhcp_search, no_dhcp_search;
	bool no_icmp, no_dhcp, no_ndp, no_dhcpv6, no_ra;
	bool foreground, quiet, debug, trace;
	/* Taken note of, and already so: what tapir does anyway. */
	bool ignored;
};

/* The options about addresses, which may come once for each family. */
enum cli_verdict cli_pasta_address(struct cli *c, const char *arg);
enum cli_verdict cli_pasta_gateway(struct cli *c, const char *arg);
enum cli_verdict cli_pasta_outbound(struct cli *c, const char *arg);
enum cli_verdict cli_pasta_map_loopback(struct cli *c, const char *arg);
enum cli_verdict cli_pasta_map_guest(struct cli *c, const char *arg);
enum cli_verdict cli_pasta_dns_forward(struct cli *c, const char *arg);
enum cli_verdict cli_pasta_dns_host(struct cli *c, const char *arg);
enum cli_verdict cli_pasta_dns(struct cli *c, const char *arg);
/* The rest of them, from text into config. */
enum cli_verdict cli_pasta_take_addresses(struct cli_pasta *p);
enum cli_verdict cli_pasta_take_services(struct cli_pasta *p);

#endif
