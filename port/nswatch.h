/* Tells when the container's network namespace is gone for good: the path that
 * it was named by was removed, inotify(7), or its process ended,
 * pidfd_open(2). Nothing is polled. */
#ifndef PORT_NSWATCH_H
#define PORT_NSWATCH_H

#include "port/loop.h"
#include "stack/fail.h"

#include <sys/types.h>

struct nswatch {
	void (*gone)(struct nswatch *w); /* set by the owner */
	struct loop *loop;
	struct loop_fd watch; /* an inotify or process descriptor, owned */
	const char *path;     /* NULL: a process is watched */
	dev_t dev;            /* what it named, with */
	ino_t ino;
};

/* One that watches nothing. */
void nswatch_init(struct nswatch *w, void (*gone)(struct nswatch *w));
/* @path is borrowed. In /proc the process that it belongs to is watched, since
 * inotify sees nothing there. A path that names something else than it did now
 * is gone, too. -ENOENT if it is so already. 0 or -errno. */
int nswatch_path(struct nswatch *w, struct loop *loop, const char *path,
		 struct fail *why);
/* 0 or -errno; -ESRCH if there is no such process. */
int nswatch_pid(struct nswatch *w, struct loop *loop, pid_t pid,
		struct fail *why);
void nswatch_fini(struct nswatch *w);

#endif
