/* Clients that nobody would invite. */
#include "port/api.h"
#include "tests/api_rig.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void test_clients_that_go_away_leave_nothing(void **state)
{
	struct api_rig *rig = *state;
	char c;
	int fd, lowest;

	api_rig_start(rig);
	lowest = api_rig_lowest_fd();
	for (int i = 0; i < 100; i++) {
		close(api_rig_connect(rig->path)); /* before it is accepted */
		fd = api_rig_client(rig);
		close(fd);
		fd = api_rig_client(rig);
		api_rig_say(fd, API_RIG_LIST, 9);
		api_rig_settle(rig);
		close(fd); /* within the request */
		fd = api_rig_client(rig);
		api_rig_say(fd, API_RIG_LIST, strlen(API_RIG_LIST));
		close(fd); /* before the reply */
		fd = api_rig_client(rig);
		api_rig_say(fd, API_RIG_LIST, strlen(API_RIG_LIST));
		api_rig_settle(rig);
		assert_int_equal(api_rig_hear(fd, &c, 1), 1);
		close(fd); /* within the reply */
		api_rig_settle(rig);
		assert_int_equal(api_rig_lowest_fd(), lowest);
		assert_int_equal(loop_timers(rig->loop), 0);
	}
	api_rig_expect_works(rig);
}

static void test_of_too_many_clients_the_oldest_gives_way(void **state)
{
	struct api_rig *rig = *state;
	int silent[API_CLIENTS_MAX];

	api_rig_start(rig);
	for (int i = 0; i < API_CLIENTS_MAX; i++)
		silent[i] = api_rig_client(rig);
	for (int i = 0; i < API_CLIENTS_MAX; i++)
		api_rig_expect_silence(rig, silent[i]);
	for (int i = 0; i < API_CLIENTS_MAX; i++) {
		api_rig_expect_works(rig);
		/* its place is free again: one more takes it */
		if (i == 0)
			api_rig_expect_end(rig, silent[0]);
		else
			api_rig_expect_silence(rig, silent[i]);
	}
	for (int i = 1; i < API_CLIENTS_MAX; i++)
		close(silent[i]);
	api_rig_settle(rig);
	assert_int_equal(loop_timers(rig->loop), 0);
}

static void test_patience_ends_also_with_who_says_a_little(void **state)
{
	struct api_rig *rig = *state;
	int silent, slow;

	api_rig_start(rig);
	silent = api_rig_client(rig);
	slow = api_rig_client(rig);
	*rig->now += API_PATIENCE - 1;
	api_rig_say(slow, "{", 1);
	api_rig_expect_silence(rig, silent);
	api_rig_expect_silence(rig, slow);
	*rig->now += 1;
	api_rig_expect_end(rig, silent);
	api_rig_expect_end(rig, slow);
	assert_int_equal(loop_timers(rig->loop), 0);
}

/* As many rules as make a reply that no socket takes at once. */
static void add_many_rules(struct api_rig *rig)
{
	struct rule r = rule_default(RULE_TCP);
	const struct forward *f;

	for (uint16_t i = 1; i <= 1000; i++) {
		r.host_port = r.host_port_end = r.guest_port = i;
		assert_int_equal(
			forward_add(rig->env.forwards, &r, &f, &rig->why), 0);
	}
}

static size_t hear_all(struct api_rig *rig, int fd)
{
	char buf[10000];
	size_t len = 0;
	ssize_t n;

	while ((n = api_rig_hear(fd, buf, sizeof(buf))) != 0) {
		len += n < 0 ? 0 : (size_t)n;
		loop_turn(rig->loop, 0);
	}
	close(fd);
	return len;
}

static void test_a_long_reply_is_taken_bit_by_bit_or_not_at_all(void **state)
{
	struct api_rig *rig = *state;
	char *whole;
	size_t len, part;
	int quick, slow;

	api_rig_start(rig);
	add_many_rules(rig);
	whole = api_request_answer(&rig->env, API_RIG_LIST,
				   strlen(API_RIG_LIST));
	len = strlen(whole);
	free(whole);
	slow = api_rig_client(rig);
	api_rig_say(slow, API_RIG_LIST, strlen(API_RIG_LIST));
	api_rig_settle(rig);
	quick = api_rig_client(rig);
	api_rig_say(quick, API_RIG_LIST, strlen(API_RIG_LIST));
	assert_int_equal(hear_all(rig, quick), len);
	*rig->now += API_PATIENCE;
	api_rig_settle(rig);
	assert_int_equal(loop_timers(rig->loop), 0);
	part = hear_all(rig, slow);
	assert_true(part > 0 && part < len);
}

/* How long a turn takes that may wait for 20 ms, in real time. */
static nsec_t time_a_turn(struct api_rig *rig)
{
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(loop_turn(rig->loop, 20 * NSEC_PER_MSEC), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	return (after.tv_sec - before.tv_sec) * NSEC_PER_SEC + after.tv_nsec -
	       before.tv_nsec;
}

static void
test_without_descriptors_clients_wait_and_nothing_spins(void **state)
{
	struct api_rig *rig = *state;
	struct rlimit none = rig->limit;
	int fd;

	api_rig_start(rig);
	fd = api_rig_connect(rig->path);
	assert_true(fd >= 0);
	api_rig_say(fd, API_RIG_LIST, strlen(API_RIG_LIST));
	none.rlim_cur = (rlim_t)fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	api_rig_expect_silence(rig, fd);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(loop_timers(rig->loop), 1);
		assert_true(time_a_turn(rig) > 10 * NSEC_PER_MSEC);
		*rig->now += 100 * NSEC_PER_MSEC;
		api_rig_expect_silence(rig, fd);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rig->limit), 0);
	api_rig_expect_silence(rig, fd);
	*rig->now += 100 * NSEC_PER_MSEC;
	api_rig_expect_reply(rig, fd, API_RIG_EMPTY_LIST);
	assert_int_equal(loop_timers(rig->loop), 0);
}

static void test_clients_end_with_the_socket(void **state)
{
	struct api_rig *rig = *state;
	int fd[3];

	api_rig_start(rig);
	for (int i = 0; i < 3; i++)
		fd[i] = api_rig_client(rig);
	api_rig_say(fd[1], "{", 1);
	assert_int_equal(api_rig_pour(rig, fd[2], API_RIG_MEGABYTE),
			 API_RIG_MEGABYTE);
	api_rig_stop(rig);
	api_rig_expect_end(rig, fd[0]);
	close(fd[1]);
	close(fd[2]);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, api_rig_setup, api_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_clients_that_go_away_leave_nothing),
		TEST(test_of_too_many_clients_the_oldest_gives_way),
		TEST(test_patience_ends_also_with_who_says_a_little),
		TEST(test_a_long_reply_is_taken_bit_by_bit_or_not_at_all),
		TEST(test_without_descriptors_clients_wait_and_nothing_spins),
		TEST(test_clients_end_with_the_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
