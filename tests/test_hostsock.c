#include "port/hostsock.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Real sockets, on loopback only: what is tested here is what the kernel does
 * with them. */

#define WAIT_MS 2000

struct rig {
	struct in6_addr lo; /* 127.0.0.1 or ::1 */
	struct hostsock_source any;
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
	rig->any.v4 = addr_from_v4(0);
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
	int lowest = lowest_free_fd();

	assert_int_equal(lowest, rig->lowest_fd);
	free(rig);
	return 0;
}

static bool wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, WAIT_MS) == 1;
}

/* The port that @fd is bound to, whichever family. */
static uint16_t port_of(int fd)
{
	struct sockaddr_in6 sa;
	socklen_t len = sizeof(sa);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	return ntohs(sa.sin6_port); /* both families have it there */
}

static int listener(const struct rig *rig, uint16_t *ret_port)
{
	bool v4 = addr_is_v4(&rig->lo);
	struct sockaddr_in sa4 = {.sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6,
				   .sin6_addr = in6addr_loopback};
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (v4)
		assert_int_equal(bind(fd, (void *)&sa4, sizeof(sa4)), 0);
	else
		assert_int_equal(bind(fd, (void *)&sa6, sizeof(sa6)), 0);
	assert_int_equal(listen(fd, 8), 0);
	*ret_port = port_of(fd);
	return fd;
}

/* A port of loopback where nobody listens, for either protocol. */
static uint16_t closed_port(const struct rig *rig, int type)
{
	uint16_t port;
	int fd;

	if (type == SOCK_STREAM)
		fd = listener(rig, &port);
	else
		fd = hostsock_udp(&rig->lo, 0, &rig->any);
	port = port_of(fd);
	close(fd);
	return port;
}

static void test_a_connection_carries_bytes_both_ways(void **state)
{
	struct rig *rig = *state;
	struct endpoint to = {.addr = rig->lo};
	struct iovec out[2] = {{"ab", 2}, {"c", 1}};
	char buf[8];
	struct iovec in = {buf, sizeof(buf)};
	int lfd = listener(rig, &to.port);
	int fd = hostsock_connect(&to, &rig->any);
	int peer, on = 0;
	socklen_t on_len = sizeof(on);

	assert_true(fd >= 0);
	assert_true(wait_for(fd, POLLOUT));
	assert_int_equal(hostsock_error(fd), 0);
	getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &on_len);
	assert_int_not_equal(on, 0);
	peer = accept(lfd, NULL, NULL);
	assert_int_equal(hostsock_recv(fd, &in, 1), -EAGAIN);
	assert_int_equal(hostsock_send(fd, out, 2), 3);
	assert_int_equal(read(peer, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(hostsock_shutdown(fd), 0);
	assert_int_equal(read(peer, buf, sizeof(buf)), 0);
	assert_int_equal(write(peer, "late", 4), 4);
	assert_true(wait_for(fd, POLLIN));
	assert_int_equal(hostsock_recv(fd, &in, 1), 4);
	hostsock_close(fd);
	close(peer);
	close(lfd);
}

static void test_a_refused_connection_says_so(void **state)
{
	struct rig *rig = *state;
	struct endpoint to = {rig->lo, closed_port(rig, SOCK_STREAM)};
	int fd = hostsock_connect(&to, &rig->any);

	if (fd >= 0) {
		assert_true(wait_for(fd, POLLOUT));
		assert_int_equal(hostsock_error(fd), -ECONNREFUSED);
		hostsock_close(fd);
	} else {
		assert_int_equal(fd, -ECONNREFUSED);
	}
}

static void test_reset_is_seen_by_the_peer_as_reset(void **state)
{
	struct rig *rig = *state;
	struct endpoint to = {.addr = rig->lo};
	int lfd = listener(rig, &to.port);
	int fd = hostsock_connect(&to, &rig->any);
	char byte;
	int peer;

	assert_true(fd >= 0);
	peer = accept(lfd, NULL, NULL);
	hostsock_reset(fd);
	assert_int_equal(read(peer, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(peer);
	close(lfd);
}

static void test_an_outgoing_address_that_is_not_ours_fails(void **state)
{
	struct rig *rig = *state;
	struct hostsock_source foreign = rig->any;
	struct endpoint to = {.port = 80};

	addr_parse("192.0.2.77", &foreign.v4);
	addr_parse("2001:db8::77", &foreign.v6);
	addr_parse(addr_is_v4(&rig->lo) ? "192.0.2.1" : "2001:db8::1",
		   &to.addr);
	assert_int_equal(hostsock_connect(&to, &foreign), -EADDRNOTAVAIL);
	assert_int_equal(hostsock_udp(&rig->lo, 0, &foreign), -EADDRNOTAVAIL);
}

/* What slirp4netns' own test looks for: who is asked on loopback sees it too. */
static void test_an_outgoing_address_is_seen_on_loopback(void **state)
{
	struct rig *rig = *state;
	struct hostsock_source mine = rig->any;
	struct endpoint to = {.addr = rig->lo};
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	int lfd = listener(rig, &to.port);
	int fd, peer;

	addr_parse("127.0.0.77", &mine.v4);
	fd = hostsock_connect(&to, &mine);
	assert_true(fd >= 0);
	peer = accept(lfd, (struct sockaddr *)&from, &len);
	assert_true(peer >= 0);
	assert_int_equal(from.sin_addr.s_addr, htonl(0x7f00004d));
	close(peer);
	hostsock_close(fd);
	close(lfd);
}

static void test_udp_keeps_the_port_if_it_is_free(void **state)
{
	struct rig *rig = *state;
	uint16_t port = closed_port(rig, SOCK_DGRAM);
	int a = hostsock_udp(&rig->lo, port, &rig->any);
	int b = hostsock_udp(&rig->lo, port, &rig->any);

	assert_int_equal(port_of(a), port);
	assert_true(b >= 0);
	assert_int_not_equal(port_of(b), port);
	assert_int_not_equal(port_of(b), 0);
	hostsock_close(a);
	hostsock_close(b);
}

static void test_datagrams_arrive_with_their_sender(void **state)
{
	struct rig *rig = *state;
	int a = hostsock_udp(&rig->lo, 0, &rig->any);
	int b = hostsock_udp(&rig->lo, 0, &rig->any);
	struct endpoint to = {rig->lo, port_of(b)}, from;
	struct hostsock_opts set = {0}, want = {0};
	char buf[16];

	assert_int_equal(hostsock_recvfrom(b, &from, buf, sizeof(buf)),
			 -EAGAIN);
	assert_int_equal(hostsock_sendto(a, &to, &want, &set, "hello", 5), 5);
	assert_true(wait_for(b, POLLIN));
	assert_int_equal(hostsock_recvfrom(b, &from, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(from.port, port_of(a));
	assert_true(addr_equal(&from.addr, &rig->lo));
	hostsock_close(a);
	hostsock_close(b);
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void test_options_are_set_when_they_change_and_only_then(void **state)
{
	struct rig *rig = *state;
	bool v4 = addr_is_v4(&rig->lo);
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	int ttl = v4 ? IP_TTL : IPV6_UNICAST_HOPS;
	int tos = v4 ? IP_TOS : IPV6_TCLASS;
	int mtu = v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
	int fd = hostsock_udp(&rig->lo, 0, &rig->any);
	int usual = option_of(fd, level, ttl), other = 9;
	struct endpoint to = {rig->lo, port_of(fd)};
	struct hostsock_opts set = {0};
	struct hostsock_opts want = {
		.ttl = 5, .tos = 0x10, .dont_fragment = true};

	/* IP_PMTUDISC_DONT and IPV6_PMTUDISC_DONT are 0, _DO is 2 */
	assert_int_equal(option_of(fd, level, mtu), 0);
	assert_int_equal(hostsock_sendto(fd, &to, &want, &set, "x", 1), 1);
	assert_int_equal(option_of(fd, level, ttl), 5);
	assert_int_equal(option_of(fd, level, tos), 0x10);
	assert_int_equal(option_of(fd, level, mtu), 2);

	setsockopt(fd, level, ttl, &other, sizeof(other));
	assert_int_equal(hostsock_sendto(fd, &to, &want, &set, "x", 1), 1);
	assert_int_equal(option_of(fd, level, ttl), 9);

	want = (struct hostsock_opts){0};
	assert_int_equal(hostsock_sendto(fd, &to, &want, &set, "x", 1), 1);
	assert_int_equal(option_of(fd, level, ttl), usual);
	assert_int_equal(option_of(fd, level, tos), 0);
	assert_int_equal(option_of(fd, level, mtu), 0);
	hostsock_close(fd);
}

static void test_a_closed_port_is_told_with_target_and_payload(void **state)
{
	struct rig *rig = *state;
	struct endpoint to = {rig->lo, closed_port(rig, SOCK_DGRAM)};
	int fd = hostsock_udp(&rig->lo, 0, &rig->any);
	struct hostsock_opts set = {0}, want = {0};
	struct hostsock_err err;
	char buf[64];

	assert_int_equal(hostsock_recverr(fd, &err, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(hostsock_sendto(fd, &to, &want, &set, "quote", 5), 5);
	assert_true(wait_for(fd, POLLERR));
	assert_int_equal(hostsock_recverr(fd, &err, buf, sizeof(buf)), 0);
	assert_int_equal(err.err, ECONNREFUSED);
	assert_false(err.local);
	assert_false(err.time_exceeded);
	assert_true(endpoint_equal(&err.to, &to));
	assert_true(addr_equal(&err.from, &rig->lo));
	assert_int_equal(err.len, 5);
	assert_memory_equal(buf, "quote", 5);
	assert_int_equal(hostsock_recverr(fd, &err, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(hostsock_error(fd), 0);
	hostsock_close(fd);
}

static void set_loopback(int mtu)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ifr.ifr_mtu = mtu;
	if (ioctl(fd, SIOCSIFMTU, &ifr) < 0)
		_exit(2);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		_exit(3);
	close(fd);
}

static void send_too_much(const struct rig *rig)
{
	static char big[1400], buf[2000];
	struct hostsock_opts set = {0}, want = {.dont_fragment = true};
	int fd = hostsock_udp(&rig->lo, 0, &rig->any);
	struct endpoint to = {rig->lo, port_of(fd)}, from;
	struct hostsock_err err;

	if (hostsock_sendto(fd, &to, &want, &set, big, sizeof(big)) !=
	    -EMSGSIZE)
		_exit(4);
	if (hostsock_recverr(fd, &err, buf, sizeof(buf)) < 0)
		_exit(5);
	if (err.err != EMSGSIZE || err.mtu != 1300 || !err.local ||
	    err.len != 0 || !addr_equal(&err.to.addr, &to.addr))
		_exit(6);
	want.dont_fragment = false;
	if (hostsock_sendto(fd, &to, &want, &set, big, sizeof(big)) !=
	    (ssize_t)sizeof(big))
		_exit(7);
	if (!wait_for(fd, POLLIN) ||
	    hostsock_recvfrom(fd, &from, buf, sizeof(buf)) !=
		    (ssize_t)sizeof(big))
		_exit(8);
	addr_parse("192.0.2.1", &to.addr);
	if (addr_is_v4(&rig->lo) &&
	    hostsock_sendto(fd, &to, &want, &set, big, 1) != -ENETUNREACH)
		_exit(9);
	if (addr_is_v4(&rig->lo) && hostsock_mtu(&to) != 0)
		_exit(10);
	to.addr = rig->lo;
	if (hostsock_mtu(&to) != 1300)
		_exit(11);
	_exit(0);
}

/* Runs @test in a network namespace of its own, whose loopback has a small MTU
 * and where everybody may ping. @test exits with 0 if all is well. */
static void run_apart(struct rig *rig, void (*test)(const struct rig *rig))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 &&
		    unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			_exit(77);
		set_loopback(1300);
		test(rig);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_beyond_the_path_mtu_the_mtu_is_told(void **state)
{
	run_apart(*state, send_too_much);
}

static void ping(const struct rig *rig)
{
	bool v4 = addr_is_v4(&rig->lo);
	uint8_t buf[64] = {0};
	uint8_t request[12] = {v4 ? 8 : 128, 0, 0, 0, 0, 0, 0, 7, 'p', 'o'};
	int sysctl = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);
	struct hostsock_opts set = {0}, want = {.ttl = 3};
	struct endpoint to = {.addr = rig->lo}, from;
	int fd;

	fd = hostsock_ping(&rig->lo, &rig->any);
	if (fd != -EACCES)
		_exit(4);
	if (write(sysctl, "0 2147483647", 12) < 0)
		_exit(77);
	fd = hostsock_ping(&rig->lo, &rig->any);
	if (hostsock_sendto(fd, &to, &want, &set, request, sizeof(request)) !=
	    (ssize_t)sizeof(request))
		_exit(5);
	if (!wait_for(fd, POLLIN) ||
	    hostsock_recvfrom(fd, &from, buf, sizeof(buf)) !=
		    (ssize_t)sizeof(request))
		_exit(6);
	if (buf[0] != (v4 ? 0 : 129) || buf[7] != 7 ||
	    memcmp(buf + 8, "po", 2) != 0 || !addr_equal(&from.addr, &rig->lo))
		_exit(7);
	_exit(0);
}

static void test_pings_are_barred_by_the_sysctl_or_come_back(void **state)
{
	run_apart(*state, ping);
}

static void test_a_link_local_address_carries_its_interface(void **state)
{
	struct in6_addr a, scoped = in6addr_any;

	addr_parse("fe80::1", &a);
	assert_int_equal(hostsock_scoped(&a, "no-such-link", &scoped), -ENODEV);
	assert_int_equal(hostsock_scoped(&a, "1x", &scoped), -ENODEV);
	assert_int_equal(hostsock_scoped(&a, "4294967297", &scoped), -ENODEV);
	assert_true(addr_is_unspecified(&scoped));
	assert_int_equal(hostsock_scoped(&a, "lo", &scoped), 0);
	assert_int_equal(scoped.s6_addr[7], if_nametoindex("lo"));
	assert_int_equal(scoped.s6_addr[15], 1);
	addr_parse("fd00::1", &a);
	assert_int_equal(hostsock_scoped(&a, "whatever", &scoped), 0);
	assert_true(addr_equal(&a, &scoped));
}

#define T4(name) cmocka_unit_test_setup_teardown(name, setup4, teardown)
#define T6(name)                                                               \
	{                                                                      \
#name " over IPv6", name, setup6, teardown, NULL               \
	}
#define BOTH(name) T4(name), T6(name)

static bool have_ipv6(void)
{
	struct hostsock_source any = {.v6 = in6addr_loopback};
	int fd = hostsock_udp(&in6addr_loopback, 0, &any);

	hostsock_close(fd);
	return fd >= 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_a_connection_carries_bytes_both_ways),
		BOTH(test_a_refused_connection_says_so),
		BOTH(test_reset_is_seen_by_the_peer_as_reset),
		BOTH(test_an_outgoing_address_that_is_not_ours_fails),
		T4(test_an_outgoing_address_is_seen_on_loopback),
		BOTH(test_udp_keeps_the_port_if_it_is_free),
		BOTH(test_datagrams_arrive_with_their_sender),
		BOTH(test_options_are_set_when_they_change_and_only_then),
		BOTH(test_a_closed_port_is_told_with_target_and_payload),
		BOTH(test_beyond_the_path_mtu_the_mtu_is_told),
		BOTH(test_pings_are_barred_by_the_sysctl_or_come_back),
		T4(test_a_link_local_address_carries_its_interface),
	};

	if (!have_ipv6())
		cmocka_set_skip_filter("*over IPv6");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
