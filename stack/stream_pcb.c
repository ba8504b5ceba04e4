/* What lwIP tells about a stream's PCB. Nothing of the owner's is called from
 * here: notes are taken, and streams_flush() acts on them. */
#include "stack/stream_impl.h"

#include <errno.h>
#include <lwip/priv/tcp_priv.h>
#include <string.h>

#define CREDIT_START  (256u << 10) /* window after the handshake */
#define UNSCALED_UNIT (16u << 10)  /* a window of 64 KiB wants several */

static void drop_chunks(struct chunk **head, struct chunk **tail)
{
	while (*head) {
		struct chunk *c = *head;

		*head = c->next;
		chunk_put(c);
	}
	*tail = NULL;
}

/* Takes up the bytes of one pbuf: a large one by its chunk, a small one by
 * copying it behind what waits already. False without memory. */
static bool take_in(struct stream *s, struct pbuf *p)
{
	struct chunk *c = engine_pbuf_chunk(p);
	struct chunk *tail = s->in_tail;
	size_t used = tail ? tail->off + tail->len : 0;

	if (c && p->len > (tail ? CHUNK_ROOM / 2 : CHUNK_ROOM_SMALL)) {
		chunk_ref(c);
		c->off = (uint32_t)((uint8_t *)p->payload - c->data);
		c->len = p->len;
		stream_append(&s->in_head, &s->in_tail, c);
		return true;
	}
	if (!tail || tail->room - used < p->len) {
		tail = chunk_new_beyond(s->streams->pool,
					s->in_tail ? CHUNK_ROOM : p->len);
		if (!tail)
			return false;
		stream_append(&s->in_head, &s->in_tail, tail);
		used = 0;
	}
	memcpy(tail->data + used, p->payload, p->len);
	tail->len += p->len;
	return true;
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct stream *s = arg;
	bool taken = true;

	if (!p)
		s->in_fin = true;
	for (struct pbuf *q = p; q && taken; q = q->next) {
		taken = q->len == 0 || take_in(s, q);
		if (taken)
			s->in_len += q->len;
	}
	if (p)
		pbuf_free(p);
	s->tell_readable = true;
	streams_mark(s);
	if (!taken) {
		/* Acknowledged bytes are lost: the connection is. */
		s->err = -ECONNABORTED;
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	/* One ACK a burst, by stream_tell(). */
	if (pcb->flags & TF_ACK_NOW) {
		tcp_clear_flags(pcb, TF_ACK_NOW);
		tcp_set_flags(pcb, TF_ACK_DELAY);
	}
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct stream *s = arg;
	uint32_t left = len;

	while (left > 0 && s->out_head) {
		struct chunk *c = s->out_head;
		uint32_t n = left < c->len ? left : c->len;

		c->off += n;
		c->len -= n;
		left -= n;
		if (c->len > 0)
			break;
		s->out_head = c->next;
		if (!s->out_head)
			s->out_tail = NULL;
		chunk_put(c);
	}
	return ERR_OK;
}

static void on_err(void *arg, err_t err)
{
	struct stream *s = arg;

	if (err == ERR_CLSD) /* both FINs acknowledged */
		return;
	if (s->err == 0 && err == ERR_RST)
		s->err = s->state == STREAM_OPENING ? -ECONNREFUSED
						    : -ECONNRESET;
	else if (s->err == 0)
		s->err = -ETIMEDOUT;
	if (s->state == STREAM_ANSWERED || s->state == STREAM_OPENING ||
	    s->state == STREAM_OPEN)
		stream_set_state(s, STREAM_FAILED);
	else if (s->state == STREAM_LINGERING)
		stream_set_state(s, STREAM_DEAD);
}

static void adopt(struct stream *s, struct tcp_pcb *pcb)
{
	u8_t id = engine_ext_id();

	s->pcb = pcb;
	tcp_arg(pcb, s);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_err);
	tcp_nagle_disable(pcb);
	tcp_ext_arg_set(pcb, id, s);
	tcp_ext_arg_set_callbacks(pcb, id, &stream_pcb_births);
}

/* A PCB was born from the SYN that stream_accept() replayed. */
static err_t on_birth(u8_t id, struct tcp_pcb_listen *lpcb, struct tcp_pcb *pcb)
{
	adopt(lpcb->callback_arg, pcb);
	return ERR_OK;
}

static void on_death(u8_t id, void *data)
{
	struct stream *s = data;

	if (!s)
		return; /* the listener */
	s->pcb = NULL;
	drop_chunks(&s->out_head, &s->out_tail);
	streams_unhash(s);
	if (s->state == STREAM_LINGERING)
		stream_set_state(s, STREAM_DEAD);
}

const struct tcp_ext_arg_callbacks stream_pcb_births = {
	.destroy = on_death,
	.passive_open = on_birth,
};

/* Frames as large as they get: the container's segment times what fits into
 * a super-frame. Without window scaling its window is no larger than that. */
static u16_t unit_for(const struct stream *s)
{
	uint16_t max =
		s->pcb->flags & TF_WND_SCALE ? ENGINE_UNIT_MAX : UNSCALED_UNIT;

	if (!s->streams->config.offload || s->segment >= max)
		return s->segment < max ? s->segment : max;
	return (u16_t)(max / s->segment * s->segment);
}

/* The handshake is done, whoever began it. */
static void established(struct stream *s)
{
	struct tcp_pcb *pcb = s->pcb;
	size_t limit = s->streams->config.flow_limit;

	s->segment = pcb->mss;
	pcb->mss = unit_for(s);
	/* lwIP cuts segments to half the largest window it has seen. That must
	 * neither be bytes nor shrink, as it does after a window of zero. */
	if (pcb->snd_wnd_max < 2u * s->segment)
		pcb->snd_wnd_max = 2u * s->segment;
	s->credit = limit < CREDIT_START ? limit : CREDIT_START;
	if (pcb->rcv_wnd > s->credit) {
		/* Our SYN could not say more than 65535. */
		pcb->rcv_wnd = pcb->rcv_ann_wnd = (tcpwnd_size_t)s->credit;
		pcb->rcv_ann_right_edge = pcb->rcv_nxt + UINT16_MAX;
	}
	stream_set_state(s, STREAM_OPEN);
	s->tell_opened = true;
	streams_mark(s);
}

err_t stream_pcb_on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	if (pcb) /* stream_accept() sees that nothing was born */
		established(arg);
	return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	/* Left over from the SYN: a recovery would hold back the first bytes,
	 * and the measurement of the round trip would go on until there are
	 * some. */
	tcp_clear_flags(pcb, TF_RTO);
	pcb->nrtx = 0;
	pcb->rto = ENGINE_RTO_FIRST;
	pcb->rttest = 0;
	established(arg);
	return ERR_OK;
}

int stream_pcb_connect(struct stream *s, const uint32_t *above)
{
	struct engine *e = s->streams->engine;
	struct tcp_pcb *pcb = tcp_new_ip_type(
		addr_is_v4(&s->remote.addr) ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6);
	int err;

	if (!pcb)
		return -ENOMEM;
	adopt(s, pcb);
	engine_enter(e, NULL, 0);
	err = engine_connect(e, pcb, &s->remote, &s->container, above,
			     on_connected);
	streams_leave(s);
	if (err < 0) {
		tcp_err(pcb, NULL);
		tcp_abort(pcb); /* silently: nothing was sent */
	}
	return err;
}
