/* TCP between the container and the host. The container's SYN is answered when
 * the host's connect() has succeeded and not before; then bytes, half-closes
 * and resets pass as they come, in both directions. */
#ifndef PORT_RELAY_TCP_H
#define PORT_RELAY_TCP_H

#include "port/relay.h"

struct relay_tcp;
struct resolver;

/* How long a resolver has to accept a connection before the next is tried. */
#define RELAY_TCP_DNS_WAIT (2 * NSEC_PER_SEC)

/* NULL without memory. @resolver tells where the alias leads; NULL if policy
 * never says POLICY_DNS. Both are borrowed. */
struct relay_tcp *relay_tcp_new(struct relay_host *host,
				struct resolver *resolver);
/* Resets all its connections on both sides; accepts NULL. */
void relay_tcp_free(struct relay_tcp *r);

/* A connection of the container: stack_host.tcp_open(). */
void relay_tcp_open(struct relay_tcp *r, struct stream *s);

#endif
