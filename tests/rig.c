#include "tests/rig.h"

#include "stack/container_of.h"
#include "stack/packet.h"
#include "stack/wire.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t guest_mac[WIRE_MAC_LEN] = {2, 0, 0, 0, 0, 100};
static const uint8_t our_mac[WIRE_MAC_LEN] = {0x52, 0x55, 0, 0, 0, 2};

static uint16_t find_mss(const uint8_t *opt, size_t len)
{
	while (len >= 4) {
		if (opt[0] == 2)
			return get16(opt + 2);
		len -= opt[0] == 1 ? 1 : opt[1];
		opt += opt[0] == 1 ? 1 : opt[1];
	}
	return 0;
}

static void keep_segment(struct rig *r, uint8_t *frame, size_t len,
			 const struct offload *off)
{
	bool v4 = get16(frame + 12) == WIRE_ETH_IPV4;
	uint8_t *ip = frame + WIRE_ETH_LEN;
	size_t ip_len = v4 ? 20 : 40;
	struct wire_tcp *t = (void *)(ip + ip_len);
	size_t header = (size_t)(t->doff >> 4) * 4;
	struct rig_segment *s;

	assert_true(r->sent_count < RIG_SENT_MAX);
	s = &r->sent[r->sent_count++];
	*s = (struct rig_segment){
		.src.port = get16(t->sport),
		.dst.port = get16(t->dport),
		.seq = get32(t->seq),
		.ack = get32(t->ack),
		.flags = t->flags,
		.wnd = get16(t->wnd),
		.mss = find_mss((uint8_t *)(t + 1), header - sizeof(*t)),
		.off = *off,
		.payload = (uint8_t *)t + header,
		.len = len - WIRE_ETH_LEN - ip_len - header,
		.frame = frame,
		.frame_len = len,
	};
	if (v4) {
		s->src.addr = addr_from_v4(get32(ip + 12));
		s->dst.addr = addr_from_v4(get32(ip + 16));
	} else {
		memcpy(&s->src.addr, ip + 8, 16);
		memcpy(&s->dst.addr, ip + 24, 16);
	}
}

static bool is_tcp(const uint8_t *frame)
{
	uint16_t type = get16(frame + 12);

	return (type == WIRE_ETH_IPV4 && frame[23] == WIRE_PROTO_TCP) ||
	       (type == WIRE_ETH_IPV6 && frame[20] == WIRE_PROTO_TCP);
}

static int put(struct frame_sink *sink, const struct frame *f)
{
	struct rig *r = container_of(sink, struct rig, sink);
	uint8_t *frame;
	size_t at = 0;

	r->put_count++;
	if (r->put_result < 0 || r->forget)
		return r->put_result;
	frame = malloc(f->len);
	for (int i = 0; i < f->iovcnt; i++) {
		memcpy(frame + at, f->iov[i].iov_base, f->iov[i].iov_len);
		at += f->iov[i].iov_len;
	}
	assert_int_equal(at, f->len);
	if (is_tcp(frame)) {
		keep_segment(r, frame, at, &f->off);
	} else {
		free(r->other);
		r->other = frame;
		r->other_len = at;
	}
	return 0;
}

static void on_opened(struct stream_user *u)
{
	container_of(u, struct rig_owner, user)->opened++;
}

static void on_readable(struct stream_user *u)
{
	struct rig_owner *o = container_of(u, struct rig_owner, user);
	struct iovec iov[16];
	size_t len;
	int n;

	o->readable++;
	while (!o->keep_bytes &&
	       (n = stream_peek(o->stream, iov, 16, &len)) > 0) {
		for (int i = 0; i < n; i++) {
			const uint8_t *p = iov[i].iov_base;

			for (size_t k = 0; k < iov[i].iov_len; k++)
				o->sum = o->sum * 31 + p[k];
		}
		o->got += len;
		stream_consume(o->stream, len);
	}
}

static void on_writable(struct stream_user *u)
{
	container_of(u, struct rig_owner, user)->writable++;
}

static void on_closed(struct stream_user *u, int err)
{
	struct rig_owner *o = container_of(u, struct rig_owner, user);

	o->closed++;
	o->err = err;
	o->stream = NULL;
}

static const struct stream_events events = {on_opened, on_readable, on_writable,
					    on_closed};

static void tcp_open(struct stack_host *h, struct stream *s)
{
	struct rig *r = container_of(h, struct rig, host);

	r->opens++;
	r->last_open = s;
	if (r->next_owner) {
		r->next_owner->user.events = &events;
		r->next_owner->stream = s;
		stream_attach(s, &r->next_owner->user);
		r->next_owner = NULL;
	}
}

static void udp_input(struct stack_host *h, const struct dgram *d)
{
	struct rig *r = container_of(h, struct rig, host);

	r->dgrams++;
	r->last_dgram = *d;
	r->last_dgram.payload = NULL;
}

static void echo_input(struct stack_host *h, const struct icmpmsg_echo *e)
{
}

static void udp_unreachable(struct stack_host *h,
			    const struct endpoint *container,
			    const struct endpoint *remote)
{
	struct rig *r = container_of(h, struct rig, host);

	r->unreachables++;
	r->lost_container = *container;
	r->lost_remote = *remote;
}

struct rig *rig_new_with(const struct rig_options *o)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct stack_config config = {
		.plan = plan_make(addr_from_v4(0x0a000200), 24, o->mtu,
				  our_mac),
		.offload = o->offload,
		.flow_limit = o->flow_limit,
		.memory_limit = o->memory_limit,
		.max_streams = o->max_streams ? o->max_streams : 100000,
		.seed = {1, 2},
	};

	if (o->plan)
		config.plan = *o->plan;
	if (o->peer)
		memcpy(config.peer, o->peer, sizeof(config.peer));
	r->plan = config.plan;
	r->sink.put = put;
	r->host = (struct stack_host){.tcp_open = tcp_open,
				      .udp_input = udp_input,
				      .echo_input = echo_input,
				      .udp_unreachable = udp_unreachable};
	r->now = 1000 * NSEC_PER_SEC;
	r->st = stack_new(&config, &r->sink, &r->host, r->now);
	assert_non_null(r->st);
	rig_advance(r, 0); /* the router's announcement of itself */
	return r;
}

struct rig *rig_new(void)
{
	return rig_new_with(&(struct rig_options){.offload = true,
						  .mtu = RIG_MTU,
						  .flow_limit = 1u << 20,
						  .memory_limit = 64u << 20});
}

void rig_drain(struct rig *r)
{
	for (size_t i = 0; i < r->sent_count; i++)
		free(r->sent[i].frame);
	r->sent_count = r->sent_next = 0;
}

void rig_free(struct rig *r)
{
	stack_free(r->st);
	rig_drain(r);
	free(r->other);
	free(r);
}

int rig_setup(void **state)
{
	*state = rig_new();
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *r = *state;

	rig_advance(r, 5 * NSEC_PER_SEC);
	assert_int_equal(stack_streams(r->st), 0);
	assert_int_equal(stack_pool(r->st)->in_use, 0);
	rig_free(r);
	return 0;
}

void rig_advance(struct rig *r, nsec_t span)
{
	nsec_t end = r->now + span;

	stack_flush(r->st);
	while (stack_deadline(r->st) <= end) {
		nsec_t at = stack_deadline(r->st);

		r->now = at > r->now ? at : r->now;
		stack_set_time(r->st, r->now);
		stack_tick(r->st);
		stack_flush(r->st);
	}
	r->now = end;
	stack_set_time(r->st, r->now);
}

struct rig_peer rig_peer(const char *host, uint16_t host_port, uint16_t port)
{
	struct rig_peer p = {
		.seq = 1000, .wnd = 0xffff, .mss = 1460, .scale = true};

	assert_int_equal(addr_parse(host, &p.remote.addr), 0);
	p.remote.port = host_port;
	assert_int_equal(addr_parse(addr_is_v4(&p.remote.addr) ? "10.0.2.100"
							       : "fd00::64",
				    &p.self.addr),
			 0);
	p.self.port = port;
	return p;
}

void rig_inject(struct rig *r, const void *frame, size_t len,
		const struct offload *off)
{
	struct offload none = {0};
	struct chunk *c = chunk_new_beyond(stack_pool(r->st), CHUNK_ROOM);

	memcpy(c->data + 2, frame, len);
	stack_set_time(r->st, r->now);
	stack_input(r->st, c, 2, len, off ? off : &none);
	chunk_put(c);
}

static size_t put_ip(uint8_t *at, const struct rig_peer *p, size_t l4_len)
{
	if (addr_is_v4(&p->self.addr)) {
		struct wire_ip4 h = {
			.ver_ihl = 0x45, .ttl = 64, .proto = WIRE_PROTO_TCP};

		put16(h.tot_len, (uint16_t)(sizeof(h) + l4_len));
		put16(h.frag, WIRE_IP4_DF);
		put32(h.src, addr_v4(&p->self.addr));
		put32(h.dst, addr_v4(&p->remote.addr));
		put16(h.csum, csum_fold(csum_add(0, &h, sizeof(h))));
		memcpy(at, &h, sizeof(h));
		return sizeof(h);
	} else {
		struct wire_ip6 h = {.ver_tc_flow = {0x60},
				     .next = WIRE_PROTO_TCP,
				     .hop_limit = 64};

		put16(h.payload_len, (uint16_t)l4_len);
		memcpy(h.src, &p->self.addr, 16);
		memcpy(h.dst, &p->remote.addr, 16);
		memcpy(at, &h, sizeof(h));
		return sizeof(h);
	}
}

void rig_send_raw(struct rig *r, const struct rig_peer *p, uint8_t flags,
		  int32_t seq_off, const void *opts, size_t opts_len,
		  const void *payload, size_t len)
{
	static uint8_t frame[WIRE_ETH_LEN + 40 + 65535];
	bool v4 = addr_is_v4(&p->self.addr);
	size_t l4_len = sizeof(struct wire_tcp) + opts_len + len;
	struct offload off = {.csum_partial = true, .csum_offset = 16};
	struct wire_tcp t = {.doff = (uint8_t)((5 + opts_len / 4) << 4),
			     .flags = flags};
	size_t at = WIRE_ETH_LEN;

	memcpy(frame, our_mac, WIRE_MAC_LEN);
	memcpy(frame + 6, guest_mac, WIRE_MAC_LEN);
	put16(frame + 12, v4 ? WIRE_ETH_IPV4 : WIRE_ETH_IPV6);
	at += put_ip(frame + at, p, l4_len);
	off.csum_start = (uint16_t)at;
	put16(t.sport, p->self.port);
	put16(t.dport, p->remote.port);
	put32(t.seq, p->seq + (uint32_t)seq_off);
	put32(t.ack, flags & WIRE_TCP_ACK ? p->ack : 0);
	put16(t.wnd, p->wnd);
	memcpy(frame + at, &t, sizeof(t));
	at += sizeof(t);
	if (opts_len > 0)
		memcpy(frame + at, opts, opts_len);
	at += opts_len;
	if (len > 0)
		memcpy(frame + at, payload, len);
	rig_inject(r, frame, at + len, &off);
}

void rig_send(struct rig *r, const struct rig_peer *p, uint8_t flags,
	      const void *payload, size_t len)
{
	uint8_t opts[8];
	size_t n = 0;

	if (flags & WIRE_TCP_SYN && p->mss) {
		uint8_t mss[4] = {2, 4};

		put16(mss + 2, p->mss);
		memcpy(opts, mss, 4);
		n = 4;
	}
	if (flags & WIRE_TCP_SYN && p->scale) {
		uint8_t scale[4] = {1, 3, 3, RIG_WSCALE};

		memcpy(opts + n, scale, 4);
		n += 4;
	}
	rig_send_raw(r, p, flags, 0, opts, n, payload, len);
	stack_flush(r->st);
}

struct rig_segment *rig_take(struct rig *r)
{
	return r->sent_next < r->sent_count ? &r->sent[r->sent_next++] : NULL;
}

void rig_open(struct rig *r, struct rig_peer *p, struct rig_owner *o)
{
	struct rig_segment *s;

	rig_drain(r);
	r->next_owner = o;
	rig_send(r, p, WIRE_TCP_SYN, NULL, 0);
	assert_non_null(o->stream);
	stream_accept(o->stream);
	stack_flush(r->st);
	s = rig_take(r);
	assert_non_null(s);
	assert_int_equal(s->flags, WIRE_TCP_SYN | WIRE_TCP_ACK);
	assert_int_equal(s->ack, p->seq + 1);
	p->seq++;
	p->ack = s->seq + 1;
	rig_send(r, p, WIRE_TCP_ACK, NULL, 0);
	assert_int_equal(o->opened, 1);
	rig_drain(r);
}

int rig_connect(struct rig *r, struct rig_peer *p, struct rig_owner *o)
{
	o->user.events = &events;
	return stack_tcp_connect(r->st, &p->self, &p->remote, &o->user,
				 &o->stream);
}

struct rig_segment *rig_take_syn(struct rig *r, struct rig_peer *p)
{
	struct rig_segment *s = rig_take(r);

	assert_non_null(s);
	assert_int_equal(s->flags, WIRE_TCP_SYN);
	p->ack = s->seq + 1;
	return s;
}

void rig_open_inbound(struct rig *r, struct rig_peer *p, struct rig_owner *o)
{
	struct rig_segment *s;

	rig_drain(r);
	assert_int_equal(rig_connect(r, p, o), 0);
	rig_take_syn(r, p);
	rig_send(r, p, WIRE_TCP_SYN | WIRE_TCP_ACK, NULL, 0);
	p->seq++;
	s = rig_take(r);
	assert_non_null(s);
	assert_int_equal(s->flags, WIRE_TCP_ACK);
	assert_int_equal(s->seq, p->ack);
	assert_int_equal(s->ack, p->seq);
	assert_int_equal(o->opened, 1);
	rig_drain(r);
}

void rig_write(struct rig *r, struct rig_owner *o, size_t len)
{
	while (len > 0) {
		struct chunk *c = chunk_new_beyond(stack_pool(r->st), len);
		size_t room = stream_room(o->stream);
		size_t n = len;

		if (n > stream_unit(o->stream))
			n = stream_unit(o->stream);
		assert_true(room > 0);
		if (n > room)
			n = room;
		for (size_t i = 0; i < n; i++)
			c->data[i] = (uint8_t)i;
		assert_int_equal(stream_write(o->stream, c, 0, n), 0);
		len -= n;
	}
	stream_flush(o->stream);
}

size_t rig_ack_all(struct rig *r, struct rig_peer *p)
{
	struct rig_segment *s;
	size_t got = 0;
	bool any = false;

	while ((s = rig_take(r))) {
		uint32_t end = s->seq + (uint32_t)s->len +
			       !!(s->flags & (WIRE_TCP_FIN | WIRE_TCP_SYN));

		if (!endpoint_equal(&s->src, &p->remote) ||
		    !endpoint_equal(&s->dst, &p->self))
			continue;
		got += s->len;
		if ((int32_t)(end - p->ack) > 0) {
			p->ack = end;
			any = true;
		}
	}
	if (any)
		rig_send(r, p, WIRE_TCP_ACK, NULL, 0);
	return got;
}

void rig_shut_window(struct rig *r, struct rig_peer *p)
{
	p->wnd = 0;
	rig_send(r, p, WIRE_TCP_ACK, "z", 1);
	p->seq++;
	rig_send(r, p, WIRE_TCP_ACK, NULL, 0);
	rig_drain(r);
}

void rig_close(struct rig *r, struct rig_peer *p, struct rig_owner *o)
{
	rig_send(r, p, WIRE_TCP_FIN | WIRE_TCP_ACK, NULL, 0);
	p->seq++;
	assert_true(stream_in_eof(o->stream));
	stream_shutdown(o->stream);
	rig_ack_all(r, p);
	stream_release(o->stream);
	o->stream = NULL;
	stack_flush(r->st);
}
