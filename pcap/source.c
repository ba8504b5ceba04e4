#include "pcap/source.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

/* A hostile time of pcapng reaches far beyond what nsec_t holds. This leaves
 * room for the difference of any two. */
#define SECONDS_MAX ((int64_t)UINT32_MAX)

struct source {
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

struct source *source_open(const char *path, struct fail *why)
{
	struct source *s = calloc(1, sizeof(*s));
	char err[PCAP_ERRBUF_SIZE];

	if (!s || !(s->path = strdup(path))) {
		fail_set(why, -ENOMEM, "%s: no memory", path);
		free(s);
		return NULL;
	}
	s->pcap = pcap_open_offline_with_tstamp_precision(
		path, PCAP_TSTAMP_PRECISION_NANO, err);
	if (!s->pcap)
		fail_set(why, -EINVAL, strstr(err, path) ? "%s%s" : "%s: %s",
			 strstr(err, path) ? "" : path, err);
	if (s->pcap && check_link(s->pcap, path, why) == 0)
		return s;
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
