/* One connection: the owner's calls. What lwIP tells comes in by stream_pcb.c.
 *
 * Bytes from the container wait in a queue of chunks (stream_peek(),
 * stream_consume()) and hold the window shut until the host has them. Bytes to
 * it stay in their chunks, which lwIP references, until acknowledged. */
#include "stack/stream.h"

#include "stack/icmpmsg.h"
#include "stack/stream_impl.h"
#include "stack/wire.h"

#include <assert.h>
#include <errno.h>
#include <lwip/priv/tcp_priv.h>
#include <stdlib.h>
#include <string.h>

#define CREDIT_TIGHT  (64u << 10) /* window when memory is short */
#define QUEUE_RESERVE 8           /* pbufs left for what lwIP adds itself */
#define JOIN_BELOW    1024        /* writes this short share a chunk */

void stream_set_state(struct stream *s, enum stream_state to)
{
	static const uint8_t legal[] = {
		[STREAM_CONNECTING] = 1 << STREAM_ANSWERED |
				      1 << STREAM_FAILED | 1 << STREAM_DEAD,
		[STREAM_ANSWERED] = 1 << STREAM_OPEN | 1 << STREAM_FAILED |
				    1 << STREAM_DEAD,
		[STREAM_OPENING] = 1 << STREAM_OPEN | 1 << STREAM_FAILED |
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

void stream_append(struct chunk **head, struct chunk **tail, struct chunk *c)
{
	c->next = NULL;
	if (*tail)
		(*tail)->next = c;
	else
		*head = c;
	*tail = c;
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
	stream_append(&s->out_head, &s->out_tail, c);
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
