#include "port/run.h"

#include "port/runns.h"
#include "stack/container_of.h"
#include "tapdev/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit statuses of shells and env(1). */
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND      127
#define STATUS_SIGNAL         128

/* What the child says once its namespaces are made, or not. */
struct report {
	int err; /* 0 or -errno */
	struct fail why;
};

/* Those that are passed on, and SIGCHLD. */
static void fill_set(sigset_t *set)
{
	static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM,
				      SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT,
				      SIGTSTP, SIGCHLD};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(set, signals[i]);
}

/* Dies with @parent; it may be dead already. */
static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

static _Noreturn void execute(const struct run *r, char *const *command)
{
	int err;

	execvp(command[0], command);
	err = errno;
	fprintf(stderr, "%s: %s: %s\n", r->name, command[0], strerror(err));
	_exit(err == ENOENT || err == ENOTDIR ? STATUS_NOT_FOUND
					      : STATUS_NOT_EXECUTABLE);
}

static _Noreturn void be_child(const struct run *r, int sock, pid_t parent,
			       char *const *command, const struct plan *plan)
{
	struct report report = {0};
	struct fail why;
	char go;

	report.err = runns_enter(&report.why);
	/* After the change of credentials, which clears it. */
	die_with(parent);
	if (report.err == 0 && plan->dns &&
	    runns_cover_resolv("/etc/resolv.conf", plan, &why) < 0)
		fprintf(stderr, "%s: warning: names will not resolve: %s\n",
			r->name, why.text);
	if (send(sock, &report, sizeof(report), MSG_NOSIGNAL) < 0 ||
	    report.err < 0 || read(sock, &go, 1) != 1)
		_exit(1);
	close(sock);
	sigprocmask(SIG_SETMASK, &r->old, NULL);
	if (r->stdout_is_taken)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	execute(r, command);
}

static int await_child(struct run *r, struct fail *why)
{
	struct report report;
	ssize_t n;

	do
		n = recv(r->sock, &report, sizeof(report), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(report))
		return fail_set(why, -ECHILD,
				"the command's process ended "
				"before its time");
	if (report.err < 0)
		*why = report.why;
	return report.err;
}

int run_start(struct run *r, char *const *command, const struct plan *plan,
	      struct fail *why)
{
	pid_t parent = getpid();
	sigset_t set;
	int sock[2], err;

	*r = (struct run){.sock = -1,
			  .signals.fd = -1,
			  .ended = r->ended,
			  .name = r->name,
			  .stdout_is_taken = r->stdout_is_taken};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return fail_errno(why, "socketpair");
	fill_set(&set);
	sigprocmask(SIG_BLOCK, &set, &r->old);
	r->sock = sock[0];
	r->pid = fork();
	if (r->pid == 0) {
		close(sock[0]);
		be_child(r, sock[1], parent, command, plan);
	}
	close(sock[1]);
	if (r->pid < 0) {
		err = fail_errno(why, "fork");
		r->pid = 0;
	} else {
		/* Ignored, it would take the exit status with it. */
		signal(SIGCHLD, SIG_DFL);
		err = await_child(r, why);
	}
	if (err < 0)
		run_stop(r);
	return err;
}

/* Is the terminal ours, in whose foreground group the command was? */
static bool in_foreground(void)
{
	scoped_fd int tty = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return tty >= 0 && tcgetpgrp(tty) == getpgrp();
}

/* The status to tell if it has ended, else -1. */
static int look_at_child(struct run *r)
{
	int status;
	pid_t pid = waitpid(r->pid, &status, WNOHANG | WUNTRACED);

	if (pid == 0 || (pid < 0 && errno != ECHILD))
		return -1;
	if (pid > 0 && WIFSTOPPED(status)) {
		/* The shell that waits for us shall have the terminal back.
		 * Without one nobody would know to wake us. */
		if (in_foreground())
			raise(SIGSTOP);
		return -1;
	}
	r->pid = 0;
	if (pid < 0)
		return 1;
	return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static void pass_on(struct run *r, const struct signalfd_siginfo *si)
{
	/* What the terminal sends goes to the whole foreground group. */
	if (si->ssi_code == SI_KERNEL && getpgid(r->pid) == getpgrp())
		return;
	kill(r->pid, (int)si->ssi_signo);
}

static void on_signals(struct loop_fd *f, uint32_t events)
{
	struct run *r = container_of(f, struct run, signals);
	struct signalfd_siginfo si;
	int fd = f->fd, status = -1;

	while (r->pid > 0 && read(fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			status = look_at_child(r);
		else
			pass_on(r, &si);
	}
	if (r->pid > 0)
		return;
	/* With nobody to pass signals to, they mean us. */
	loop_del(r->loop, f);
	close(fd);
	sigprocmask(SIG_SETMASK, &r->old, NULL);
	r->ended(r, status);
}

int run_watch(struct run *r, struct loop *loop, struct fail *why)
{
	sigset_t set;
	int fd, err;

	fill_set(&set);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return fail_errno(why, "signalfd");
	r->loop = loop;
	r->signals.ready = on_signals;
	err = loop_add(loop, &r->signals, fd, EPOLLIN);
	if (err < 0) {
		close(fd);
		return fail_set(why, err, "signalfd: %s", strerror(-err));
	}
	return 0;
}

void run_go(struct run *r)
{
	/* Should it be dead, the SIGCHLD is waiting. */
	if (send(r->sock, "g", 1, MSG_NOSIGNAL) < 0)
		return;
	close(steal_fd(&r->sock));
}

void run_stop(struct run *r)
{
	int fd = r->signals.fd;

	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
			;
		r->pid = 0;
	}
	if (r->sock >= 0)
		close(steal_fd(&r->sock));
	if (fd < 0)
		return;
	loop_del(r->loop, &r->signals);
	close(fd);
}
