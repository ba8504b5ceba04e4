/* libpcap writes to a FILE whose cookie is this struct: the bytes gather in
 * `wait`, and dump_flush() moves them to the descriptor without blocking. */
#include "pcap/dump.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_HEADER 16     /* bytes before each frame in a file */
#define SNAPLEN_ALL   262144 /* libpcap's own maximum */
#define NAME_MAX_LEN  4096
#define LAST_WAIT     1000 /* ms that dump_close() gives a slow reader */

struct dump {
	pcap_t *dead; /* what a writer and a filter need to know of a link */
	struct bpf_program filter;
	bool has_filter;
	pcap_dumper_t *file;
	int fd;
	bool socket; /* write(2) would raise SIGPIPE and wait */

	char *path;
	uint64_t size;
	unsigned files, index; /* of the file that is open */
	uint64_t file_bytes;

	uint8_t *wait; /* DUMP_BUFFER bytes; from @start, @used of them */
	size_t start, used;
	struct dump_stats stats;
	int failed; /* -errno */
	char error[NAME_MAX_LEN + 64];
};

static int fail(struct dump *d, int err, const char *name)
{
	d->failed = err;
	snprintf(d->error, sizeof(d->error), "%s: %s", name, strerror(-err));
	return err;
}

/* As tcpdump names them: PATH, PATH1, PATH2, ...; in a ring PATH0, PATH1, ...
 * with as many digits as the last one has. */
static void file_name(const struct dump *d, char name[NAME_MAX_LEN])
{
	int digits = snprintf(NULL, 0, "%u", d->files ? d->files - 1 : 0);

	if (d->files)
		snprintf(name, NAME_MAX_LEN, "%s%0*u", d->path, digits,
			 d->index);
	else if (d->index)
		snprintf(name, NAME_MAX_LEN, "%s%u", d->path, d->index);
	else
		snprintf(name, NAME_MAX_LEN, "%s", d->path);
}

static ssize_t gather(void *cookie, const char *buf, size_t len)
{
	struct dump *d = cookie;

	assert(d->start + d->used + len <= DUMP_BUFFER);
	memcpy(d->wait + d->start + d->used, buf, len);
	d->used += len;
	d->file_bytes += len;
	d->stats.bytes += len;
	return (ssize_t)len;
}

/* stdout may be shared with others, whom O_NONBLOCK would surprise: a pipe is
 * opened anew. */
static int open_stdout(struct dump *d)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) < 0)
		return -errno;
	d->socket = S_ISSOCK(st.st_mode);
	d->fd = S_ISFIFO(st.st_mode) ? open("/proc/self/fd/1",
					    O_WRONLY | O_NONBLOCK | O_CLOEXEC)
				     : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	return d->fd < 0 ? -errno : 0;
}

static int open_fd(struct dump *d, const char *name)
{
	if (strcmp(name, "-") == 0)
		return open_stdout(d);
	d->fd = open(name,
		     O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC,
		     0600);
	return d->fd < 0 ? -errno : 0;
}

/* Opens the file of d->index and lets libpcap write its header. */
static int open_file(struct dump *d)
{
	static const cookie_io_functions_t io = {.write = gather};
	char name[NAME_MAX_LEN];
	FILE *f;
	int err;

	file_name(d, name);
	err = open_fd(d, name);
	if (err < 0)
		return fail(d, err, name);
	d->file_bytes = 0;
	f = fopencookie(d, "w", io);
	if (f) {
		setvbuf(f, NULL, _IONBF, 0);
		d->file = pcap_dump_fopen(d->dead, f);
	}
	if (!d->file)
		return fail(d, -ENOMEM, name);
	return 0;
}

static void close_file(struct dump *d)
{
	if (d->file)
		pcap_dump_close(d->file);
	d->file = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static ssize_t write_some(const struct dump *d)
{
	const uint8_t *at = d->wait + d->start;

	if (d->socket)
		return send(d->fd, at, d->used, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(d->fd, at, d->used);
}

int dump_flush(struct dump *d)
{
	char name[NAME_MAX_LEN];

	while (d->used > 0 && d->failed == 0) {
		ssize_t n = write_some(d);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			int err = -errno;

			file_name(d, name);
			return fail(d, err, name);
		}
		d->start += (size_t)n;
		d->used -= (size_t)n;
	}
	if (d->used == 0)
		d->start = 0;
	return d->failed;
}

/* Makes room for @len more behind what waits. */
static bool have_space(struct dump *d, size_t len)
{
	if (d->start + d->used + len <= DUMP_BUFFER)
		return true;
	if (dump_flush(d) < 0)
		return false;
	if (d->start > 0) {
		memmove(d->wait, d->wait + d->start, d->used);
		d->start = 0;
	}
	return d->used + len <= DUMP_BUFFER;
}

static int next_file(struct dump *d)
{
	int err = dump_flush(d);

	if (err < 0)
		return err;
	close_file(d);
	d->index++;
	if (d->files)
		d->index %= d->files;
	return open_file(d);
}

size_t dump_room(const struct dump *d)
{
	size_t snap = (size_t)pcap_snapshot(d->dead);

	return d->has_filter ? SNAPLEN_ALL : snap;
}

int dump_put(struct dump *d, nsec_t when, const uint8_t *bytes, size_t have,
	     size_t len)
{
	size_t snap = (size_t)pcap_snapshot(d->dead);
	/* of a file in nanoseconds the field is in nanoseconds too */
	struct pcap_pkthdr h = {
		.ts = {when / NSEC_PER_SEC, when % NSEC_PER_SEC},
		.caplen = (bpf_u_int32)have,
		.len = (bpf_u_int32)len,
	};

	if (d->failed)
		return d->failed;
	if (d->has_filter && !pcap_offline_filter(&d->filter, &h, bytes))
		return 0;
	if (have > snap)
		h.caplen = (bpf_u_int32)snap;
	if (d->size && d->file_bytes >= d->size && next_file(d) < 0)
		return d->failed;
	if (!have_space(d, RECORD_HEADER + h.caplen)) {
		d->stats.dropped += d->failed == 0;
		return d->failed;
	}
	pcap_dump((u_char *)d->file, &h, bytes);
	d->stats.frames++;
	return 0;
}

bool dump_waiting(const struct dump *d)
{
	return d->used > 0;
}

struct dump_stats dump_stats(const struct dump *d)
{
	return d->stats;
}

const char *dump_error(const struct dump *d)
{
	return d->error;
}

static int check(const struct dump_config *c, struct fail *why)
{
	if (c->files && !c->size)
		return fail_set(why, -EINVAL,
				"a number of capture files needs a size at "
				"which the next begins");
	if (c->size && strcmp(c->path, "-") == 0)
		return fail_set(why, -EINVAL,
				"a capture to stdout is one file: it cannot "
				"be cut by size");
	if (strcmp(c->path, "-") == 0 && isatty(STDOUT_FILENO))
		return fail_set(why, -EINVAL,
				"stdout is a terminal, and a capture is no "
				"text: pipe it to something, as "
				"'| tcpdump -r -'");
	if (strlen(c->path) + 16 > NAME_MAX_LEN)
		return fail_set(why, -ENAMETOOLONG,
				"the capture's path is too long");
	return 0;
}

static int compile(struct dump *d, const char *filter, struct fail *why)
{
	if (!filter)
		return 0;
	if (pcap_compile(d->dead, &d->filter, filter, 1, PCAP_NETMASK_UNKNOWN) <
	    0)
		return fail_set(why, -EINVAL, "capture filter '%s': %s", filter,
				pcap_geterr(d->dead));
	d->has_filter = true;
	return 0;
}

static int set_up(struct dump *d, const struct dump_config *c, struct fail *why)
{
	unsigned snap = c->snaplen ? c->snaplen : SNAPLEN_ALL;
	int err;

	d->size = c->size;
	d->files = c->files;
	d->path = strdup(c->path);
	d->wait = malloc(DUMP_BUFFER);
	d->dead = pcap_open_dead_with_tstamp_precision(
		DLT_EN10MB, (int)(snap < SNAPLEN_ALL ? snap : SNAPLEN_ALL),
		PCAP_TSTAMP_PRECISION_NANO);
	if (!d->path || !d->wait || !d->dead)
		return fail_set(why, -ENOMEM, "no memory for a capture");
	err = compile(d, c->filter, why);
	if (err < 0)
		return err;
	err = open_file(d);
	if (err == 0)
		err = dump_flush(d);
	return err < 0 ? fail_set(why, err, "cannot write capture %s", d->error)
		       : 0;
}

struct dump *dump_open(const struct dump_config *c, struct fail *why)
{
	struct dump *d;

	if (check(c, why) < 0)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d) {
		fail_set(why, -ENOMEM, "no memory for a capture");
		return NULL;
	}
	d->fd = -1;
	if (set_up(d, c, why) == 0)
		return d;
	dump_close(d);
	return NULL;
}

void dump_close(struct dump *d)
{
	struct pollfd p;

	if (!d)
		return;
	p = (struct pollfd){.fd = d->fd, .events = POLLOUT};
	while (d->fd >= 0 && d->used > 0 && dump_flush(d) == 0 && d->used > 0 &&
	       poll(&p, 1, LAST_WAIT) > 0)
		;
	close_file(d);
	if (d->has_filter)
		pcap_freecode(&d->filter);
	if (d->dead)
		pcap_close(d->dead);
	free(d->wait);
	free(d->path);
	free(d);
}
