#include "port/ending.h"

#include "stack/container_of.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void fill_set(sigset_t *set)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
	struct sigaction now;

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaction(signals[i], NULL, &now) == 0 &&
		    now.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
	}
}

static void on_signal(struct loop_fd *f, uint32_t events)
{
	struct ending *e = container_of(f, struct ending, fd);
	struct signalfd_siginfo si;

	if (read(f->fd, &si, sizeof(si)) != sizeof(si))
		return;
	e->signo = (int)si.ssi_signo;
	loop_stop(e->loop, 1);
}

int ending_watch(struct ending *e, struct loop *loop, struct fail *why)
{
	sigset_t set;
	int fd, err;

	fill_set(&set);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return fail_errno(why, "signalfd");
	*e = (struct ending){.fd = {.ready = on_signal, .fd = -1},
			     .loop = loop};
	err = loop_add(loop, &e->fd, fd, EPOLLIN);
	if (err < 0) {
		close(fd);
		return fail_set(why, err, "signalfd: %s", strerror(-err));
	}
	sigprocmask(SIG_BLOCK, &set, &e->old);
	return 0;
}

void ending_unwatch(struct ending *e)
{
	int fd = e->fd.fd;

	if (fd < 0)
		return;
	loop_del(e->loop, &e->fd);
	close(fd);
	sigprocmask(SIG_SETMASK, &e->old, NULL);
}

void ending_die(const struct ending *e)
{
	if (e->signo == 0)
		return;
	signal(e->signo, SIG_DFL);
	raise(e->signo);
}
