/* start() in its order: the command's process (which must inherit nothing of
 * ours), the tap, then limits and signals, loop, stack and relays, and at last
 * the ready byte. What is not there is -1 or NULL in struct program, so that
 * tear_down() serves a half-built one as well. */
#include "port/start.h"

#include "port/banner.h"
#include "port/ending.h"
#include "port/loop.h"
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

#define MTU_MIN_STACK 576 /* every IPv4 host takes as much, RFC 791 3.1 */

/* After the command's end its kernel still sends what was written last: wait
 * while something comes, but not for ever, since it may be from others that the
 * command left behind. */
#define LINGER       (30 * NSEC_PER_SEC)
#define LINGER_QUIET (2 * NSEC_PER_SEC)
#define LINGER_LOOK  (20 * NSEC_PER_MSEC)

struct program {
	const struct config *config;
	struct plan plan;
	struct tapdev tap;
	/* What looks into the namespace; NULL if that cannot be had. */
	struct sockdiag *diag;
	struct netaddr *addrs;
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

struct plan start_plan(const struct config *c)
{
	uint16_t mtu = c->mtu < MTU_MIN_STACK ? MTU_MIN_STACK : c->mtu;
	uint32_t gateway = addr_v4(&c->net4) + 2;
	/* As slirp4netns has it: scripts know it by the first two bytes. */
	uint8_t mac[WIRE_MAC_LEN] = {0x52,
				     0x55,
				     (uint8_t)(gateway >> 24),
				     (uint8_t)(gateway >> 16),
				     (uint8_t)(gateway >> 8),
				     (uint8_t)gateway};
	struct plan plan = plan_make(c->net4, c->bits4, mtu, mac);

	plan.ipv4 = c->ipv4;
	plan.ipv6 = c->ipv6;
	plan.dns = c->dns;
	return plan;
}

/* The tap, or -errno. */
static int open_in_netns(struct program *p, struct fail *why)
{
	const struct config *c = p->config;
	struct netns_target target = {
		.pid = c->target == CONFIG_TARGET_RUN ? p->run.pid : c->pid,
		.netns_path = c->netns_path,
		.userns_path = c->userns_path,
		.ifname = c->ifname,
	};
	const struct netcfg_addr addrs[] = {{p->plan.guest4, c->bits4},
					    {p->plan.guest6, 64}};
	const struct netcfg_route routes[] = {
		{addr_from_v4(INADDR_ANY), 0, p->plan.gateway4, 0},
		{in6addr_any, 0, p->plan.gateway6, 0},
	};
	/* Those of IPv4 come first. */
	size_t from = c->ipv4 ? 0 : 1;
	struct netcfg netcfg = {
		.mtu = c->mtu,
		.has_mac = c->has_mac,
		.ipv6 = c->ipv6 && c->configure6,
		.addrs = addrs + from,
		.addr_count = 2 - from,
		.routes = routes + from,
		.route_count = 2 - from,
	};
	struct netns_fds fds;
	int err;

	memcpy(netcfg.mac, c->mac, sizeof(netcfg.mac));
	err = netns_open(&target, c->configure ? &netcfg : NULL, &fds, why);
	if (err < 0)
		return err;
	p->diag = sockdiag_open(fds.diag);
	p->addrs = netaddr_open(fds.route);
	if (c->talk)
		fprintf(stderr, "sent tapfd=%d for %s\nreceived tapfd=%d\n",
			fds.tap, c->ifname, fds.tap);
	return fds.tap;
}

static int open_tap(struct program *p, struct fail *why)
{
	bool given = p->config->target == CONFIG_TARGET_TAPFD;
	int fd = given ? p->config->tapfd : open_in_netns(p, why);
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

	if (p->config->exit_fd < 0)
		return 0;
	p->exit.ready = on_exit_fd;
	err = loop_add(p->loop, &p->exit, p->config->exit_fd, 0);
	/* A file is never hung up, and epoll does not take it. */
	if (err < 0 && err != -EPERM)
		return fail_set(why, err, "exit-fd %d: %s", p->config->exit_fd,
				strerror(-err));
	return 0;
}

/* An API socket has to be removed, a capture to be written to its end. */
static int watch_ending(struct program *p, struct fail *why)
{
	if (!p->config->api_path && !p->config->pcap.path)
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
	if (p->config->target != CONFIG_TARGET_RUN) {
		err = watch_ending(p, why);
		if (err < 0)
			return err;
	}
	p->wire = wire_new(p->config, &p->plan, p->loop, &p->tap,
			   &(struct wire_netns){p->addrs, p->diag}, why);
	if (!p->wire)
		return -ENOMEM;
	err = p->exit_open ? watch_exit_fd(p, why) : 0;
	if (err == 0 && p->config->target == CONFIG_TARGET_RUN)
		err = run_watch(&p->run, p->loop, why);
	return err;
}

static void say_ready(struct program *p)
{
	int fd = p->config->ready_fd;

	if (p->config->target == CONFIG_TARGET_RUN)
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
	wire_free(p->wire);
	/* A second signal may take effect now: nothing is left behind. */
	ending_unwatch(&p->ending);
	if (p->loop)
		loop_del(p->loop, &p->exit);
	loop_free(p->loop);
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
	const struct config *c = p->config;

	if (config_captures_to_stdout(c) && !p->stdout_open)
		return fail_set(why, -EBADF,
				"cannot write capture stdout: it is closed");
	if (c->target == CONFIG_TARGET_RUN) {
		p->run.ended = on_command_end;
		p->run.stdout_is_taken = config_captures_to_stdout(c);
		if (run_start(&p->run, c->command, &p->plan, why) < 0)
			return -1;
	}
	return open_tap(p, why);
}

/* Until the end; the exit status. */
static int go_on(struct program *p)
{
	bool talk = p->config->talk;
	struct fail why;
	int status;

	if (talk)
		banner_print(p->config, &p->plan,
			     config_captures_to_stdout(p->config) ? stderr
								  : stdout);
	if (set_up(p, &why) < 0) {
		fprintf(stderr, "%s%s\n%s", talk ? "" : "tapir: ", why.text,
			talk ? "do_slirp failed\nparent failed\n" : "");
		return 1;
	}
	say_ready(p);
	/* One that is not open is one that was closed. */
	status = p->config->exit_fd >= 0 && !p->exit_open ? 0
							  : loop_run(p->loop);
	if (status < 0) {
		fprintf(stderr, "tapir: event loop: %s\n", strerror(-status));
		return 1;
	}
	if (talk && p->ending.signo == 0)
		fputs("exitfd event\ndo_slirp is exiting\n", stderr);
	return status;
}

int start(const struct config *config)
{
	struct program p = {
		.config = config,
		.plan = start_plan(config),
		.tap.fd = -1,
		.run = {.sock = -1, .signals.fd = -1},
		.ending.fd.fd = -1,
		.exit.fd = -1,
		.ready_open = is_open(config->ready_fd),
		.exit_open = is_open(config->exit_fd),
		.stdout_open = is_open(STDOUT_FILENO),
	};
	bool helped = config->talk && config->target != CONFIG_TARGET_TAPFD;
	struct fail why;
	int status = 1;

	start_hold_stdio();
	if (begin(&p, &why) == 0)
		status = go_on(&p);
	else
		fprintf(stderr, "%s%s\n%s",
			config->talk ? "" : "tapir: ", why.text,
			helped ? "child failed(1)\n" : "");
	tear_down(&p);
	ending_die(&p.ending);
	return status;
}
