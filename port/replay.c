/* One pass over the capture finds out who is the gateway, a second feeds it.
 * What the container sent goes into the stack; what the other side sent is for
 * learning (port/converse.c), and to be done again if no script says otherwise
 * (port/recorded.c). */
#include "port/replay.h"

#include "pcap/record.h"
#include "pcap/source.h"
#include "port/config.h"
#include "port/icmpcode.h"
#include "port/netplan.h"
#include "port/recorded.h"
#include "port/replay_host.h"
#include "port/replay_out.h"
#include "port/sides.h"
#include "stack/container_of.h"
#include "stack/packet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* When the first frame comes: lwIP's clock has no zero. */
#define BEGINNING NSEC_PER_SEC

#define HEADERS_MAX 256

#define ALIGN 2 /* so that the IP header is aligned to 4 bytes */

#define FLOW_LIMIT   (4u << 20)
#define MEMORY_LIMIT (256u << 20)
#define MAX_STREAMS  65536

/* A longer silence, as of a clock that was set, is not lived through to its
 * end. */
#define SILENCE_MAX (24 * 3600 * NSEC_PER_SEC)

#define SCRIPT_MAX (1u << 20)

struct replay {
	struct frame_sink sink;
	struct policy policy;
	struct stack *stack;
	struct converse *conversations;
	struct recorded *recorded;    /* or ... */
	struct replay_host *scripted; /* ... this one */
	struct script *script;
	struct source *in;
	struct replay_out out;
	FILE *report;

	struct sides sides;
	const struct sides_mac *container; /* NULL: nobody speaks */
	bool answers;                      /* the other side does too */
	nsec_t first;                      /* of the capture's clock */
	nsec_t now;                        /* of ours */
	uint64_t number;                   /* of the frame in hand */
	bool over; /* what the stack still sends does not count */
	uint64_t fed, seen, sent, cut, huge, backwards;
	uint8_t buf[RECORD_MAX];
	struct fail why;
	int err;
	struct fail broken; /* how the capture ends before its end */
	bool is_broken;
};

static nsec_t capture_time(const struct replay *r)
{
	return r->first + r->now - BEGINNING;
}

static void put_out(struct replay *r, const uint8_t *bytes, size_t len)
{
	if (r->err == 0)
		r->err = replay_out_put(&r->out, capture_time(r), bytes, len,
					&r->why);
}

/* How much of a frame anybody looks at: its headers, if nobody wants it all. */
static size_t wanted(const struct replay *r)
{
	return replay_out_wants(&r->out) ? sizeof(r->buf) : HEADERS_MAX;
}

/* The packet that an ICMP error quotes; false if @d is none. */
static bool quote_of(const struct dissect *d, struct dissect *ret)
{
	const struct wire_icmp *icmp = (const void *)d->l4;
	bool v4 = d->proto == WIRE_PROTO_ICMP;
	struct icmpcode code;

	if (!d->ip || d->fragment || (!v4 && d->proto != WIRE_PROTO_ICMPV6) ||
	    addr_is_v4(&d->src) != v4 || d->l4_len < sizeof(*icmp) ||
	    !icmpcode_read(icmp, v4, &code))
		return false;
	return dissect_quote(d->l4 + sizeof(*icmp), d->l4_len - sizeof(*icmp),
			     ret);
}

static void follow_here(struct replay *r, const uint8_t *bytes, size_t len)
{
	struct converse_flow *f;
	struct dissect d, quote;

	if (!dissect_frame(bytes, len, &d))
		return;
	if (d.tcp) {
		f = converse_find(r->conversations, &d, CONVERSE_HERE);
		if (f)
			converse_here(f, &d, r->number);
	} else if (quote_of(&d, &quote)) {
		converse_find_quoted(r->conversations, &quote, CONVERSE_HERE);
	}
}

static void follow_there(struct replay *r, const struct dissect *d)
{
	struct converse_flow *f;
	struct dissect quote;

	if (d->tcp) {
		f = converse_find(r->conversations, d, CONVERSE_THERE);
		if (f)
			converse_there(r->conversations, f, d, r->number);
	} else if (quote_of(d, &quote)) {
		converse_find_quoted(r->conversations, &quote, CONVERSE_THERE);
	}
}

static int put(struct frame_sink *sink, const struct frame *f)
{
	struct replay *r = container_of(sink, struct replay, sink);
	size_t len;

	if (r->over)
		return 0;
	len = record_copy(f, r->buf, wanted(r));
	r->sent++;
	put_out(r, r->buf, len);
	follow_here(r, r->buf, len);
	return 0;
}

/* The clock. */

static void set_time(struct replay *r, nsec_t now)
{
	r->now = now;
	stack_set_time(r->stack, now);
	if (r->scripted)
		replay_host_set_time(r->scripted, now);
}

static nsec_t next_event(const struct replay *r)
{
	nsec_t stack = stack_deadline(r->stack);
	nsec_t host =
		r->scripted ? replay_host_deadline(r->scripted) : NSEC_NEVER;

	return stack < host ? stack : host;
}

static void run_until(struct replay *r, nsec_t end)
{
	nsec_t lived = end - r->now > SILENCE_MAX ? r->now + SILENCE_MAX : end;
	nsec_t at;

	while ((at = next_event(r)) <= lived) {
		set_time(r, at > r->now ? at : r->now);
		stack_tick(r->stack);
		stack_flush(r->stack);
		if (r->scripted)
			replay_host_tick(r->scripted);
		stack_flush(r->stack);
	}
	set_time(r, end);
}

/* The container's frames. */

/* A frame captured before the kernel made its checksum has that of the
 * pseudo-header there: then it is as if it came from a tap with offloads. */
static struct offload guess_offload(const struct dissect *d, const uint8_t *b)
{
	struct offload off = {0};
	size_t at;

	if (!d->ports)
		return off;
	at = d->proto == WIRE_PROTO_TCP ? offsetof(struct wire_tcp, csum)
					: offsetof(struct wire_udp, csum);
	if (get16(d->l4 + at) !=
	    packet_csum_pseudo(&d->src, &d->dst, d->proto, d->l4_len))
		return off;
	off.csum_partial = true;
	off.csum_start = (uint16_t)(d->l4 - b);
	off.csum_offset = (uint16_t)at;
	return off;
}

static bool is_other(const struct replay *r, const uint8_t mac[WIRE_MAC_LEN])
{
	return sides_is_other(&r->sides, r->container, &r->policy.plan, mac);
}

/* Our gateway has an address of its own. */
static void translate_macs(const struct replay *r, uint8_t *b, size_t len)
{
	const size_t arp_target = WIRE_ETH_LEN + 18;
	const uint8_t *ours = r->policy.plan.mac;
	struct wire_eth *eth = (struct wire_eth *)b;

	if (len < WIRE_ETH_LEN)
		return;
	if (!(eth->dst[0] & 1) && is_other(r, eth->dst))
		memcpy(eth->dst, ours, WIRE_MAC_LEN);
	if (get16(eth->type) == WIRE_ETH_ARP &&
	    len >= arp_target + WIRE_MAC_LEN && is_other(r, b + arp_target))
		memcpy(b + arp_target, ours, WIRE_MAC_LEN);
}

/* Of the container's frame: what it acknowledges, or complains of, becomes ours.
 * False if it is not to be fed. */
static bool translate(struct replay *r, const struct dissect *d, bool open,
		      struct converse_flow **ret)
{
	struct dissect quote;

	*ret = NULL;
	if (d->tcp) {
		*ret = converse_find(r->conversations, d, CONVERSE_CONTAINER);
		if (*ret)
			converse_container(*ret, d, open, r->number);
		else if (r->answers)
			converse_unfed(r->conversations);
		return *ret || !r->answers;
	}
	if (quote_of(d, &quote))
		converse_complaint(r->conversations, d, &quote);
	return true;
}

static void feed(struct replay *r, struct chunk *k, size_t len)
{
	uint8_t *b = k->data + ALIGN;
	struct converse_flow *f = NULL;
	struct offload off = {0};
	struct dissect d;

	translate_macs(r, b, len);
	if (dissect_frame(b, len, &d)) {
		off = guess_offload(&d, b);
		if (!translate(r, &d, off.csum_partial, &f))
			return;
	}
	if (r->recorded)
		recorded_expect(r->recorded, f);
	r->fed++;
	/* as on a wire: a checksum that was left open is complete there */
	if (replay_out_wants(&r->out))
		put_out(r, r->buf,
			record_copy(
				&(struct frame){.iov = &(struct iovec){b, len},
						.iovcnt = 1,
						.len = len,
						.off = off},
				r->buf, sizeof(r->buf)));
	stack_input(r->stack, k, ALIGN, len, &off);
	if (r->recorded)
		recorded_expect(r->recorded, NULL);
	stack_flush(r->stack);
}

static void take_container(struct replay *r, const struct source_frame *f)
{
	struct chunk *k;

	if (f->len > CHUNK_ROOM - ALIGN) {
		r->huge++;
		return;
	}
	if (f->have < f->len) {
		r->cut++;
		return;
	}
	k = chunk_new_beyond(stack_pool(r->stack), CHUNK_ROOM);
	if (!k) {
		r->err = fail_set(&r->why, -ENOMEM, "no memory for a frame");
		return;
	}
	memcpy(k->data + ALIGN, f->bytes, f->have);
	feed(r, k, f->have);
	chunk_put(k);
}

static void take_other(struct replay *r, const struct dissect *d)
{
	r->seen++;
	if (r->recorded)
		recorded_frame(r->recorded, d, r->number);
	else
		follow_there(r, d);
	stack_flush(r->stack);
}

static void take_frame(struct replay *r, const struct source_frame *f)
{
	nsec_t at = BEGINNING + f->when - r->first;
	struct dissect d;

	r->number = f->number;
	if (at < r->now)
		r->backwards++;
	else
		run_until(r, at);
	if (dissect_frame(f->bytes, f->have, &d) && is_other(r, d.eth->src))
		take_other(r, &d);
	else
		take_container(r, f);
}

/* What there is of a capture that is cut off is replayed. */
static void feed_all(struct replay *r)
{
	struct source_frame f;
	int more = 1;

	while (r->err == 0 && (more = source_next(r->in, &f, &r->broken)) > 0)
		take_frame(r, &f);
	r->is_broken = more < 0;
	if (r->err == 0)
		run_until(r, r->now + REPLAY_TAIL);
	r->over = true;
	if (r->err == 0)
		r->err = replay_out_end(&r->out, &r->why);
}

/* Setting up. */

static int find_sides(struct replay *r, const char *path)
{
	struct source *s = source_open(path, &r->why);
	struct source_frame f;
	struct dissect d;

	if (!s)
		return -EINVAL;
	while (source_next(s, &f, &r->why) > 0) {
		if (f.number == 1)
			r->first = f.when;
		if (dissect_frame(f.bytes, f.have, &d))
			sides_look(&r->sides, &d);
	}
	source_close(s);
	r->container = sides_container(&r->sides, &r->policy.plan);
	for (unsigned i = 0; i < r->sides.n; i++)
		r->answers |= r->sides.mac[i].sent > 0 &&
			      is_other(r, r->sides.mac[i].mac);
	return 0;
}

static int read_script(struct replay *r, const char *path)
{
	char *text = malloc(SCRIPT_MAX + 1);
	FILE *f = text ? fopen(path, "re") : NULL;
	size_t len = 0;
	int err = -EINVAL;

	if (f)
		len = fread(text, 1, SCRIPT_MAX + 1, f);
	if (!f || ferror(f)) {
		fail_errno(&r->why, "%s", path);
	} else if (len > SCRIPT_MAX) {
		fail_set(&r->why, err, "%s: longer than %u bytes", path,
			 SCRIPT_MAX);
	} else {
		text[len] = '\0';
		r->script = script_parse(text, path, &r->why);
		err = r->script ? 0 : err;
	}
	if (f)
		fclose(f);
	free(text);
	return err;
}

static int make_host(struct replay *r, const char *script)
{
	if (script && read_script(r, script) < 0)
		return -EINVAL;
	if (script || !r->answers)
		r->scripted = replay_host_new(r->script, &r->policy);
	else
		r->recorded = recorded_new(r->conversations);
	return r->scripted || r->recorded
		       ? 0
		       : fail_set(&r->why, -ENOMEM, "no memory");
}

static int make_stack(struct replay *r)
{
	struct stack_config config = {
		.plan = r->policy.plan,
		.flow_limit = FLOW_LIMIT,
		.memory_limit = MEMORY_LIMIT,
		.max_streams = MAX_STREAMS,
		/* no secret: the same input shall give the same output */
		.seed = {0x7461706972, 0x7265706c6179},
	};

	r->sink.put = put;
	r->now = BEGINNING;
	r->stack = stack_new(&config, &r->sink,
			     r->scripted ? replay_host_hooks(r->scripted)
					 : recorded_hooks(r->recorded),
			     BEGINNING);
	if (!r->stack)
		return fail_set(&r->why, -ENOMEM, "no memory for the stack");
	if (r->scripted) {
		replay_host_attach(r->scripted, r->stack);
		replay_host_set_time(r->scripted, BEGINNING);
	} else {
		recorded_attach(r->recorded, r->stack, &r->policy.plan);
	}
	return 0;
}

static int open_files(struct replay *r, const struct replay_config *c)
{
	struct replay_out_config out = {c->in, c->out, c->expect, r->first,
					r->report};

	r->in = source_open(c->in, &r->why);
	return r->in ? replay_out_open(&r->out, &out, &r->why) : -EINVAL;
}

static int set_up(struct replay *r, const struct replay_config *c)
{
	struct config config = config_default();
	int err;

	config.net4 = c->net4;
	config.bits4 = c->bits4;
	config.mtu = c->mtu;
	config.ipv6 = true;
	if (strcmp(c->in, "-") == 0)
		return fail_set(&r->why, -EINVAL,
				"a capture is read twice: want a file, not "
				"'-'");
	r->policy = (struct policy){.plan = netplan_of_net(&config),
				    .host_loopback = true};
	r->conversations = converse_new(r->report);
	if (!r->conversations)
		return fail_set(&r->why, -ENOMEM, "no memory");
	err = find_sides(r, c->in);
	if (err == 0)
		err = make_host(r, c->host);
	if (err == 0)
		err = open_files(r, c);
	if (err == 0)
		err = make_stack(r);
	return err;
}

static void tear_down(struct replay *r)
{
	r->over = true;
	recorded_free(r->recorded);
	replay_host_free(r->scripted);
	stack_free(r->stack);
	converse_free(r->conversations);
	script_free(r->script);
	source_close(r->in);
	replay_out_close(&r->out);
}

/* The end. */

static void say_number(FILE *to, uint64_t n, const char *what)
{
	if (n)
		fprintf(to, "%llu %s\n", (unsigned long long)n, what);
}

static void say_drops(struct replay *r)
{
	const struct counters *c = stack_counters(r->stack);

	for (int i = 0; i < COUNT_REASONS; i++) {
		if (strncmp(count_name((enum count_reason)i), "drop_", 5) == 0)
			say_number(r->report, c->v[i],
				   count_name((enum count_reason)i));
	}
}

static void report(struct replay *r)
{
	fprintf(r->report,
		"%llu frames of the container fed, %llu of the other side "
		"seen, %llu sent\n",
		(unsigned long long)r->fed, (unsigned long long)r->seen,
		(unsigned long long)r->sent);
	say_number(r->report, r->cut,
		   "not fed: cut off when captured (tcpdump -s 0 keeps all)");
	say_number(r->report, r->huge,
		   "not fed: larger than any frame of a tap");
	say_number(r->report, r->backwards, "with a time before the last");
	if (r->recorded) {
		say_number(r->report, recorded_fragments(r->recorded),
			   "fragments of answers not replayed");
		say_number(r->report, recorded_cut(r->recorded),
			   "answers not replayed: cut off when captured");
	}
	say_drops(r);
	converse_report(r->conversations);
	if (r->out.want && r->out.differences == 0)
		fputs("all as expected\n", r->report);
}

int replay_run(const struct replay_config *config, FILE *out, FILE *err)
{
	struct replay *r = calloc(1, sizeof(*r));
	bool takes_stdout = config->out && strcmp(config->out, "-") == 0;
	int status = 1;

	if (!r) {
		fputs("tapir replay: no memory\n", err);
		return 1;
	}
	r->report = takes_stdout ? err : out;
	r->err = set_up(r, config);
	if (r->err == 0)
		feed_all(r);
	if (r->err == 0) {
		report(r);
		status = r->out.differences || r->is_broken ? 1 : 0;
	} else {
		fprintf(err, "tapir replay: %s\n", r->why.text);
	}
	if (r->is_broken)
		fprintf(err, "tapir replay: %s\n", r->broken.text);
	tear_down(r);
	free(r);
	return status;
}
