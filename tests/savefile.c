#include "tests/savefile.h"

#include "tests/test.h"

#include <dirent.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool magic_is_nano(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint32_t magic = 0;

	assert_non_null(f);
	assert_int_equal(fread(&magic, sizeof(magic), 1, f), 1);
	fclose(f);
	return magic == 0xa1b23c4d;
}

struct savefile savefile_read(const char *path)
{
	struct savefile s = {.nano = magic_is_nano(path)};
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline_with_tstamp_precision(
		path, PCAP_TSTAMP_PRECISION_NANO, err);
	struct pcap_pkthdr *h;
	const u_char *data;
	int got;

	if (!p)
		print_error("%s\n", err);
	assert_non_null(p);
	assert_int_equal(pcap_datalink(p), DLT_EN10MB);
	s.snaplen = pcap_snapshot(p);
	while ((got = pcap_next_ex(p, &h, &data)) == 1) {
		struct savefile_record r = {
			.when = h->ts.tv_sec * NSEC_PER_SEC + h->ts.tv_usec,
			.caplen = h->caplen,
			.len = h->len,
			.data = malloc(h->caplen ? h->caplen : 1),
		};

		assert_non_null(r.data);
		memcpy(r.data, data, h->caplen);
		if ((s.n & (s.n - 1)) == 0)
			s.rec = realloc(s.rec, (s.n ? s.n * 2 : 1) * sizeof(r));
		assert_non_null(s.rec);
		s.rec[s.n++] = r;
	}
	s.truncated = got != PCAP_ERROR_BREAK;
	pcap_close(p);
	return s;
}

void savefile_free(struct savefile *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->rec[i].data);
	free(s->rec);
	*s = (struct savefile){0};
}

int savefile_mkdir(void **state)
{
	char *dir = strdup("/tmp/tapir-test.XXXXXX");

	*state = dir;
	return dir && mkdtemp(dir) ? 0 : -1;
}

int savefile_rmdir(void **state)
{
	char path[SAVEFILE_PATH + 256];
	char *dir = *state;
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
	free(dir);
	return 0;
}

const char *savefile_path(void **state, const char *name,
			  char path[SAVEFILE_PATH])
{
	snprintf(path, SAVEFILE_PATH, "%s/%s", (const char *)*state, name);
	return path;
}

unsigned savefile_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}
