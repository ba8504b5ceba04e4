/* Echo between the container and the host, over ping sockets: one for each
 * address and identifier of the container. icmp(7), ping_group_range. */
#ifndef PORT_RELAY_ICMP_H
#define PORT_RELAY_ICMP_H

#include "port/relay.h"

struct relay_icmp;

/* NULL without memory. @host is borrowed. */
struct relay_icmp *relay_icmp_new(struct relay_host *host);
/* Ends all its flows; accepts NULL. */
void relay_icmp_free(struct relay_icmp *r);

/* An echo request of the container: stack_host.echo_input(). */
void relay_icmp_input(struct relay_icmp *r, const struct icmpmsg_echo *e);

#endif
