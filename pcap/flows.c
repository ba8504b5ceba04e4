/* Talks lie in one array in the order in which they began. An index with a
 * keyed hash leads from the two ends, in either order, to the newest talk
 * between them; take_tcp() begins a new one where a SYN says so. Later fragments
 * of a datagram are found by its identification, in a small table that forgets. */
#include "pcap/flows.h"

#include "pcap/dissect.h"
#include "pcap/names.h"
#include "stack/frame.h"
#include "stack/siphash.h"

#include <stdlib.h>
#include <string.h>

#define DNS_PORT       53
#define PORT_RESERVED  1024 /* below it servers listen */
#define FRAGMENT_SLOTS 256
#define NONE           UINT32_MAX
#define TALKS_FIRST    64

#define ETH_VLAN    0x8100 /* IEEE 802.1Q */
#define ETH_SERVICE 0x88a8 /* IEEE 802.1ad */
#define VLAN_TAG    4

#define ECHO_REPLY4  0
#define UNREACHABLE4 3
#define ECHO4        8
#define CODE_TOO_BIG 4 /* of UNREACHABLE4 */
#define UNREACHABLE6 1
#define ECHO6        128
#define ECHO_REPLY6  129

/* Whom a packet belongs to, seen from its sender. */
struct ends {
	uint8_t proto;
	struct endpoint from, to;
	bool answer; /* it cannot be the first of a conversation */
};

/* A datagram of which the first fragment was seen. */
struct fragment {
	uint64_t key;
	uint32_t talk, way; /* NONE: free */
};

struct flows {
	uint64_t key[2];
	struct flows_talk *talks;
	size_t count, room;
	uint32_t *index; /* into talks, NONE: free; at most half full */
	size_t mask;
	struct fragment fragments[FRAGMENT_SLOTS];
	const struct flows_talk **sorted;
	struct names *names;
	struct flows_totals totals;
};

static bool index_make(struct flows *f, size_t slots)
{
	uint32_t *index = malloc(slots * sizeof(*index));

	if (!index)
		return false;
	for (size_t i = 0; i < slots; i++)
		index[i] = NONE;
	free(f->index);
	f->index = index;
	f->mask = slots - 1;
	return true;
}

struct flows *flows_new(uint64_t seed)
{
	struct flows *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->key[0] = seed;
	f->room = TALKS_FIRST;
	f->talks = malloc(f->room * sizeof(*f->talks));
	f->names = names_new(seed);
	for (int i = 0; i < FRAGMENT_SLOTS; i++)
		f->fragments[i].talk = NONE;
	if (f->talks && f->names && index_make(f, f->room * 2))
		return f;
	flows_free(f);
	return NULL;
}

void flows_free(struct flows *f)
{
	if (!f)
		return;
	names_free(f->names);
	free(f->sorted);
	free(f->index);
	free(f->talks);
	free(f);
}

struct flows_totals flows_totals(const struct flows *f)
{
	return f->totals;
}

static uint8_t *put_end(uint8_t *to, const struct endpoint *e)
{
	memcpy(to, &e->addr, sizeof(e->addr));
	put16(to + sizeof(e->addr), e->port);
	return to + sizeof(e->addr) + 2;
}

/* The same for both directions. */
static uint64_t hash_ends(const struct flows *f, const struct ends *e)
{
	int order = memcmp(&e->from.addr, &e->to.addr, sizeof(e->to.addr));
	bool turn = order > 0 || (order == 0 && e->from.port > e->to.port);
	uint8_t key[2 * (sizeof(e->to.addr) + 2) + 1], *at = key;

	at = put_end(at, turn ? &e->to : &e->from);
	at = put_end(at, turn ? &e->from : &e->to);
	*at = e->proto;
	return siphash(f->key, key, sizeof(key));
}

static bool is_between(const struct flows_talk *t, const struct ends *e)
{
	if (t->proto != e->proto)
		return false;
	return (endpoint_equal(&t->end[0], &e->from) &&
		endpoint_equal(&t->end[1], &e->to)) ||
	       (endpoint_equal(&t->end[0], &e->to) &&
		endpoint_equal(&t->end[1], &e->from));
}

/* Where the index names the talk of @e, or would. */
static uint32_t *slot_of(const struct flows *f, const struct ends *e)
{
	size_t i = hash_ends(f, e) & f->mask;

	while (f->index[i] != NONE && !is_between(&f->talks[f->index[i]], e))
		i = (i + 1) & f->mask;
	return &f->index[i];
}

/* Room for one more. False: there is none. */
static bool grow(struct flows *f)
{
	struct flows_talk *talks;
	size_t room = f->room * 2;

	if (f->count < f->room)
		return true;
	if (f->count == FLOWS_MAX)
		return false;
	talks = realloc(f->talks, room * sizeof(*talks));
	if (!talks)
		return false;
	f->talks = talks;
	if (!index_make(f, room * 2))
		return false;
	f->room = room;
	/* Of talks between the same ends the newest stays. */
	for (size_t i = 0; i < f->count; i++) {
		const struct flows_talk *t = &f->talks[i];
		struct ends e = {t->proto, t->end[0], t->end[1], false};

		*slot_of(f, &e) = (uint32_t)i;
	}
	return true;
}

/* A new talk of @e, or NULL. */
static struct flows_talk *begin(struct flows *f, const struct ends *e,
				nsec_t when)
{
	bool turned = e->answer;
	struct flows_talk *t;

	if (!grow(f)) {
		f->totals.too_many++;
		return NULL;
	}
	t = &f->talks[f->count];
	*t = (struct flows_talk){.proto = e->proto,
				 .end = {e->from, e->to},
				 .first = when,
				 .last = when};
	if (turned) {
		t->end[0] = e->to;
		t->end[1] = e->from;
	}
	for (int i = 0; i < 2; i++)
		t->name[i] = names_find(f->names, &t->end[i].addr);
	*slot_of(f, e) = (uint32_t)f->count++;
	return t;
}

static struct flows_talk *find(const struct flows *f, const struct ends *e)
{
	uint32_t i = *slot_of(f, e);

	return i == NONE ? NULL : &f->talks[i];
}

static struct flows_way *way_of(struct flows_talk *t,
				const struct endpoint *from)
{
	/* Between two same ends everything goes one way. */
	return &t->way[!endpoint_equal(&t->end[0], from)];
}

static void count_frame(struct flows_talk *t, struct flows_way *w, nsec_t when)
{
	w->frames++;
	if (when < t->first)
		t->first = when;
	if (when > t->last)
		t->last = when;
}

/* Without its first packets a conversation may begin with an answer. */
static bool comes_from_server(const struct ends *e)
{
	return e->from.port < PORT_RESERVED && e->to.port >= PORT_RESERVED;
}

/* TCP. */

struct segment {
	uint32_t seq;
	uint8_t flags;
	uint32_t len;
};

/* Does the segment begin another connection between the same ends? */
static bool is_anew(const struct flows_talk *t, const struct flows_way *w,
		    const struct segment *s)
{
	if (!(s->flags & WIRE_TCP_SYN))
		return false;
	/* If the SYN was not captured, its answer tells. One that was not heard
	 * may come again with another number. */
	if (s->flags & WIRE_TCP_ACK)
		return w->syn && w->syn_seq != s->seq && (w->bytes || w->fin);
	/* A simultaneous open has two. */
	if (!w->syn)
		return w->frames > 0 || t->way[0].fin || t->way[1].fin ||
		       t->way[0].resets || t->way[1].resets;
	return w->syn_seq != s->seq;
}

/* One byte from before what comes next, or none, asks whether the other side is
 * still there (RFC 9293 3.8.4). */
static bool is_keepalive(const struct flows_way *w, const struct segment *s)
{
	return s->len == 1 && w->seen.begun && s->seq == w->seen.next - 1 &&
	       !(s->flags & (WIRE_TCP_SYN | WIRE_TCP_FIN));
}

static void count_segment(struct flows_way *w, struct segment s)
{
	bool again = false;
	uint32_t fresh;

	if (s.flags & WIRE_TCP_RST) {
		w->resets++;
		return;
	}
	if (s.flags & WIRE_TCP_SYN) {
		again = w->syn && w->syn_seq == s.seq;
		w->syn = true;
		w->syn_seq = s.seq++;
		if (!again)
			coverage_begin(&w->seen, s.seq);
	}
	if (s.len > 0 && !is_keepalive(w, &s)) {
		fresh = coverage_add(&w->seen, s.seq, s.len);
		w->bytes += fresh;
		again = again || fresh < s.len;
	}
	if (s.flags & WIRE_TCP_FIN) {
		again = again || (w->fin && w->fin_seq == s.seq + s.len);
		w->fin = true;
		w->fin_seq = s.seq + s.len;
	}
	w->retransmits += again;
}

static bool take_tcp(struct flows *f, struct ends *e, const struct segment *s,
		     nsec_t when)
{
	bool answers = (s->flags & WIRE_TCP_SYN) && (s->flags & WIRE_TCP_ACK);
	struct flows_talk *t = find(f, e);
	struct flows_way *w;

	if (t && is_anew(t, way_of(t, &e->from), s))
		t = NULL;
	if (!t) {
		e->answer = answers || (!(s->flags & WIRE_TCP_SYN) &&
					comes_from_server(e));
		t = begin(f, e, when);
	}
	if (!t)
		return false;
	w = way_of(t, &e->from);
	count_frame(t, w, when);
	count_segment(w, *s);
	return true;
}

/* Everything else. */

static bool take_datagram(struct flows *f, struct ends *e, size_t bytes,
			  nsec_t when)
{
	struct flows_talk *t = find(f, e);
	struct flows_way *w;

	if (!t)
		t = begin(f, e, when);
	if (!t)
		return false;
	w = way_of(t, &e->from);
	count_frame(t, w, when);
	w->bytes += bytes;
	return true;
}

/* An error says what became of the packet that it quotes. */
static bool take_error(struct flows *f, const struct dissect *d, nsec_t when)
{
	struct flows_talk *t;
	struct dissect q;
	struct ends e;

	if (d->l4_len < sizeof(struct wire_icmp) ||
	    !dissect_quote(d->l4 + sizeof(struct wire_icmp),
			   d->l4_len - sizeof(struct wire_icmp), &q) ||
	    q.l4_len < 8)
		return false;
	e = (struct ends){q.proto, {q.src, 0}, {q.dst, 0}, false};
	if (q.proto == WIRE_PROTO_TCP || q.proto == WIRE_PROTO_UDP) {
		e.from.port = get16(q.l4);
		e.to.port = get16(q.l4 + 2);
	} else if (q.proto == WIRE_PROTO_ICMP || q.proto == WIRE_PROTO_ICMPV6) {
		e.proto = WIRE_PROTO_ICMP;
		e.from.port = e.to.port = get16(q.l4 + 4);
	}
	t = find(f, &e);
	if (!t)
		return false;
	t->unreachable++;
	if (when > t->last)
		t->last = when;
	return true;
}

static bool take_icmp(struct flows *f, const struct dissect *d, size_t bytes,
		      nsec_t when)
{
	bool v4 = d->proto == WIRE_PROTO_ICMP;
	const struct wire_icmp *h = (const void *)d->l4;
	struct ends e = {WIRE_PROTO_ICMP, {d->src, 0}, {d->dst, 0}, false};

	if (d->l4_len < sizeof(*h) || bytes < sizeof(*h))
		return false;
	if (v4 ? h->type == UNREACHABLE4 && h->code != CODE_TOO_BIG
	       : h->type == UNREACHABLE6)
		return take_error(f, d, when);
	if (h->type != (v4 ? ECHO4 : ECHO6) &&
	    h->type != (v4 ? ECHO_REPLY4 : ECHO_REPLY6))
		return false;
	e.from.port = e.to.port = get16(h->rest);
	e.answer = h->type == (v4 ? ECHO_REPLY4 : ECHO_REPLY6);
	return take_datagram(f, &e, bytes - sizeof(*h), when);
}

static bool take_udp(struct flows *f, struct ends *e, size_t bytes, nsec_t when)
{
	const size_t header = sizeof(struct wire_udp);

	if (bytes < header)
		return false;
	e->answer = comes_from_server(e);
	return take_datagram(f, e, bytes - header, when);
}

/* Fragments. */

static struct fragment *fragment_of(struct flows *f, const struct dissect *d,
				    uint64_t *ret_key)
{
	uint8_t key[2 * sizeof(d->src) + 5];

	memcpy(key, &d->src, sizeof(d->src));
	memcpy(key + 16, &d->dst, sizeof(d->dst));
	put32(key + 32, d->frag_id);
	key[36] = d->proto;
	*ret_key = siphash(f->key, key, sizeof(key));
	return &f->fragments[*ret_key % FRAGMENT_SLOTS];
}

/* The first one has told whose datagram it is. */
static void keep_fragment(struct flows *f, const struct dissect *d,
			  const struct ends *e)
{
	struct flows_talk *t = find(f, e);
	struct fragment *g;
	uint64_t key;

	if (!t)
		return;
	g = fragment_of(f, d, &key);
	*g = (struct fragment){key, (uint32_t)(t - f->talks),
			       (uint32_t)(way_of(t, &e->from) - t->way)};
}

static bool take_fragment(struct flows *f, const struct dissect *d,
			  size_t bytes, nsec_t when)
{
	struct flows_talk *t;
	struct fragment *g;
	uint64_t key;

	g = fragment_of(f, d, &key);
	if (g->talk == NONE || g->key != key)
		return false;
	t = &f->talks[g->talk];
	count_frame(t, &t->way[g->way], when);
	t->way[g->way].bytes += bytes;
	return true;
}

/* Frames. */

/* Over TCP a message has its length before it (RFC 1035 4.2.2); one in several
 * segments is not put together. */
static void learn_names(struct flows *f, const struct dissect *d)
{
	if (!d->ports || d->sport != DNS_PORT)
		return;
	if (d->proto == WIRE_PROTO_UDP)
		names_learn(f->names, d->payload, d->payload_len);
	else if (d->payload_len > 2 && get16(d->payload) == d->payload_len - 2)
		names_learn(f->names, d->payload + 2, d->payload_len - 2);
}

/* @bytes are of the IP payload, on the wire. */
static bool take_packet(struct flows *f, const struct dissect *d, size_t bytes,
			nsec_t when)
{
	const struct wire_tcp *tcp = (const void *)d->l4;
	struct ends e = {d->proto, {d->src, 0}, {d->dst, 0}, false};
	size_t header;

	if (d->proto == WIRE_PROTO_ICMP || d->proto == WIRE_PROTO_ICMPV6)
		return take_icmp(f, d, bytes, when);
	if (d->l4_len < 4)
		return false;
	e.from.port = get16(d->l4);
	e.to.port = get16(d->l4 + 2);
	learn_names(f, d);
	if (d->proto == WIRE_PROTO_UDP)
		return take_udp(f, &e, bytes, when);
	if (d->proto != WIRE_PROTO_TCP || d->l4_len < sizeof(*tcp))
		return false;
	/* Options may be cut off: their length is known all the same. */
	header = (size_t)(tcp->doff >> 4) * 4;
	if (header < sizeof(*tcp) || header > bytes)
		return false;
	return take_tcp(f, &e,
			&(struct segment){get32(tcp->seq), tcp->flags,
					  (uint32_t)(bytes - header)},
			when);
}

static bool take_ip(struct flows *f, const struct dissect *d, size_t bytes,
		    nsec_t when)
{
	struct ends e = {d->proto, {d->src, 0}, {d->dst, 0}, false};

	if (d->fragment && d->frag_at > 0)
		return take_fragment(f, d, bytes, when);
	if (!take_packet(f, d, bytes, when))
		return false;
	if (!d->fragment)
		return true;
	if (d->proto == WIRE_PROTO_TCP || d->proto == WIRE_PROTO_UDP) {
		e.from.port = get16(d->l4);
		e.to.port = get16(d->l4 + 2);
	} else {
		e.proto = WIRE_PROTO_ICMP;
		e.from.port = e.to.port = get16(d->l4 + 4);
	}
	keep_fragment(f, d, &e);
	return true;
}

/* Takes @frame apart, VLAN tags and all. */
static bool take_apart(const struct source_frame *frame, struct dissect *ret)
{
	size_t at = WIRE_ETH_LEN;

	if (!dissect_frame(frame->bytes, frame->have, ret))
		return false;
	if (ret->ethertype != ETH_VLAN && ret->ethertype != ETH_SERVICE)
		return ret->ip;
	while (at + VLAN_TAG <= frame->have) {
		uint16_t type = get16(frame->bytes + at + 2);

		at += VLAN_TAG;
		if (type == WIRE_ETH_IPV4 || type == WIRE_ETH_IPV6)
			return dissect_quote(frame->bytes + at,
					     frame->have - at, ret);
		if (type != ETH_VLAN && type != ETH_SERVICE)
			return false;
	}
	return false;
}

void flows_add(struct flows *f, const struct source_frame *frame)
{
	uint64_t too_many = f->totals.too_many;
	struct dissect d;
	size_t wire;

	f->totals.frames++;
	if (take_apart(frame, &d)) {
		/* A header that claims more than there was does not count. */
		wire = frame->len - (size_t)(d.l4 - frame->bytes);
		if (take_ip(f, &d, d.l4_said < wire ? d.l4_said : wire,
			    frame->when))
			return;
	}
	if (f->totals.too_many == too_many)
		f->totals.other++;
}

/* Afterwards. */

static uint64_t bytes_of(const struct flows_talk *t)
{
	return t->way[0].bytes + t->way[1].bytes;
}

static int compare(const void *a, const void *b)
{
	const struct flows_talk *x = *(const struct flows_talk *const *)a;
	const struct flows_talk *y = *(const struct flows_talk *const *)b;

	if (bytes_of(x) != bytes_of(y))
		return bytes_of(x) < bytes_of(y) ? 1 : -1;
	return x < y ? -1 : 1; /* in an array as they began */
}

const struct flows_talk *const *flows_sort(struct flows *f, size_t *ret_count)
{
	const struct flows_talk **sorted =
		realloc(f->sorted, (f->count + 1) * sizeof(*sorted));

	*ret_count = 0;
	if (!sorted)
		return NULL;
	for (size_t i = 0; i < f->count; i++)
		sorted[i] = &f->talks[i];
	qsort(sorted, f->count, sizeof(*sorted), compare);
	f->sorted = sorted;
	*ret_count = f->count;
	return sorted;
}
