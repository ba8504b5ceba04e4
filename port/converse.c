#include "port/converse.h"

#include "stack/frame.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#define OPTION_END  0
#define OPTION_NOP  1
#define OPTION_SACK 5

TAILQ_HEAD(flows, converse_flow);

struct converse {
	void *tree;         /* of those that a frame may belong to */
	struct flows order; /* all */
	uint64_t unfed;
};

static int compare_endpoints(const struct endpoint *a, const struct endpoint *b)
{
	int c = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return c ? c : (int)a->port - (int)b->port;
}

static int compare(const void *a, const void *b)
{
	const struct converse_flow *x = a, *y = b;
	int c = compare_endpoints(&x->container, &y->container);

	return c ? c : compare_endpoints(&x->remote, &y->remote);
}

struct converse *converse_new(void)
{
	struct converse *c = calloc(1, sizeof(*c));

	if (c)
		TAILQ_INIT(&c->order);
	return c;
}

static void keep(void *node)
{
}

void converse_free(struct converse *c)
{
	struct converse_flow *f;

	if (!c)
		return;
	tdestroy(c->tree, keep);
	while ((f = TAILQ_FIRST(&c->order))) {
		TAILQ_REMOVE(&c->order, f, order);
		free(f);
	}
	free(c);
}

static struct converse_flow *add(struct converse *c,
				 const struct converse_flow *key)
{
	struct converse_flow *f = malloc(sizeof(*f));

	if (!f)
		return NULL;
	*f = *key;
	if (!tsearch(f, &c->tree, compare)) {
		free(f);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&c->order, f, order);
	return f;
}

static bool is_syn(const struct dissect *d)
{
	return (d->flags & (WIRE_TCP_SYN | WIRE_TCP_ACK | WIRE_TCP_RST)) ==
	       WIRE_TCP_SYN;
}

static bool is_over(const struct converse_flow *f)
{
	return f->fin_container || f->rst_container || f->rst_recorded ||
	       f->rst_ours;
}

/* Does this SYN begin another conversation than the one that is known? One that
 * stands is not ended by a SYN (RFC 5961 4). */
static bool begins_anew(const struct converse_flow *f, const struct dissect *d,
			bool from_container)
{
	if (!is_syn(d))
		return false;
	if (f->from_remote == from_container) /* the other side's was first */
		return is_over(f);
	return d->seq != (from_container ? f->container_isn : f->recorded) &&
	       (is_over(f) || !f->has_ours);
}

struct converse_flow *converse_find(struct converse *c, const struct dissect *d,
				    bool from_container)
{
	struct endpoint src = {d->src, d->sport}, dst = {d->dst, d->dport};
	struct converse_flow key = {
		.container = from_container ? src : dst,
		.remote = from_container ? dst : src,
		.from_remote = !from_container,
	};
	struct converse_flow **found = tfind(&key, &c->tree, compare);

	if (found && !begins_anew(*found, d, from_container))
		return *found;
	if (!is_syn(d))
		return NULL;
	if (found)
		tdelete(&key, &c->tree, compare);
	if (from_container)
		key.container_isn = d->seq;
	else
		key.recorded = d->seq;
	return add(c, &key);
}

struct converse_flow *converse_ours_find(const struct converse *c,
					 const struct dissect *d)
{
	struct converse_flow key = {
		.container = {d->dst, d->dport},
		.remote = {d->src, d->sport},
	};
	struct converse_flow **found = tfind(&key, &c->tree, compare);

	return found ? *found : NULL;
}

void converse_part(struct converse_flow *f, uint64_t number, const char *why)
{
	if (f->parted)
		return;
	f->parted = number;
	f->parted_why = why;
}

void converse_recorded(struct converse_flow *f, const struct dissect *d,
		       uint64_t number)
{
	if (d->flags & WIRE_TCP_SYN) {
		f->has_recorded = true;
		f->recorded = d->seq;
	}
	if (d->flags & WIRE_TCP_FIN)
		f->fin_recorded = true;
	if (d->flags & WIRE_TCP_RST)
		f->rst_recorded = true;
}

static void note_sent(struct converse_flow *f, const struct dissect *d)
{
	uint32_t end = d->seq + (uint32_t)d->payload_len - f->ours - 1;

	if (d->payload_len > 0 && end - f->sent < UINT32_C(1) << 31)
		f->sent = end;
}

void converse_ours(struct converse_flow *f, const struct dissect *d,
		   uint64_t number)
{
	if (d->flags & WIRE_TCP_SYN) {
		f->has_ours = true;
		f->ours = d->seq;
	}
	if (d->flags & WIRE_TCP_ACK) {
		f->has_taken = true;
		f->taken = d->ack;
		f->fin_container |= f->fin_seen && d->ack == f->fin_at;
	}
	if (d->flags & WIRE_TCP_FIN)
		f->fin_ours = true;
	note_sent(f, d);
	if (!(d->flags & WIRE_TCP_RST))
		return;
	f->rst_ours = true;
	if (!f->rst_recorded && !f->rst_container)
		converse_part(f, number, "reset here, and not in the capture");
}

/* Puts @value where @old was, and makes the checksum follow (RFC 1624 eqn. 3):
 * one that was wrong stays wrong. */
static void rewrite32(uint8_t *at, uint32_t value, uint8_t *csum)
{
	uint32_t old = get32(at);
	uint32_t sum = (uint16_t)~get16(csum);

	sum += (uint16_t) ~(old >> 16) + (uint32_t)(uint16_t)~old;
	sum += (value >> 16) + (value & 0xffff);
	put32(at, value);
	put16(csum, csum_fold(sum));
}

/* The same for a field at an odd offset within the segment, whose bytes fall
 * into the other halves of the words that are summed. */
static void shift32(uint8_t *at, uint32_t by, const struct wire_tcp *tcp,
		    uint8_t *csum)
{
	bool odd = (at - (const uint8_t *)tcp) & 1;
	uint8_t before[6] = {0}, after[6] = {0};
	uint32_t sum = (uint16_t)~get16(csum);

	if (!odd) {
		rewrite32(at, get32(at) + by, csum);
		return;
	}
	memcpy(before + 1, at, 4);
	put32(at, get32(at) + by);
	memcpy(after + 1, at, 4);
	for (size_t i = 0; i < sizeof(before); i += 2)
		sum += (uint16_t)~get16(before + i) +
		       (uint32_t)get16(after + i);
	put16(csum, csum_fold(sum));
}

static void shift_sacks(const struct dissect *d, uint32_t by, uint8_t *csum)
{
	/* of a frame that the caller lent for writing */
	uint8_t *o = (uint8_t *)(uintptr_t)d->options;
	size_t left = d->options_len;

	while (left > 1 && o[0] != OPTION_END) {
		size_t len = o[0] == OPTION_NOP ? 1 : o[1];

		if (len == 0 || len > left || (o[0] != OPTION_NOP && len < 2))
			return;
		for (size_t at = 2; o[0] == OPTION_SACK && at + 4 <= len;
		     at += 4)
			shift32(o + at, by, d->tcp, csum);
		o += len;
		left -= len;
	}
}

/* @bytes, the FIN among them, are acknowledged. */
static void note_acked(struct converse_flow *f, uint32_t bytes)
{
	if (f->fin_ours && bytes == f->sent + 1)
		bytes--;
	if (bytes <= f->sent && bytes > f->down)
		f->down = bytes;
}

/* Does a RST of the container end anything? Of a connection that stands, by its
 * sequence number (RFC 5961 3.2); of one that it is asked for, by what it
 * acknowledges (RFC 9293 3.10.7.3). */
static bool is_believed(const struct converse_flow *f, const struct dissect *d)
{
	if (f->has_taken)
		return d->seq == f->taken;
	return !f->from_remote ||
	       (d->flags & WIRE_TCP_ACK && d->ack == f->recorded + 1);
}

void converse_container(struct converse_flow *f, const struct dissect *d,
			uint64_t number)
{
	struct wire_tcp *tcp = (struct wire_tcp *)(uintptr_t)d->tcp;
	uint32_t by = f->ours - f->recorded;

	f->first = f->first ? f->first : number;
	f->last = number;
	f->up += d->payload_len;
	if (d->flags & WIRE_TCP_FIN) {
		f->fin_seen = true;
		f->fin_at = d->seq + (uint32_t)d->payload_len + 1;
	}
	if (d->flags & WIRE_TCP_RST && is_believed(f, d))
		f->rst_container = true;
	if (!(d->flags & WIRE_TCP_ACK))
		return;
	if (!f->has_recorded || !f->has_ours) {
		if (f->has_recorded)
			converse_part(f, number,
				      "not answered here, but in the capture");
		return;
	}
	note_acked(f, d->ack - f->recorded - 1);
	shift32(tcp->ack, by, tcp, tcp->csum);
	shift_sacks(d, by, tcp->csum);
}

void converse_quoted(struct converse *c, const struct dissect *icmp)
{
	/* of a frame that the caller lent for writing */
	uint8_t *header = (uint8_t *)(uintptr_t)icmp->l4;
	const struct converse_flow *f;
	struct dissect quote;
	uint8_t *seq;

	if (icmp->l4_len < sizeof(struct wire_icmp) ||
	    !dissect_quote(icmp->l4 + sizeof(struct wire_icmp),
			   icmp->l4_len - sizeof(struct wire_icmp), &quote) ||
	    quote.proto != WIRE_PROTO_TCP || quote.l4_len < 8)
		return;
	quote.sport = get16(quote.l4);
	quote.dport = get16(quote.l4 + 2);
	f = converse_ours_find(c, &quote);
	if (!f || !f->has_recorded || !f->has_ours)
		return;
	seq = (uint8_t *)(uintptr_t)quote.l4 + offsetof(struct wire_tcp, seq);
	rewrite32(seq, get32(seq) + f->ours - f->recorded,
		  header + offsetof(struct wire_icmp, csum));
}

void converse_unfed(struct converse *c)
{
	c->unfed++;
}

static const char *ending(const struct converse_flow *f)
{
	if (f->rst_container || f->rst_ours)
		return "reset";
	if (f->fin_container && f->fin_ours)
		return "closed";
	if (!f->has_ours)
		return "not answered";
	if (f->fin_container || f->fin_ours)
		return "half closed";
	return "open at the end";
}

unsigned converse_report(const struct converse *c, FILE *to)
{
	char a[ENDPOINT_STRLEN], b[ENDPOINT_STRLEN];
	const struct converse_flow *f;
	unsigned n = 0, parted = 0;

	TAILQ_FOREACH(f, &c->order, order)
	{
		n++;
		fprintf(to, "tcp %s %s %s: %llu up, %llu down, %s",
			endpoint_format(&f->container, a),
			f->from_remote ? "<-" : "->",
			endpoint_format(&f->remote, b),
			(unsigned long long)f->up, (unsigned long long)f->down,
			ending(f));
		if (f->parted)
			fprintf(to, "; parted at frame %llu: %s",
				(unsigned long long)f->parted, f->parted_why);
		parted += f->parted != 0;
		fputc('\n', to);
	}
	fprintf(to, "%u TCP conversations, %u followed to the end, %u parted\n",
		n, n - parted, parted);
	if (c->unfed)
		fprintf(to,
			"%llu segments were not fed: their conversations began "
			"before the capture\n",
			(unsigned long long)c->unfed);
	return parted;
}
