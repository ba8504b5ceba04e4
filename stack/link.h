/* Ethernet: takes frames apart on the way in, puts the one header on the way
 * out, and learns the container's MAC and addresses from what it sends. */
#ifndef STACK_LINK_H
#define STACK_LINK_H

#include "stack/count.h"
#include "stack/frame.h"
#include "stack/guest.h"
#include "stack/plan.h"

struct link {
	struct frame_sink *sink;    /* borrowed */
	const struct plan *plan;    /* borrowed */
	struct counters *count;     /* borrowed */
	uint8_t peer[WIRE_MAC_LEN]; /* the container's; broadcast until known */
	bool offload;               /* the sink takes partial checksums and
				     * super-frames */
	struct guest guest;         /* addresses the container was seen using */
};

void link_init(struct link *l, struct frame_sink *sink, const struct plan *plan,
	       struct counters *count, bool offload);

/* Where frames go until the container's first one shows its MAC; all zero or a
 * group address: to everybody. */
void link_set_peer(struct link *l, const uint8_t mac[WIRE_MAC_LEN]);

/* Checks and strips the Ethernet header of @frame (VLAN tags are refused),
 * learns the sender's MAC, counts. The ethertype in host order, with *@ret the
 * rest of the frame; 0 if it was dropped. */
uint16_t link_input(struct link *l, struct view frame, struct view *ret);

/* The container uses @a, or is about to. Ignored if it may not. */
void link_learn(struct link *l, const struct in6_addr *a);
/* Is @a the container's own: by the plan, or seen in use? */
bool link_is_guest(const struct link *l, const struct in6_addr *a);
/* Do ARP and NDP answer for @a? Our own addresses, the gateway's, and every other
 * one of the subnet that is not the container's: a connect() to it then ends as
 * it would outside, not with a failed neighbour. If the networks are the host's,
 * so may be a route that has no gateway: then for whatever can be a neighbour. */
bool link_answers(const struct link *l, const struct in6_addr *a);

/* Sends @iov (starting with the IP or ARP header) to @dst, or to the
 * container's MAC if @dst is NULL. @off counts from the IP header and is
 * shifted here, NULL if there is nothing to offload; if the sink has no offload, a partial checksum is completed
 * here first, and a super-frame is our own bug. @iovcnt < FRAME_IOV_MAX.
 * 0 or -errno (frame lost, counted). */
int link_send(struct link *l, uint16_t ethertype,
	      const uint8_t dst[WIRE_MAC_LEN], const struct iovec *iov,
	      int iovcnt, const struct offload *off);

#endif
