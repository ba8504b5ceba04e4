/* lwIP and what surrounds it, between a hostile container and an owner that
 * keeps to the contract of stack/stream.h. The input is a sequence of acts, each
 * of four bytes: what, on which connection, and two of detail. Segments are
 * told relative to what the connection has come to, since by chance a fuzzer
 * would never hit a sequence number. */
#include "stack/container_of.h"
#include "stack/stack.h"
#include "stack/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TALKS     8
#define HOARD_MAX 24
#define FRAME_MAX (WIRE_ETH_LEN + 40 + 20 + 40 + 65535)

static const uint8_t gateway_mac[WIRE_MAC_LEN] = {0x52, 0x55, 10, 0, 2, 2};
static const uint8_t guest_mac[WIRE_MAC_LEN] = {2, 0, 0, 0, 0, 1};

/* A connection, both ends of it. */
struct talk {
	struct world *w;
	struct stream_user user;
	struct stream *stream; /* NULL: none */
	struct endpoint container, remote;
	bool pending, opened, shut;
	uint8_t mood;      /* what the owner does when it is called */
	uint32_t seq, ack; /* of the container: what the stack expects next,
			    * and what it has sent */
};

struct world {
	struct stack_host host;
	struct frame_sink sink;
	struct stack *st;
	struct plan plan;
	nsec_t now;
	bool tap_full;
	struct talk talks[TALKS];
	struct chunk *hoard[HOARD_MAX];
	unsigned hoarded;
};

enum act {
	ACT_CONNECT,
	ACT_SYN,
	ACT_ANSWER,
	ACT_SEGMENT,
	ACT_BYTES,
	ACT_OPTIONS,
	ACT_ICMP,
	ACT_ACCEPT,
	ACT_REFUSE,
	ACT_WRITE,
	ACT_CONSUME,
	ACT_SHUTDOWN,
	ACT_RELEASE,
	ACT_ABORT,
	ACT_MOOD,
	ACT_TIME,
	ACT_HOARD,
	ACT_TAP,
	ACTS
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The container's view of what the stack sends. */

static struct talk *talk_of_ports(struct world *w, uint16_t container,
				  uint16_t remote)
{
	for (int i = 0; i < TALKS; i++) {
		if (w->talks[i].container.port == container &&
		    w->talks[i].remote.port == remote)
			return &w->talks[i];
	}
	return NULL;
}

static int put(struct frame_sink *sink, const struct frame *f)
{
	static uint8_t flat[FRAME_MAX];
	struct world *w = container_of(sink, struct world, sink);
	size_t at = 0, ip;
	struct wire_tcp *h;
	struct talk *t;

	assert(f->len <= sizeof(flat));
	for (int i = 0; i < f->iovcnt; i++) {
		memcpy(flat + at, f->iov[i].iov_base, f->iov[i].iov_len);
		at += f->iov[i].iov_len;
	}
	assert(at == f->len);
	ip = get16(flat + 12) == WIRE_ETH_IPV4 ? 20 : 40;
	if (w->tap_full)
		return -EAGAIN;
	if (flat[WIRE_ETH_LEN + (ip == 20 ? 9 : 6)] != WIRE_PROTO_TCP)
		return 0;
	h = (void *)(flat + WIRE_ETH_LEN + ip);
	t = talk_of_ports(w, get16(h->dport), get16(h->sport));
	assert(t);
	if (h->flags & WIRE_TCP_RST)
		return 0;
	t->ack = get32(h->seq) +
		 (uint32_t)(at - WIRE_ETH_LEN - ip -
			    (size_t)(h->doff >> 4) * 4) +
		 !!(h->flags & (WIRE_TCP_SYN | WIRE_TCP_FIN));
	if (h->flags & WIRE_TCP_ACK)
		t->seq = get32(h->ack);
	return 0;
}

/* The owner. */

static void consume(struct talk *t, unsigned share)
{
	struct iovec iov[4];
	size_t len;

	if (!t->stream)
		return;
	stream_peek(t->stream, iov, 4, &len);
	stream_consume(t->stream, len * share / 255);
}

static void write_some(struct talk *t, size_t want)
{
	struct chunk *c;
	size_t room;

	if (!t->stream || !t->opened || t->shut)
		return;
	room = stream_room(t->stream);
	want = want < room ? want : room;
	if (want == 0)
		return;
	want = want < UINT16_MAX ? want : UINT16_MAX;
	c = chunk_new_beyond(stack_pool(t->w->st), want);
	memset(c->data, 'x', want);
	if (stream_write(t->stream, c, 0, want) < 0)
		chunk_put(c);
	stream_flush(t->stream);
}

static void shut(struct talk *t)
{
	if (!t->stream || !t->opened || t->shut)
		return;
	t->shut = true;
	stream_shutdown(t->stream);
}

static void let_go(struct talk *t)
{
	if (!t->stream || !t->shut || !stream_in_eof(t->stream))
		return;
	stream_release(t->stream);
	t->stream = NULL;
}

static void abort_it(struct talk *t)
{
	if (t->stream)
		stream_abort(t->stream);
	t->stream = NULL;
}

static void react(struct stream_user *u)
{
	struct talk *t = container_of(u, struct talk, user);

	if (t->mood & 1)
		consume(t, t->mood);
	if (t->mood & 2)
		write_some(t, (size_t)t->mood * 300);
	if (t->mood & 4)
		shut(t);
	if (t->mood & 8)
		let_go(t);
	if (t->mood & 16)
		abort_it(t);
}

static void on_opened(struct stream_user *u)
{
	struct talk *t = container_of(u, struct talk, user);

	assert(!t->opened);
	t->opened = true;
	react(u);
}

static void on_ready(struct stream_user *u)
{
	assert(container_of(u, struct talk, user)->opened);
	react(u);
}

static void on_closed(struct stream_user *u, int err)
{
	struct talk *t = container_of(u, struct talk, user);

	assert(err < 0);
	consume(t, 255);
	t->stream = NULL;
}

static const struct stream_events events = {on_opened, on_ready, on_ready,
					    on_closed};

static void begin(struct talk *t, struct stream *s, bool pending)
{
	t->stream = s;
	t->pending = pending;
	t->opened = t->shut = false;
}

static void on_tcp(struct stack_host *h, struct stream *s)
{
	struct world *w = container_of(h, struct world, host);
	struct talk *t = talk_of_ports(w, stream_container(s)->port,
				       stream_remote(s)->port);

	/* The one before may be over for the container and not for its
	 * owner. */
	assert(t);
	if (t->stream) {
		stream_refuse(s, ECONNREFUSED);
		return;
	}
	stream_attach(s, &t->user);
	begin(t, s, true);
}

static void on_udp(struct stack_host *h, const struct dgram *d)
{
}

static void on_echo(struct stack_host *h, const struct icmpmsg_echo *e)
{
}

/* What the container sends. */

static size_t put_ip(uint8_t *at, const struct talk *t, bool to_container,
		     uint8_t proto, size_t len)
{
	const struct endpoint *src = to_container ? &t->remote : &t->container;
	const struct endpoint *dst = to_container ? &t->container : &t->remote;

	if (addr_is_v4(&src->addr)) {
		struct wire_ip4 h = {
			.ver_ihl = 0x45, .ttl = 64, .proto = proto};

		put16(h.tot_len, (uint16_t)(sizeof(h) + len));
		put32(h.src, addr_v4(&src->addr));
		put32(h.dst, addr_v4(&dst->addr));
		put16(h.csum, csum_fold(csum_add(0, &h, sizeof(h))));
		memcpy(at, &h, sizeof(h));
		return sizeof(h);
	} else {
		struct wire_ip6 h = {
			.ver_tc_flow = {0x60}, .next = proto, .hop_limit = 64};

		put16(h.payload_len, (uint16_t)len);
		memcpy(h.src, &src->addr, 16);
		memcpy(h.dst, &dst->addr, 16);
		memcpy(at, &h, sizeof(h));
		return sizeof(h);
	}
}

/* The frame ends where its chunk does: a read too far is seen. */
static void inject(struct talk *t, uint8_t proto, const void *l4, size_t len)
{
	struct chunk *c = chunk_new_beyond(stack_pool(t->w->st), CHUNK_ROOM);
	size_t ip = addr_is_v4(&t->remote.addr) ? 20 : 40;
	size_t start = c->room - len - ip - WIRE_ETH_LEN;
	struct offload off = {.csum_valid = true};
	uint8_t *at = c->data + start;

	memcpy(at, gateway_mac, WIRE_MAC_LEN);
	memcpy(at + 6, guest_mac, WIRE_MAC_LEN);
	put16(at + 12, ip == 20 ? WIRE_ETH_IPV4 : WIRE_ETH_IPV6);
	put_ip(at + WIRE_ETH_LEN, t, false, proto, len);
	memcpy(at + WIRE_ETH_LEN + ip, l4, len);
	stack_input(t->w->st, c, start, WIRE_ETH_LEN + ip + len, &off);
	chunk_put(c);
}

/* Near @base, or near the end of a window, or anywhere. */
static uint32_t near_to(uint32_t base, uint8_t how)
{
	static const int32_t steps[] = {
		0,    0,     1,     -1,    2,     -2,    536,    -536,
		1460, -1460, 65535, 65536, 65537, 10000, 262144, -2000000};

	return base + (uint32_t)steps[how % 16];
}

static void segment(struct talk *t, uint8_t flags, uint8_t where, size_t len,
		    const uint8_t *opt, size_t opt_len, uint16_t wnd)
{
	static uint8_t l4[20 + 40 + 65535];
	struct wire_tcp h = {.doff = (uint8_t)((5 + opt_len / 4) << 4),
			     .flags = flags};

	len = len > 65400 ? 65400 : len;
	put16(h.sport, t->container.port);
	put16(h.dport, t->remote.port);
	put32(h.seq, near_to(t->seq, where & 15));
	put32(h.ack, near_to(t->ack, where >> 4));
	put16(h.wnd, wnd);
	memcpy(l4, &h, sizeof(h));
	if (opt_len > 0)
		memcpy(l4 + sizeof(h), opt, opt_len);
	memset(l4 + sizeof(h) + opt_len, 'y', len);
	inject(t, WIRE_PROTO_TCP, l4, sizeof(h) + opt_len + len);
}

static void syn(struct talk *t, uint8_t flags, uint8_t a, uint8_t b)
{
	uint8_t opt[] = {2, 4, a, b, 1, 3, 3, a & 15};

	segment(t, flags, 0, 0, opt, a & 16 ? 4 : sizeof(opt),
		b & 1 ? 0 : 65535);
}

static void icmp(struct talk *t, uint8_t code, uint8_t where)
{
	bool v4 = addr_is_v4(&t->remote.addr);
	uint8_t l4[8 + 40 + 8] = {v4 ? 3 : 1, code};
	size_t ip = put_ip(l4 + 8, t, true, WIRE_PROTO_TCP, 20);
	uint8_t *quote = l4 + 8 + ip;

	put16(quote, t->remote.port);
	put16(quote + 2, t->container.port);
	put32(quote + 4, near_to(t->ack - 1, where));
	inject(t, v4 ? WIRE_PROTO_ICMP : WIRE_PROTO_ICMPV6, l4, 8 + ip + 8);
}

/* The rest of the world. */

static void pass_time(struct world *w, nsec_t span)
{
	nsec_t end = w->now + span;

	while (stack_deadline(w->st) <= end) {
		if (stack_deadline(w->st) > w->now)
			w->now = stack_deadline(w->st);
		stack_set_time(w->st, w->now);
		stack_tick(w->st);
		stack_flush(w->st);
	}
	w->now = end;
	stack_set_time(w->st, w->now);
}

static void hoard(struct world *w, unsigned want)
{
	while (w->hoarded > want % HOARD_MAX)
		chunk_put(w->hoard[--w->hoarded]);
	while (w->hoarded < want % HOARD_MAX)
		w->hoard[w->hoarded++] =
			chunk_new_beyond(stack_pool(w->st), CHUNK_ROOM);
}

static void connect_in(struct talk *t)
{
	struct stream *s;

	if (!t->stream && stack_tcp_connect(t->w->st, &t->container, &t->remote,
					    &t->user, &s) == 0)
		begin(t, s, false);
}

static void dial_done(struct talk *t, int err)
{
	if (!t->stream || !t->pending)
		return;
	t->pending = false;
	if (err == 0) {
		stream_accept(t->stream);
	} else {
		stream_refuse(t->stream, err);
		t->stream = NULL;
	}
}

static void owner_act(struct talk *t, enum act what, uint8_t a, uint8_t b)
{
	static const int errs[] = {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH,
				   ENOMEM};

	stack_flush(t->w->st);
	if (what == ACT_CONNECT)
		connect_in(t);
	else if (what == ACT_ACCEPT)
		dial_done(t, 0);
	else if (what == ACT_REFUSE)
		dial_done(t, errs[a % 4]);
	else if (what == ACT_WRITE)
		write_some(t, (size_t)a << 8 | b);
	else if (what == ACT_CONSUME)
		consume(t, a);
	else if (what == ACT_SHUTDOWN)
		shut(t);
	else if (what == ACT_RELEASE)
		let_go(t);
	else if (what == ACT_ABORT)
		abort_it(t);
	else
		t->mood = a;
}

static void act(struct talk *t, enum act what, uint8_t a, uint8_t b)
{
	static const uint8_t opts[] = {3, 3, 14, 2, 4, 0, 1, 5, 10, 0, 0, 0};

	if (what == ACT_SYN)
		syn(t, WIRE_TCP_SYN, a, b);
	else if (what == ACT_ANSWER)
		syn(t, WIRE_TCP_SYN | WIRE_TCP_ACK, a, b);
	else if (what == ACT_SEGMENT)
		segment(t, a & 0x3f, b, a & 0x40 ? 1000 : 0, NULL, 0,
			a & 0x80 ? 0 : 65535);
	else if (what == ACT_BYTES)
		segment(t, WIRE_TCP_ACK, b, (size_t)a * 257, NULL, 0,
			(uint16_t)(a << 4));
	else if (what == ACT_OPTIONS)
		segment(t, a & 0x3f, b, 0, opts, sizeof(opts), 1000);
	else if (what == ACT_ICMP)
		icmp(t, a, b);
	else if (what == ACT_TIME)
		pass_time(t->w, (a + 1) * NSEC_PER_SEC / (b & 1 ? 1 : 10));
	else if (what == ACT_HOARD)
		hoard(t->w, a);
	else if (what == ACT_TAP)
		t->w->tap_full = a & 1;
	else
		owner_act(t, what, a, b);
}

static void world_init(struct world *w)
{
	struct stack_config config = {
		.offload = true,
		.flow_limit = 64u << 10,
		.memory_limit = 1u << 20,
		.max_streams = TALKS - 2,
		.seed = {1, 2},
	};

	*w = (struct world){.sink = {.put = put}, .now = NSEC_PER_SEC};
	w->plan = plan_make(addr_from_v4(0x0a000200), 24, 1500, gateway_mac);
	w->host = (struct stack_host){
		.tcp_open = on_tcp, .udp_input = on_udp, .echo_input = on_echo};
	config.plan = w->plan;
	for (int i = 0; i < TALKS; i++) {
		struct talk *t = &w->talks[i];
		bool v4 = i % 2;

		t->w = w;
		t->user.events = &events;
		t->container.addr = v4 ? w->plan.guest4 : w->plan.guest6;
		t->container.port = (uint16_t)(80 + i);
		t->remote.addr =
			v4 ? addr_from_v4(0xc0000201) : w->plan.gateway6;
		t->remote.port = (uint16_t)(50000 + i);
		t->seq = 1000;
	}
	w->st = stack_new(&config, &w->sink, &w->host, w->now);
	assert(w->st);
}

static void world_fini(struct world *w)
{
	stack_flush(w->st);
	for (int i = 0; i < TALKS; i++)
		abort_it(&w->talks[i]);
	stack_flush(w->st);
	hoard(w, 0);
	stack_free(w->st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world w;

	world_init(&w);
	for (; len >= 4; data += 4, len -= 4) {
		act(&w.talks[data[1] % TALKS], data[0] % ACTS, data[2],
		    data[3]);
		/* bursts, of one segment or more */
		if (data[1] & 0x80)
			stack_flush(w.st);
	}
	world_fini(&w);
	return 0;
}
