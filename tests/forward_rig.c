#include "tests/forward_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

static nsec_t test_time;

static nsec_t test_clock(void)
{
	return test_time;
}

/* What forward.c calls, in place of inbound_*.c. */

void inbound_tcp_open(struct inbound_tcp *r, int fd,
		      const struct endpoint *client, struct target *t,
		      uint16_t port)
{
	hostsock_close(r->fd);
	r->opened++;
	r->fd = fd;
	r->client = *client;
	r->target = t;
	r->port = port;
	if (r->unanswered)
		target_failed(t, addr_is_v4(&client->addr), port);
}

void inbound_udp_client(struct inbound_udp *r, struct listener *l,
			const struct endpoint *client,
			const struct endpoint *local, struct target *t,
			uint16_t port, const uint8_t *buf, size_t len)
{
	struct hostsock_opts opts = {0};

	r->received++;
	r->client = *client;
	r->local = *local;
	r->port = port;
	r->len = len;
	assert_int_equal(listener_send(l, client, local, &opts, buf, len), 0);
}

bool inbound_udp_serves(struct inbound_udp *r, const struct endpoint *client,
			const struct endpoint *local)
{
	return r->received > 0;
}

bool inbound_udp_make_way(struct inbound_udp *r, const struct endpoint *local)
{
	bool held = r->held_fd >= 0;

	hostsock_close(r->held_fd);
	r->held_fd = -1;
	return held;
}

void inbound_udp_forget(struct inbound_udp *r, struct listener *l)
{
	assert_true(l->fd >= 0);
	r->forgotten++;
}

static int lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

int forward_rig_setup(void **state)
{
	struct forward_rig *rig = calloc(1, sizeof(*rig));
	struct plan plan;

	assert_non_null(rig);
	memset(&plan, 0, sizeof(plan));
	addr_parse("10.0.2.100", &plan.guest4);
	addr_parse("fd00::64", &plan.guest6);
	rig->lowest_fd = lowest_free_fd();
	rig->tcp.fd = rig->udp.held_fd = -1;
	test_time = 1000 * NSEC_PER_SEC;
	rig->loop = loop_new(test_clock);
	assert_non_null(rig->loop);
	fake_guestaddr_init(&rig->guest, &plan);
	rig->deps = (struct forward_deps){
		.loop = rig->loop,
		.tcp = &rig->tcp,
		.udp = &rig->udp,
		.guest = &rig->guest,
		.diag = &rig->diag,
		.log = open_memstream(&rig->log, &rig->log_len),
	};
	rig->fs = forward_new(&rig->deps);
	assert_non_null(rig->fs);
	*state = rig;
	return 0;
}

int forward_rig_teardown(void **state)
{
	struct forward_rig *rig = *state;

	forward_free(rig->fs);
	hostsock_close(rig->tcp.fd);
	assert_int_equal(loop_timers(rig->loop), 0);
	loop_free(rig->loop);
	fclose(rig->deps.log);
	free(rig->log);
	assert_int_equal(lowest_free_fd(), rig->lowest_fd);
	free(rig);
	return 0;
}

void forward_rig_restart(struct forward_rig *rig)
{
	forward_free(rig->fs);
	rig->fs = forward_new(&rig->deps);
	assert_non_null(rig->fs);
}

void forward_rig_pass(struct forward_rig *rig, nsec_t time)
{
	test_time += time;
	loop_turn(rig->loop, 0);
}

void forward_rig_settle(struct forward_rig *rig)
{
	for (int quiet = 0; quiet < 3; quiet++) {
		unsigned before = rig->tcp.opened + rig->udp.received;

		loop_turn(rig->loop, 5 * NSEC_PER_MSEC);
		if (rig->tcp.opened + rig->udp.received != before)
			quiet = 0;
	}
}

const char *forward_rig_log(struct forward_rig *rig)
{
	size_t from = rig->log_read;

	fflush(rig->deps.log);
	rig->log_read = rig->log_len;
	return rig->log + from;
}

const struct forward *forward_rig_add(struct forward_rig *rig,
				      const struct rule *r)
{
	const struct forward *f;

	if (forward_add(rig->fs, r, &f, &rig->why))
		fail_msg("%s", rig->why.text);
	return f;
}

void forward_rig_refused(struct forward_rig *rig, const struct rule *r, int err)
{
	unsigned fds = forward_rig_fds();
	const struct forward *f = NULL;

	rig->why.text[0] = '\0';
	assert_int_equal(forward_add(rig->fs, r, &f, &rig->why), err);
	assert_null(f);
	assert_int_equal(forward_rig_fds(), fds);
}

struct rule forward_rig_rule(const char *text)
{
	struct fail why;
	struct rule r;

	if (rule_parse(text, &r, &why))
		fail_msg("%s", why.text);
	return r;
}

static bool is_free(uint16_t port)
{
	bool all = true;

	for (int i = 0; i < 4; i++) {
		struct endpoint at = {i % 2 ? in6addr_any : addr_from_v4(0),
				      port};
		int fd = hostsock_bind(&at, i / 2);

		all = all && fd >= 0;
		hostsock_close(fd);
	}
	return all;
}

uint16_t forward_rig_free_port(void)
{
	/* below those that the kernel picks; where to begin differs between
	 * tests that run at once */
	uint16_t port = (uint16_t)(2000 + getpid() * 61 % 25000);

	while (!is_free(port))
		port++;
	return port;
}

int forward_rig_connect(bool v4, uint16_t port)
{
	struct hostsock_source source = {.v4 = addr_from_v4(0)};
	struct endpoint to = {
		v4 ? addr_from_v4(INADDR_LOOPBACK) : in6addr_loopback, port};
	int fd = hostsock_connect(&to, &source);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int err;

	if (fd < 0)
		return fd;
	assert_int_equal(poll(&p, 1, 2000), 1);
	err = hostsock_error(fd);
	if (err)
		hostsock_close(fd);
	return err ? err : fd;
}

int forward_rig_try(bool v4, uint16_t port)
{
	int fd = forward_rig_connect(v4, port);

	hostsock_close(fd);
	return fd < 0 ? fd : 0;
}

unsigned forward_rig_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

void forward_rig_apart(struct forward_rig *rig,
		       int (*test)(struct forward_rig *rig))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(test(rig));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}
