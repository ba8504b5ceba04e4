#include "port/logfile.h"

#include "stack/container_of.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define STAMP_MAX 32

struct logfile {
	int fd;
	off_t size, used;
	off_t header; /* bytes at the beginning that stay */
	nsec_t began;
	bool inside; /* of a line */
	struct loop *loop;
	struct loop_fd pipe; /* the end to read from, owned */
};

struct logfile *logfile_open(const char *path, long size, const char *header,
			     struct fail *why)
{
	struct logfile *l = calloc(1, sizeof(*l));

	if (!l) {
		fail_set(why, -ENOMEM, "log file %s: no memory", path);
		return NULL;
	}
	*l = (struct logfile){
		.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
		.size = size,
		.began = loop_wall_clock(),
		.pipe.fd = -1,
	};
	if (l->fd < 0) {
		fail_errno(why, "log file %s", path);
		free(l);
		return NULL;
	}
	l->used = dprintf(l->fd, "%s\n", header);
	l->header = l->used = l->used < 0 ? 0 : l->used;
	return l;
}

/* Where the line that @at is in has its end, within @end. */
static off_t end_of_line(const struct logfile *l, off_t at, off_t end)
{
	char buf[256];
	const char *nl;
	ssize_t n;

	while (at < end) {
		n = pread(l->fd, buf, sizeof(buf), at);
		if (n <= 0)
			break;
		nl = memchr(buf, '\n', (size_t)n);
		if (nl)
			return at + (nl - buf) + 1;
		at += n;
	}
	return end;
}

/* Moves the second half of the lines to the front. */
static void make_room(struct logfile *l)
{
	off_t from =
		end_of_line(l, l->header + (l->used - l->header) / 2, l->used);
	off_t to = l->header;
	char buf[4096];
	ssize_t n;

	while (from < l->used) {
		n = pread(l->fd, buf, sizeof(buf), from);
		if (n <= 0 || pwrite(l->fd, buf, (size_t)n, to) != n)
			break;
		from += n;
		to += n;
	}
	l->used = to;
	if (ftruncate(l->fd, to) < 0)
		errno = 0;
}

static void append(struct logfile *l, const char *text, size_t len)
{
	if (l->used + (off_t)len > l->size)
		make_room(l);
	if (l->used + (off_t)len > l->size)
		return;
	if (pwrite(l->fd, text, len, l->used) == (ssize_t)len)
		l->used += (off_t)len;
}

static void stamp(struct logfile *l)
{
	nsec_t at = loop_wall_clock() - l->began;
	char buf[STAMP_MAX];
	int n = snprintf(buf, sizeof(buf),
			 "%lld.%04lld: ", (long long)(at / NSEC_PER_SEC),
			 (long long)(at % NSEC_PER_SEC / 100000));

	append(l, buf, (size_t)n);
}

void logfile_write(struct logfile *l, const char *text, size_t len)
{
	while (len > 0) {
		const char *nl = memchr(text, '\n', len);
		size_t n = nl ? (size_t)(nl - text) + 1 : len;

		if (!l->inside)
			stamp(l);
		append(l, text, n);
		l->inside = !nl;
		text += n;
		len -= n;
	}
}

static void drain(struct logfile *l)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(l->pipe.fd, buf, sizeof(buf))) > 0)
		logfile_write(l, buf, (size_t)n);
}

static void on_text(struct loop_fd *f, uint32_t events)
{
	drain(container_of(f, struct logfile, pipe));
}

int logfile_take_stderr(struct logfile *l, struct loop *loop, struct fail *why)
{
	int fds[2], err;

	/* Who speaks faster than the loop turns does not wait for it. */
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail_errno(why, "log file: pipe");
	l->loop = loop;
	l->pipe.ready = on_text;
	err = loop_add(loop, &l->pipe, fds[0], EPOLLIN);
	if (err == 0 && dup2(fds[1], STDERR_FILENO) < 0)
		err = -errno;
	close(fds[1]);
	if (err == 0)
		return 0;
	loop_del(loop, &l->pipe);
	close(fds[0]);
	return fail_set(why, err, "log file: %s", strerror(-err));
}

void logfile_close(struct logfile *l)
{
	int fd, null;

	if (!l)
		return;
	fd = l->pipe.fd;
	if (fd >= 0) {
		fflush(stderr);
		drain(l);
		loop_del(l->loop, &l->pipe);
		close(fd);
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (null >= 0) {
			dup2(null, STDERR_FILENO);
			close(null);
		}
	}
	close(l->fd);
	free(l);
}
