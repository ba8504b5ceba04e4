/* Between real sockets, in a network namespace of the test's own. */
#include "port/splice.h"

#include "port/pipes.h"
#include "tests/netspace.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FLOWS 1000
#define BIG       (6u << 20)

struct rig {
	struct loop *loop;
	struct relay_host host;
	struct splices *splices;
	int listener; /* everybody connects there */
	uint16_t port;
	unsigned fds;
};

/* What the test has of a connection: its two outer ends. */
struct talk {
	struct splice_call call;
	int client, service;
	int inner; /* the client's other end, as it was handed over */
	int given; /* what came back */
	int err, told;
};

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int setup(void **state)
{
	static const uint64_t secret[2] = {1, 2};
	unsigned max[FLOW_PROTOS] = {[FLOW_LANE_TCP] = MAX_FLOWS};
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->fds = count_fds();
	rig->listener =
		netspace_bind(SOCK_STREAM, "127.0.0.1", &rig->port, false);
	listen(rig->listener, 4096);
	rig->loop = loop_new(NULL);
	rig->host = (struct relay_host){
		.loop = rig->loop,
		.flows = flow_table_new(rig->loop, secret, max),
	};
	rig->splices = splice_new(&rig->host);
	assert_non_null(rig->splices);
	*state = rig;
	return 0;
}

static void turn(struct rig *rig, int times)
{
	for (int i = 0; i < times; i++)
		assert_int_equal(loop_turn(rig->loop, 0), 0);
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	turn(rig, 50);
	assert_int_equal(flow_count(rig->host.flows, FLOW_LANE_TCP), 0);
	splice_free(rig->splices);
	turn(rig, 1);
	flow_table_free(rig->host.flows);
	loop_free(rig->loop);
	close(rig->listener);
	assert_int_equal(count_fds(), rig->fds);
	free(rig);
	return 0;
}

static int dial(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static int take(struct rig *rig)
{
	int fd = accept4(rig->listener, NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void on_done(struct splice_call *c, int client, int err)
{
	struct talk *t = (struct talk *)c;

	t->told++;
	t->given = client;
	t->err = err;
}

static int open_to(struct rig *rig, struct talk *t, uint16_t port)
{
	struct flow_key key = {.proto = FLOW_LANE_TCP};
	int other;

	*t = (struct talk){.call.done = on_done, .service = -1, .given = -1};
	t->client = dial(rig->port);
	t->inner = take(rig);
	other = dial(port);
	assert_int_equal(hostsock_local(other, &key.remote), 0);
	key.container = (struct endpoint){key.remote.addr, port};
	return splice_open(rig->splices, t->inner, other, &key, &t->call);
}

static void open_talk(struct rig *rig, struct talk *t)
{
	assert_int_equal(open_to(rig, t, rig->port), 0);
	assert_int_equal(t->told, 0);
	turn(rig, 1);
	assert_int_equal(t->told, 1);
	assert_int_equal(t->err, 0);
	t->service = take(rig);
}

static void close_talk(struct talk *t)
{
	close(t->client);
	close(t->service);
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

/* Writes what fits of @len bytes behind the first @at; how many. */
static size_t feed(int fd, size_t at, size_t len)
{
	uint8_t buf[65536];
	size_t want = len < sizeof(buf) ? len : sizeof(buf);
	ssize_t n;

	for (size_t i = 0; i < want; i++)
		buf[i] = byte_at(at + i);
	n = send(fd, buf, want, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? 0 : (size_t)n;
}

/* Reads what is there behind the first @at; how many. */
static size_t check(int fd, size_t at)
{
	uint8_t buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(buf[i], byte_at(at + (size_t)i));
	return n < 0 ? 0 : (size_t)n;
}

static void transfer(struct rig *rig, int from, int to, size_t len)
{
	size_t sent = 0, got = 0;

	for (int idle = 0; got < len && idle < 10000; idle++) {
		size_t n = sent < len ? feed(from, sent, len - sent) : 0;

		sent += n;
		turn(rig, 1);
		n = check(to, got);
		got += n;
		idle = n ? 0 : idle;
	}
	assert_int_equal(got, len);
}

static void test_bytes_pass_both_ways(void **state)
{
	struct rig *rig = *state;
	struct talk t;

	open_talk(rig, &t);
	transfer(rig, t.client, t.service, 5);
	transfer(rig, t.service, t.client, 70000);
	transfer(rig, t.client, t.service, BIG);
	transfer(rig, t.service, t.client, BIG);
	assert_int_equal(splice_bytes(rig->splices), 5 + 70000 + 2 * BIG);
	close_talk(&t);
}

/* -EAGAIN, 0 at the end, or -errno. */
static int state_of(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	return n < 0 ? -errno : (int)n;
}

static void check_half_close(struct rig *rig, bool client_first)
{
	struct talk t;
	int first, second;

	open_talk(rig, &t);
	first = client_first ? t.client : t.service;
	second = client_first ? t.service : t.client;
	feed(first, 0, 9);
	shutdown(first, SHUT_WR);
	turn(rig, 5);
	assert_int_equal(check(second, 0), 9);
	assert_int_equal(state_of(second), 0);
	transfer(rig, second, first, BIG);
	assert_int_equal(state_of(first), -EAGAIN);
	shutdown(second, SHUT_WR);
	turn(rig, 5);
	assert_int_equal(state_of(first), 0);
	assert_int_equal(flow_count(rig->host.flows, FLOW_LANE_TCP), 0);
	close_talk(&t);
}

static void test_half_closes_pass_one_by_one(void **state)
{
	check_half_close(*state, true);
	check_half_close(*state, false);
}

static void reset(int fd)
{
	struct linger l = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

static void test_resets_pass_both_ways(void **state)
{
	struct rig *rig = *state;
	struct talk t;

	open_talk(rig, &t);
	reset(t.client);
	turn(rig, 3);
	assert_int_equal(state_of(t.service), -ECONNRESET);
	close(t.service);
	open_talk(rig, &t);
	feed(t.service, 0, 100);
	reset(t.service);
	turn(rig, 3);
	/* what came before it, too */
	assert_int_equal(check(t.client, 0), 100);
	assert_int_equal(state_of(t.client), -ECONNRESET);
	close(t.client);
}

static void test_a_reset_passes_while_the_other_side_is_full(void **state)
{
	struct rig *rig = *state;
	struct talk t;

	open_talk(rig, &t);
	while (feed(t.client, 0, 65536) > 0)
		turn(rig, 1);
	reset(t.client);
	turn(rig, 3);
	assert_int_equal(flow_count(rig->host.flows, FLOW_LANE_TCP), 0);
	close(t.service);
}

/* How long a turn sleeps when it may sleep for 50 ms. */
static long nap(struct rig *rig)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(loop_turn(rig->loop, 50 * NSEC_PER_MSEC), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
}

static void test_a_slow_reader_stops_its_writer(void **state)
{
	struct rig *rig = *state;
	size_t sent = 0, got = 0, n;
	struct talk t;

	open_talk(rig, &t);
	do {
		n = feed(t.client, sent, 65536);
		sent += n;
		turn(rig, 2);
	} while (n > 0 && sent < (256u << 20));
	/* in the kernel's buffers and one pipe */
	assert_true(sent < (64u << 20));
	turn(rig, 3);
	assert_true(nap(rig) >= 45);
	while (got < sent) {
		n = check(t.service, got);
		got += n;
		turn(rig, 1);
	}
	assert_int_equal(feed(t.client, sent, 1), 1);
	turn(rig, 2);
	assert_int_equal(check(t.service, got), 1);
	close_talk(&t);
}

static void test_an_idle_connection_costs_two_descriptors(void **state)
{
	struct rig *rig = *state;
	struct talk t[20];
	unsigned before;

	open_talk(rig, &t[0]);
	transfer(rig, t[0].client, t[0].service, BIG);
	before = count_fds();
	for (int i = 1; i < 20; i++) {
		open_talk(rig, &t[i]);
		transfer(rig, t[i].client, t[i].service, 1000);
	}
	/* the test has the other two of each */
	assert_int_equal(count_fds(), before + 19 * 4);
	assert_int_equal(loop_timers(rig->loop), 0);
	assert_true(nap(rig) >= 45);
	for (int i = 0; i < 20; i++)
		close_talk(&t[i]);
}

/* Both of its directions are over, but what it sent is not read yet. */
static void test_who_has_gone_is_not_asked_again_and_again(void **state)
{
	struct rig *rig = *state;
	struct talk t;
	size_t sent = 0, got = 0, n;

	open_talk(rig, &t);
	do {
		n = feed(t.client, sent, 65536);
		sent += n;
		turn(rig, 2);
	} while (n > 0);
	shutdown(t.service, SHUT_WR);
	turn(rig, 3);
	assert_int_equal(state_of(t.client), 0);
	shutdown(t.client, SHUT_WR);
	turn(rig, 3);
	assert_true(nap(rig) >= 45);
	while (got < sent) {
		n = check(t.service, got);
		got += n;
		turn(rig, 1);
	}
	turn(rig, 2);
	assert_int_equal(state_of(t.service), 0);
	close_talk(&t);
}

static void test_without_a_pipe_bytes_pass_all_the_same(void **state)
{
	struct rig *rig = *state;
	struct talk slow[PIPES_MAX + 3], t;

	/* each has a pipe in its hands, as long as there are any */
	for (int i = 0; i < PIPES_MAX + 3; i++) {
		open_talk(rig, &slow[i]);
		setsockopt(slow[i].service, SOL_SOCKET, SO_RCVBUF, &(int){4096},
			   sizeof(int));
		while (feed(slow[i].client, 0, 65536) > 0)
			turn(rig, 1);
	}
	open_talk(rig, &t);
	transfer(rig, t.client, t.service, BIG);
	transfer(rig, t.service, t.client, BIG);
	shutdown(t.client, SHUT_WR);
	turn(rig, 5);
	assert_int_equal(state_of(t.service), 0);
	close_talk(&t);
	/* those that have none are well, too */
	for (int i = 0; i < PIPES_MAX + 3; i++) {
		transfer(rig, slow[i].service, slow[i].client, 100000);
		reset(slow[i].client);
		reset(slow[i].service);
	}
}

static uint16_t closed_port(void)
{
	uint16_t port = 0;

	close(netspace_bind(SOCK_STREAM, "127.0.0.1", &port, false));
	return port;
}

static void test_refused_the_client_is_given_back_untouched(void **state)
{
	struct rig *rig = *state;
	struct talk t;

	assert_int_equal(open_to(rig, &t, closed_port()), 0);
	feed(t.client, 0, 11);
	turn(rig, 2);
	assert_int_equal(t.told, 1);
	assert_int_equal(t.err, -ECONNREFUSED);
	assert_int_equal(t.given, t.inner);
	assert_int_equal(check(t.inner, 0), 11);
	assert_int_equal(flow_count(rig->host.flows, FLOW_LANE_TCP), 0);
	close(t.inner);
	close(t.client);
}

static void test_a_client_that_goes_while_it_waits_is_forgotten(void **state)
{
	struct rig *rig = *state;
	uint16_t port = 0;
	int full = netspace_bind(SOCK_STREAM, "127.0.0.1", &port, false);
	int fill[4];
	struct talk t;

	/* whose queue is full, so that it does not answer */
	listen(full, 0);
	for (int i = 0; i < 4; i++)
		fill[i] = dial(port);
	assert_int_equal(open_to(rig, &t, port), 0);
	turn(rig, 3);
	assert_int_equal(t.told, 0);
	reset(t.client);
	turn(rig, 2);
	assert_int_equal(t.told, 1);
	assert_true(t.err < 0);
	assert_int_equal(t.given, -1);
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(full);
}

static void test_more_than_the_maximum_are_counted_and_refused(void **state)
{
	struct rig *rig = *state;
	struct talk *t = calloc(MAX_FLOWS + 1, sizeof(*t));

	for (int i = 0; i < MAX_FLOWS; i++)
		open_talk(rig, &t[i]);
	assert_int_equal(open_to(rig, &t[MAX_FLOWS], rig->port), -ENOSPC);
	assert_int_equal(flow_refused(rig->host.flows, FLOW_LANE_TCP), 1);
	assert_int_equal(rig->host.count[RELAY_COUNT_DROP_LIMIT], 1);
	assert_int_equal(fcntl(t[MAX_FLOWS].inner, F_GETFD), FD_CLOEXEC);
	close(t[MAX_FLOWS].inner);
	close(t[MAX_FLOWS].client);
	close(take(rig));
	for (int i = 0; i < MAX_FLOWS; i++)
		close_talk(&t[i]);
	free(t);
}

static void test_all_are_reset_at_the_end(void **state)
{
	struct rig *rig = *state;
	struct talk t, asking;
	int service;

	open_talk(rig, &t);
	assert_int_equal(open_to(rig, &asking, rig->port), 0);
	splice_free(rig->splices);
	assert_int_equal(asking.told, 1);
	assert_true(asking.err < 0);
	assert_int_equal(asking.given, -1);
	assert_int_equal(state_of(t.client), -ECONNRESET);
	assert_int_equal(state_of(asking.client), -ECONNRESET);
	service = take(rig);
	close(service);
	close(asking.client);
	close_talk(&t);
	rig->splices = splice_new(&rig->host);
}

int main(void)
{
#define SPLICE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		SPLICE_TEST(test_bytes_pass_both_ways),
		SPLICE_TEST(test_half_closes_pass_one_by_one),
		SPLICE_TEST(test_resets_pass_both_ways),
		SPLICE_TEST(test_a_reset_passes_while_the_other_side_is_full),
		SPLICE_TEST(test_a_slow_reader_stops_its_writer),
		SPLICE_TEST(test_an_idle_connection_costs_two_descriptors),
		SPLICE_TEST(test_who_has_gone_is_not_asked_again_and_again),
		SPLICE_TEST(test_without_a_pipe_bytes_pass_all_the_same),
		SPLICE_TEST(test_refused_the_client_is_given_back_untouched),
		SPLICE_TEST(
			test_a_client_that_goes_while_it_waits_is_forgotten),
		SPLICE_TEST(test_more_than_the_maximum_are_counted_and_refused),
		SPLICE_TEST(test_all_are_reset_at_the_end),
	};
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	if (!netspace_enter())
		return NETSPACE_SKIP;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
