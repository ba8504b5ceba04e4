#include "port/detach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void wait_for(pid_t child, int fd)
{
	int status;
	ssize_t n;
	char byte;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			_exit(1);
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int detach_begin(struct detach *d, struct fail *why)
{
	pid_t launcher = getpid(), pid;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return fail_errno(why, "pipe");
	pid = fork();
	if (pid < 0) {
		fail_errno(why, "fork");
		close(fds[0]);
		close(fds[1]);
		return -EAGAIN;
	}
	if (pid > 0) {
		close(fds[1]);
		wait_for(pid, fds[0]);
	}
	close(fds[0]);
	d->fd = fds[1];
	/* Whoever kills the launcher means us, too. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != launcher)
		_exit(1);
	return 0;
}

/* A caller may wait until the last one that has its pipe lets go of it. What
 * came by exec(2) is not to be closed by it; what is our own is. */
static void close_inherited(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int fd, flags;

	while (dir && (e = readdir(dir))) {
		fd = atoi(e->d_name);
		flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;
		if (flags >= 0 && !(flags & FD_CLOEXEC))
			close(fd);
	}
	if (dir)
		closedir(dir);
}

void detach_done(struct detach *d, bool keep_stderr)
{
	int null;

	if (d->fd < 0)
		return;
	prctl(PR_SET_PDEATHSIG, 0);
	setsid();
	/* Mounts shall not be kept busy. */
	if (chdir("/") < 0)
		errno = 0;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (!keep_stderr)
			dup2(null, STDERR_FILENO);
		close(null);
	}
	close_inherited();
	if (write(d->fd, "", 1) < 0)
		errno = 0;
	close(d->fd);
	d->fd = -1;
}
