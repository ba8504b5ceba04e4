/* IPv4 and IPv6: what is checked before anybody looks at a packet, and the
 * headers of what we send ourselves (lwIP writes its own for TCP and UDP). */
#ifndef STACK_PACKET_H
#define STACK_PACKET_H

#include "stack/addr.h"
#include "stack/chunk.h"
#include "stack/count.h"
#include "stack/frame.h"
#include "stack/link.h"
#include "stack/nsec.h"
#include "stack/plan.h"
#include "stack/reass.h"

/* A packet that passed every check: lengths, header checksum, source allowed
 * by the plan, destination a unicast address that may be asked for (or one of
 * the multicast groups of NDP and DHCPv6), extension headers walked, fragments put
 * together, the upper checksum verified where nobody vouched for it. */
struct packet {
	struct in6_addr src, dst;
	uint8_t proto;       /* WIRE_PROTO_*, after all extension headers */
	uint8_t ttl;         /* or hop limit */
	uint8_t tos;         /* or traffic class */
	bool dont_fragment;  /* v4: DF was set; v6: without fragment header */
	uint8_t *l4;         /* upper header and payload; writable */
	size_t l4_len;       /* at most 65535 */
	struct chunk *chunk; /* where l4 points into */
};

struct packet_layer {
	struct link *link;       /* borrowed */
	const struct plan *plan; /* borrowed */
	struct counters *count;  /* borrowed */
	struct reass reass;
	uint16_t next_id;  /* of the IPv4 packets we send */
	uint32_t next_id6; /* of the IPv6 packets we fragment */
};

/* @seed starts the fragment identifications. Reassembly takes its buffers
 * from @pool. */
void packet_init(struct packet_layer *pl, struct link *link,
		 struct chunk_pool *pool, const struct plan *plan,
		 struct counters *count, uint32_t seed);
void packet_fini(struct packet_layer *pl);

/* @v is what link_input() left of the frame in @c, @family AF_INET or AF_INET6
 * by its ethertype, @off the frame's. True with *@ret filled in if there is a
 * packet to act on; false if it was dropped (counted) or is a fragment that
 * waits for others. ret->chunk then holds a reference of its own, which the
 * caller gives back with chunk_put() after use. */
bool packet_input(struct packet_layer *pl, struct chunk *c, struct view v,
		  int family, const struct offload *off, nsec_t now,
		  struct packet *ret);

/* When packet_tick() wants to run next (reassembly timeout), or NSEC_NEVER. */
nsec_t packet_deadline(const struct packet_layer *pl);
void packet_tick(struct packet_layer *pl, nsec_t now);

/* What packet_send() writes into the header. Both addresses are of one family;
 * a multicast or broadcast @dst goes to its Ethernet address, any other to the
 * container's. */
struct packet_out {
	const struct in6_addr *src, *dst;
	uint8_t proto;
	uint8_t ttl;
	uint8_t tos;
};

/* Sends an upper header and payload (checksum complete) in @iov behind an IP
 * header, in fragments if it exceeds the MTU. At most 65535 bytes with the
 * header for IPv4, 65535 without it for IPv6: else -EMSGSIZE. @iovcnt at most
 * FRAME_IOV_MAX - 2. 0 or -errno. */
int packet_send(struct packet_layer *pl, const struct packet_out *out,
		const struct iovec *iov, int iovcnt);

/* The checksum of @l4 bytes in @iov with its pseudo-header (RFC 9293 3.1, RFC
 * 8200 8.1) in host order; the checksum field in @iov must be zero. For ICMP
 * over IPv4 there is no pseudo-header. Never 0 for UDP. */
uint16_t packet_csum(const struct in6_addr *src, const struct in6_addr *dst,
		     uint8_t proto, const struct iovec *iov, int iovcnt);
/* The folded but not complemented pseudo-header sum alone, as a partial
 * checksum wants it in the field. */
uint16_t packet_csum_pseudo(const struct in6_addr *src,
			    const struct in6_addr *dst, uint8_t proto,
			    size_t l4_len);

#endif
