/* In network namespaces of the test's own, with real sockets. */
#include "tapdev/sockdiag.h"

#include "tests/netspace.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GUEST4 "10.0.2.100"
#define GUEST6 "fd00::64"
#define OTHER4 "10.0.2.15"

#define NOBODY   SOCKDIAG_NOBODY
#define LOOPBACK SOCKDIAG_LOOPBACK
#define LISTENS  SOCKDIAG_LISTENS

struct rig {
	struct sockdiag *diag;
	int fd; /* the one in it */
};

static int setup(void **state)
{
	static struct rig rig;

	assert_true(netspace_enter());
	rig.fd = sockdiag_socket();
	assert_true(rig.fd >= 0);
	rig.diag = sockdiag_open(rig.fd);
	assert_non_null(rig.diag);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	sockdiag_close(rig->diag);
	assert_int_equal(fcntl(rig->fd, F_GETFD), -1);
	return 0;
}

static enum sockdiag_reach reach(const struct rig *rig,
				 enum sockdiag_proto proto, const char *addr,
				 uint16_t port)
{
	struct in6_addr a;

	assert_int_equal(addr_parse(addr, &a), 0);
	return sockdiag_reach(rig->diag, proto, &a, port);
}

static void look(struct rig *rig)
{
	assert_int_equal(sockdiag_look(rig->diag, SOCKDIAG_TCP), 0);
	assert_int_equal(sockdiag_look(rig->diag, SOCKDIAG_UDP), 0);
}

/* Where a socket is bound, and how it is reached from outside then. */
struct row {
	const char *bound;
	bool v6only;
	enum sockdiag_reach at4, at6;
};

static void check_row(struct rig *rig, const struct row *row, int type)
{
	enum sockdiag_proto proto =
		type == SOCK_STREAM ? SOCKDIAG_TCP : SOCKDIAG_UDP;
	uint16_t port = 0;
	int fd = netspace_bind(type, row->bound, &port, row->v6only);

	look(rig);
	print_message("%s%s\n", row->bound, row->v6only ? " v6only" : "");
	assert_int_equal(reach(rig, proto, GUEST4, port), row->at4);
	assert_int_equal(reach(rig, proto, GUEST6, port), row->at6);
	assert_int_equal(reach(rig, !proto, GUEST4, port), NOBODY);
	assert_int_equal(reach(rig, !proto, GUEST6, port), NOBODY);
	assert_int_equal(reach(rig, proto, GUEST4, (uint16_t)(port + 1)),
			 NOBODY);
	close(fd);
	look(rig);
	assert_int_equal(reach(rig, proto, GUEST4, port), NOBODY);
	assert_int_equal(reach(rig, proto, GUEST6, port), NOBODY);
}

static void test_each_way_to_bind_is_told_by_family(void **state)
{
	static const struct row rows[] = {
		{"0.0.0.0", false, LISTENS, NOBODY},
		{"127.0.0.1", false, LOOPBACK, NOBODY},
		{"127.3.2.1", false, LOOPBACK, NOBODY},
		{GUEST4, false, LISTENS, NOBODY},
		{OTHER4, false, NOBODY, NOBODY},
		{"::", false, LISTENS, LISTENS},
		{"::", true, NOBODY, LISTENS},
		{"::1", false, NOBODY, LOOPBACK},
		{GUEST6, false, NOBODY, LISTENS},
		{"fd00::65", true, NOBODY, NOBODY},
		{"::ffff:127.0.0.1", false, LOOPBACK, NOBODY},
		{"::ffff:" GUEST4, false, LISTENS, NOBODY},
		{"::ffff:0.0.0.0", false, LISTENS, NOBODY},
	};

	netspace_add("lo", GUEST6, 128);
	netspace_add("lo", "fd00::65", 128);
	netspace_add("lo", GUEST4, 32);
	netspace_add("lo", OTHER4, 32);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check_row(*state, &rows[i], SOCK_STREAM);
		check_row(*state, &rows[i], SOCK_DGRAM);
	}
}

static void test_the_best_of_several_sockets_counts(void **state)
{
	struct rig *rig = *state;
	uint16_t port = 0;
	int fds[3];

	fds[0] = netspace_bind(SOCK_STREAM, "127.0.0.1", &port, false);
	fds[1] = netspace_bind(SOCK_STREAM, "::1", &port, true);
	look(rig);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, GUEST4, port), LOOPBACK);
	fds[2] = netspace_bind(SOCK_STREAM, "127.0.0.2", &port, false);
	netspace_add("lo", GUEST4, 32);
	close(fds[2]);
	fds[2] = netspace_bind(SOCK_STREAM, GUEST4, &port, false);
	look(rig);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, GUEST4, port), LISTENS);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, OTHER4, port), LOOPBACK);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, GUEST6, port), LOOPBACK);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, "127.0.0.1", port), LOOPBACK);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void test_who_is_bound_to_lo_is_on_loopback(void **state)
{
	struct rig *rig = *state;
	uint16_t port = 0;
	int fd = netspace_bind(SOCK_DGRAM, "::", &port, false);

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0) {
		close(fd);
		skip();
	}
	look(rig);
	assert_int_equal(reach(rig, SOCKDIAG_UDP, GUEST4, port), LOOPBACK);
	assert_int_equal(reach(rig, SOCKDIAG_UDP, GUEST6, port), LOOPBACK);
	close(fd);
}

static void connect_to(int fd, const char *addr)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};

	assert_int_equal(inet_pton(AF_INET, addr, &to.sin_addr), 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

static void test_a_connected_udp_socket_only_talks(void **state)
{
	struct rig *rig = *state;
	uint16_t port = 0;
	int fd[2];

	netspace_add("lo", GUEST4, 32);
	netspace_add("lo", OTHER4, 32);
	fd[0] = netspace_bind(SOCK_DGRAM, "::ffff:" GUEST4, &port, false);
	look(rig);
	assert_int_equal(reach(rig, SOCKDIAG_UDP, GUEST4, port), LISTENS);
	connect_to(fd[0], OTHER4);
	look(rig);
	assert_int_equal(reach(rig, SOCKDIAG_UDP, GUEST4, port),
			 SOCKDIAG_TALKS);
	assert_int_equal(reach(rig, SOCKDIAG_UDP, OTHER4, port), NOBODY);
	assert_int_equal(reach(rig, SOCKDIAG_UDP, GUEST6, port), NOBODY);
	/* on loopback it is nobody's concern */
	fd[1] = netspace_bind(SOCK_DGRAM, "127.0.0.1", &port, false);
	connect_to(fd[1], "127.0.0.1");
	look(rig);
	assert_int_equal(reach(rig, SOCKDIAG_UDP, OTHER4, port), NOBODY);
	close(fd[0]);
	close(fd[1]);
}

static void test_a_bound_tcp_socket_that_does_not_listen_is_nobody(void **state)
{
	struct sockaddr_in any = {.sin_family = AF_INET,
				  .sin_port = htons(8080)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct rig *rig = *state;

	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	look(rig);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, GUEST4, 8080), NOBODY);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, GUEST4, 8080), NOBODY);
	look(rig);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, GUEST4, 8080), LISTENS);
	close(fd);
}

static void test_the_namespace_is_that_of_the_socket(void **state)
{
	struct rig *rig = *state;
	uint16_t inside = 8080, outside = 8081;
	int a = netspace_bind(SOCK_STREAM, "0.0.0.0", &inside, false), b;

	assert_true(netspace_enter());
	b = netspace_bind(SOCK_STREAM, "0.0.0.0", &outside, false);
	look(rig);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, GUEST4, inside), LISTENS);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, GUEST4, outside), NOBODY);
	close(a);
	close(b);
}

static void test_a_failed_look_leaves_what_was_known(void **state)
{
	struct rig *rig = *state;
	uint16_t port = 0;
	int fd = netspace_bind(SOCK_STREAM, "0.0.0.0", &port, false);
	int broken = open("/dev/null", O_RDWR | O_CLOEXEC);

	look(rig);
	close(fd);
	assert_int_equal(dup3(broken, rig->fd, O_CLOEXEC), rig->fd);
	assert_int_equal(sockdiag_look(rig->diag, SOCKDIAG_TCP), -ENOTSOCK);
	assert_int_equal(reach(rig, SOCKDIAG_TCP, GUEST4, port), LISTENS);
	close(broken);
}

static _Noreturn void come_and_go(void)
{
	for (int i = 0; i < 2000; i++) {
		uint16_t ports[2] = {0, 0};
		int a = netspace_bind(SOCK_STREAM, "::", &ports[0], false);
		int b = netspace_bind(SOCK_STREAM, "0.0.0.0", &ports[1], false);

		close(a);
		close(b);
	}
	_exit(0);
}

static void test_who_stays_is_seen_while_others_come_and_go(void **state)
{
	struct rig *rig = *state;
	uint16_t ports[32] = {0};
	int fds[32];
	pid_t pid;

	for (int i = 0; i < 32; i++)
		fds[i] = netspace_bind(SOCK_STREAM, "::", &ports[i], false);
	pid = fork();
	if (pid == 0)
		come_and_go();
	do {
		look(rig);
		for (int i = 0; i < 32; i++)
			assert_int_equal(
				reach(rig, SOCKDIAG_TCP, GUEST4, ports[i]),
				LISTENS);
	} while (waitpid(pid, NULL, WNOHANG) == 0);
	for (int i = 0; i < 32; i++)
		close(fds[i]);
}

/* Root in the container could feign answers, or fill the socket. */
static void test_nobody_but_the_kernel_can_send_to_it(void **state)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	struct nlmsghdr forged = {.nlmsg_len = sizeof(forged),
				  .nlmsg_type = NLMSG_DONE,
				  .nlmsg_seq = 1};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	socklen_t len = sizeof(to);
	struct rig *rig = *state;

	assert_int_equal(getsockname(rig->fd, (struct sockaddr *)&to, &len), 0);
	forged.nlmsg_pid = to.nl_pid;
	assert_int_equal(sendto(fd, &forged, sizeof(forged), 0,
				(struct sockaddr *)&to, sizeof(to)),
			 -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
}

static void test_no_descriptor_is_no_sockdiag(void **state)
{
	assert_null(sockdiag_open(-1));
	sockdiag_close(NULL);
}

static void test_a_missing_module_is_named(void **state)
{
	assert_non_null(
		strstr(sockdiag_explain(SOCKDIAG_TCP, -ENOENT), "tcp_diag"));
	assert_non_null(
		strstr(sockdiag_explain(SOCKDIAG_UDP, -ENOENT), "udp_diag"));
	assert_string_equal(sockdiag_explain(SOCKDIAG_TCP, -EPERM),
			    strerror(EPERM));
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The best of some looks: what else the machine does is not counted. */
static uint64_t time_of_look(struct rig *rig, enum sockdiag_proto proto)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 50; i++) {
		uint64_t start = now_ns(), took;

		assert_int_equal(sockdiag_look(rig->diag, proto), 0);
		took = now_ns() - start;
		best = took < best ? took : best;
	}
	return best;
}

#define MANY 1000

static void look_at_many(struct rig *rig, int type)
{
	enum sockdiag_proto proto =
		type == SOCK_STREAM ? SOCKDIAG_TCP : SOCKDIAG_UDP;
	uint16_t ports[MANY];
	int fds[MANY];
	uint64_t took;

	for (uint16_t i = 0; i < MANY; i++) {
		ports[i] = (uint16_t)(20000 + i);
		fds[i] = netspace_bind(type, i % 2 ? "::" : "0.0.0.0",
				       &ports[i], false);
	}
	took = time_of_look(rig, proto);
	print_message("%d %s sockets: %u us\n", MANY,
		      proto == SOCKDIAG_TCP ? "TCP" : "UDP",
		      (unsigned)(took / 1000));
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(reach(rig, proto, GUEST4, ports[i]), LISTENS);
		assert_int_equal(reach(rig, proto, GUEST6, ports[i]),
				 i % 2 ? LISTENS : NOBODY);
		close(fds[i]);
	}
	assert_int_equal(reach(rig, proto, GUEST4, 19999), NOBODY);
	assert_int_equal(reach(rig, proto, GUEST4, 20000 + MANY), NOBODY);
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(took < 1000000);
#endif
}

static void test_a_thousand_sockets_take_less_than_a_millisecond(void **state)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < MANY + 100)
		skip();
	look_at_many(*state, SOCK_STREAM);
	look_at_many(*state, SOCK_DGRAM);
}

static void test_ports_are_told_one_after_the_other(void **state)
{
	struct rig *rig = *state;
	uint16_t ports[] = {80, 7000, 65535};
	int fds[4];

	for (int i = 0; i < 3; i++)
		fds[i] = netspace_bind(SOCK_STREAM,
				       i == 1 ? "127.0.0.1" : "::", &ports[i],
				       false);
	fds[3] = netspace_bind(SOCK_DGRAM, "0.0.0.0", &ports[1], false);
	assert_int_equal(sockdiag_next(rig->diag, SOCKDIAG_TCP, 0), 0);
	look(rig);
	assert_int_equal(sockdiag_next(rig->diag, SOCKDIAG_TCP, 0), 80);
	assert_int_equal(sockdiag_next(rig->diag, SOCKDIAG_TCP, 79), 80);
	assert_int_equal(sockdiag_next(rig->diag, SOCKDIAG_TCP, 80), 7000);
	assert_int_equal(sockdiag_next(rig->diag, SOCKDIAG_TCP, 7000), 65535);
	assert_int_equal(sockdiag_next(rig->diag, SOCKDIAG_TCP, 65535), 0);
	assert_int_equal(sockdiag_next(rig->diag, SOCKDIAG_UDP, 0), 7000);
	assert_true(sockdiag_count(rig->diag, SOCKDIAG_TCP) >= 3);
	assert_int_equal(sockdiag_count(rig->diag, SOCKDIAG_UDP), 1);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_each_way_to_bind_is_told_by_family),
		TEST(test_the_best_of_several_sockets_counts),
		TEST(test_who_is_bound_to_lo_is_on_loopback),
		TEST(test_a_connected_udp_socket_only_talks),
		TEST(test_ports_are_told_one_after_the_other),
		TEST(test_a_bound_tcp_socket_that_does_not_listen_is_nobody),
		TEST(test_the_namespace_is_that_of_the_socket),
		TEST(test_a_failed_look_leaves_what_was_known),
		TEST(test_who_stays_is_seen_while_others_come_and_go),
		TEST(test_nobody_but_the_kernel_can_send_to_it),
		TEST(test_a_thousand_sockets_take_less_than_a_millisecond),
		cmocka_unit_test(test_no_descriptor_is_no_sockdiag),
		cmocka_unit_test(test_a_missing_module_is_named),
	};

	if (!netspace_enter())
		return NETSPACE_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
