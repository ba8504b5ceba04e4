/* libpcap writes to a FILE whose cookie is this struct: the bytes go round in
 * `ring`, and dump_flush() moves them to the descriptor without blocking. A
 * record goes in whole or not at all, so that the file stays readable whatever
 * is dropped. */
#include "pcap/dump.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nss.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_HEADER   24     /* bytes at the beginning of a file, ... */
#define RECORD_HEADER 16     /* ... and before each frame in it */
#define SNAPLEN_ALL   262144 /* libpcap's own maximum */
#define NAME_LEN      4096
/* Written at once while the output keeps up: so much stays in the cache. */
#define FLUSH_AT  (256u << 10)
#define RING_MASK (DUMP_BUFFER - 1)
static_assert((DUMP_BUFFER & RING_MASK) == 0, "a power of two");

enum output {
	OUTPUT_OWN,    /* opened by us: never blocks, or is a disk */
	OUTPUT_SOCKET, /* write(2) would raise SIGPIPE and wait */
	OUTPUT_SHARED, /* others have it too: O_NONBLOCK would surprise them */
};

struct dump {
	pcap_t *dead; /* what a writer and a filter need to know of a link */
	struct bpf_program filter;
	bool has_filter;
	size_t snap, room; /* kept; wanted by dump_put() */
	pcap_dumper_t *file;
	int fd;
	enum output output;
	bool patient;

	char *path;
	uint64_t size;
	unsigned files, index; /* of the file that is open */
	uint64_t file_bytes;

	uint8_t *ring;     /* DUMP_BUFFER bytes */
	size_t head, used; /* @used bytes wait, from ring[head] on */
	size_t flush_at;   /* of @used */
	struct dump_stats stats;
	int failed; /* -errno */
	struct fail error;
};

/* As tcpdump names them: PATH, PATH1, PATH2, ...; in a ring PATH0, PATH1, ...
 * with as many digits as the last one has. */
static const char *file_name(const struct dump *d, char name[NAME_LEN])
{
	if (strcmp(d->path, "-") == 0)
		snprintf(name, NAME_LEN, "stdout");
	else if (d->files > 1)
		snprintf(name, NAME_LEN, "%s%0*u", d->path,
			 snprintf(NULL, 0, "%u", d->files - 1), d->index);
	else if (d->index)
		snprintf(name, NAME_LEN, "%s%u", d->path, d->index);
	else
		snprintf(name, NAME_LEN, "%s", d->path);
	return name;
}

static int fail(struct dump *d, int err, const char *what)
{
	char name[NAME_LEN];

	d->failed = err;
	return fail_set(&d->error, err, "%s: %s", file_name(d, name), what);
}

static int fail_number(struct dump *d, int err)
{
	return fail(d, err, strerror(-err));
}

/* dump_put() has seen to it that there is room. */
static ssize_t gather(void *cookie, const char *buf, size_t len)
{
	struct dump *d = cookie;
	size_t at = (d->head + d->used) & RING_MASK;
	size_t first = len < DUMP_BUFFER - at ? len : DUMP_BUFFER - at;

	assert(len <= DUMP_BUFFER - d->used);
	memcpy(d->ring + at, buf, first);
	memcpy(d->ring, buf + first, len - first);
	d->used += len;
	d->file_bytes += len;
	d->stats.bytes += len;
	return (ssize_t)len;
}

/* A pipe that others have too is opened anew, for ourselves; where that is not
 * possible, write_shared() takes care. */
static int open_stdout(struct dump *d)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) < 0)
		return -errno;
	if (S_ISFIFO(st.st_mode))
		d->fd = open("/proc/self/fd/1",
			     O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (d->fd >= 0)
		return 0;
	d->output = S_ISSOCK(st.st_mode)  ? OUTPUT_SOCKET
		    : S_ISREG(st.st_mode) ? OUTPUT_OWN
					  : OUTPUT_SHARED;
	d->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return d->fd < 0 ? -errno : 0;
}

static int open_fd(struct dump *d)
{
	char name[NAME_LEN];
	struct stat st = {0};
	int err = 0;

	if (strcmp(d->path, "-") == 0) {
		err = open_stdout(d);
	} else {
		d->fd = open(file_name(d, name),
			     O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK |
				     O_NOCTTY | O_CLOEXEC,
			     0600);
		err = d->fd < 0 ? -errno : 0;
	}
	if (err == -ENXIO)
		return fail(d, err, "a pipe that nobody reads yet");
	if (err == 0 && fstat(d->fd, &st) < 0)
		err = -errno;
	if (err < 0)
		return fail_number(d, err);
	if (d->size && !S_ISREG(st.st_mode))
		return fail(d, -ESPIPE, "is no file that a size could cut");
	if (isatty(d->fd))
		return fail(d, -EINVAL,
			    "is a terminal, and a capture is no text: pipe it "
			    "to something, as '| tcpdump -r -'");
	return 0;
}

/* Opens the file of d->index and lets libpcap write its header. */
static int open_file(struct dump *d)
{
	static const cookie_io_functions_t io = {.write = gather};
	FILE *f;
	int err;

	err = open_fd(d);
	if (err < 0)
		return err;
	d->file_bytes = 0;
	f = fopencookie(d, "w", io);
	if (!f)
		return fail_number(d, -ENOMEM);
	setvbuf(f, NULL, _IONBF, 0);
	d->file = pcap_dump_fopen(d->dead, f);
	if (!d->file) {
		fclose(f);
		return fail(d, -EIO, pcap_geterr(d->dead));
	}
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

/* Up to PIPE_BUF bytes never block a pipe that poll(2) calls writable. */
static ssize_t write_shared(const struct dump *d, const struct iovec *iov)
{
	struct pollfd p = {.fd = d->fd, .events = POLLOUT};

	if (poll(&p, 1, 0) <= 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(d->fd, iov->iov_base,
		     iov->iov_len < PIPE_BUF ? iov->iov_len : PIPE_BUF);
}

static ssize_t write_some(const struct dump *d)
{
	size_t first = DUMP_BUFFER - d->head;
	struct iovec iov[2] = {
		{d->ring + d->head, first < d->used ? first : d->used},
		{d->ring, first < d->used ? d->used - first : 0},
	};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	switch (d->output) {
	case OUTPUT_SOCKET:
		return sendmsg(d->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	case OUTPUT_SHARED:
		return write_shared(d, iov);
	case OUTPUT_OWN:
		break;
	}
	return writev(d->fd, iov, 2);
}

static void wait_for_room(const struct dump *d, int ms)
{
	struct pollfd p = {.fd = d->fd, .events = POLLOUT};

	poll(&p, 1, ms);
}

/* A disk fills up in the middle of a record; the file shall end with a whole
 * one, and the numbers be true. A plain file has taken all before, so that the
 * ring begins with a record, or with the file's header. */
static void drop_unwritten(struct dump *d)
{
	size_t all = d->head + d->used, whole = 0;
	size_t at = d->file_bytes == all ? FILE_HEADER : 0;
	off_t end = lseek(d->fd, 0, SEEK_CUR);
	struct stat st;
	uint32_t len;

	if (all > DUMP_BUFFER || fstat(d->fd, &st) < 0 ||
	    !S_ISREG(st.st_mode) || end != st.st_size)
		return;
	if (at <= d->head)
		whole = at;
	for (; at + RECORD_HEADER <= all; at += RECORD_HEADER + len) {
		memcpy(&len, d->ring + at + RECORD_HEADER / 2, sizeof(len));
		if (at + RECORD_HEADER + len <= d->head) {
			whole = at + RECORD_HEADER + len;
			continue;
		}
		d->stats.frames--;
		d->stats.dropped++;
	}
	d->stats.bytes -= all - whole;
	/* What fails here has been said already. */
	if (ftruncate(d->fd, end - (off_t)(d->head - whole)) < 0)
		errno = 0;
}

int dump_flush(struct dump *d)
{
	while (d->used > 0 && d->failed == 0) {
		ssize_t n = write_some(d);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			fail_number(d, -errno);
			drop_unwritten(d);
			return d->failed;
		}
		if (n <= 0 && !d->patient)
			break;
		if (n <= 0) {
			wait_for_room(d, -1);
			continue;
		}
		d->head = (d->head + (size_t)n) & RING_MASK;
		d->used -= (size_t)n;
	}
	if (d->used == 0)
		d->head = 0;
	d->flush_at = d->used + FLUSH_AT;
	return d->failed;
}

int dump_wait(struct dump *d, int ms)
{
	if (d->used > 0 && d->failed == 0)
		wait_for_room(d, ms);
	return dump_flush(d);
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
	return d->room;
}

int dump_put(struct dump *d, nsec_t when, const uint8_t *bytes, size_t have,
	     size_t len)
{
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
	if (have > d->snap)
		h.caplen = (bpf_u_int32)d->snap;
	if (d->size && d->file_bytes > d->size && next_file(d) < 0)
		return d->failed;
	if (d->used >= d->flush_at && dump_flush(d) < 0)
		return d->failed;
	if (RECORD_HEADER + h.caplen > DUMP_BUFFER - d->used &&
	    dump_flush(d) < 0)
		return d->failed;
	if (RECORD_HEADER + h.caplen > DUMP_BUFFER - d->used) {
		d->stats.dropped++;
		return 0;
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
	return d->error.text;
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
	if (strlen(c->path) + 16 > NAME_LEN)
		return fail_set(why, -ENAMETOOLONG,
				"the capture's path is too long");
	return 0;
}

/* The end of what @i reads of a frame. @x is the most that the index register
 * can hold. */
static uint64_t load_end(const struct bpf_insn *i, uint64_t x)
{
	uint64_t size = BPF_SIZE(i->code) == BPF_W   ? 4
			: BPF_SIZE(i->code) == BPF_H ? 2
						     : 1;

	if (BPF_CLASS(i->code) == BPF_LDX)
		return BPF_MODE(i->code) == BPF_MSH ? i->k + UINT64_C(1) : 0;
	if (BPF_CLASS(i->code) != BPF_LD)
		return 0;
	if (BPF_MODE(i->code) == BPF_ABS)
		return i->k + size;
	return BPF_MODE(i->code) == BPF_IND ? x + i->k + size : 0;
}

/* How far into a frame @p may look: most filters read headers only, and need
 * not be shown 64 KiB. */
static size_t filter_reach(const struct bpf_program *p)
{
	uint64_t x = 60; /* an IPv4 header's length, the usual index */
	uint64_t reach = 0;

	for (unsigned i = 0; i < p->bf_len; i++) {
		uint16_t code = p->bf_insns[i].code;

		if (code == (BPF_MISC | BPF_TAX) ||
		    (BPF_CLASS(code) == BPF_LDX && BPF_MODE(code) != BPF_MSH))
			x = SNAPLEN_ALL;
	}
	for (unsigned i = 0; i < p->bf_len; i++) {
		uint64_t end = load_end(&p->bf_insns[i], x);

		reach = end > reach ? end : reach;
	}
	return reach < SNAPLEN_ALL ? (size_t)reach : SNAPLEN_ALL;
}

/* libpcap asks getaddrinfo(3), and a name server that keeps silent would hold up
 * the network of the container. Files never do. */
static int look_up_in_files(void)
{
	return __nss_configure_lookup("hosts", "files") == 0 &&
			       __nss_configure_lookup("networks", "files") == 0
		       ? 0
		       : -errno;
}

static int compile(struct dump *d, const char *filter, struct fail *why)
{
	static const char unknown[] = "unknown host";
	const char *text;
	size_t reach;

	if (!filter)
		return 0;
	if (look_up_in_files() < 0)
		return fail_errno(why, "capture filter: NSS");
	if (pcap_compile(d->dead, &d->filter, filter, 1, PCAP_NETMASK_UNKNOWN) <
	    0) {
		text = pcap_geterr(d->dead);
		return fail_set(why, -EINVAL, "capture filter '%s': %s%s",
				filter, text,
				strncmp(text, unknown, strlen(unknown)) == 0
					? ": want an address, since no name "
					  "server is asked"
					: "");
	}
	d->has_filter = true;
	reach = filter_reach(&d->filter);
	if (reach > d->room)
		d->room = reach;
	return 0;
}

static int set_up(struct dump *d, const struct dump_config *c, struct fail *why)
{
	bool all = c->snaplen == 0 || c->snaplen > SNAPLEN_ALL;
	int err;

	d->size = c->size;
	d->files = c->files;
	d->patient = c->patient;
	d->snap = d->room = all ? SNAPLEN_ALL : c->snaplen;
	d->flush_at = FLUSH_AT;
	d->path = strdup(c->path);
	d->ring = malloc(DUMP_BUFFER);
	d->dead = pcap_open_dead_with_tstamp_precision(
		DLT_EN10MB, (int)d->snap, PCAP_TSTAMP_PRECISION_NANO);
	if (!d->path || !d->ring || !d->dead)
		return fail_set(why, -ENOMEM, "no memory for a capture");
	err = compile(d, c->filter, why);
	if (err < 0)
		return err;
	err = open_file(d);
	if (err == 0)
		err = dump_flush(d);
	return err < 0 ? fail_set(why, err, "cannot write capture %s",
				  d->error.text)
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
	if (!d)
		return;
	close_file(d);
	if (d->has_filter)
		pcap_freecode(&d->filter);
	if (d->dead)
		pcap_close(d->dead);
	free(d->ring);
	free(d->path);
	free(d);
}
