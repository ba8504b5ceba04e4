#include "port/listener.h"

#include "stack/container_of.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Real sockets on loopback, the clock is a variable. */

#define MOST 1100

static nsec_t test_time;

static nsec_t test_clock(void)
{
	return test_time;
}

struct rig {
	struct loop *loop;
	struct listener listener;
	struct endpoint at;
	struct hostsock_source source;
	struct rlimit limit;
	int lowest_fd;
	/* what came */
	int accepted[MOST], clients;
	struct endpoint client, local;
	unsigned datagrams;
	size_t len;
	/* what the owner does then */
	bool close_it, stop_it;
};

static struct rig *rig_of(struct listener *l)
{
	return container_of(l, struct rig, listener);
}

static void react(struct rig *rig)
{
	if (rig->close_it)
		listener_close(&rig->listener);
	else if (rig->stop_it)
		listener_stop(&rig->listener);
}

static void on_accepted(struct listener *l, int fd,
			const struct endpoint *client)
{
	struct rig *rig = rig_of(l);

	assert_true(rig->clients < MOST);
	rig->client = *client;
	rig->accepted[rig->clients++] = fd;
	react(rig);
}

static void on_received(struct listener *l, const struct endpoint *client,
			const struct endpoint *local, const uint8_t *buf,
			size_t len)
{
	struct rig *rig = rig_of(l);

	rig->client = *client;
	rig->local = *local;
	rig->len = len;
	rig->datagrams++;
	react(rig);
}

static const struct listener_events events = {on_accepted, on_received};

static int lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	test_time = NSEC_PER_SEC;
	getrlimit(RLIMIT_NOFILE, &rig->limit);
	rig->lowest_fd = lowest_free_fd();
	rig->loop = loop_new(test_clock);
	assert_non_null(rig->loop);
	addr_parse("127.0.0.1", &rig->at.addr);
	rig->source.v4 = addr_from_v4(0);
	*state = rig;
	return 0;
}

static void forget_clients(struct rig *rig)
{
	while (rig->clients > 0)
		hostsock_close(rig->accepted[--rig->clients]);
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	setrlimit(RLIMIT_NOFILE, &rig->limit);
	listener_close(&rig->listener);
	listener_close(&rig->listener);
	forget_clients(rig);
	assert_int_equal(loop_timers(rig->loop), 0);
	loop_free(rig->loop);
	assert_int_equal(lowest_free_fd(), rig->lowest_fd);
	free(rig);
	return 0;
}

static void open_it(struct rig *rig, bool udp)
{
	struct listener *l = &rig->listener;

	assert_int_equal(listener_open(l, rig->loop, udp, &rig->at, &events),
			 0);
	assert_true(l->fd >= 0);
	assert_true(addr_equal(&l->local.addr, &rig->at.addr));
	assert_int_not_equal(l->local.port, 0);
	assert_int_equal(l->listening, udp);
	rig->at = l->local;
}

/* Ends when nothing happens any more; returns how often the loop turned. */
static unsigned settle(struct rig *rig)
{
	unsigned turns = 0;
	struct pollfd p = {.events = POLLIN};

	do {
		assert_int_equal(loop_turn(rig->loop, 0), 0);
		p.fd = rig->listener.watch.fd;
		turns++;
		assert_true(turns < 10000);
	} while (p.fd >= 0 && poll(&p, 1, 20) > 0);
	return turns;
}

static int client_of(struct rig *rig)
{
	int fd = hostsock_connect(&rig->at, &rig->source);
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

static void set_limit(rlim_t n)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_clients_come_in_only_between_start_and_stop(void **state)
{
	struct rig *rig = *state;
	struct listener *l = &rig->listener;
	int client;

	open_it(rig, false);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(client_of(rig), -ECONNREFUSED);
		assert_int_equal(listener_start(l), 0);
		assert_int_equal(listener_start(l), 0);
		assert_true(l->listening);
		client = client_of(rig);
		assert_true(client >= 0);
		settle(rig);
		assert_int_equal(rig->clients, i + 1);
		assert_int_equal(listener_stop(l), 0);
		assert_int_equal(listener_stop(l), 0);
		assert_false(l->listening);
		assert_int_equal(settle(rig), 1);
		hostsock_close(client);
	}
	assert_int_equal(client_of(rig), -ECONNREFUSED);
}

static void test_a_client_is_told_with_its_address(void **state)
{
	struct rig *rig = *state;
	struct endpoint own;
	int client;

	addr_parse("127.0.0.9", &rig->source.v4);
	open_it(rig, false);
	assert_int_equal(listener_start(&rig->listener), 0);
	client = client_of(rig);
	assert_int_equal(hostsock_local(client, &own), 0);
	settle(rig);
	assert_int_equal(rig->clients, 1);
	assert_true(endpoint_equal(&own, &rig->client));
	assert_true(addr_equal(&own.addr, &rig->source.v4));
	hostsock_close(client);
}

static void test_a_burst_of_a_thousand_gets_in_a_part_each_turn(void **state)
{
	struct rig *rig = *state;
	static int out[1000];
	unsigned turns;

	if (rig->limit.rlim_max < 2 * MOST + HOSTSOCK_RESERVE)
		skip();
	set_limit(rig->limit.rlim_max);
	open_it(rig, false);
	assert_int_equal(listener_start(&rig->listener), 0);
	for (int i = 0; i < 1000; i++) {
		out[i] = hostsock_connect(&rig->at, &rig->source);
		assert_true(out[i] >= 0);
	}
	loop_turn(rig->loop, 0);
	assert_int_equal(rig->clients, 64);
	turns = 1 + settle(rig);
	assert_int_equal(rig->clients, 1000);
	assert_in_range(turns, 16, 20);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(hostsock_error(out[i]), 0);
		hostsock_close(out[i]);
	}
}

static void
test_at_the_descriptor_limit_it_rests_and_does_not_spin(void **state)
{
	struct rig *rig = *state;
	int out[8];

	open_it(rig, false);
	assert_int_equal(listener_start(&rig->listener), 0);
	for (int i = 0; i < 8; i++)
		out[i] = client_of(rig);
	set_limit((rlim_t)out[7] + 1 + 3 + HOSTSOCK_RESERVE);
	settle(rig);
	assert_int_equal(rig->clients, 3);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(loop_timers(rig->loop), 1);
		assert_int_equal(rig->listener.watch.fd, -1);
		/* what would be an endless number of turns is one */
		loop_turn(rig->loop, 0);
		loop_turn(rig->loop, 0);
		assert_int_equal(rig->listener.watch.fd, -1);
		test_time += LISTENER_BACK_OFF - 1;
		loop_turn(rig->loop, 0);
		assert_int_equal(rig->listener.watch.fd, -1);
		test_time += 1;
		loop_turn(rig->loop, 0);
		assert_int_equal(rig->listener.watch.fd, rig->listener.fd);
		loop_turn(rig->loop, 0);
		assert_int_equal(rig->clients, 3);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rig->limit), 0);
	test_time += LISTENER_BACK_OFF;
	loop_turn(rig->loop, 0);
	settle(rig);
	assert_int_equal(rig->clients, 8);
	assert_int_equal(loop_timers(rig->loop), 0);
	for (int i = 0; i < 8; i++)
		hostsock_close(out[i]);
}

static void test_resting_ends_with_stop_and_close(void **state)
{
	struct rig *rig = *state;
	int out;

	for (int i = 0; i < 2; i++) {
		open_it(rig, false);
		assert_int_equal(listener_start(&rig->listener), 0);
		out = client_of(rig);
		set_limit((rlim_t)out + 1);
		settle(rig);
		assert_int_equal(loop_timers(rig->loop), 1);
		if (i == 0)
			assert_int_equal(listener_stop(&rig->listener), 0);
		else
			listener_close(&rig->listener);
		assert_int_equal(loop_timers(rig->loop), 0);
		setrlimit(RLIMIT_NOFILE, &rig->limit);
		test_time += 10 * LISTENER_BACK_OFF;
		settle(rig);
		assert_int_equal(rig->clients, 0);
		hostsock_close(out);
		listener_close(&rig->listener);
	}
}

static void test_its_owner_may_stop_or_close_it_for_a_client(void **state)
{
	struct rig *rig = *state;
	int out[4];

	rig->stop_it = true;
	open_it(rig, false);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(listener_start(&rig->listener), 0);
		for (int i = 0; i < 4; i++)
			out[i] = client_of(rig);
		settle(rig);
		assert_int_equal(rig->clients, round + 1);
		assert_int_equal(client_of(rig), -ECONNREFUSED);
		for (int i = 0; i < 4; i++)
			hostsock_close(out[i]);
		rig->close_it = true;
	}
	assert_int_equal(rig->listener.fd, -1);
}

static void test_a_taken_port_is_told_and_nothing_stays_open(void **state)
{
	struct rig *rig = *state;
	struct listener other;

	for (int udp = 0; udp < 2; udp++) {
		open_it(rig, udp);
		assert_int_equal(listener_open(&other, rig->loop, udp, &rig->at,
					       &events),
				 -EADDRINUSE);
		assert_int_equal(other.fd, -1);
		listener_close(&other);
		listener_close(&rig->listener);
		assert_int_equal(listener_open(&other, rig->loop, udp, &rig->at,
					       &events),
				 0);
		listener_close(&other);
	}
}

static void test_datagrams_come_with_both_ends_and_can_be_answered(void **state)
{
	struct rig *rig = *state;
	struct hostsock_opts set = {0}, want = {0};
	struct endpoint from, own;
	int out = hostsock_udp(&rig->at.addr, 0, &rig->source);
	char buf[8];

	rig->at.addr = addr_from_v4(0);
	open_it(rig, true);
	addr_parse("127.0.0.3", &rig->at.addr);
	assert_int_equal(
		hostsock_sendto(out, &rig->at, &want, &set, "query", 5), 5);
	settle(rig);
	assert_int_equal(rig->datagrams, 1);
	assert_int_equal(rig->len, 5);
	assert_true(endpoint_equal(&rig->local, &rig->at));
	assert_int_equal(hostsock_local(out, &own), 0);
	assert_int_equal(rig->client.port, own.port);
	want.ttl = 7;
	assert_int_equal(listener_send(&rig->listener, &rig->client,
				       &rig->local, &want, "hi", 2),
			 0);
	assert_int_equal(rig->listener.opts.ttl, 7);
	assert_int_equal(hostsock_recvfrom(out, &from, buf, sizeof(buf)), 2);
	assert_true(endpoint_equal(&from, &rig->at));
	addr_parse("2001:db8::1", &rig->client.addr);
	assert_true(listener_send(&rig->listener, &rig->client, &rig->local,
				  &want, "hi", 2) < 0);
	hostsock_close(out);
}

static void test_datagrams_are_taken_in_bounded_bursts(void **state)
{
	struct rig *rig = *state;
	struct hostsock_opts set = {0}, want = {0};
	int out = hostsock_udp(&rig->at.addr, 0, &rig->source);

	open_it(rig, true);
	for (int i = 0; i < 100; i++)
		hostsock_sendto(out, &rig->at, &want, &set, "", 0);
	loop_turn(rig->loop, 0);
	assert_int_equal(rig->datagrams, 64);
	assert_int_equal(rig->len, 0);
	loop_turn(rig->loop, 0);
	assert_int_equal(rig->datagrams, 100);
	/* and if the first makes its owner close it, the rest is gone */
	rig->close_it = true;
	for (int i = 0; i < 3; i++)
		hostsock_sendto(out, &rig->at, &want, &set, "x", 1);
	settle(rig);
	assert_int_equal(rig->datagrams, 101);
	hostsock_close(out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_clients_come_in_only_between_start_and_stop),
		TEST(test_a_client_is_told_with_its_address),
		TEST(test_a_burst_of_a_thousand_gets_in_a_part_each_turn),
		TEST(test_at_the_descriptor_limit_it_rests_and_does_not_spin),
		TEST(test_resting_ends_with_stop_and_close),
		TEST(test_its_owner_may_stop_or_close_it_for_a_client),
		TEST(test_a_taken_port_is_told_and_nothing_stays_open),
		TEST(test_datagrams_come_with_both_ends_and_can_be_answered),
		TEST(test_datagrams_are_taken_in_bounded_bursts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
