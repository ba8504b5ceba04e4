#include "stack/dgram.h"

#include "stack/engine.h"
#include "stack/wire.h"

#include <errno.h>
#include <lwip/udp.h>
#include <string.h>

#define DEFAULT_TTL 64

/* lwIP hands the payload over here; it is delivered once lwIP is left. */
static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p,
			const ip_addr_t *addr, u16_t port)
{
	struct pbuf **ret = arg;

	*ret = p;
}

void dgram_input(struct engine *e, const struct packet *p,
		 void (*deliver)(void *arg, const struct dgram *d), void *arg)
{
	const struct wire_udp *h = (const void *)p->l4;
	struct dgram d = {
		.src = {p->src, get16(h->sport)},
		.dst = {p->dst, get16(h->dport)},
		.ttl = p->ttl,
		.tos = p->tos,
		.dont_fragment = p->dont_fragment,
	};
	struct pbuf *got = NULL;

	engine_enter(e, NULL, 0);
	engine_set_packet(e, &p->src, &p->dst);
	e->udp->local_port = d.dst.port;
	udp_recv(e->udp, on_datagram, &got);
	udp_pcbs = e->udp;
	udp_input(engine_pbuf(p->chunk, p->l4, p->l4_len), &e->nif);
	udp_pcbs = NULL;
	engine_leave(e, NULL);
	if (!got)
		return;
	d.payload = got->payload;
	d.len = got->tot_len;
	deliver(arg, &d);
	pbuf_free(got);
}

/* An IPv6 datagram that does not fit, with its headers, into lwIP's 16-bit
 * lengths. */
static int send_past_lwip(struct engine *e, const struct dgram *d, uint8_t ttl)
{
	struct wire_udp h = {0};
	struct iovec iov[2] = {{&h, sizeof(h)}};
	struct packet_out out = {&d->src.addr, &d->dst.addr, WIRE_PROTO_UDP,
				 ttl, d->tos};
	uint16_t csum;

	memcpy(&iov[1].iov_base, &d->payload, sizeof(iov[1].iov_base));
	iov[1].iov_len = d->len;
	put16(h.sport, d->src.port);
	put16(h.dport, d->dst.port);
	put16(h.len, (uint16_t)(sizeof(h) + d->len));
	csum = packet_csum(out.src, out.dst, out.proto, iov, 2);
	put16(h.csum, csum ? csum : 0xffff);
	return packet_send(e->packets, &out, iov, 2);
}

int dgram_send(struct engine *e, const struct dgram *d)
{
	ip_addr_t src = engine_addr(&d->src.addr);
	ip_addr_t dst = engine_addr(&d->dst.addr);
	size_t headers = sizeof(struct wire_udp) +
			 (addr_is_v4(&d->src.addr) ? sizeof(struct wire_ip4)
						   : sizeof(struct wire_ip6));
	uint8_t ttl = d->ttl ? d->ttl : DEFAULT_TTL;
	struct pbuf *p;
	err_t err;

	if (d->src.port == 0) /* lwIP would choose one */
		return -EINVAL;
	if (d->len + headers > UINT16_MAX) {
		if (addr_is_v4(&d->src.addr) ||
		    d->len + sizeof(struct wire_udp) > UINT16_MAX)
			return -EMSGSIZE;
		return send_past_lwip(e, d, ttl);
	}
	p = pbuf_alloc(PBUF_RAW, (u16_t)d->len, PBUF_REF);
	if (!p)
		return -ENOMEM;
	memcpy(&p->payload, &d->payload, sizeof(p->payload));
	e->udp->local_port = d->src.port;
	e->udp->ttl = ttl;
	e->udp->tos = d->tos;
	engine_enter(e, NULL, 0);
	err = udp_sendto_if_src(e->udp, p, &dst, d->dst.port, &e->nif, &src);
	engine_leave(e, NULL);
	pbuf_free(p);
	return err == ERR_OK ? 0 : -EIO;
}
