/* start() in its order: the command's process (which must inherit nothing of
 * ours), the tap, then limits and signals, loop, stack and relays, and at last
 * the ready byte. What is not there is -1 or NULL in struct program, so that
 * tear_down() serves a half-built one as well. */
#include "port/start.h"

#include "port/banner.h"
#include "port/ending.h"
#include "port/lanestart.h"
#include "port/loop.h"
#include "port/netplan.h"
#include "port/nswatch.h"
#include "port/process.h"
#include "port/run.h"
#include "port/wire.h"
#include "stack/container_of.h"
#include "tapdev/netaddr.h"
#include "tapdev/netns.h"
#include "tapdev/sockdiag.h"
#include "tapdev/tapdev.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* After the command's end its kernel still sends what was written last: wait
 * while something comes, but not for ever, since it may be from others that the
 * command left behind. */
#define LINGER       (30 * NSEC_PER_SEC)
#define LINGER_QUIET (2 * NSEC_PER_SEC)
#define LINGER_LOOK  (20 * NSEC_PER_MSEC)

struct program {
	struct config config; /* with the tap's name */
	struct netplan net;
	struct process process;
	struct nswatch nswatch;
	struct tapdev tap;
	/* What looks into the namespace; NULL if that cannot be had. */
	struct sockdiag *diag;
	struct netaddr *addrs;
	struct lane *lane; /* NULL: none was asked for */
	struct loop *loop;
	struct wire *wire;
	struct run run;
	struct ending ending;
	struct loop_fd exit;
	struct loop_timer linger;
	nsec_t linger_end, quiet_end;
	uint64_t frames; /* when last looked at */
	int status;      /* of the command */
	/* Were they open when we started? Numbers that were not may be those of
	 * our own descriptors now. */
	bool ready_open, exit_open, stdout_open;
};

/* The tap, or -errno. */
static int open_in_netns(struct program *p, struct fail *why)
{
	const struct config *c = &p->config;
	char path[32];
	struct netns_target target = {
		.pid = c->target == CONFIG_TARGET_RUN ? p->run.pid : c->pid,
		.netns_path = c->netns_path,
		.userns_path = c->userns_path,
		.ifname = p->net.ifname,
		.fresh = p->net.fresh,
	};
	bool sets_up = c->configure || c->from_host;
	struct netns_fds fds;
	int err;

	if (c->netns_only) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)c->pid);
		target.pid = 0;
		target.netns_path = path;
	}
	err = netns_open(&target, sets_up ? &p->net.netcfg : NULL, &fds, why);
	if (err < 0)
		return err;
	p->diag = sockdiag_open(fds.diag);
	p->addrs = netaddr_open(fds.route);
	err = lanestart(c, &target, &p->lane, why);
	if (err < 0) {
		close(fds.tap);
		return err;
	}
	if (c->talk)
		fprintf(stderr, "sent tapfd=%d for %s\nreceived tapfd=%d\n",
			fds.tap, c->ifname, fds.tap);
	return fds.tap;
}

static int open_tap(struct program *p, struct fail *why)
{
	bool given = p->config.target == CONFIG_TARGET_TAPFD;
	int fd = given ? p->config.tapfd : open_in_netns(p, why);
	int err;

	if (fd < 0)
		return fd;
	err = tapdev_open(&p->tap, fd, why);
	if (err < 0 && !given)
		close(fd);
	return err;
}

/* Every flow wants a descriptor. What cannot be had is done without. */
static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static void on_exit_fd(struct loop_fd *f, uint32_t events)
{
	struct program *p = container_of(f, struct program, exit);

	loop_stop(p->loop, 0);
}

static int watch_exit_fd(struct program *p, struct fail *why)
{
	int err;

	if (p->config.exit_fd < 0)
		return 0;
	p->exit.ready = on_exit_fd;
	err = loop_add(p->loop, &p->exit, p->config.exit_fd, 0);
	/* A file is never hung up, and epoll does not take it. */
	if (err < 0 && err != -EPERM)
		return fail_set(why, err, "exit-fd %d: %s", p->config.exit_fd,
				strerror(-err));
	return 0;
}

/* An API socket has to be removed, a capture to be written to its end, or the
 * exit status is not that of a signal. */
static int watch_ending(struct program *p, struct fail *why)
{
	if (!p->config.api_path && !p->config.pcap.path &&
	    !p->config.process.clean_end)
		return 0;
	return ending_watch(&p->ending, p->loop, why);
}

static void on_linger(struct loop_timer *t)
{
	struct program *p = container_of(t, struct program, linger);
	uint64_t frames = wire_frames(p->wire);
	nsec_t now = loop_now(p->loop);

	if (frames != p->frames)
		p->quiet_end = now + LINGER_QUIET;
	p->frames = frames;
	if (!wire_busy(p->wire) || now >= p->quiet_end || now >= p->linger_end)
		loop_stop(p->loop, p->status);
	else
		loop_timer_set(p->loop, t, now + LINGER_LOOK);
}

static void on_command_end(struct run *r, int status)
{
	struct program *p = container_of(r, struct program, run);
	nsec_t now = loop_now(p->loop);
	struct fail why;

	p->status = status;
	if (watch_ending(p, &why) < 0) {
		loop_stop(p->loop, status);
		return;
	}
	p->linger_end = now + LINGER;
	p->quiet_end = now + LINGER_QUIET;
	p->linger.fire = on_linger;
	/* Its last frames may be in the tap still: look after a turn. */
	loop_timer_set(p->loop, &p->linger, now + 1);
}

static void on_gone(struct nswatch *w)
{
	loop_stop(container_of(w, struct program, nswatch)->loop, 0);
}

/* Whoever has its end told by exit_fd does not need it. */
static int watch_namespace(struct program *p, struct fail *why)
{
	const struct config *c = &p->config;

	if (!c->from_host || c->process.stays)
		return 0;
	if (c->target == CONFIG_TARGET_PATH)
		return nswatch_path(&p->nswatch, p->loop, c->netns_path, why);
	if (c->target == CONFIG_TARGET_PID)
		return nswatch_pid(&p->nswatch, p->loop, c->pid, why);
	return 0;
}

static int set_up(struct program *p, struct fail *why)
{
	int err;

	signal(SIGPIPE, SIG_IGN);
	/* A capture that may not grow ends by an error, not all of us. */
	signal(SIGXFSZ, SIG_IGN);
	raise_limits();
	p->loop = loop_new(NULL);
	if (!p->loop)
		return fail_set(why, -ENOMEM, "cannot make the event loop");
	/* Before there is a socket to clean up. `tapir run` passes signals on
	 * as long as there is a command. */
	if (p->config.target != CONFIG_TARGET_RUN) {
		err = watch_ending(p, why);
		if (err < 0)
			return err;
	}
	p->wire = wire_new(&p->config, &p->net, p->loop, &p->tap,
			   &(struct publish_netns){p->addrs, p->diag, p->lane},
			   why);
	if (!p->wire)
		return -ENOMEM;
	err = p->exit_open ? watch_exit_fd(p, why) : 0;
	if (err == 0)
		err = watch_namespace(p, why);
	if (err == 0 && p->config.target == CONFIG_TARGET_RUN)
		err = run_watch(&p->run, p->loop, why);
	if (err == 0)
		err = process_settle(&p->process, p->loop, why);
	return err;
}

static void say_ready(struct program *p)
{
	int fd = p->config.ready_fd;

	if (p->config.target == CONFIG_TARGET_RUN)
		run_go(&p->run);
	if (fd < 0 || !p->ready_open)
		return;
	/* Nobody may be listening any more: that is their affair. */
	if (write(fd, "1", 1) < 0)
		errno = 0;
	close(fd);
}

static void tear_down(struct program *p)
{
	run_stop(&p->run);
	nswatch_fini(&p->nswatch);
	wire_free(p->wire);
	lane_stop(p->lane);
	/* A second signal may take effect now: nothing is left behind. */
	ending_unwatch(&p->ending);
	if (p->loop)
		loop_del(p->loop, &p->exit);
	process_end(&p->process);
	loop_free(p->loop);
	netplan_fini(&p->net);
	netaddr_close(p->addrs);
	sockdiag_close(p->diag);
	tapdev_close(&p->tap);
}

void start_hold_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static bool is_open(int fd)
{
	return fd >= 0 && fcntl(fd, F_GETFD) >= 0;
}

static int begin(struct program *p, struct fail *why)
{
	const struct config *c = &p->config;
	int err = netplan_init(&p->net, c, why);

	if (err < 0)
		return err;
	p->config.ifname = p->net.ifname;
	if (config_captures_to_stdout(c) && !p->stdout_open)
		return fail_set(why, -EBADF,
				"cannot write capture stdout: it is closed");
	if (c->target == CONFIG_TARGET_RUN) {
		p->run.ended = on_command_end;
		p->run.name = c->process.name;
		p->run.stdout_is_taken = config_captures_to_stdout(c);
		err = run_start(&p->run, c->command, &p->net.plan, why);
	}
	return err < 0 ? err : open_tap(p, why);
}

static void say_first(struct program *p)
{
	const struct config *c = &p->config;

	if (c->talk)
		banner_print(c, &p->net.plan,
			     config_captures_to_stdout(c) ? stderr : stdout);
	else if (c->process.verbose)
		banner_plan(c, &p->net.plan, stderr);
}

/* "tapir: ", but for slirp4netns, whose words engines know. */
static void say_why(const struct program *p, const struct fail *why)
{
	if (p->config.talk)
		fprintf(stderr, "%s\n", why->text);
	else
		fprintf(stderr, "%s: %s\n", p->config.process.name, why->text);
}

/* The status of a loop that was stopped by a signal. */
static int end_status(const struct program *p, int status)
{
	bool clean = p->ending.signo && p->config.process.clean_end;

	return clean ? 0 : status;
}

/* Until the end; the exit status. */
static int go_on(struct program *p)
{
	bool talk = p->config.talk;
	struct fail why;
	int status;

	say_first(p);
	if (set_up(p, &why) < 0) {
		say_why(p, &why);
		if (talk)
			fputs("do_slirp failed\nparent failed\n", stderr);
		return 1;
	}
	say_ready(p);
	/* One that is not open is one that was closed. */
	status =
		p->config.exit_fd >= 0 && !p->exit_open ? 0 : loop_run(p->loop);
	if (status < 0) {
		fprintf(stderr, "%s: event loop: %s\n", p->config.process.name,
			strerror(-status));
		return 1;
	}
	if (talk && p->ending.signo == 0)
		fputs("exitfd event\ndo_slirp is exiting\n", stderr);
	return end_status(p, status);
}

int start(const struct config *config)
{
	struct program p = {
		.config = *config,
		.tap.fd = -1,
		.run = {.sock = -1, .signals.fd = -1},
		.process = {.detach = {.fd = -1}, .pidfd = -1},
		.ending.fd.fd = -1,
		.exit.fd = -1,
		.ready_open = is_open(config->ready_fd),
		.exit_open = is_open(config->exit_fd),
		.stdout_open = is_open(STDOUT_FILENO),
	};
	bool helped = config->talk && config->target != CONFIG_TARGET_TAPFD;
	struct fail why;
	int status = 1;

	nswatch_init(&p.nswatch, on_gone);
	start_hold_stdio();
	if (process_begin(&p.process, &config->process, &why) < 0) {
		say_why(&p, &why);
	} else if (begin(&p, &why) < 0) {
		say_why(&p, &why);
		if (helped)
			fputs("child failed(1)\n", stderr);
	} else {
		status = go_on(&p);
	}
	tear_down(&p);
	if (!config->process.clean_end)
		ending_die(&p.ending);
	return status;
}
