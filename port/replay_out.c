#include "port/replay_out.h"

#include "pcap/differ.h"
#include "pcap/dump.h"
#include "pcap/source.h"

#include <errno.h>
#include <sys/stat.h>

static bool is_same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && S_ISREG(sa.st_mode) &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int replay_out_open(struct replay_out *o, const struct replay_out_config *c,
		    struct fail *why)
{
	struct dump_config dump = {.path = c->path, .patient = true};

	*o = (struct replay_out){.report = c->report, .first = c->first};
	if (c->path && (is_same_file(c->path, c->in) ||
			(c->want && is_same_file(c->path, c->want))))
		return fail_set(why, -EINVAL,
				"%s: would be written over while it is read",
				c->path);
	if (c->want && !(o->want = source_open(c->want, why)))
		return -EINVAL;
	if (c->path && !(o->file = dump_open(&dump, why)))
		return -EINVAL;
	return 0;
}

void replay_out_close(struct replay_out *o)
{
	source_close(o->want);
	dump_close(o->file);
}

bool replay_out_wants(const struct replay_out *o)
{
	return o->file || o->want;
}

static void complain(struct replay_out *o, uint64_t number, const char *what)
{
	fprintf(o->report, "frame %llu: %s\n", (unsigned long long)number,
		what);
	o->differences++;
}

static void compare(struct replay_out *o, nsec_t when, const uint8_t *bytes,
		    size_t len, const struct source_frame *f)
{
	struct differ_frame want = {f->bytes, f->have}, got = {bytes, len};
	char prefix[32];

	snprintf(prefix, sizeof(prefix),
		 "frame %llu: ", (unsigned long long)f->number);
	o->differences += differ_frames(&want, &got, prefix, o->report);
	if (f->when == when)
		return;
	fprintf(o->report, "%stime: wanted %lld ns, got %lld ns\n", prefix,
		(long long)(f->when - o->first), (long long)(when - o->first));
	o->differences++;
}

static bool is_comparing(const struct replay_out *o)
{
	return o->want && o->differences < REPLAY_OUT_DIFFERENCES;
}

int replay_out_put(struct replay_out *o, nsec_t when, const uint8_t *bytes,
		   size_t len, struct fail *why)
{
	struct source_frame f;
	int err = 0;

	o->n++;
	if (is_comparing(o)) {
		int more = source_next(o->want, &f, why);

		if (more < 0)
			return more;
		if (more == 0)
			complain(o, o->n, "got one more than wanted");
		else
			compare(o, when, bytes, len, &f);
	}
	if (o->file)
		err = dump_put(o->file, when, bytes, len, len);
	return err < 0 ? fail_set(why, err, "%s", dump_error(o->file)) : 0;
}

int replay_out_end(struct replay_out *o, struct fail *why)
{
	struct source_frame f;
	int more = 1;

	if (o->file && (more = dump_flush(o->file)) < 0)
		return fail_set(why, more, "%s", dump_error(o->file));
	while (is_comparing(o) && (more = source_next(o->want, &f, why)) > 0)
		complain(o, f.number, "wanted, and did not come");
	return more < 0 ? more : 0;
}
