/* ICMP and ICMPv6: echo requests to our own addresses are answered here, to
 * others handed to the host; errors for TCP, UDP and echo are built here, with
 * the packet they are about quoted (RFC 792, RFC 4443, RFC 1812 4.3.2.3). */
#ifndef STACK_ICMPMSG_H
#define STACK_ICMPMSG_H

#include "stack/packet.h"

/* Why the container's packet did not arrive. */
enum icmpmsg_why {
	ICMPMSG_NET_UNREACH,   /* v4 3/0, v6 1/0 */
	ICMPMSG_HOST_UNREACH,  /* v4 3/1, v6 1/3 */
	ICMPMSG_PORT_UNREACH,  /* v4 3/3, v6 1/4 */
	ICMPMSG_ADMIN_PROHIB,  /* v4 3/13, v6 1/1 */
	ICMPMSG_TOO_BIG,       /* v4 3/4, v6 2/0; with the MTU */
	ICMPMSG_TIME_EXCEEDED, /* v4 11/0, v6 3/0 */
};

/* How a host errno reaches the container: ENETUNREACH, ENETDOWN, and what a host without
 * the family (EAFNOSUPPORT) or with the family switched off (EADDRNOTAVAIL) says
 * instead; EHOSTUNREACH; ECONNREFUSED; EACCES and EPERM; EMSGSIZE. Anything else
 * is ICMPMSG_HOST_UNREACH. @err is positive. */
enum icmpmsg_why icmpmsg_why_from_errno(int err);

struct icmpmsg_error {
	enum icmpmsg_why why;
	uint32_t mtu;                /* ICMPMSG_TOO_BIG only, else 0 */
	const struct in6_addr *from; /* who reports it; NULL: our gateway */
};

/* As much of a packet as an ICMPv6 error can quote (RFC 4443 2.4 (c)). */
#define ICMPMSG_QUOTE_MAX 1280

/* Sends the error about packet @src -> @dst of @proto, whose upper header and
 * payload are @l4, @l4_len bytes, at least 8, of which no more than
 * ICMPMSG_QUOTE_MAX are looked at: an IP header is built in front of it for the
 * quote. 0 or -errno. */
int icmpmsg_send_error(struct packet_layer *pl, const struct icmpmsg_error *e,
		       const struct in6_addr *src, const struct in6_addr *dst,
		       uint8_t proto, const void *l4, size_t l4_len);

/* An echo request that somebody else than us has to answer, or a reply.
 * Payload lent for the call. */
struct icmpmsg_echo {
	struct in6_addr src, dst;
	uint16_t id, seq;
	uint8_t ttl;
	bool dont_fragment;
	const uint8_t *payload;
	size_t len;
};

/* Takes an ICMP or ICMPv6 packet that is not NDP. Echo to our own addresses is
 * answered; true with *@ret filled in if it is an echo request for the host;
 * false otherwise (answered, or dropped and counted). */
bool icmpmsg_input(struct packet_layer *pl, const struct packet *p,
		   struct icmpmsg_echo *ret);

/* Sends an echo reply: e->src is who answers, e->dst the container. */
int icmpmsg_send_reply(struct packet_layer *pl, const struct icmpmsg_echo *e);

#endif
