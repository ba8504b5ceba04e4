/* Datagrams by the dozen: recvmmsg(2), sendmmsg(2). As in hostsock.h. */
#ifndef PORT_HOSTSOCK_BURST_H
#define PORT_HOSTSOCK_BURST_H

#include "port/hostsock.h"

#define HOSTSOCK_BURST 16

struct hostsock_burst {
	unsigned n;
	size_t len[HOSTSOCK_BURST];
	uint8_t bytes[HOSTSOCK_BURST][65536];
};

/* A UDP socket connected to @to; the descriptor or -errno. */
int hostsock_burst_socket(const struct endpoint *to);
/* What waits on connected socket @fd, as far as there is room. How many, 0 if
 * none, or -errno. */
int hostsock_burst_recv(int fd, struct hostsock_burst *b);
/* Sends all to @to from @local, as hostsock_send_from(); what the socket does not
 * take is lost. How many it took. */
unsigned hostsock_burst_send(int fd, const struct endpoint *to,
			     const struct in6_addr *local,
			     struct hostsock_burst *b);

#endif
