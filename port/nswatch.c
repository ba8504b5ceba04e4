#include "port/nswatch.h"

#include "stack/container_of.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of the folder that the path is in. An unmount before the removal says nothing
 * about the folder. */
#define EVENTS                                                                 \
	(IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |            \
	 IN_MOVE_SELF)

void nswatch_init(struct nswatch *w, void (*gone)(struct nswatch *w))
{
	*w = (struct nswatch){.gone = gone, .watch.fd = -1};
}

/* Another namespace may have got the name meanwhile. */
static bool is_gone(const struct nswatch *w)
{
	struct stat st;

	if (stat(w->path, &st) < 0)
		return errno == ENOENT;
	return st.st_dev != w->dev || st.st_ino != w->ino;
}

static void on_event(struct loop_fd *f, uint32_t events)
{
	struct nswatch *w = container_of(f, struct nswatch, watch);
	char buf[4096];

	while (read(f->fd, buf, sizeof(buf)) > 0)
		;
	if (is_gone(w))
		w->gone(w);
}

static void on_exit_of(struct loop_fd *f, uint32_t events)
{
	struct nswatch *w = container_of(f, struct nswatch, watch);

	w->gone(w);
}

/* Takes over @fd. */
static int watch(struct nswatch *w, struct loop *loop, int fd, struct fail *why)
{
	int err = loop_add(loop, &w->watch, fd, EPOLLIN);

	w->loop = loop;
	if (err == 0)
		return 0;
	close(fd);
	return fail_set(why, err, "cannot watch the namespace: %s",
			strerror(-err));
}

int nswatch_pid(struct nswatch *w, struct loop *loop, pid_t pid,
		struct fail *why)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return fail_errno(why, "process %d", (int)pid);
	w->watch.ready = on_exit_of;
	return watch(w, loop, fd, why);
}

static int watch_folder(int fd, const char *path, struct fail *why)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (len >= sizeof(folder))
		return fail_set(why, -ENAMETOOLONG, "%s: too long", path);
	memcpy(folder, path, len);
	folder[len] = '\0';
	if (!slash)
		strcpy(folder, ".");
	else if (len == 0)
		strcpy(folder, "/");
	if (inotify_add_watch(fd, folder, EVENTS | IN_ONLYDIR) < 0)
		return fail_errno(why, "cannot watch %s", folder);
	return 0;
}

int nswatch_path(struct nswatch *w, struct loop *loop, const char *path,
		 struct fail *why)
{
	struct stat st;
	int pid, fd, err;

	if (sscanf(path, "/proc/%d/", &pid) == 1 && pid > 0)
		return nswatch_pid(w, loop, pid, why);
	fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0)
		return fail_errno(why, "inotify");
	err = watch_folder(fd, path, why);
	if (err < 0) {
		close(fd);
		return err;
	}
	if (stat(path, &st) < 0) {
		close(fd);
		return fail_errno(why, "%s", path);
	}
	w->path = path;
	w->dev = st.st_dev;
	w->ino = st.st_ino;
	w->watch.ready = on_event;
	return watch(w, loop, fd, why);
}

void nswatch_fini(struct nswatch *w)
{
	int fd = w->watch.fd;

	if (fd < 0)
		return;
	loop_del(w->loop, &w->watch);
	close(fd);
}
