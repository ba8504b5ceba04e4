/* UDP between the container and the host: one unconnected host socket for each
 * address and port of the container (RFC 4787: endpoint-independent), so
 * whoever it asked, or was told of it, can answer. Errors of the host come back
 * as ICMP with the container's datagram quoted. */
#ifndef PORT_RELAY_UDP_H
#define PORT_RELAY_UDP_H

#include "port/relay.h"

struct relay_udp;
struct resolver;

/* NULL without memory. @resolver answers what goes to the alias; NULL if policy
 * never says POLICY_DNS. Both are borrowed. */
struct relay_udp *relay_udp_new(struct relay_host *host,
				struct resolver *resolver);
/* Ends all its flows; accepts NULL. */
void relay_udp_free(struct relay_udp *r);

/* A datagram of the container: stack_host.udp_input(). */
void relay_udp_input(struct relay_udp *r, const struct dgram *d);

/* Somebody else wants @local, a port of the host: if the container's own port of
 * that number has it, that flow ends, and a new one will have another. Was it
 * so? */
bool relay_udp_make_way(struct relay_host *h, const struct endpoint *local);

/* Sending the container's datagram @d on failed with @err (-errno), with @mtu if
 * that is -EMSGSIZE and it is known, else 0. Counts, and tells the container
 * unless the host was merely busy. */
void relay_udp_failed(struct relay_host *h, const struct dgram *d, int err,
		      uint32_t mtu);

#endif
