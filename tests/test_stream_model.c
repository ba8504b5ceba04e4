/* One connection against a model of a container on a bad wire, opened by
 * either end. Segments of both directions are lost, doubled, delayed and thereby reordered; the tap
 * fails now and then; windows shut; both owners stall; sides close in either
 * order. In the end every byte has arrived once and in order, and nothing is
 * left.
 *
 * test_stream_model [ROUNDS [FIRST_SEED]] runs longer than ctest does. */
#include "stack/container_of.h"
#include "stack/wire.h"
#include "tests/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

#define STREAM_MAX 400000 /* bytes a direction */
#define WIRE_MAX   4096   /* segments under way */
#define STEPS_MAX  200000
#define HOARD_MAX  14

static unsigned rounds = 250;
static uint32_t first_seed = 1;

/* What is sent in both directions; the byte at an offset. */
static uint8_t bytes[STREAM_MAX];

/* A segment under way. */
struct flying {
	nsec_t due;
	struct rig_peer p; /* seq, ack and wnd as they were */
	uint8_t flags;
	size_t at, len; /* payload: bytes[at] on */
};

struct wire {
	struct flying list[WIRE_MAX];
	size_t count;
	unsigned lost; /* in a row */
};

struct model {
	struct rig *r;
	uint32_t dice;
	unsigned loss; /* of 100 */
	struct wire in, out;

	/* The host's side. */
	struct rig_owner o;
	size_t written, out_total, in_seen;
	bool wait_room, in_ready, in_stalled, out_stalled;
	bool host_shut, host_waits; /* for the container's FIN */
	bool released;
	struct chunk *hoard[HOARD_MAX];

	/* The container's side. Offsets count from 0; the FIN is one more. */
	struct rig_peer p;
	uint32_t in_start, out_start;          /* sequence number of offset 0 */
	size_t una, nxt, sent, in_total, edge; /* sent: the furthest nxt */
	size_t biggest;                        /* segment sent */
	bool fin_waits;                        /* for the host's FIN */
	nsec_t resend;
	size_t rcv_nxt, unread, room, out_edge;
	bool out_fin, reader_stalls, ack_due;
	uint8_t have[STREAM_MAX + 1];
	bool aborted;
};

static uint32_t roll(struct model *m, uint32_t below)
{
	m->dice ^= m->dice << 13;
	m->dice ^= m->dice >> 17;
	m->dice ^= m->dice << 5;
	return m->dice % below;
}

static bool chance(struct model *m, unsigned percent)
{
	return roll(m, 100) < percent;
}

/* Not all copies of a segment are lost: connections would rightly time out. */
static void fly(struct model *m, struct wire *w, struct flying f)
{
	bool lose = chance(m, m->loss) && w->lost < 2;
	int copies = lose ? 0 : chance(m, m->loss / 4) ? 2 : 1;

	w->lost = lose ? w->lost + 1 : 0;
	while (copies-- > 0 && w->count < WIRE_MAX) {
		f.due = m->r->now;
		if (m->loss > 0 && chance(m, 20))
			f.due += roll(m, 40) * NSEC_PER_MSEC;
		w->list[w->count++] = f;
	}
}

/* The first segment on @w that is due; in order, but for those that tarry. */
static bool land(struct model *m, struct wire *w, struct flying *ret)
{
	for (size_t i = 0; i < w->count; i++) {
		if (w->list[i].due > m->r->now)
			continue;
		*ret = w->list[i];
		w->count--;
		memmove(&w->list[i], &w->list[i + 1],
			(w->count - i) * sizeof(*ret));
		return true;
	}
	return false;
}

/* The host's side: an owner that keeps to the contract of stack/stream.h. */

static struct model *model_of(struct stream_user *u)
{
	return container_of(container_of(u, struct rig_owner, user),
			    struct model, o);
}

static void host_reads(struct model *m)
{
	struct iovec iov[8];
	size_t len, take;
	int n;

	if (!m->in_ready || m->in_stalled)
		return;
	n = stream_peek(m->o.stream, iov, 8, &len);
	take = chance(m, 30) ? roll(m, (uint32_t)len + 1) : len;
	len = take;
	for (int i = 0; i < n && len > 0; i++) {
		size_t part = iov[i].iov_len < len ? iov[i].iov_len : len;

		assert_true(m->in_seen + part <= m->in_total);
		assert_memory_equal(iov[i].iov_base, bytes + m->in_seen, part);
		m->in_seen += part;
		len -= part;
	}
	stream_consume(m->o.stream, take);
	if (stream_peek(m->o.stream, iov, 1, &len) == 0)
		m->in_ready = false;
}

static void host_writes(struct model *m)
{
	while (m->written < m->out_total && !m->wait_room) {
		size_t room = stream_room(m->o.stream);
		size_t unit = stream_unit(m->o.stream);
		size_t n = m->out_total - m->written;
		struct chunk *c;

		m->wait_room = room == 0;
		if (room == 0)
			break;
		n = n < room ? n : room;
		n = n < unit ? n : unit;
		if (chance(m, 50))
			n = 1 + roll(m, n < 2000 ? (uint32_t)n : 2000);
		c = chunk_new_beyond(stack_pool(m->r->st), n);
		memcpy(c->data, bytes + m->written, n);
		assert_int_equal(stream_write(m->o.stream, c, 0, n), 0);
		m->written += n;
		if (chance(m, 10))
			break;
	}
	stream_flush(m->o.stream);
}

static void host_moves(struct model *m)
{
	if (!m->o.stream)
		return;
	host_reads(m);
	if (!m->host_shut && !m->out_stalled) {
		host_writes(m);
		if (m->written == m->out_total &&
		    (!m->host_waits || stream_in_eof(m->o.stream))) {
			m->host_shut = true;
			stream_shutdown(m->o.stream);
		}
	}
	if (m->host_shut && stream_in_eof(m->o.stream)) {
		stream_release(m->o.stream);
		m->o.stream = NULL;
		m->released = true;
	}
}

static void on_readable(struct stream_user *u)
{
	model_of(u)->in_ready = true;
	host_moves(model_of(u));
}

static void on_writable(struct stream_user *u)
{
	model_of(u)->wait_room = false;
	host_moves(model_of(u));
}

static void on_opened(struct stream_user *u)
{
}

static void on_closed(struct stream_user *u, int err)
{
	struct model *m = model_of(u);

	assert_true(m->aborted);
	m->o.stream = NULL;
}

static const struct stream_events host_events = {on_opened, on_readable,
						 on_writable, on_closed};

/* The container's side. */

static void container_sends(struct model *m, uint8_t flags, size_t at,
			    size_t len)
{
	struct flying f = {.p = m->p, .flags = flags, .at = at, .len = len};
	size_t left = m->room - m->unread;

	if (m->rcv_nxt + left > m->out_edge)
		m->out_edge = m->rcv_nxt + left;
	left = m->out_edge - m->rcv_nxt;
	f.p.seq = m->in_start + (uint32_t)at;
	f.p.ack = m->out_start + (uint32_t)m->rcv_nxt + m->out_fin;
	if (m->p.scale)
		left >>= RIG_WSCALE;
	f.p.wnd = (uint16_t)(left < UINT16_MAX ? left : UINT16_MAX);
	/* What the rounding took was not announced. */
	fly(m, &m->in, f);
	m->ack_due = false;
	if (m->sent < at + len + !!(flags & FIN))
		m->sent = at + len + !!(flags & FIN);
}

static bool fin_goes(const struct model *m)
{
	return !m->fin_waits || m->out_fin;
}

static void container_writes(struct model *m)
{
	size_t edge = m->edge < m->in_total ? m->edge : m->in_total;

	while (m->nxt < edge && chance(m, 80)) {
		size_t n = 1 + roll(m, (uint32_t)m->biggest);
		bool fin;

		n = n < edge - m->nxt ? n : edge - m->nxt;
		fin = m->nxt + n == m->in_total && m->edge > m->in_total &&
		      fin_goes(m) && chance(m, 50);
		container_sends(m, fin ? FIN | ACK : ACK, m->nxt, n);
		m->nxt += n + fin;
	}
	if (m->nxt == m->in_total && m->edge > m->in_total && fin_goes(m)) {
		container_sends(m, FIN | ACK, m->nxt, 0);
		m->nxt++;
	}
}

/* Go back to what was not acknowledged; a shut window is probed in one of the
 * two ways that kernels have. */
static void container_resends(struct model *m)
{
	if (m->una > m->in_total || m->r->now < m->resend)
		return;
	m->resend = m->r->now + 200 * NSEC_PER_MSEC;
	m->nxt = m->una;
	if (m->edge > m->una)
		return;
	if (m->una < m->in_total && chance(m, 50))
		container_sends(m, ACK, m->una, 1);
	else
		container_sends(m, ACK, m->una - 1, 0);
}

static void container_takes_ack(struct model *m, uint32_t ack, uint32_t wnd,
				uint32_t seq)
{
	size_t acked = ack - m->in_start;

	assert_true(acked <= m->in_total + 1);
	if (acked > m->una) {
		m->una = acked;
		m->resend = m->r->now + 200 * NSEC_PER_MSEC;
	}
	if (m->nxt < m->una)
		m->nxt = m->una;
	if (m->p.scale)
		wnd <<= RIG_WSCALE;
	if (acked + wnd > m->edge)
		m->edge = acked + wnd;
}

static void container_takes_bytes(struct model *m, const struct flying *f)
{
	size_t limit = m->out_edge;

	if (f->at + f->len > m->rcv_nxt + 1 || f->len > 0)
		m->ack_due = true;
	for (size_t i = f->at; i < f->at + f->len && i < limit; i++)
		m->have[i] = 1;
	while (m->rcv_nxt < m->out_total && m->have[m->rcv_nxt]) {
		m->rcv_nxt++;
		m->unread++;
	}
	if (f->flags & FIN) {
		m->ack_due = true;
		assert_int_equal(f->at + f->len, m->out_total);
		if (m->rcv_nxt == m->out_total)
			m->out_fin = true;
	}
}

static void container_lands(struct model *m)
{
	struct flying f;

	while (land(m, &m->out, &f)) {
		if (m->aborted) {
			struct flying rst = {.p = f.p, .flags = RST};

			rst.p = m->p;
			rst.p.seq = f.p.ack;
			if (!(f.flags & RST))
				fly(m, &m->in, rst);
			continue;
		}
		/* Only a connection that is done may say so, to a FIN
		 * whose acknowledgement was lost. */
		if (f.flags & RST) {
			assert_true(m->out_fin);
			m->una = m->in_total + 1;
			continue;
		}
		container_takes_ack(m, f.p.ack, f.p.wnd, f.p.seq);
		container_takes_bytes(m, &f);
	}
}

static void container_moves(struct model *m)
{
	if (m->aborted) {
		if (m->o.stream && chance(m, 20)) /* the last was lost */
			container_sends(m, RST, m->sent, 0);
		return;
	}
	if (!m->reader_stalls && m->unread > 0) {
		size_t before = m->room - m->unread;

		m->unread -= 1 + roll(m, (uint32_t)m->unread);
		if (before < m->room / 2)
			m->ack_due = true; /* a window update */
	}
	container_resends(m);
	container_writes(m);
	if (m->ack_due)
		container_sends(m, ACK, m->nxt, 0);
}

/* The wires. */

static void take_from_stack(struct model *m)
{
	struct rig_segment *s;

	while ((s = rig_take(m->r))) {
		struct flying f = {.flags = s->flags, .len = s->len};

		if (!endpoint_equal(&s->src, &m->p.remote))
			continue;
		f.at = s->seq - m->out_start;
		f.p.ack = s->ack;
		f.p.wnd = (uint16_t)s->wnd;
		if (s->len > 0) {
			assert_true(f.at + s->len <= m->out_total);
			assert_memory_equal(s->payload, bytes + f.at, s->len);
		}
		fly(m, &m->out, f);
	}
	rig_drain(m->r);
}

static void hand_to_stack(struct model *m)
{
	struct flying f;

	while (land(m, &m->in, &f)) {
		rig_send_raw(m->r, &f.p, f.flags, 0, NULL, 0, bytes + f.at,
			     f.len);
		if (chance(m, 30))
			stack_flush(m->r->st);
	}
	stack_flush(m->r->st);
}

/* Stalls, shortage of memory and a tap that fails come and go. */
static void weather(struct model *m)
{
	struct chunk_pool *pool = stack_pool(m->r->st);

	if (chance(m, 4))
		m->in_stalled = !m->in_stalled;
	if (chance(m, 4))
		m->out_stalled = !m->out_stalled;
	if (chance(m, 4))
		m->reader_stalls = !m->reader_stalls;
	m->r->put_result = m->loss > 0 && chance(m, 5) ? -ENOBUFS : 0;
	if (!chance(m, 2))
		return;
	for (int i = 0; i < HOARD_MAX; i++) {
		if (m->hoard[i]) {
			chunk_put(m->hoard[i]);
			m->hoard[i] = NULL;
		} else {
			m->hoard[i] = chunk_new(pool, CHUNK_ROOM);
		}
	}
}

static bool over(const struct model *m)
{
	if (m->aborted)
		return !m->o.stream;
	return m->released && m->una == m->in_total + 1 && m->out_fin;
}

static void step(struct model *m)
{
	nsec_t span = roll(m, 20) * NSEC_PER_MSEC;

	weather(m);
	host_moves(m);
	container_moves(m);
	hand_to_stack(m);
	take_from_stack(m);
	container_lands(m);
	if (m->in.count + m->out.count == 0)
		span += 100 * NSEC_PER_MSEC;
	rig_advance(m->r, span);
	take_from_stack(m);
}

static size_t some_length(struct model *m)
{
	static const uint32_t scale[] = {1, 10, 3000, 70000, STREAM_MAX};

	return roll(m, scale[roll(m, 5)]);
}

/* The host opens; some of its SYNs are lost. */
static void open_inbound(struct model *m)
{
	struct rig_peer *p = &m->p;

	assert_int_equal(rig_connect(m->r, p, &m->o), 0);
	if (m->loss > 0 && chance(m, 30))
		rig_advance(m->r, roll(m, 5500) * NSEC_PER_MSEC);
	rig_take_syn(m->r, p);
	rig_send(m->r, p, WIRE_TCP_SYN | ACK, NULL, 0);
	p->seq++;
	if (m->loss > 0 && chance(m, 30)) { /* our ACK was lost */
		p->seq--;
		rig_send(m->r, p, WIRE_TCP_SYN | ACK, NULL, 0);
		p->seq++;
	}
	assert_int_equal(m->o.opened, 1);
	rig_drain(m->r);
	/* No SYN scales its window. */
	m->out_edge = p->wnd;
}

static struct model *start(uint32_t seed)
{
	static const uint16_t mss[] = {88, 536, 1460, 9000, 65460};
	struct model *m = calloc(1, sizeof(*m));
	struct rig_options o = {.memory_limit = 1100u << 10};

	m->dice = seed * 2654435761u | 1;
	for (int i = 0; i < 10; i++)
		roll(m, 2);
	o.offload = chance(m, 70);
	o.mtu = chance(m, 50) ? 1500 : 65520;
	o.flow_limit = (64u << 10) << roll(m, 4);
	m->loss = chance(m, 30) ? 0 : roll(m, 16);
	m->r = rig_new_with(&o);
	m->p = rig_peer(chance(m, 50) ? "192.0.2.1" : "2001:db8::1", 80, 40000);
	m->p.mss = mss[roll(m, 5)];
	m->p.scale = chance(m, 70);
	m->p.seq = chance(m, 50) ? 1000 : 0u - roll(m, 100000);
	m->room = 128 + roll(m, chance(m, 30) ? 3000 : 300000);
	if (!m->p.scale && m->room > UINT16_MAX)
		m->room = UINT16_MAX;
	m->p.wnd = (uint16_t)(m->room < UINT16_MAX ? m->room : UINT16_MAX);
	if (chance(m, 10))
		m->p.wnd = 0;
	m->biggest = chance(m, 50) ? 1460 : 60000;
	m->in_total = some_length(m);
	m->out_total = some_length(m);
	m->host_waits = chance(m, 30);
	m->fin_waits = !m->host_waits && chance(m, 30);
	m->out_edge = m->p.scale ? (size_t)m->p.wnd << RIG_WSCALE : m->p.wnd;
	if (m->out_edge > m->room)
		m->room = m->out_edge;
	if (chance(m, 50))
		open_inbound(m);
	else
		rig_open(m->r, &m->p, &m->o);
	m->o.user.events = &host_events;
	m->in_start = m->p.seq;
	m->out_start = m->p.ack;
	m->edge = UINT16_MAX;
	m->resend = m->r->now + NSEC_PER_SEC;
	return m;
}

static void finish(struct model *m)
{
	void *state = m->r;

	m->r->put_result = 0;
	for (int i = 0; i < HOARD_MAX; i++)
		chunk_put(m->hoard[i]);
	if (!m->aborted)
		assert_int_equal(m->in_seen, m->in_total);
	/* The last acknowledgements may have been lost. */
	m->loss = 0;
	for (int i = 0; i < 100 && stack_streams(m->r->st) > 0; i++) {
		hand_to_stack(m);
		take_from_stack(m);
		container_lands(m);
		if (m->ack_due && !m->aborted)
			container_sends(m, ACK, m->nxt, 0);
		rig_advance(m->r, NSEC_PER_SEC);
	}
	rig_teardown(&state);
	free(m);
}

static void test_every_byte_survives_a_bad_wire(void **state)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 11 + i / 253 + i / 65521);
	for (uint32_t seed = first_seed; seed < first_seed + rounds; seed++) {
		struct model *m = start(seed);
		size_t abort_at = chance(m, 10) ? roll(m, 200) : STEPS_MAX;
		bool by_host = chance(m, 50);
		size_t n;

		for (n = 0; n < STEPS_MAX && !over(m); n++) {
			if (n >= abort_at && !m->aborted && m->o.stream) {
				m->aborted = true;
				if (by_host) {
					stream_abort(m->o.stream);
					m->o.stream = NULL;
				}
			}
			step(m);
			if (n == STEPS_MAX - 1)
				fprintf(stderr,
					"seed %u: in %zu of %zu, out %zu of "
					"%zu, read %zu\n",
					seed, m->in_seen, m->in_total,
					m->rcv_nxt, m->out_total, m->written);
		}
		if (!over(m))
			fail_msg("seed %u is stuck", seed);
		finish(m);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_survives_a_bad_wire),
	};

	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		first_seed = (uint32_t)strtoul(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
