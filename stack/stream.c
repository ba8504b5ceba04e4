/* One connection: the owner's calls, and what lwIP tells about its PCB.
 *
 * Bytes from the container wait in a queue of chunks (on_recv(), stream_peek(),
 * stream_consume()) and hold the window shut until the host has them. Bytes to
 * it stay in their chunks, which lwIP references, until on_sent(). */
#include "stack/stream.h"

#include "stack/icmpmsg.h"
#include "stack/stream_impl.h"
#include "stack/wire.h"

#include <assert.h>
#include <errno.h>
#include <lwip/priv/tcp_priv.h>
#include <stdlib.h>
#include <string.h>

#define CREDIT_START  (256u << 10) /* window after the handshake */
#define CREDIT_TIGHT  (64u << 10)  /* and when memory is short */
#define UNSCALED_UNIT (16u << 10)  /* a window of 64 KiB wants several */
#define QUEUE_RESERVE 8            /* pbufs left for what lwIP adds itself */
#define JOIN_BELOW    1024         /* writes this short share a chunk */

void stream_set_state(struct stream *s, enum stream_state to)
{
	static const uint8_t legal[] = {
		[STREAM_CONNECTING] = 1 << STREAM_ANSWERED |
				      1 << STREAM_FAILED | 1 << STREAM_DEAD,
		[STREAM_ANSWERED] = 1 << STREAM_OPEN | 1 << STREAM_FAILED |
				    1 << STREAM_DEAD,
		[STREAM_OPEN] = 1 << STREAM_FAILED | 1 << STREAM_LINGERING |
				1 << STREAM_DEAD,
		[STREAM_FAILED] = 1 << STREAM_DEAD,
		[STREAM_LINGERING] = 1 << STREAM_DEAD,
		[STREAM_DEAD] = 0,
	};

	assert(legal[s->state] & 1 << to);
	s->state = to;
	if (to == STREAM_FAILED || to == STREAM_DEAD) {
		streams_unhash(s);
		streams_mark(s);
	}
}

const struct endpoint *stream_container(const struct stream *s)
{
	return &s->container;
}

const struct endpoint *stream_remote(const struct stream *s)
{
	return &s->remote;
}

void stream_attach(struct stream *s, struct stream_user *u)
{
	s->user = u;
}

/* What lwIP tells. Nothing is called from here; notes are taken. */

static void drop_chunks(struct chunk **head, struct chunk **tail)
{
	while (*head) {
		struct chunk *c = *head;

		*head = c->next;
		chunk_put(c);
	}
	*tail = NULL;
}

static void append_chunk(struct chunk **head, struct chunk **tail,
			 struct chunk *c)
{
	c->next = NULL;
	if (*tail)
		(*tail)->next = c;
	else
		*head = c;
	*tail = c;
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
		append_chunk(&s->in_head, &s->in_tail, c);
		return true;
	}
	if (!tail || tail->room - used < p->len) {
		tail = chunk_new_beyond(s->streams->pool,
					s->in_tail ? CHUNK_ROOM : p->len);
		if (!tail)
			return false;
		append_chunk(&s->in_head, &s->in_tail, tail);
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
	if (s->err == 0)
		s->err = err == ERR_RST ? -ECONNRESET : -ETIMEDOUT;
	if (s->state == STREAM_ANSWERED || s->state == STREAM_OPEN)
		stream_set_state(s, STREAM_FAILED);
	else if (s->state == STREAM_LINGERING)
		stream_set_state(s, STREAM_DEAD);
}

/* A PCB was born from the SYN that stream_accept() replayed. */
static err_t on_birth(u8_t id, struct tcp_pcb_listen *lpcb, struct tcp_pcb *pcb)
{
	struct stream *s = lpcb->callback_arg;

	s->pcb = pcb;
	tcp_arg(pcb, s);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_err);
	tcp_nagle_disable(pcb);
	tcp_ext_arg_set(pcb, id, s);
	tcp_ext_arg_set_callbacks(pcb, id, &stream_births);
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

const struct tcp_ext_arg_callbacks stream_births = {
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

err_t stream_on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct stream *s = arg;
	size_t limit = s->streams->config.flow_limit;

	if (!pcb)
		return ERR_OK; /* stream_accept() sees that nothing was born */
	s->segment = pcb->mss;
	pcb->mss = unit_for(s);
	/* lwIP cuts segments to half the largest window it has seen. That must
	 * neither be bytes nor shrink, as it does after a window of zero. */
	if (pcb->snd_wnd_max < 2u * s->segment)
		pcb->snd_wnd_max = 2u * s->segment;
	s->credit = limit < CREDIT_START ? limit : CREDIT_START;
	if (pcb->rcv_wnd > s->credit) {
		/* The SYN-ACK could not say more than 65535. */
		pcb->rcv_wnd = pcb->rcv_ann_wnd = (tcpwnd_size_t)s->credit;
		pcb->rcv_ann_right_edge = pcb->rcv_nxt + UINT16_MAX;
	}
	stream_set_state(s, STREAM_OPEN);
	s->tell_opened = true;
	streams_mark(s);
	return ERR_OK;
}

static void tell_owner(struct stream *s, struct stream_user *u)
{
	if (s->state == STREAM_FAILED) {
		stream_set_state(s, STREAM_DEAD);
		u->events->closed(u, s->err);
	}
	if (s->state == STREAM_OPEN && s->tell_opened) {
		s->tell_opened = false;
		u->events->opened(u);
	}
	if (s->state == STREAM_OPEN && s->tell_readable) {
		s->tell_readable = false;
		u->events->readable(u);
	}
	if (s->state == STREAM_OPEN && s->starved && stream_room(s) > 0)
		u->events->writable(u);
}

/* What is due for one stream: it was taken off the dirty queue, and stays
 * marked while its owner is called so that it does not come back for nothing. */
void stream_tell(struct stream *s)
{
	struct stream_user *u = s->user;

	if (u)
		tell_owner(s, u);
	s->dirty = false;
	if (s->state == STREAM_DEAD) {
		streams_free(s);
		return;
	}
	if (s->pcb && (s->pcb->flags & (TF_ACK_DELAY | TF_ACK_NOW))) {
		streams_enter(s);
		tcp_ack_now(s->pcb);
		tcp_output(s->pcb);
		streams_leave(s);
	}
	if (s->state == STREAM_FAILED)
		streams_mark(s);
}

/* The owner's calls. */

void stream_accept(struct stream *s)
{
	struct engine *e = s->streams->engine;
	int err;

	assert(s->state == STREAM_CONNECTING);
	stream_set_state(s, STREAM_ANSWERED);
	engine_enter(e, NULL, 0);
	err = engine_replay_syn(e, &s->container.addr, &s->remote.addr, s->syn,
				s->syn_len, s);
	streams_leave(s);
	free(s->syn);
	s->syn = NULL;
	if (!s->pcb && s->state == STREAM_ANSWERED) {
		s->err = err ? err : -ECONNABORTED;
		stream_set_state(s, STREAM_FAILED);
	}
}

static void send_refusal(struct stream *s)
{
	const struct wire_tcp *syn = (const void *)s->syn;
	struct engine *e = s->streams->engine;
	ip_addr_t local = engine_addr(&s->remote.addr);
	ip_addr_t remote = engine_addr(&s->container.addr);

	engine_enter(e, NULL, 0);
	tcp_rst_netif(&e->nif, 0, get32(syn->seq) + 1, &local, &remote,
		      s->remote.port, s->container.port);
	engine_leave(e, NULL);
}

void stream_refuse(struct stream *s, int err)
{
	struct icmpmsg_error e = {0};

	assert(s->state == STREAM_CONNECTING);
	switch (err) {
	case ETIMEDOUT:
		break;
	case ENETUNREACH:
	case ENETDOWN:
	case EAFNOSUPPORT:
	case EADDRNOTAVAIL:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case EACCES:
	case EPERM:
		e.why = icmpmsg_why_from_errno(err);
		icmpmsg_send_error(s->streams->packets, &e, &s->container.addr,
				   &s->remote.addr, WIRE_PROTO_TCP, s->syn,
				   s->syn_len);
		break;
	default:
		send_refusal(s);
	}
	s->user = NULL;
	stream_set_state(s, STREAM_DEAD);
}

int stream_peek(struct stream *s, struct iovec *iov, int max, size_t *ret_len)
{
	int n = 0;

	*ret_len = 0;
	for (struct chunk *c = s->in_head; c && n < max; c = c->next) {
		iov[n++] = (struct iovec){c->data + c->off, c->len};
		*ret_len += c->len;
	}
	return n;
}

/* As far as the window may reach now beyond what waits here. */
static void open_window(struct stream *s)
{
	struct tcp_pcb *pcb = s->pcb;
	size_t limit = s->streams->config.flow_limit;
	bool pressed = chunk_pool_pressed(s->streams->pool);
	size_t allowed;

	if (s->grown_at >= s->credit && !pressed && s->credit < limit) {
		s->credit = s->credit * 2 < limit ? s->credit * 2 : limit;
		s->grown_at = 0;
	}
	allowed =
		pressed && s->credit > CREDIT_TIGHT ? CREDIT_TIGHT : s->credit;
	if (!(pcb->flags & TF_WND_SCALE) && allowed > UINT16_MAX)
		allowed = UINT16_MAX;
	/* An announced edge never moves back (RFC 9293 3.8.6). */
	if (allowed < s->in_len + pcb->rcv_wnd)
		return;
	pcb->rcv_wnd = (tcpwnd_size_t)(allowed - s->in_len);
	/* tcp_update_rcv_ann_wnd() would wait for a whole unit, which may be all
	 * of a small window. */
	if (pcb->rcv_nxt + pcb->rcv_wnd - pcb->rcv_ann_right_edge >=
	    TCP_WND_UPDATE_THRESHOLD) {
		pcb->rcv_ann_wnd = pcb->rcv_wnd;
		tcp_ack_now(pcb);
		streams_mark(s);
	}
}

void stream_consume(struct stream *s, size_t len)
{
	assert(len <= s->in_len);
	s->in_len -= len;
	s->grown_at += len;
	while (len > 0) {
		struct chunk *c = s->in_head;
		size_t n;

		assert(c);
		n = len < c->len ? len : c->len;
		c->off += (uint32_t)n;
		c->len -= (uint32_t)n;
		len -= n;
		if (c->len > 0)
			break;
		s->in_head = c->next;
		if (!s->in_head)
			s->in_tail = NULL;
		chunk_put(c);
	}
	if (s->pcb && s->state == STREAM_OPEN && !s->in_fin)
		open_window(s);
}

bool stream_in_eof(const struct stream *s)
{
	return s->in_fin && s->in_len == 0;
}

static size_t room(const struct stream *s)
{
	const struct tcp_pcb *pcb = s->pcb;
	size_t limit = s->streams->config.flow_limit;
	size_t queued, window, left;
	bool pressed;

	if (s->state != STREAM_OPEN || !pcb || s->out_fin ||
	    pcb->snd_queuelen > TCP_SND_QUEUELEN - QUEUE_RESERVE)
		return 0;
	queued = pcb->snd_lbb - pcb->lastack;
	/* Something must be queued for the persist timer to find out that a
	 * window has opened again if the update was lost (RFC 9293 3.8.6.1). */
	pressed = chunk_pool_pressed(s->streams->pool);
	if (queued == 0)
		return pressed && pcb->mss > CHUNK_ROOM_SMALL ? CHUNK_ROOM_SMALL
							      : pcb->mss;
	if (pressed)
		return 0;
	window = pcb->snd_wnd < limit ? pcb->snd_wnd : limit;
	if (window <= queued)
		return 0;
	/* No silly segments (RFC 9293 3.8.6.2.1): more will be acknowledged. */
	left = window - queued;
	return left >= pcb->mss || left >= window / 2 ? left : 0;
}

size_t stream_room(struct stream *s)
{
	size_t n = room(s);

	s->starved = n == 0;
	return n;
}

size_t stream_unit(const struct stream *s)
{
	return s->pcb ? s->pcb->mss : 0;
}

int stream_write(struct stream *s, struct chunk *c, size_t off, size_t len)
{
	struct chunk *tail = s->out_tail;
	size_t end = tail ? tail->off + tail->len : 0;
	bool join = tail && len <= JOIN_BELOW && tail->room - end >= len;
	uint8_t *at = join ? tail->data + end : c->data + off;

	assert(s->state == STREAM_OPEN && !s->out_fin);
	assert(len > 0 && len <= UINT16_MAX);
	if (join)
		memcpy(at, c->data + off, len);
	if (!s->pcb || tcp_write(s->pcb, at, (u16_t)len, 0) != ERR_OK)
		return -ENOMEM;
	if (join) {
		tail->len += (uint32_t)len;
		chunk_put(c);
		return 0;
	}
	c->off = (uint32_t)off;
	c->len = (uint32_t)len;
	append_chunk(&s->out_head, &s->out_tail, c);
	return 0;
}

void stream_flush(struct stream *s)
{
	if (!s->pcb)
		return;
	streams_enter(s);
	tcp_output(s->pcb);
	streams_leave(s);
}

void stream_shutdown(struct stream *s)
{
	s->out_fin = true;
	if (!s->pcb)
		return;
	streams_enter(s);
	engine_send_fin(s->pcb);
	streams_leave(s);
}

void stream_abort(struct stream *s)
{
	s->user = NULL;
	if (s->pcb)
		streams_abort_pcb(s);
	else if (s->state == STREAM_CONNECTING)
		send_refusal(s);
	stream_set_state(s, STREAM_DEAD);
}

void stream_release(struct stream *s)
{
	assert(s->out_fin && stream_in_eof(s));
	s->user = NULL;
	stream_set_state(s, s->pcb && s->state == STREAM_OPEN ? STREAM_LINGERING
							      : STREAM_DEAD);
}
