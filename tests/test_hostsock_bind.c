#include "port/hostsock.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Real sockets, on loopback only: what is tested here is what the kernel does
 * with them. */

#define WAIT_MS 2000

struct rig {
	struct in6_addr lo, any; /* of the family */
	struct hostsock_source source;
	int lowest_fd;
};

static int lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void setup_rig(void **state, const char *lo)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_int_equal(addr_parse(lo, &rig->lo), 0);
	rig->any = addr_is_v4(&rig->lo) ? addr_from_v4(0) : in6addr_any;
	rig->source.v4 = addr_from_v4(0);
	rig->lowest_fd = lowest_free_fd();
	*state = rig;
}

static int setup4(void **state)
{
	setup_rig(state, "127.0.0.1");
	return 0;
}

static int setup6(void **state)
{
	setup_rig(state, "::1");
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(lowest_free_fd(), rig->lowest_fd);
	free(rig);
	return 0;
}

static bool wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, WAIT_MS) == 1;
}

/* Binds a port of loopback; *@ret_at is which. */
static int bind_any(const struct rig *rig, bool udp, struct endpoint *ret_at)
{
	struct endpoint at = {.addr = rig->lo, .port = 0};
	int fd = hostsock_bind(&at, udp);

	assert_true(fd >= 0);
	assert_int_equal(hostsock_local(fd, ret_at), 0);
	assert_true(addr_equal(&ret_at->addr, &rig->lo));
	assert_int_not_equal(ret_at->port, 0);
	return fd;
}

/* A client of @at: the descriptor, or what its connect() met. */
static int client_of(const struct rig *rig, const struct endpoint *at)
{
	int fd = hostsock_connect(at, &rig->source);
	int err;

	if (fd < 0)
		return fd;
	assert_true(wait_for(fd, POLLOUT));
	err = hostsock_error(fd);
	if (err)
		hostsock_close(fd);
	return err ? err : fd;
}

static void assert_refused(const struct rig *rig, const struct endpoint *at)
{
	assert_int_equal(client_of(rig, at), -ECONNREFUSED);
}

/* A client comes, is accepted under its own name and goes. */
static void assert_accepts(const struct rig *rig, int fd,
			   const struct endpoint *at)
{
	int client = client_of(rig, at);
	struct endpoint here, there;
	int on = 0;
	socklen_t len = sizeof(on);
	int peer;

	assert_true(client >= 0);
	assert_true(wait_for(fd, POLLIN));
	peer = hostsock_accept(fd, &there);
	assert_true(peer >= 0);
	assert_int_equal(hostsock_local(client, &here), 0);
	assert_true(endpoint_equal(&here, &there));
	assert_int_equal(fcntl(peer, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(peer, F_GETFD), FD_CLOEXEC);
	getsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, &len);
	assert_int_not_equal(on, 0);
	on = 0;
	getsockopt(peer, SOL_SOCKET, SO_KEEPALIVE, &on, &len);
	assert_int_not_equal(on, 0);
	assert_int_equal(hostsock_accept(fd, &there), -EAGAIN);
	hostsock_reset(client);
	hostsock_close(peer);
}

static void
test_a_bound_port_lets_clients_in_only_while_it_listens(void **state)
{
	struct rig *rig = *state;
	struct endpoint at;
	int fd = bind_any(rig, false, &at);

	for (int i = 0; i < 3; i++) {
		assert_refused(rig, &at);
		assert_int_equal(hostsock_listen(fd), 0);
		assert_accepts(rig, fd, &at);
		assert_int_equal(hostsock_unlisten(fd), 0);
	}
	assert_refused(rig, &at);
	hostsock_close(fd);
}

static void test_clients_that_wait_are_reset_when_listening_ends(void **state)
{
	struct rig *rig = *state;
	struct endpoint at, client;
	int fd = bind_any(rig, false, &at);
	int waiting[8];
	char byte;
	struct iovec iov = {&byte, 1};

	assert_int_equal(hostsock_listen(fd), 0);
	for (int i = 0; i < 8; i++) {
		waiting[i] = client_of(rig, &at);
		assert_true(waiting[i] >= 0);
	}
	assert_int_equal(hostsock_unlisten(fd), 0);
	for (int i = 0; i < 8; i++) {
		assert_true(wait_for(waiting[i], POLLIN));
		assert_int_equal(hostsock_recv(waiting[i], &iov, 1),
				 -ECONNRESET);
		hostsock_close(waiting[i]);
	}
	assert_refused(rig, &at);
	assert_int_equal(hostsock_listen(fd), 0);
	assert_int_equal(hostsock_accept(fd, &client), -EAGAIN);
	assert_accepts(rig, fd, &at);
	hostsock_close(fd);
}

/* What another program does that wants the port. */
static int take_rudely(const struct endpoint *at)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons(at->port),
				 .sin_addr.s_addr = htonl(INADDR_ANY)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
				  .sin6_port = htons(at->port),
				  .sin6_addr = in6addr_any};
	bool is_v4 = addr_is_v4(&at->addr);
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
	int on = 1, err;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	err = bind(fd, is_v4 ? (void *)&v4 : (void *)&v6,
		   is_v4 ? sizeof(v4) : sizeof(v6));
	if (!err)
		err = listen(fd, 1);
	err = err ? -errno : 0;
	close(fd);
	return err;
}

static void
test_nobody_gets_a_bound_port_whether_it_listens_or_not(void **state)
{
	struct rig *rig = *state;
	struct endpoint at;
	int fd = bind_any(rig, false, &at);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(hostsock_bind(&at, false), -EADDRINUSE);
		assert_int_equal(take_rudely(&at), -EADDRINUSE);
		if (i == 0)
			assert_int_equal(hostsock_listen(fd), 0);
		if (i == 1)
			assert_int_equal(hostsock_unlisten(fd), 0);
	}
	hostsock_close(fd);
	assert_int_equal(take_rudely(&at), 0);
}

static void test_connections_that_linger_do_not_hold_the_port(void **state)
{
	struct rig *rig = *state;
	struct endpoint at, there;
	int fd = bind_any(rig, false, &at);
	int client, peer;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(hostsock_listen(fd), 0);
		client = client_of(rig, &at);
		assert_true(wait_for(fd, POLLIN));
		peer = hostsock_accept(fd, &there);
		assert_true(peer >= 0);
		hostsock_close(fd);
		/* first it stands, then it is in TIME_WAIT on our side */
		fd = hostsock_bind(&at, false);
		assert_true(fd >= 0);
		assert_int_equal(hostsock_bind(&at, false), -EADDRINUSE);
		hostsock_close(peer);
		assert_true(wait_for(client, POLLIN));
		hostsock_close(client);
		hostsock_close(fd);
		fd = hostsock_bind(&at, false);
		assert_true(fd >= 0);
		assert_int_equal(hostsock_bind(&at, false), -EADDRINUSE);
	}
	hostsock_close(fd);
}

static void test_each_family_and_protocol_has_its_own_ports(void **state)
{
	struct endpoint v4 = {addr_from_v4(0), 0}, v6 = {in6addr_any, 0};
	int fd[4];

	fd[0] = hostsock_bind(&v4, false);
	assert_true(fd[0] >= 0);
	assert_int_equal(hostsock_local(fd[0], &v4), 0);
	v6.port = v4.port;
	fd[1] = hostsock_bind(&v6, false);
	fd[2] = hostsock_bind(&v4, true);
	fd[3] = hostsock_bind(&v6, true);
	for (int i = 0; i < 4; i++) {
		assert_true(fd[i] >= 0);
		assert_int_equal(hostsock_bind(i % 2 ? &v6 : &v4, i >= 2),
				 -EADDRINUSE);
	}
	for (int i = 0; i < 4; i++)
		hostsock_close(fd[i]);
}

static void test_an_address_that_is_not_ours_is_said(void **state)
{
	struct rig *rig = *state;
	struct endpoint at = {.port = 0};

	addr_parse(addr_is_v4(&rig->lo) ? "192.0.2.77" : "2001:db8::77",
		   &at.addr);
	for (int udp = 0; udp < 2; udp++) {
		at.port = 0;
		assert_int_equal(hostsock_bind(&at, udp), -EADDRNOTAVAIL);
		at.port = 34567;
		assert_int_equal(hostsock_bind(&at, udp), -EADDRNOTAVAIL);
	}
}

static void set_limit(rlim_t n)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_the_reserve_is_left_and_a_client_waits_for_room(void **state)
{
	struct rig *rig = *state;
	struct rlimit before;
	struct endpoint at, client;
	int fd = bind_any(rig, false, &at);
	int held, peer, out;
	rlim_t first;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(hostsock_listen(fd), 0);
	out = client_of(rig, &at);
	first = (rlim_t)out + 1;
	set_limit(first + HOSTSOCK_RESERVE);
	assert_true(wait_for(fd, POLLIN));
	assert_int_equal(hostsock_accept(fd, &client), -EMFILE);
	assert_int_equal(hostsock_bind(&at, true), -EMFILE);
	assert_int_equal(hostsock_bind(&at, false), -EMFILE);
	/* the rest of the program still has some */
	held = hostsock_udp(&rig->lo, 0, &rig->source);
	assert_true(held >= 0);
	hostsock_close(held);
	set_limit(first + HOSTSOCK_RESERVE + 1);
	peer = hostsock_accept(fd, &client);
	assert_true(peer >= 0);
	set_limit(first);
	assert_int_equal(hostsock_accept(fd, &client), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	hostsock_close(peer);
	hostsock_close(out);
	hostsock_close(fd);
}

static void test_datagrams_tell_where_they_were_sent(void **state)
{
	struct rig *rig = *state;
	struct endpoint bound, client, from, to = {.addr = rig->lo};
	struct endpoint at = {rig->any, 0};
	struct in6_addr local;
	struct hostsock_opts want = {0}, set = {0}, set_client = {0};
	int fd = hostsock_bind(&at, true);
	int out = hostsock_udp(&rig->lo, 0, &rig->source);
	char buf[16];

	assert_int_equal(hostsock_local(fd, &bound), 0);
	assert_int_equal(hostsock_local(out, &client), 0);
	client.addr = rig->lo;
	if (addr_is_v4(&rig->lo))
		addr_parse("127.0.0.2", &to.addr);
	to.port = bound.port;
	assert_int_equal(hostsock_recv_at(fd, &from, &local, buf, sizeof(buf)),
			 -EAGAIN);
	assert_int_equal(
		hostsock_sendto(out, &to, &want, &set_client, "query", 5), 5);
	assert_true(wait_for(fd, POLLIN));
	assert_int_equal(hostsock_recv_at(fd, &from, &local, buf, sizeof(buf)),
			 5);
	assert_memory_equal(buf, "query", 5);
	assert_true(addr_equal(&local, &to.addr));
	assert_int_equal(from.port, client.port);

	want.ttl = 9;
	assert_int_equal(
		hostsock_send_from(fd, &from, &local, &want, &set, "answer", 6),
		6);
	assert_int_equal(set.ttl, 9);
	assert_true(wait_for(out, POLLIN));
	assert_int_equal(hostsock_recvfrom(out, &from, buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "answer", 6);
	assert_true(endpoint_equal(&from, &to));
	hostsock_close(fd);
	hostsock_close(out);
}

static void test_from_an_address_of_many_the_kernel_chooses(void **state)
{
	struct rig *rig = *state;
	struct hostsock_opts want = {0}, set = {0};
	struct endpoint at = {rig->any, 0}, from, to;
	struct in6_addr group;
	int fd = hostsock_bind(&at, true);
	int in = bind_any(rig, true, &to);
	char buf[4];

	addr_parse(addr_is_v4(&rig->lo) ? "224.0.0.251" : "ff02::fb", &group);
	assert_int_equal(
		hostsock_send_from(fd, &to, &rig->any, &want, &set, "a", 1), 1);
	assert_int_equal(
		hostsock_send_from(fd, &to, &group, &want, &set, "b", 1), 1);
	for (int i = 0; i < 2; i++) {
		assert_true(wait_for(in, POLLIN));
		assert_int_equal(hostsock_recvfrom(in, &from, buf, sizeof(buf)),
				 1);
		assert_true(addr_equal(&from.addr, &rig->lo));
	}
	hostsock_close(fd);
	hostsock_close(in);
}

/* Else the loop would turn for ever on a socket that nobody reads errors of. */
static void test_a_client_that_left_leaves_no_error_behind(void **state)
{
	struct rig *rig = *state;
	struct hostsock_opts want = {0}, set = {0};
	struct endpoint at, gone;
	int fd = bind_any(rig, true, &at);
	int client = bind_any(rig, true, &gone);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	hostsock_close(client);
	for (int i = 0; i < 3; i++)
		assert_int_equal(hostsock_send_from(fd, &gone, &at.addr, &want,
						    &set, "x", 1),
				 1);
	assert_int_equal(poll(&p, 1, 20), 0);
	assert_int_equal(hostsock_error(fd), 0);
	hostsock_close(fd);
}

/* Runs @test where it may do to the process what it likes: its exit status, 77
 * is a skip. */
static void run_apart(struct rig *rig, int (*test)(const struct rig *rig))
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

static int bind_low(const struct rig *rig)
{
	struct endpoint at = {rig->lo, 1};
	FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	int start = 0;

	if (!f || fscanf(f, "%d", &start) != 1 || start < 2)
		return 77;
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 77;
	if (hostsock_bind(&at, false) != -EACCES)
		return 1;
	return hostsock_bind(&at, true) == -EACCES ? 0 : 2;
}

static void test_a_low_port_needs_privilege(void **state)
{
	run_apart(*state, bind_low);
}

static int answer_on_the_link(const struct rig *rig)
{
	struct hostsock_opts want = {0}, set = {0}, set_client = {0};
	struct endpoint at = {.port = 4711}, from, back;
	struct in6_addr local;
	int fd, out;
	char buf[8];

	if (unshare(CLONE_NEWNET) < 0)
		return 77;
	if (system("ip link set lo up && "
		   "ip -6 addr add fe80::5/64 dev lo nodad") != 0)
		return 77;
	addr_parse("fe80::5", &at.addr);
	if (hostsock_scoped(&at.addr, "lo", &at.addr))
		return 1;
	fd = hostsock_bind(&at, true);
	out = hostsock_udp(&at.addr, 0, &rig->source);
	if (fd < 0 || hostsock_local(fd, &back) || !endpoint_equal(&at, &back))
		return 2;
	if (hostsock_sendto(out, &at, &want, &set_client, "q", 1) != 1)
		return 3;
	if (!wait_for(fd, POLLIN) ||
	    hostsock_recv_at(fd, &from, &local, buf, sizeof(buf)) != 1)
		return 4;
	if (!addr_equal(&local, &at.addr))
		return 5;
	if (hostsock_send_from(fd, &from, &local, &want, &set, "a", 1) != 1)
		return 6;
	if (!wait_for(out, POLLIN) ||
	    hostsock_recvfrom(out, &back, buf, sizeof(buf)) != 1)
		return 7;
	return endpoint_equal(&back, &at) ? 0 : 8;
}

static void test_on_a_link_the_interface_goes_with_the_address(void **state)
{
	run_apart(*state, answer_on_the_link);
}

static void test_an_address_on_a_link_is_written_with_it(void **state)
{
	struct in6_addr a;
	char buf[HOSTSOCK_STRLEN];

	addr_parse("fe80::1", &a);
	assert_string_equal(hostsock_format(&a, buf), "fe80::1");
	assert_int_equal(hostsock_scoped(&a, "lo", &a), 0);
	assert_string_equal(hostsock_format(&a, buf), "fe80::1%lo");
	addr_parse("fe80::1", &a);
	assert_int_equal(hostsock_scoped(&a, "4711000", &a), 0);
	assert_string_equal(hostsock_format(&a, buf), "fe80::1%4711000");
	addr_parse("fd00::1", &a);
	assert_string_equal(hostsock_format(&a, buf), "fd00::1");
	addr_parse("169.254.1.2", &a);
	assert_string_equal(hostsock_format(&a, buf), "169.254.1.2");
}

#define T4(name) cmocka_unit_test_setup_teardown(name, setup4, teardown)
#define T6(name)                                                               \
	{                                                                      \
#name " over IPv6", name, setup6, teardown, NULL               \
	}
#define BOTH(name) T4(name), T6(name)

static bool have_ipv6(void)
{
	struct endpoint lo = {in6addr_loopback, 0};
	int fd = hostsock_bind(&lo, true);

	hostsock_close(fd);
	return fd >= 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_a_bound_port_lets_clients_in_only_while_it_listens),
		BOTH(test_clients_that_wait_are_reset_when_listening_ends),
		BOTH(test_nobody_gets_a_bound_port_whether_it_listens_or_not),
		BOTH(test_connections_that_linger_do_not_hold_the_port),
		T6(test_each_family_and_protocol_has_its_own_ports),
		BOTH(test_an_address_that_is_not_ours_is_said),
		BOTH(test_the_reserve_is_left_and_a_client_waits_for_room),
		BOTH(test_datagrams_tell_where_they_were_sent),
		BOTH(test_from_an_address_of_many_the_kernel_chooses),
		BOTH(test_a_client_that_left_leaves_no_error_behind),
		BOTH(test_a_low_port_needs_privilege),
		T6(test_on_a_link_the_interface_goes_with_the_address),
		T4(test_an_address_on_a_link_is_written_with_it),
	};

	if (!have_ipv6())
		cmocka_set_skip_filter("*over IPv6");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
