/* What the files of lanes.h share, and nobody else includes. */
#ifndef PORT_LANES_IMPL_H
#define PORT_LANES_IMPL_H

#include "port/hostsock_burst.h"
#include "port/lanes.h"

/* Where clients inside are listened for. */
struct lanes_port {
	struct listener listener;
	struct lanes *lanes;
	uint16_t host_port;
	LIST_ENTRY(lanes_port) link;
};

struct lanes {
	struct relay_host *host;
	struct lane *lane;
	struct lanes_wish wish;
	struct splices *splices;
	struct hostsock_burst *burst;
	LIST_HEAD(, lanes_port) ports;
	LIST_HEAD(, lanes_flow) flows;
};

struct in6_addr lanes_loopback(bool v4);
/* Of lane_connect(), which may want to be told first that the port is one. The
 * descriptor or -errno; counted if that is our fault. */
int lanes_reach(struct lanes *ls, enum lane_proto proto, bool v4,
		uint16_t port);
/* A client inside that @p accepted. */
void lanes_dial_host(struct lanes_port *p, int fd,
		     const struct endpoint *client);
/* A datagram that @p received. */
void lanes_udp_out(struct lanes_port *p, const struct endpoint *client,
		   const uint8_t *buf, size_t len);
/* Ends all flows of @l, or all if that is NULL. */
void lanes_udp_end(struct lanes *ls, const struct listener *l);

#endif
