/* A lane into namespaces of a child, with services on its loopback. */
#include "tapdev/lane.h"

#include "tapdev/lane_serve.h"
#include "tests/netspace.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVICE 8080 /* of both families, TCP and UDP */
#define OTHER   8081 /* likewise, and nobody names it */
#define SILENT  8082 /* nothing listens */
#define CLIENTS 8083 /* where clients inside are listened for */

struct rig {
	pid_t child; /* in namespaces of its own */
	int hold;    /* it does what it is told there, until that is closed */
	unsigned fds;
	struct fail why;
	struct lane_ports ports;
	struct lane *lane;
};

static unsigned count_fds(pid_t pid)
{
	char path[32];
	DIR *dir;
	unsigned n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* What a child does inside when told so. */

static char attack(pid_t lane)
{
	int pidfd = (int)syscall(SYS_pidfd_open, lane, 0);
	char path[32];

	if (ptrace(PTRACE_ATTACH, lane, NULL, NULL) == 0)
		return 't';
	if (ptrace(PTRACE_SEIZE, lane, NULL, NULL) == 0)
		return 's';
	if (pidfd >= 0 && syscall(SYS_pidfd_getfd, pidfd, 0, 0) >= 0)
		return 'g';
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)lane);
	if (open(path, O_RDWR) >= 0)
		return 'm';
	snprintf(path, sizeof(path), "/proc/%d/fd/0", (int)lane);
	if (open(path, O_RDWR) >= 0)
		return 'f';
	return '-';
}

static char client_says(bool v4)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(CLIENTS),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 b = {.sin6_family = AF_INET6,
				 .sin6_port = htons(CLIENTS),
				 .sin6_addr = in6addr_loopback};
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
	int err = v4 ? connect(fd, (struct sockaddr *)&a, sizeof(a))
		     : connect(fd, (struct sockaddr *)&b, sizeof(b));
	char ok = err == 0 && write(fd, "hi", 2) == 2 ? '-' : 'x';

	close(fd);
	return ok;
}

struct order {
	char what; /* 'a': attack, '4' and '6': be a client */
	pid_t pid;
};

static _Noreturn void live(int hold)
{
	static const uint16_t ports[] = {SERVICE, OTHER};
	struct order o;
	char said = 0;

	/* root there, whoever it is out here */
	if (unshare(CLONE_NEWUSER) < 0 || !netspace_enter())
		_exit(1);
	for (int i = 0; i < 2; i++) {
		uint16_t port = ports[i];

		netspace_bind(SOCK_STREAM, "127.0.0.1", &port, false);
		netspace_bind(SOCK_STREAM, "::1", &port, true);
		netspace_bind(SOCK_DGRAM, "127.0.0.1", &port, false);
		netspace_bind(SOCK_DGRAM, "::1", &port, true);
	}
	while (write(hold, &said, 1) == 1 &&
	       read(hold, &o, sizeof(o)) == (ssize_t)sizeof(o)) {
		if (o.what == 'a')
			said = attack(o.pid);
		else
			said = client_says(o.what == '4');
	}
	_exit(0);
}

static char tell(const struct rig *rig, char what, pid_t pid)
{
	struct order o = {what, pid};
	char said;

	assert_int_equal(write(rig->hold, &o, sizeof(o)), sizeof(o));
	assert_int_equal(read(rig->hold, &said, 1), 1);
	return said;
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	int sv[2];
	char byte;

	assert_non_null(rig);
	rig->fds = count_fds(getpid());
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
			 0);
	rig->child = fork();
	if (rig->child == 0) {
		close(sv[0]);
		live(sv[1]);
	}
	close(sv[1]);
	rig->hold = sv[0];
	assert_int_equal(read(rig->hold, &byte, 1), 1);
	for (int proto = 0; proto < LANE_PROTOS; proto++) {
		enum lane_proto p = (enum lane_proto)proto;

		lane_ports_add(&rig->ports, LANE_CONNECT, p, SERVICE);
		lane_ports_add(&rig->ports, LANE_CONNECT, p, SILENT);
		lane_ports_add(&rig->ports, LANE_LISTEN, p, CLIENTS);
	}
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	int status;

	/* first: were it to trace the lane, that could not be ended */
	close(rig->hold);
	assert_int_equal(waitpid(rig->child, &status, 0), rig->child);
	assert_int_equal(status, 0);
	lane_stop(rig->lane);
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
	assert_int_equal(count_fds(getpid()), rig->fds);
	free(rig);
	return 0;
}

static struct lane *start(struct rig *rig, bool grows)
{
	struct netns_target t = {.pid = rig->child};

	rig->lane = lane_start(&t, &rig->ports, grows, &rig->why);
	assert_non_null(rig->lane);
	return rig->lane;
}

/* The lane's process: the newest child. */
static pid_t pid_of_lane(void)
{
	char path[64], *line = NULL, *at;
	size_t room = 0;
	pid_t pid = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
		 (int)getpid());
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(getline(&line, &room, f) > 0);
	for (at = line; *at && *at != '\n';) {
		long next = strtol(at, &at, 10);

		pid = next > 0 ? (pid_t)next : pid;
		at += *at == ' ';
	}
	fclose(f);
	free(line);
	return pid;
}

/* 0 or -errno of the connect() that is under way. */
static int outcome(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int err;

	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	return -err;
}

static void assert_prepared(int fd)
{
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void test_it_connects_to_named_ports_inside(void **state)
{
	struct lane *l = start(*state, false);

	for (int v4 = 0; v4 < 2; v4++) {
		int fd = lane_connect(l, LANE_TCP, v4, SERVICE);

		assert_true(fd >= 0);
		assert_prepared(fd);
		assert_int_equal(outcome(fd), 0);
		close(fd);
		fd = lane_connect(l, LANE_TCP, v4, SILENT);
		if (fd >= 0) {
			assert_int_equal(outcome(fd), -ECONNREFUSED);
			close(fd);
		} else {
			assert_int_equal(fd, -ECONNREFUSED);
		}
	}
}

static void test_it_connects_datagram_sockets_too(void **state)
{
	struct lane *l = start(*state, false);
	int fd = lane_connect(l, LANE_UDP, true, SERVICE);
	struct sockaddr_in a = {.sin_port = 0};
	socklen_t len = sizeof(a);

	assert_true(fd >= 0);
	assert_prepared(fd);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(ntohs(a.sin_port), SERVICE);
	assert_int_equal(ntohl(a.sin_addr.s_addr), INADDR_LOOPBACK);
	close(fd);
}

static void test_other_ports_are_refused_by_the_process(void **state)
{
	struct lane *l = start(*state, false);

	for (int v4 = 0; v4 < 2; v4++) {
		for (int proto = 0; proto < LANE_PROTOS; proto++) {
			enum lane_proto p = (enum lane_proto)proto;

			assert_int_equal(lane_connect(l, p, v4, OTHER),
					 -EACCES);
			assert_int_equal(lane_connect(l, p, v4, CLIENTS),
					 -EACCES);
			assert_int_equal(lane_listen(l, p, v4, SERVICE),
					 -EACCES);
			assert_int_equal(lane_connect(l, p, v4, 0), -EINVAL);
		}
	}
	assert_int_equal(lane_allow(l, LANE_CONNECT, LANE_TCP, OTHER), -EACCES);
	assert_int_equal(lane_connect(l, LANE_TCP, true, OTHER), -EACCES);
}

static void test_one_that_grows_takes_more_ports(void **state)
{
	struct lane *l = start(*state, true);
	int fd;

	assert_int_equal(lane_connect(l, LANE_TCP, true, OTHER), -EACCES);
	assert_int_equal(lane_allow(l, LANE_CONNECT, LANE_TCP, OTHER), 0);
	assert_int_equal(lane_connect(l, LANE_UDP, true, OTHER), -EACCES);
	fd = lane_connect(l, LANE_TCP, true, OTHER);
	assert_int_equal(outcome(fd), 0);
	close(fd);
}

static void test_clients_inside_reach_what_it_listens_on(void **state)
{
	struct rig *rig = *state;
	struct lane *l = start(rig, false);

	for (int v4 = 0; v4 < 2; v4++) {
		int fd = lane_listen(l, LANE_TCP, v4, CLIENTS), client;
		char buf[4];

		assert_true(fd >= 0);
		assert_prepared(fd);
		assert_int_equal(lane_listen(l, LANE_TCP, v4, CLIENTS),
				 -EADDRINUSE);
		assert_int_equal(tell(rig, v4 ? '4' : '6', 0), '-');
		client = accept(fd, NULL, NULL);
		assert_true(client >= 0);
		assert_int_equal(read(client, buf, sizeof(buf)), 2);
		close(client);
		close(fd);
		assert_int_equal(tell(rig, v4 ? '4' : '6', 0), 'x');
		fd = lane_listen(l, LANE_UDP, v4, CLIENTS);
		assert_true(fd >= 0);
		close(fd);
	}
}

static void status_line(pid_t pid, const char *name, char ret[64])
{
	char path[32], *line = NULL;
	size_t room = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	ret[0] = 0;
	while (getline(&line, &room, f) > 0) {
		if (strncmp(line, name, strlen(name)) == 0 &&
		    line[strlen(name)] == ':')
			snprintf(ret, 64, "%s", line + strlen(name) + 2);
	}
	fclose(f);
	free(line);
	ret[strcspn(ret, "\n")] = 0;
}

static void assert_status(pid_t pid, const char *name, const char *want)
{
	char have[64];

	status_line(pid, name, have);
	assert_string_equal(have, want);
}

static void test_it_is_confined(void **state)
{
	struct rig *rig = *state;
	pid_t pid;

	start(rig, false);
	pid = pid_of_lane();
	assert_status(pid, "Name", "tapir-lane");
	assert_status(pid, "CapEff", "0000000000000000");
	assert_status(pid, "CapPrm", "0000000000000000");
	assert_status(pid, "CapInh", "0000000000000000");
	assert_status(pid, "CapBnd", "0000000000000000");
	assert_status(pid, "CapAmb", "0000000000000000");
	assert_status(pid, "NoNewPrivs", "1");
	assert_status(pid, "Seccomp", "2");
	assert_int_equal(count_fds(pid), 1);
}

static void test_a_low_port_is_the_only_reason_for_a_capability(void **state)
{
	struct rig *rig = *state;
	int fd;

	lane_ports_add(&rig->ports, LANE_LISTEN, LANE_TCP, 53);
	start(rig, false);
	assert_status(pid_of_lane(), "CapEff", "0000000000000400");
	fd = lane_listen(rig->lane, LANE_TCP, true, 53);
	assert_true(fd >= 0);
	close(fd);
}

static void test_nobody_inside_can_get_at_it(void **state)
{
	struct rig *rig = *state;
	int fd;

	start(rig, false);
	assert_int_equal(tell(rig, 'a', pid_of_lane()), '-');
	fd = lane_connect(rig->lane, LANE_TCP, true, SERVICE);
	assert_true(fd >= 0);
	close(fd);
}

static void test_it_sleeps_until_it_is_asked(void **state)
{
	char before[64], after[64];
	pid_t pid;

	start(*state, false);
	pid = pid_of_lane();
	usleep(20 * 1000);
	status_line(pid, "voluntary_ctxt_switches", before);
	usleep(200 * 1000);
	status_line(pid, "voluntary_ctxt_switches", after);
	assert_string_equal(before, after);
}

/* Is the process gone within five seconds? It is reaped then. */
static bool goes(pid_t pid)
{
	for (int i = 0; i < 500; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(10 * 1000);
	}
	return false;
}

static void test_it_dies_with_who_started_it(void **state)
{
	struct rig *rig = *state;
	int pipes[2];
	pid_t starter, lane;

	/* so that its end can be seen from here */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe(pipes), 0);
	starter = fork();
	if (starter == 0) {
		start(rig, false);
		lane = pid_of_lane();
		if (write(pipes[1], &lane, sizeof(lane)) == sizeof(lane))
			pause();
		_exit(1);
	}
	assert_int_equal(read(pipes[0], &lane, sizeof(lane)), sizeof(lane));
	assert_int_equal(kill(lane, 0), 0);
	kill(starter, SIGKILL);
	assert_int_equal(waitpid(starter, NULL, 0), starter);
	assert_true(goes(lane));
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_signals_to_the_group_leave_it_alone(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
	struct rig *rig = *state;
	int fd;

	start(rig, false);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		kill(pid_of_lane(), signals[i]);
	fd = lane_connect(rig->lane, LANE_TCP, true, SERVICE);
	assert_true(fd >= 0);
	close(fd);
}

static void test_one_that_was_killed_is_told_and_reaped(void **state)
{
	struct rig *rig = *state;

	start(rig, false);
	kill(pid_of_lane(), SIGKILL);
	assert_int_equal(lane_connect(rig->lane, LANE_TCP, true, SERVICE),
			 -ENOTCONN);
	assert_int_equal(lane_connect(rig->lane, LANE_TCP, true, SERVICE),
			 -ENOTCONN);
}

static void test_one_that_hangs_is_given_up(void **state)
{
	struct rig *rig = *state;

	start(rig, false);
	kill(pid_of_lane(), SIGSTOP);
	assert_int_equal(lane_connect(rig->lane, LANE_TCP, true, SERVICE),
			 -ENOTCONN);
}

static void test_a_target_that_is_not_there_is_told(void **state)
{
	struct rig *rig = *state;
	struct netns_target t = {.netns_path = "/nonexistent/ns"};

	assert_null(lane_start(&t, &rig->ports, false, &rig->why));
	assert_non_null(strstr(rig->why.text, "/nonexistent/ns"));
}

static void test_without_descriptors_nothing_is_lost(void **state)
{
	struct rlimit old, none;
	struct lane *l = start(*state, false);
	int fd;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	fd = lane_connect(l, LANE_TCP, true, SERVICE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(fd, -EMFILE);
	fd = lane_connect(l, LANE_TCP, true, SERVICE);
	assert_true(fd >= 0);
	close(fd);
}

/* The process with this test at the other end of its socket. */
static void test_what_is_no_request_is_refused(void **state)
{
	struct rig *rig = *state;
	struct netns_target t = {.pid = rig->child};
	struct lane_hello hello;
	struct lane_request bad[] = {
		{.act = 9, .port = SERVICE},
		{.way = LANE_WAYS, .port = SERVICE},
		{.proto = LANE_PROTOS, .port = SERVICE},
		{.v4 = 2, .port = SERVICE},
	};
	char noise[256];
	int32_t err;
	int sock[2];
	pid_t pid;

	memset(noise, 1, sizeof(noise));
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock), 0);
	pid = fork();
	if (pid == 0)
		lane_serve(&(struct lane_birth){&t, &rig->ports, false, sock[1],
						getppid()});
	close(sock[1]);
	assert_int_equal(recv(sock[0], &hello, sizeof(hello), 0),
			 sizeof(hello));
	assert_int_equal(hello.err, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		send(sock[0], &bad[i], sizeof(bad[i]), 0);
		assert_int_equal(recv(sock[0], &err, sizeof(err), 0), 4);
		assert_int_equal(err, -EINVAL);
	}
	for (size_t len = 1; len < sizeof(noise); len++) {
		send(sock[0], noise, len, 0);
		assert_int_equal(recv(sock[0], &err, sizeof(err), 0), 4);
		assert_true(err == -EINVAL || err == -EACCES);
	}
	close(sock[0]);
	assert_true(goes(pid));
}

int main(void)
{
#define LANE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		LANE_TEST(test_it_connects_to_named_ports_inside),
		LANE_TEST(test_it_connects_datagram_sockets_too),
		LANE_TEST(test_other_ports_are_refused_by_the_process),
		LANE_TEST(test_one_that_grows_takes_more_ports),
		LANE_TEST(test_clients_inside_reach_what_it_listens_on),
		LANE_TEST(test_it_is_confined),
		LANE_TEST(test_a_low_port_is_the_only_reason_for_a_capability),
		LANE_TEST(test_nobody_inside_can_get_at_it),
		LANE_TEST(test_it_sleeps_until_it_is_asked),
		LANE_TEST(test_it_dies_with_who_started_it),
		LANE_TEST(test_signals_to_the_group_leave_it_alone),
		LANE_TEST(test_one_that_was_killed_is_told_and_reaped),
		LANE_TEST(test_one_that_hangs_is_given_up),
		LANE_TEST(test_a_target_that_is_not_there_is_told),
		LANE_TEST(test_without_descriptors_nothing_is_lost),
		LANE_TEST(test_what_is_no_request_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
