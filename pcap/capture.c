#include "pcap/capture.h"

#include "pcap/record.h"
#include "pcap/trace.h"
#include "stack/container_of.h"

#include <errno.h>
#include <stdlib.h>

/* The whole frame, and one segment of it. */
#define BUFS_LEN  (2 * (size_t)RECORD_MAX)
#define LAST_WAIT (1 * NSEC_PER_SEC)

/* The end of *@d, with its words if its output failed. */
static void end(struct capture *c, struct dump **d, bool failed)
{
	if (failed)
		c->failed(c, dump_error(*d));
	dump_close(*d);
	*d = NULL;
}

static void end_running(struct capture *c, bool failed)
{
	c->stats = dump_stats(c->dump);
	end(c, &c->dump, failed);
	free(c->bufs);
	c->bufs = NULL;
}

/* 0, or -errno of an output that failed. */
static int put_segments(struct capture *c, const struct record_cut *cut,
			nsec_t now)
{
	uint8_t *buf = c->bufs + RECORD_MAX;
	int err = 0;

	for (unsigned i = 0; i < cut->count && err == 0; i++) {
		size_t len = record_segment(cut, i, buf);

		err = dump_put(c->dump, now, buf, len, len);
	}
	return err;
}

static void take(struct capture *c, const struct frame *f)
{
	size_t room = c->segment ? RECORD_MAX : dump_room(c->dump);
	nsec_t now = c->clock();
	struct record_cut cut;
	size_t have;
	int err;

	have = record_copy(f, c->bufs, room < RECORD_MAX ? room : RECORD_MAX);
	if (c->segment && have == f->len && record_cut(f, c->bufs, &cut))
		err = put_segments(c, &cut, now);
	else
		err = dump_put(c->dump, now, c->bufs, have, f->len);
	if (err < 0)
		end_running(c, true);
}

static void say(struct capture *c, bool from_container, const struct frame *f)
{
	uint8_t head[TRACE_BYTES];
	size_t have = record_copy(f, head, sizeof(head));

	trace_frame(c->trace, from_container, head, have, f->len);
}

/* What the tap refused was never on the wire. */
static int put(struct frame_sink *sink, const struct frame *f)
{
	struct capture *c = container_of(sink, struct capture, sink);
	int err = c->to->put(c->to, f);

	if (c->dump && err == 0)
		take(c, f);
	if (c->trace && err == 0)
		say(c, false, f);
	return err;
}

void capture_init(struct capture *c, struct frame_sink *to,
		  nsec_t (*clock)(void),
		  void (*failed)(struct capture *c, const char *why))
{
	*c = (struct capture){
		.sink.put = put, .to = to, .clock = clock, .failed = failed};
}

/* Moves on what a stopped capture still owes. */
static void flush_last(struct capture *c)
{
	bool failed = dump_flush(c->last) < 0;

	/* Once the next one runs, its failure would be taken for that one's. */
	if (failed || !dump_waiting(c->last))
		end(c, &c->last, failed && !c->dump);
}

int capture_start(struct capture *c, const struct dump_config *config,
		  bool segment, struct fail *why)
{
	if (c->dump)
		return fail_set(why, -EBUSY, "a capture is running already");
	c->bufs = malloc(BUFS_LEN);
	if (!c->bufs)
		return fail_set(why, -ENOMEM, "no memory for a capture");
	c->dump = dump_open(config, why);
	if (!c->dump) {
		free(c->bufs);
		c->bufs = NULL;
		return -EIO;
	}
	c->segment = segment;
	return 0;
}

void capture_stop(struct capture *c)
{
	struct dump *d = c->dump;

	if (!d)
		return;
	c->dump = NULL;
	c->stats = dump_stats(d);
	free(c->bufs);
	c->bufs = NULL;
	/* Two that wait for slow readers are one too many. */
	dump_close(c->last);
	c->last = d;
	flush_last(c);
}

void capture_fini(struct capture *c)
{
	nsec_t deadline = c->clock() + LAST_WAIT;
	nsec_t left = LAST_WAIT;

	capture_stop(c);
	while (c->last && left > 0 && left <= LAST_WAIT) {
		dump_wait(c->last, (int)(left / NSEC_PER_MSEC) + 1);
		flush_last(c);
		left = deadline - c->clock();
	}
	dump_close(c->last);
	c->last = NULL;
}

bool capture_running(const struct capture *c)
{
	return c->dump;
}

struct dump_stats capture_stats(const struct capture *c)
{
	return c->dump ? dump_stats(c->dump) : c->stats;
}

void capture_input(struct capture *c, const uint8_t *bytes, size_t len,
		   const struct offload *off)
{
	struct iovec iov = {(void *)(uintptr_t)bytes, len};
	struct frame f = {.iov = &iov, .iovcnt = 1, .len = len, .off = *off};

	if (c->dump)
		take(c, &f);
	if (c->trace)
		say(c, true, &f);
}

bool capture_waiting(const struct capture *c)
{
	return c->last || (c->dump && dump_waiting(c->dump));
}

void capture_flush(struct capture *c)
{
	if (c->last)
		flush_last(c);
	if (c->dump && dump_flush(c->dump) < 0)
		end_running(c, true);
}
