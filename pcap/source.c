#include "pcap/source.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

/* A hostile time of pcapng reaches far beyond what nsec_t holds. This leaves
 * room for the difference of any two. */
#define SECONDS_MAX ((int64_t)UINT32_MAX)

/* stdio alone reads a page at a time. */
#define BUFFER (256u << 10)

struct source {
	char buffer[BUFFER];
	pcap_t *pcap;
	char *path;
	uint64_t count;
};

static int check_link(pcap_t *p, const char *path, struct fail *why)
{
	int link = pcap_datalink(p);
	const char *name = pcap_datalink_val_to_name(link);

	if (link == DLT_EN10MB)
		return 0;
	return fail_set(why, -EPROTOTYPE,
			"%s: want Ethernet frames, not link type %s (%d)", path,
			name ? name : "unknown", link);
}

static FILE *open_file(struct source *s, struct fail *why)
{
	FILE *f;

	if (strcmp(s->path, "-") == 0)
		return stdin;
	f = fopen(s->path, "re");
	if (!f)
		fail_errno(why, "%s", s->path);
	else
		setvbuf(f, s->buffer, _IOFBF, sizeof(s->buffer));
	return f;
}

static int open_pcap(struct source *s, struct fail *why)
{
	char err[PCAP_ERRBUF_SIZE];
	FILE *f = open_file(s, why);

	if (!f)
		return -EINVAL;
	s->pcap = pcap_fopen_offline_with_tstamp_precision(
		f, PCAP_TSTAMP_PRECISION_NANO, err);
	if (s->pcap)
		return check_link(s->pcap, s->path, why);
	if (f != stdin)
		fclose(f);
	return fail_set(why, -EINVAL, "%s: %s", s->path, err);
}

struct source *source_open(const char *path, struct fail *why)
{
	struct source *s = calloc(1, sizeof(*s));

	if (s && (s->path = strdup(path))) {
		if (open_pcap(s, why) == 0)
			return s;
	} else {
		fail_set(why, -ENOMEM, "%s: no memory", path);
	}
	source_close(s);
	return NULL;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	if (s->pcap)
		pcap_close(s->pcap);
	free(s->path);
	free(s);
}

/* Nanoseconds stand in the field for microseconds. */
static nsec_t time_of(const struct timeval *ts)
{
	int64_t sec = ts->tv_sec, nsec = ts->tv_usec;

	if (sec > SECONDS_MAX)
		sec = SECONDS_MAX;
	if (sec < -SECONDS_MAX)
		sec = -SECONDS_MAX;
	if (nsec < 0 || nsec >= NSEC_PER_SEC)
		nsec = NSEC_PER_SEC - 1;
	return sec * NSEC_PER_SEC + nsec;
}

int source_next(struct source *s, struct source_frame *ret, struct fail *why)
{
	struct pcap_pkthdr *h;
	const u_char *bytes;
	int got = pcap_next_ex(s->pcap, &h, &bytes);

	if (got == PCAP_ERROR_BREAK)
		return 0;
	if (got != 1)
		return fail_set(why, -EIO, "%s: after frame %llu: %s", s->path,
				(unsigned long long)s->count,
				pcap_geterr(s->pcap));
	*ret = (struct source_frame){
		.number = ++s->count,
		.when = time_of(&h->ts),
		.bytes = bytes,
		.have = h->caplen,
		.len = h->len > h->caplen ? h->len : h->caplen,
	};
	return 1;
}
