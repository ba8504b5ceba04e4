/* lwIP as an engine: one interface, no registry. lwIP's global lists are empty
 * at rest; a PCB is put on them for the length of one call, so that lookups,
 * timers and port searches never walk past the one flow they are about
 * (ARCHITECTURE.md, "Lists of one"). Only files of stack/ that work on PCBs
 * include this. */
#ifndef STACK_ENGINE_H
#define STACK_ENGINE_H

#include "stack/addr.h"
#include "stack/chunk.h"
#include "stack/nsec.h"
#include "stack/packet.h"

#include <lwip/ip.h>
#include <lwip/ip_addr.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/tcp.h>

#define ENGINE_TICK (TCP_SLOW_INTERVAL * NSEC_PER_MSEC)

/* The most payload of one outgoing frame: lwIP's largest segment. */
#define ENGINE_UNIT_MAX TCP_MSS

/* Ticks to the first retransmission, while no round trip was measured. */
#define ENGINE_RTO_FIRST (LWIP_TCP_RTO_TIME / TCP_SLOW_INTERVAL)

struct udp_pcb;

struct engine {
	struct netif nif;
	struct link *link;               /* borrowed */
	struct packet_layer *packets;    /* borrowed */
	struct chunk_pool *pool;         /* borrowed */
	struct tcp_pcb_listen *listener; /* its port is set for each SYN */
	struct udp_pcb *udp;             /* its port is set for each datagram */
	uint64_t key[2];
	uint64_t random;           /* counter behind engine_random() */
	const uint32_t *isn_above; /* see engine_connect(); NULL: no matter */
	nsec_t now;
	bool inside;           /* between enter and leave */
	uint16_t segment;      /* payload of the container's largest TCP
				       * segment on the current flow; 0: unknown */
	uint8_t timer_count;   /* mirrors lwIP's private tcp_timer_ctr */
	struct ip_hdr no_ip4;  /* which of the two is "current" is how */
	struct ip6_hdr no_ip6; /* lwIP tells the family; never read */
};

/* Brings lwIP up with one interface on @link; fragments leave by @packets.
 * 0 or -ENOMEM. */
int engine_init(struct engine *e, struct link *link,
		struct packet_layer *packets, struct chunk_pool *pool,
		const uint64_t key[2]);
/* Sets the callback for finished handshakes, and the callbacks for births and
 * deaths that every PCB inherits (see engine_ext_id()). 0 or -ENOMEM. */
int engine_listen(struct engine *e, tcp_accept_fn accept,
		  const struct tcp_ext_arg_callbacks *births);
void engine_fini(struct engine *e);

/* The slot of tcp_ext_arg_set() that engine_listen()'s callbacks watch. */
u8_t engine_ext_id(void);

/* Time for everything that follows. */
void engine_set_time(struct engine *e, nsec_t now);

/* Puts @pcb (NULL: none) on the list lwIP looks for it in. Everything that may
 * send a segment of the flow or change the PCB's state happens between the two.
 * @segment is the container's largest segment, for super-frames. Not to be
 * nested. */
void engine_enter(struct engine *e, struct tcp_pcb *pcb, uint16_t segment);
/* Empties the lists again and mends what lwIP leaves behind on @pcb; @pcb is
 * NULL if it died meanwhile. */
void engine_leave(struct engine *e, struct tcp_pcb *pcb);

/* Makes the packet that lwIP is about to be handed "current", as its own input
 * functions would have. */
void engine_set_packet(struct engine *e, const struct in6_addr *src,
		       const struct in6_addr *dst);
/* A pbuf over @len bytes at @payload inside @c, without copy; takes a reference
 * to @c, which goes when lwIP frees the pbuf. The one frame of a chunk can be
 * handed out once. */
struct pbuf *engine_pbuf(struct chunk *c, uint8_t *payload, size_t len);
/* The chunk behind a pbuf of engine_pbuf(), NULL for others. */
struct chunk *engine_pbuf_chunk(struct pbuf *p);

/* Hands the SYN segment of @len bytes to the listener on behalf of @arg: the
 * SYN-ACK leaves from inside. Only between engine_enter(e, NULL, 0) and
 * engine_leave(). 0 or -ENOMEM. */
int engine_replay_syn(struct engine *e, const struct in6_addr *src,
		      const struct in6_addr *dst, const void *syn, size_t len,
		      void *arg);

/* Sends a SYN to @to that seems to come from @from on the new PCB @pcb, whose
 * callbacks are set; @connected hears of the answer. Its sequence number is
 * beyond *@above, the last one of the connection that these two had before;
 * NULL: none that is known. Only between engine_enter(e, NULL, 0) and
 * engine_leave(e, pcb). 0, -ENOMEM or -EHOSTUNREACH: then nothing was sent, and
 * @pcb is still the caller's. */
int engine_connect(struct engine *e, struct tcp_pcb *pcb,
		   const struct endpoint *from, const struct endpoint *to,
		   const uint32_t *above, tcp_connected_fn connected);

/* Queues a FIN on the PCB that was entered and sends what may be sent; without
 * memory TF_CLOSEPEND stays set, for another try. No more bytes may follow. */
void engine_send_fin(struct tcp_pcb *pcb);

/* One slow timer tick for the PCB that was entered. */
void engine_tick_pcb(struct engine *e, struct tcp_pcb *pcb);
/* Does the PCB need ticks: anything in flight, queued, or closing? */
bool engine_pcb_armed(const struct tcp_pcb *pcb);

ip_addr_t engine_addr(const struct in6_addr *a);
struct in6_addr engine_addr_back(const ip_addr_t *a);

#endif
