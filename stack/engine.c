/* lwIP's surroundings: its interface, its lists, its "current packet", its
 * clock and its dice.
 *
 * Out: lwIP -> output() -> link_send(), or packet_send() if a datagram needs
 * fragments. In: streams.c and dgram.c call engine_set_packet() and then lwIP's
 * tcp_input() or udp_input(); lwIP's own IP layer is never entered, since it
 * would drop what is not addressed to it. */
#include "stack/engine.h"

#include "stack/engine_mend.h"
#include "stack/frame.h"
#include "stack/siphash.h"
#include "stack/wire.h"

#include <assert.h>
#include <errno.h>
#include <lwip/init.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/udp.h>
#include LWIP_HOOK_FILENAME
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct pbuf_custom) <= sizeof(((struct chunk *)0)->note),
	      "a pbuf fits into the note of its chunk");

/* lwIP calls these two without context; its one interface knows us. */
static struct engine *engine_of_lwip(void)
{
	return netif_default ? netif_default->state : NULL;
}

void engine_assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "tapir: lwIP: %s (%s:%d)\n", what, file, line);
	abort();
}

uint32_t engine_random(void)
{
	struct engine *e = engine_of_lwip();

	if (!e)
		return 0; /* lwip_init() draws one for a port we never use */
	e->random++;
	return (uint32_t)siphash(e->key, &e->random, sizeof(e->random));
}

/* Beyond what the container's TIME_WAIT still takes for the old connection (RFC
 * 6191). */
#define ISN_STEP (UINT16_MAX + 2)

/* RFC 6528: a clock plus a keyed hash of the connection. The clock must outrun
 * the bytes of the connection before on the same ports and not come round
 * within 2 minutes: 64 ns are good for 15 MB/s and 274 s. */
u32_t engine_isn(const ip_addr_t *local_ip, u16_t local_port,
		 const ip_addr_t *remote_ip, u16_t remote_port)
{
	struct engine *e = engine_of_lwip();
	struct {
		struct in6_addr local, remote;
		uint16_t local_port, remote_port;
	} id = {engine_addr_back(local_ip), engine_addr_back(remote_ip),
		local_port, remote_port};
	u32_t isn;

	isn = (u32_t)(e->now >> 6) + (u32_t)siphash(e->key, &id, sizeof(id));
	if (e->isn_above && !TCP_SEQ_GT(isn, *e->isn_above + 1))
		isn = *e->isn_above + ISN_STEP;
	return isn;
}

ip_addr_t engine_addr(const struct in6_addr *a)
{
	ip_addr_t ip = {0};

	if (addr_is_v4(a)) {
		ip.type = IPADDR_TYPE_V4;
		memcpy(&ip.u_addr.ip4.addr, a->s6_addr + 12, 4);
	} else {
		ip.type = IPADDR_TYPE_V6;
		memcpy(ip.u_addr.ip6.addr, a->s6_addr, 16);
	}
	return ip;
}

struct in6_addr engine_addr_back(const ip_addr_t *ip)
{
	struct in6_addr a = {0};

	if (IP_IS_V6(ip)) {
		memcpy(a.s6_addr, ip->u_addr.ip6.addr, 16);
	} else {
		a.s6_addr[10] = a.s6_addr[11] = 0xff;
		memcpy(a.s6_addr + 12, &ip->u_addr.ip4.addr, 4);
	}
	return a;
}

/* The pieces of @p, after @skip bytes; -EMSGSIZE if there are more than @max. */
static int pbuf_to_iov(const struct pbuf *p, size_t skip, struct iovec *iov,
		       int max)
{
	int n = 0;

	for (; p; p = p->next) {
		if (skip >= p->len) {
			skip -= p->len;
			continue;
		}
		if (n == max)
			return -EMSGSIZE;
		iov[n++] = (struct iovec){(uint8_t *)p->payload + skip,
					  p->len - skip};
		skip = 0;
	}
	return n;
}

/* Where @csum_at lies in the first piece, lwIP left the checksum open. */
static void partial_csum(struct iovec *iov, size_t header, size_t csum_at,
			 uint16_t pseudo, struct offload *off)
{
	put16((uint8_t *)iov->iov_base + header + csum_at, pseudo);
	off->csum_partial = true;
	off->csum_start = (uint16_t)header;
	off->csum_offset = (uint16_t)csum_at;
}

struct out_packet {
	struct in6_addr src, dst;
	uint8_t proto, ttl, tos;
	size_t header; /* bytes of IP header */
};

static struct out_packet parse_out(const struct pbuf *p)
{
	const uint8_t *b = p->payload;
	struct out_packet o;

	if (b[0] >> 4 == 4) {
		const struct wire_ip4 *h = p->payload;

		o = (struct out_packet){addr_from_v4(get32(h->src)),
					addr_from_v4(get32(h->dst)),
					h->proto,
					h->ttl,
					h->tos,
					sizeof(*h)};
	} else {
		const struct wire_ip6 *h = p->payload;

		o = (struct out_packet){.proto = h->next,
					.ttl = h->hop_limit,
					.tos = (uint8_t)(b[0] << 4 | b[1] >> 4),
					.header = sizeof(*h)};
		memcpy(&o.src, h->src, sizeof(o.src));
		memcpy(&o.dst, h->dst, sizeof(o.dst));
	}
	return o;
}

static void output_tcp(struct engine *e, const struct out_packet *o,
		       const struct pbuf *p, struct iovec *iov, int n)
{
	bool v4 = addr_is_v4(&o->src);
	size_t l4 = p->tot_len - o->header;
	const struct wire_tcp *tcp =
		(const void *)((const uint8_t *)iov->iov_base + o->header);
	size_t tcp_header = (size_t)(tcp->doff >> 4) * 4;
	struct offload off = {0};

	partial_csum(iov, o->header, offsetof(struct wire_tcp, csum),
		     packet_csum_pseudo(&o->src, &o->dst, o->proto, l4), &off);
	if (e->segment && l4 - tcp_header > e->segment) {
		off.gso = v4 ? GSO_TCP4 : GSO_TCP6;
		off.gso_size = e->segment;
		off.hdr_len = (uint16_t)(o->header + tcp_header);
	}
	link_send(e->link, v4 ? WIRE_ETH_IPV4 : WIRE_ETH_IPV6, NULL, iov, n,
		  &off);
}

static int output_udp(struct engine *e, const struct out_packet *o,
		      const struct pbuf *p, struct iovec *iov, int n)
{
	bool v4 = addr_is_v4(&o->src);
	size_t l4 = p->tot_len - o->header;
	size_t csum_at = offsetof(struct wire_udp, csum);
	struct offload off = {0};
	struct packet_out po = {&o->src, &o->dst, o->proto, o->ttl, o->tos};
	uint8_t *udp = (uint8_t *)iov->iov_base + o->header;
	uint16_t csum;

	if (p->tot_len <= e->nif.mtu) {
		partial_csum(iov, o->header, csum_at,
			     packet_csum_pseudo(&o->src, &o->dst, o->proto, l4),
			     &off);
		return link_send(e->link, v4 ? WIRE_ETH_IPV4 : WIRE_ETH_IPV6,
				 NULL, iov, n, &off);
	}
	/* Behind a fragment nobody can complete a checksum. */
	iov->iov_base = udp;
	iov->iov_len -= o->header;
	csum = packet_csum(&o->src, &o->dst, o->proto, iov, n);
	put16(udp + csum_at, csum ? csum : 0xffff);
	return packet_send(e->packets, &po, iov, n);
}

static int output_iov(struct engine *e, struct pbuf *p, struct iovec *iov,
		      int n)
{
	struct out_packet o = parse_out(p);

	/* lwIP's headers lie in one pbuf; the L4 header follows IP's there. */
	assert(n > 0 && iov[0].iov_len >= o.header + sizeof(struct wire_udp));
	if (o.proto != WIRE_PROTO_TCP)
		return output_udp(e, &o, p, iov, n);
	/* What the tap does not take is lost, as on any wire; link_send() has
	 * counted it. Told of it, lwIP would leave a retransmission among what
	 * was never sent, and append new bytes or the FIN to it. */
	output_tcp(e, &o, p, iov, n);
	return 0;
}

/* A segment put together from a great many small writes. */
static int output_copy(struct engine *e, struct pbuf *p)
{
	struct chunk *c = chunk_new_beyond(e->pool, p->tot_len);
	struct iovec iov[FRAME_IOV_MAX];
	int err;

	if (!c)
		return 0; /* lost, see output_iov() */
	pbuf_copy_partial(p, c->data, p->tot_len, 0);
	iov[0] = (struct iovec){c->data, p->tot_len};
	err = output_iov(e, p, iov, 1);
	chunk_put(c);
	return err;
}

static err_t output(struct netif *nif, struct pbuf *p)
{
	struct engine *e = nif->state;
	struct iovec iov[FRAME_IOV_MAX];
	int n = pbuf_to_iov(p, 0, iov, FRAME_IOV_MAX - 1);
	int err = n < 0 ? output_copy(e, p) : output_iov(e, p, iov, n);

	return err ? ERR_IF : ERR_OK;
}

static err_t output4(struct netif *nif, struct pbuf *p, const ip4_addr_t *to)
{
	return output(nif, p);
}

static err_t output6(struct netif *nif, struct pbuf *p, const ip6_addr_t *to)
{
	return output(nif, p);
}

static err_t netif_ready(struct netif *nif)
{
	struct engine *e = nif->state;

	nif->name[0] = 't';
	nif->name[1] = 'p';
	nif->mtu = e->packets->plan->mtu;
	nif->output = output4;
	nif->output_ip6 = output6;
	return ERR_OK;
}

static err_t never_input(struct pbuf *p, struct netif *nif)
{
	pbuf_free(p);
	return ERR_OK;
}

u8_t engine_ext_id(void)
{
	return 0; /* LWIP_TCP_PCB_NUM_EXT_ARGS is 1 */
}

/* lwIP counts its timer calls in a private u8 and stamps new PCBs with it. */
static int learn_timer_count(struct engine *e)
{
	struct tcp_pcb *pcb = tcp_new();

	if (!pcb)
		return -ENOMEM;
	e->timer_count = pcb->last_timer;
	tcp_close(pcb);
	return 0;
}

int engine_init(struct engine *e, struct link *link,
		struct packet_layer *packets, struct chunk_pool *pool,
		const uint64_t key[2])
{
	ip4_addr_t any = {0};
	ip4_addr_t self;

	*e = (struct engine){.link = link,
			     .packets = packets,
			     .pool = pool,
			     .key = {key[0], key[1]}};
	lwip_init();
	/* Any address will do: nothing is sent from it, but ip4_route() wants
	 * one. */
	IP4_ADDR(&self, 10, 0, 2, 2);
	if (!netif_add(&e->nif, &self, &any, &any, e, netif_ready, never_input))
		return -ENOMEM;
	netif_set_default(&e->nif);
	netif_set_up(&e->nif);
	netif_set_link_up(&e->nif);
	e->udp = udp_new_ip_type(IPADDR_TYPE_ANY);
	if (!e->udp || learn_timer_count(e) < 0) {
		engine_fini(e);
		return -ENOMEM;
	}
	return 0;
}

int engine_listen(struct engine *e, tcp_accept_fn accept,
		  const struct tcp_ext_arg_callbacks *births)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
	struct tcp_pcb *listener;

	if (!pcb)
		return -ENOMEM;
	tcp_bind(pcb, IP_ANY_TYPE, 1);
	listener = tcp_listen(pcb);
	if (!listener) {
		tcp_abort(pcb);
		return -ENOMEM;
	}
	tcp_accept(listener, accept);
	/* After tcp_listen(), which frees the PCB it was given and would tell
	 * the callbacks of that. */
	tcp_ext_arg_set_callbacks(listener, engine_ext_id(), births);
	tcp_listen_pcbs.listen_pcbs = NULL;
	e->listener = (struct tcp_pcb_listen *)listener;
	return 0;
}

void engine_fini(struct engine *e)
{
	assert(!e->inside);
	if (e->listener) {
		tcp_listen_pcbs.listen_pcbs = e->listener;
		e->listener->next = NULL;
		tcp_close((struct tcp_pcb *)e->listener);
	}
	if (e->udp)
		udp_remove(e->udp);
	netif_remove(&e->nif);
}

void engine_set_time(struct engine *e, nsec_t now)
{
	e->now = now;
	/* Never 0, which lwIP takes for "no measurement running". */
	tcp_ticks = (u32_t)(now / ENGINE_TICK) + 1;
}

void engine_enter(struct engine *e, struct tcp_pcb *pcb, uint16_t segment)
{
	assert(!e->inside);
	assert(!tcp_active_pcbs && !tcp_tw_pcbs && !tcp_bound_pcbs);
	e->inside = true;
	e->segment = segment;
	if (!pcb)
		return;
	pcb->next = NULL;
	if (pcb->state == TIME_WAIT)
		tcp_tw_pcbs = pcb;
	else
		tcp_active_pcbs = pcb;
}

void engine_leave(struct engine *e, struct tcp_pcb *pcb)
{
	assert(e->inside);
	if (pcb)
		engine_mend(pcb);
	assert(!tcp_active_pcbs || !tcp_active_pcbs->next);
	tcp_active_pcbs = NULL;
	tcp_tw_pcbs = NULL;
	tcp_listen_pcbs.listen_pcbs = NULL;
	if (pcb)
		pcb->next = NULL;
	e->segment = 0;
	e->inside = false;
}

void engine_set_packet(struct engine *e, const struct in6_addr *src,
		       const struct in6_addr *dst)
{
	bool v4 = addr_is_v4(dst);

	ip_data.current_netif = &e->nif;
	ip_data.current_input_netif = &e->nif;
	ip_data.current_ip4_header = v4 ? &e->no_ip4 : NULL;
	ip_data.current_ip6_header = v4 ? NULL : &e->no_ip6;
	ip_data.current_ip_header_tot_len = v4 ? IP_HLEN : IP6_HLEN;
	ip_data.current_iphdr_src = engine_addr(src);
	ip_data.current_iphdr_dest = engine_addr(dst);
}

static struct chunk *chunk_of_note(struct pbuf_custom *pc)
{
	return (struct chunk *)((uint8_t *)pc - offsetof(struct chunk, note));
}

static void pbuf_gone(struct pbuf *p)
{
	chunk_put(chunk_of_note((struct pbuf_custom *)p));
}

struct pbuf *engine_pbuf(struct chunk *c, uint8_t *payload, size_t len)
{
	struct pbuf_custom *pc = (struct pbuf_custom *)c->note;

	assert(len <= UINT16_MAX);
	chunk_ref(c);
	pc->custom_free_function = pbuf_gone;
	return pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, pc, payload,
				   (u16_t)len);
}

struct chunk *engine_pbuf_chunk(struct pbuf *p)
{
	struct pbuf_custom *pc = (struct pbuf_custom *)p;

	if (!(p->flags & PBUF_FLAG_IS_CUSTOM) ||
	    pc->custom_free_function != pbuf_gone)
		return NULL;
	return chunk_of_note(pc);
}

int engine_replay_syn(struct engine *e, const struct in6_addr *src,
		      const struct in6_addr *dst, const void *syn, size_t len,
		      void *arg)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);

	if (!p)
		return -ENOMEM;
	memcpy(p->payload, syn, len);
	engine_set_packet(e, src, dst);
	e->listener->local_port = get16(((const struct wire_tcp *)syn)->dport);
	e->listener->callback_arg = arg;
	e->listener->next = NULL;
	tcp_listen_pcbs.listen_pcbs = e->listener;
	tcp_input(p, &e->nif);
	tcp_listen_pcbs.listen_pcbs = NULL;
	return 0;
}

int engine_connect(struct engine *e, struct tcp_pcb *pcb,
		   const struct endpoint *from, const struct endpoint *to,
		   const uint32_t *above, tcp_connected_fn connected)
{
	ip_addr_t addr = engine_addr(&to->addr);
	err_t err;

	/* tcp_bind() would only look for rivals on lists that are empty. */
	pcb->local_ip = engine_addr(&from->addr);
	pcb->local_port = from->port;
	e->isn_above = above;
	err = tcp_connect(pcb, &addr, to->port, connected);
	e->isn_above = NULL;
	if (err == ERR_RTE)
		return -EHOSTUNREACH;
	return err == ERR_OK ? 0 : -ENOMEM;
}

/* lwIP sends a SYN again at one pace for ever, where it has to slow down (RFC
 * 9293 3.8.1): a service whose queue is full would be pressed the harder. */
static void back_off_syn(struct tcp_pcb *pcb)
{
	if (pcb->state == SYN_SENT)
		pcb->rto = (s16_t)(ENGINE_RTO_FIRST << pcb->nrtx);
}

void engine_tick_pcb(struct engine *e, struct tcp_pcb *pcb)
{
	back_off_syn(pcb);
	/* lwIP skips a PCB whose stamp equals its next count, which after 256
	 * calls for others would be an accident. */
	pcb->last_timer = e->timer_count;
	tcp_ticks--;
	tcp_slowtmr();
	e->timer_count++;
}

/* tcp_shutdown() would put the FIN into the last segment that waits, and
 * tcp_split_unsent_seg() leaves it in both halves when it cuts that in two: a
 * segment of its own is never cut. */
void engine_send_fin(struct tcp_pcb *pcb)
{
	if (pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT)
		return;
	if (tcp_enqueue_flags(pcb, TCP_FIN) != ERR_OK) {
		tcp_set_flags(pcb, TF_CLOSEPEND);
		return;
	}
	tcp_clear_flags(pcb, TF_CLOSEPEND);
	pcb->state = pcb->state == ESTABLISHED ? FIN_WAIT_1 : LAST_ACK;
	tcp_output(pcb);
}

bool engine_pcb_armed(const struct tcp_pcb *pcb)
{
	if (pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT &&
	    pcb->state != FIN_WAIT_2)
		return true;
	return pcb->unacked || pcb->unsent || pcb->ooseq ||
	       pcb->persist_backoff || (pcb->flags & TF_CLOSEPEND);
}
