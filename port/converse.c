/* converse_find() sorts frames into conversations; what a side says is taken note
 * of by hear() and take_ack(), which believe what a stack would believe; and
 * difference() compares, once a conversation is over, what was heard here and
 * there. */
#include "port/converse.h"

#include "port/reack.h"
#include "stack/frame.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* No window is larger (RFC 7323 2.3): what is farther ahead is no part of the
 * conversation. */
#define WINDOW_MAX (UINT32_C(1) << 30)

TAILQ_HEAD(flows, converse_flow);

struct converse {
	void *tree;          /* of those that a frame may belong to */
	struct flows order;  /* all, in the order of their beginning, ... */
	struct flows recent; /* ... and of their last frame */
	unsigned n;
	struct converse_watch *watch; /* NULL: nothing is imitated */
	FILE *report;
	unsigned long reported, parted;
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

struct converse *converse_new(FILE *report)
{
	struct converse *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->report = report;
	TAILQ_INIT(&c->order);
	TAILQ_INIT(&c->recent);
	return c;
}

void converse_imitate(struct converse *c, struct converse_watch *w)
{
	c->watch = w;
}

static void keep(void *node)
{
}

static void forget(struct converse *c, struct converse_flow *f)
{
	TAILQ_REMOVE(&c->order, f, order);
	TAILQ_REMOVE(&c->recent, f, recent);
	c->n--;
	free(f);
}

void converse_free(struct converse *c)
{
	struct converse_flow *f, *next;

	if (!c)
		return;
	tdestroy(c->tree, keep);
	for (f = TAILQ_FIRST(&c->order); f; f = next) {
		next = TAILQ_NEXT(f, order);
		free(f);
	}
	free(c);
}

/* What is heard from now on is not of @f. */
static void leave(struct converse *c, struct converse_flow *f)
{
	f->leaving = true;
	if (f->owner)
		c->watch->leaving(c->watch, f);
	assert(!f->owner);
	if (f->known)
		tdelete(f, &c->tree, compare);
	f->known = false;
}

static void report_one(struct converse *c, struct converse_flow *f);

static void make_room(struct converse *c)
{
	struct converse_flow *oldest = TAILQ_FIRST(&c->recent);

	if (c->n < CONVERSE_MAX)
		return;
	leave(c, oldest);
	report_one(c, oldest);
	forget(c, oldest);
}

static struct converse_flow *add(struct converse *c,
				 const struct converse_flow *key)
{
	struct converse_flow *f;

	make_room(c);
	f = malloc(sizeof(*f));
	if (!f)
		return NULL;
	*f = *key;
	f->known = true;
	if (!tsearch(f, &c->tree, compare)) {
		free(f);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&c->order, f, order);
	TAILQ_INSERT_TAIL(&c->recent, f, recent);
	c->n++;
	return f;
}

static bool is_syn(const struct dissect *d)
{
	return (d->flags & (WIRE_TCP_SYN | WIRE_TCP_ACK | WIRE_TCP_RST)) ==
	       WIRE_TCP_SYN;
}

static bool is_over(const struct converse_flow *f)
{
	return f->here.got_fin || f->guest.rst || f->there.rst || f->here.rst;
}

/* Does this SYN begin another conversation than the one that is known? One that
 * stands is not ended by a SYN (RFC 5961 4). */
static bool begins_anew(const struct converse_flow *f, const struct dissect *d,
			bool from_container)
{
	const struct converse_side *s = from_container ? &f->guest : &f->there;

	if (!is_syn(d))
		return false;
	if (f->from_remote == from_container) /* the other side's was first */
		return is_over(f);
	return d->seq != s->isn && (is_over(f) || !f->here.begun);
}

static struct converse_flow *look_up(struct converse *c,
				     const struct converse_flow *key)
{
	struct converse_flow **found = tfind(key, &c->tree, compare);

	return found ? *found : NULL;
}

static void touch(struct converse *c, struct converse_flow *f)
{
	TAILQ_REMOVE(&c->recent, f, recent);
	TAILQ_INSERT_TAIL(&c->recent, f, recent);
}

struct converse_flow *converse_find(struct converse *c, const struct dissect *d,
				    enum converse_from from)
{
	bool guest = from == CONVERSE_CONTAINER;
	struct endpoint src = {d->src, d->sport}, dst = {d->dst, d->dport};
	struct converse_flow key = {
		.container = guest ? src : dst,
		.remote = guest ? dst : src,
		.from_remote = !guest,
	};
	struct converse_flow *f = look_up(c, &key);

	if (from == CONVERSE_HERE)
		return f;
	if (f && !begins_anew(f, d, guest)) {
		touch(c, f);
		return f;
	}
	if (!is_syn(d))
		return NULL;
	if (f)
		leave(c, f);
	return add(c, &key);
}

/* The ends of the segment that @quote has enough of to know it by. */
static bool read_quote(const struct dissect *quote, struct endpoint *ret_src,
		       struct endpoint *ret_dst)
{
	if (!quote->ip || quote->fragment || quote->proto != WIRE_PROTO_TCP ||
	    quote->l4_len < 8)
		return false;
	*ret_src = (struct endpoint){quote->src, get16(quote->l4)};
	*ret_dst = (struct endpoint){quote->dst, get16(quote->l4 + 2)};
	return true;
}

struct converse_flow *converse_find_quoted(struct converse *c,
					   const struct dissect *quote,
					   enum converse_from from)
{
	struct converse_flow key = {.from_remote = false}, *f;
	struct converse_side *by;

	if (!read_quote(quote, &key.container, &key.remote))
		return NULL;
	f = look_up(c, &key);
	if (!f || f->from_remote)
		return NULL;
	by = from == CONVERSE_HERE ? &f->here : &f->there;
	by->unreachable = !by->begun;
	return f;
}

void converse_part(struct converse_flow *f, uint64_t number, const char *why)
{
	if (f->parted)
		return;
	f->parted = number;
	f->parted_why = why;
}

/* Is @a behind @b? */
static bool after(uint32_t a, uint32_t b)
{
	return a - b - 1 < (UINT32_C(1) << 31) - 1;
}

/* With @s->begun. A RST says nothing, at whatever number. */
static void hear(struct converse_side *s, const struct dissect *d)
{
	size_t len = d->payload_len + (d->l4_said - d->l4_len);
	uint32_t end = d->seq + (uint32_t)len;

	if (d->flags & WIRE_TCP_RST)
		return;
	if (d->flags & WIRE_TCP_SYN)
		end++;
	if (s->fin && end == s->fin_at) /* behind its FIN, which is no byte */
		end--;
	if (after(end, s->top) && end - s->top <= WINDOW_MAX) {
		s->sent += end - s->top;
		s->top = end;
	}
	if (d->flags & WIRE_TCP_FIN) {
		s->fin = true;
		s->fin_at = end + 1;
	}
}

static void begin(struct converse_side *s, uint32_t isn)
{
	s->begun = true;
	s->isn = isn;
	s->top = isn + 1;
	s->sent = 0;
	s->fin = false;
}

/* @s acknowledges up to @ack what @of sent: nothing that it did not send. */
static void take_ack(struct converse_side *s, const struct converse_side *of,
		     uint32_t ack)
{
	if (!of->begun)
		return;
	if (!s->acks) {
		s->acks = true;
		s->acked = of->isn + 1;
	}
	if (of->fin && ack == of->fin_at) {
		s->got_fin = true;
		ack--;
	}
	if (after(ack, of->top) || !after(ack, s->acked))
		return;
	s->got += ack - s->acked;
	s->acked = ack;
}

/* A first sequence number is learnt once the container is told it, and then kept:
 * that is what it acknowledges. */
static void learn_there(struct converse *c, struct converse_flow *f,
			const struct dissect *d, uint64_t number)
{
	bool answers = d->flags & WIRE_TCP_ACK;

	if (!answers || !f->guest.begun || d->ack == f->guest.isn + 1) {
		if (!f->there.begun || !f->guest.acks)
			begin(&f->there, d->seq);
	} else if (c->watch && f->there.begun) {
		converse_part(f, number,
			      "begins anew in the capture, and stands here");
	}
}

void converse_there(struct converse *c, struct converse_flow *f,
		    const struct dissect *d, uint64_t number)
{
	f->last = number;
	if (d->flags & WIRE_TCP_SYN)
		learn_there(c, f, d, number);
	if (f->there.begun)
		hear(&f->there, d);
	if (d->flags & WIRE_TCP_ACK)
		take_ack(&f->there, &f->guest, d->ack);
	if (d->flags & WIRE_TCP_RST)
		f->there.rst = true;
}

/* A stack that starts over has other numbers. */
static void begin_here(struct converse_flow *f, uint32_t isn)
{
	if (f->here.begun && f->here.isn == isn)
		return;
	begin(&f->here, isn);
	f->guest.acks = false;
	f->guest.got = 0;
	f->guest.got_fin = false;
}

void converse_here(struct converse_flow *f, const struct dissect *d,
		   uint64_t number)
{
	if (f->leaving)
		return;
	if (d->flags & WIRE_TCP_SYN)
		begin_here(f, d->seq);
	if (f->here.begun)
		hear(&f->here, d);
	if (d->flags & WIRE_TCP_ACK)
		take_ack(&f->here, &f->guest, d->ack);
	if (!(d->flags & WIRE_TCP_RST))
		return;
	f->here.rst = true;
	if (!f->there.rst && !f->guest.rst)
		converse_part(f, number, "reset here, and not in the capture");
}

/* Does a RST of the container end anything? Of a connection that stands, by its
 * sequence number (RFC 5961 3.2); of one that it is asked for, by what it
 * acknowledges (RFC 9293 3.10.7.3). */
static bool is_believed(const struct converse_flow *f, const struct dissect *d)
{
	if (f->here.acks)
		return d->seq == f->here.acked + f->here.got_fin;
	return !f->from_remote ||
	       (d->flags & WIRE_TCP_ACK && d->ack == f->there.isn + 1);
}

/* Where only the container was captured: a SYN is the first that it
 * acknowledges. */
static void guess_there(struct converse_flow *f, const struct dissect *d)
{
	const uint8_t flags = WIRE_TCP_SYN | WIRE_TCP_RST | WIRE_TCP_ACK;

	if (!f->there.begun && f->here.begun && !f->from_remote &&
	    (d->flags & flags) == WIRE_TCP_ACK)
		begin(&f->there, d->ack - 1);
}

void converse_container(struct converse_flow *f, const struct dissect *d,
			bool open, uint64_t number)
{
	uint32_t by;

	guess_there(f, d);
	by = f->there.begun ? f->here.isn - f->there.isn : 0;
	f->last = number;
	if (d->flags & WIRE_TCP_SYN && !f->guest.begun)
		begin(&f->guest, d->seq);
	if (f->guest.begun)
		hear(&f->guest, d);
	if (d->flags & WIRE_TCP_RST && is_believed(f, d))
		f->guest.rst = true;
	if (!(d->flags & WIRE_TCP_ACK))
		return;
	if (!f->here.begun) {
		if (f->there.begun)
			converse_part(f, number,
				      "not answered here, but in the capture");
		return;
	}
	take_ack(&f->guest, &f->here, d->ack + by);
	reack_segment(d, by, open);
}

void converse_complaint(struct converse *c, const struct dissect *icmp,
			const struct dissect *quote)
{
	struct converse_flow key = {.from_remote = false}, *f;

	if (!read_quote(quote, &key.remote, &key.container))
		return;
	f = look_up(c, &key);
	if (f && f->there.begun && f->here.begun)
		reack_quote(icmp, quote, f->here.isn - f->there.isn);
}

void converse_unfed(struct converse *c)
{
	c->unfed++;
}

/* Why what happened here is not what happened there; NULL: it is. */
static const char *difference(const struct converse_flow *f)
{
	const struct converse_side *here = &f->here, *there = &f->there;
	bool reset = f->guest.rst || here->rst;

	if (there->begun && !here->begun)
		return "not answered here, but in the capture";
	if (there->unreachable && !here->unreachable)
		return "unreachable in the capture, and not here";
	if (there->rst && !reset && !(here->fin && here->got_fin))
		return "reset in the capture, and not here";
	if (here->got < there->got || (there->got_fin && !here->got_fin))
		return "not all that the container sent was taken here";
	if (!reset && (here->sent < there->sent || here->fin != there->fin))
		return "not all that the container got was sent here";
	return NULL;
}

static const char *ending(const struct converse_flow *f)
{
	bool ended = f->here.got_fin;

	if (f->here.unreachable && !f->here.begun)
		return "unreachable";
	if ((f->here.rst && !f->here.begun) ||
	    (f->guest.rst && !f->guest.begun))
		return "refused";
	if (f->guest.rst || f->here.rst)
		return "reset";
	if (ended && f->here.fin)
		return "closed";
	if (!f->here.begun || !f->guest.begun)
		return "not answered";
	if (ended || f->here.fin)
		return "half closed";
	return "open at the end";
}

static void report_one(struct converse *c, struct converse_flow *f)
{
	char a[ENDPOINT_STRLEN], b[ENDPOINT_STRLEN];
	const char *why = c->watch ? difference(f) : NULL;

	if (why)
		converse_part(f, f->last, why);
	fprintf(c->report, "tcp %s %s %s: %llu up, %llu down, %s",
		endpoint_format(&f->container, a), f->from_remote ? "<-" : "->",
		endpoint_format(&f->remote, b), (unsigned long long)f->here.got,
		(unsigned long long)f->guest.got, ending(f));
	if (f->invented)
		fprintf(c->report, "; %llu bytes of the answer not captured",
			(unsigned long long)f->invented);
	if (f->parted)
		fprintf(c->report, "; parted at frame %llu: %s",
			(unsigned long long)f->parted, f->parted_why);
	fputc('\n', c->report);
	c->reported++;
	c->parted += f->parted != 0;
}

unsigned converse_report(struct converse *c)
{
	struct converse_flow *f;

	TAILQ_FOREACH(f, &c->order, order)
	{
		report_one(c, f);
	}
	fprintf(c->report,
		"%lu TCP conversations, %lu followed to the end, %lu parted\n",
		c->reported, c->reported - c->parted, c->parted);
	if (c->unfed)
		fprintf(c->report,
			"%llu segments were not fed: their conversations began "
			"before the capture\n",
			(unsigned long long)c->unfed);
	return (unsigned)c->parted;
}
