#include "port/loop.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static nsec_t test_time;

static nsec_t test_clock(void)
{
	return test_time;
}

struct rig {
	struct loop *loop;
	int pipe[2];
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	test_time = NSEC_PER_SEC;
	assert_non_null(rig);
	rig->loop = loop_new(test_clock);
	assert_non_null(rig->loop);
	assert_int_equal(pipe2(rig->pipe, O_NONBLOCK | O_CLOEXEC), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	loop_free(rig->loop);
	close(rig->pipe[0]);
	close(rig->pipe[1]);
	free(rig);
	return 0;
}

struct watcher {
	struct loop_fd fd;
	struct loop *loop;
	int calls;
	uint32_t events;
	struct watcher *victim; /* taken out of the loop by this one */
};

static void watcher_ready(struct loop_fd *f, uint32_t events)
{
	struct watcher *w = (struct watcher *)f;

	w->calls++;
	w->events = events;
	if (w->victim)
		loop_del(w->loop, &w->victim->fd);
}

static struct watcher watcher(struct rig *rig)
{
	return (struct watcher){.fd = {.ready = watcher_ready, .fd = -1},
				.loop = rig->loop};
}

static void test_readable_is_told_again_until_it_is_read(void **state)
{
	struct rig *rig = *state;
	struct watcher w = watcher(rig);
	char byte;

	assert_int_equal(loop_add(rig->loop, &w.fd, rig->pipe[0], EPOLLIN), 0);
	loop_turn(rig->loop, 0);
	assert_int_equal(w.calls, 0);
	assert_int_equal(write(rig->pipe[1], "x", 1), 1);
	loop_turn(rig->loop, 0);
	loop_turn(rig->loop, 0);
	assert_int_equal(w.calls, 2);
	assert_int_equal(w.events, EPOLLIN);
	assert_int_equal(read(rig->pipe[0], &byte, 1), 1);
	loop_turn(rig->loop, 0);
	assert_int_equal(w.calls, 2);
	loop_del(rig->loop, &w.fd);
}

static void test_a_changed_mask_holds_and_hangups_are_always_told(void **state)
{
	struct rig *rig = *state;
	struct watcher w = watcher(rig);

	loop_add(rig->loop, &w.fd, rig->pipe[0], EPOLLIN);
	assert_int_equal(write(rig->pipe[1], "x", 1), 1);
	assert_int_equal(loop_set(rig->loop, &w.fd, 0), 0);
	loop_turn(rig->loop, 0);
	assert_int_equal(w.calls, 0);
	close(rig->pipe[1]);
	rig->pipe[1] = -1;
	loop_turn(rig->loop, 0);
	assert_int_equal(w.events, EPOLLHUP);
	loop_del(rig->loop, &w.fd);
	assert_int_equal(w.fd.fd, -1);
	loop_del(rig->loop, &w.fd);
}

/* Two watched ends are readable in the same turn; the first handler removes
 * the other, whose memory may be gone by then. */
static void test_a_removed_descriptor_hears_nothing_in_that_turn(void **state)
{
	struct rig *rig = *state;
	struct watcher a = watcher(rig), b = watcher(rig);
	int other = dup(rig->pipe[0]);

	a.victim = &b;
	b.victim = &a;
	assert_int_equal(write(rig->pipe[1], "x", 1), 1);
	loop_add(rig->loop, &a.fd, rig->pipe[0], EPOLLIN);
	loop_add(rig->loop, &b.fd, other, EPOLLIN);
	loop_turn(rig->loop, 0);
	assert_int_equal(a.calls + b.calls, 1);
	loop_del(rig->loop, &a.fd);
	loop_del(rig->loop, &b.fd);
	close(other);
}

static void test_watching_a_bad_descriptor_fails(void **state)
{
	struct rig *rig = *state;
	struct watcher w = watcher(rig);

	assert_int_equal(loop_add(rig->loop, &w.fd, 9999, EPOLLIN), -9);
	assert_int_equal(w.fd.fd, -1);
}

#define TIMERS 500

struct alarm {
	struct loop_timer timer;
	struct loop *loop;
	nsec_t again; /* re-arms itself by this much, if not 0 */
	int fired;
	unsigned order;
};

static unsigned fired_in_all;

static void alarm_fire(struct loop_timer *t)
{
	struct alarm *a = (struct alarm *)t;

	a->fired++;
	a->order = fired_in_all++;
	if (a->again)
		loop_timer_set(a->loop, t, t->at + a->again);
}

static void
test_timers_fire_in_order_of_time_however_they_were_set(void **state)
{
	struct rig *rig = *state;
	static struct alarm alarms[TIMERS];
	unsigned seed = 7;

	fired_in_all = 0;
	for (unsigned i = 0; i < TIMERS; i++) {
		alarms[i] = (struct alarm){.timer.fire = alarm_fire};
		seed = seed * 1103515245 + 12345;
		loop_timer_set(rig->loop, &alarms[i].timer,
			       test_time + 1000 + seed % 5000);
	}
	/* a third moves, a third goes */
	for (unsigned i = 0; i < TIMERS; i++) {
		seed = seed * 1103515245 + 12345;
		if (i % 3 == 0)
			loop_timer_set(rig->loop, &alarms[i].timer,
				       test_time + 1000 + seed % 5000);
		if (i % 3 == 1)
			loop_timer_clear(rig->loop, &alarms[i].timer);
	}
	loop_turn(rig->loop, 0);
	assert_int_equal(fired_in_all, 0);
	test_time += 10000;
	loop_turn(rig->loop, 0);
	for (unsigned i = 0; i < TIMERS; i++) {
		assert_int_equal(alarms[i].fired, i % 3 != 1);
		for (unsigned k = 0; k < i; k++) {
			if (alarms[i].fired && alarms[k].fired &&
			    alarms[i].timer.at < alarms[k].timer.at)
				assert_true(alarms[i].order < alarms[k].order);
		}
	}
}

static void test_a_timer_fires_once_and_never_disarms(void **state)
{
	struct rig *rig = *state;
	struct alarm a = {.timer.fire = alarm_fire};

	loop_timer_set(rig->loop, &a.timer, test_time);
	loop_turn(rig->loop, 0);
	loop_turn(rig->loop, 0);
	assert_int_equal(a.fired, 1);
	loop_timer_set(rig->loop, &a.timer, test_time);
	loop_timer_set(rig->loop, &a.timer, NSEC_NEVER);
	loop_turn(rig->loop, 0);
	assert_int_equal(a.fired, 1);
	assert_int_equal(a.timer.slot, 0);
}

static void test_a_timer_set_to_the_past_does_not_stop_the_turn(void **state)
{
	struct rig *rig = *state;
	struct alarm a = {
		.timer.fire = alarm_fire, .loop = rig->loop, .again = 1};

	loop_timer_set(rig->loop, &a.timer, test_time - NSEC_PER_SEC);
	loop_turn(rig->loop, 0);
	assert_int_equal(a.fired, 1);
	loop_timer_clear(rig->loop, &a.timer);
}

static char trace[32];
static size_t traced;

static void note(char c)
{
	if (traced < sizeof(trace) - 1)
		trace[traced++] = c;
	trace[traced] = '\0';
}

static void note_start(struct loop_hook *h)
{
	note('s');
}

static void note_end(struct loop_hook *h)
{
	note('1');
}

static void note_end2(struct loop_hook *h)
{
	note('2');
}

static void note_event(struct loop_fd *f, uint32_t events)
{
	note('e');
}

static void note_timer(struct loop_timer *t)
{
	note('t');
}

static void note_deferred(struct loop_deferred *d)
{
	note('d');
}

static void test_a_turn_has_its_order(void **state)
{
	struct rig *rig = *state;
	struct loop_hook start = {.run = note_start}, end = {.run = note_end},
			 end2 = {.run = note_end2};
	struct loop_fd fd = {.ready = note_event, .fd = -1};
	struct loop_timer timer = {.fire = note_timer};
	struct loop_deferred deferred = {.run = note_deferred};

	traced = 0;
	loop_hook_add(rig->loop, &end);
	loop_hook_add(rig->loop, &end2);
	loop_hook_add_start(rig->loop, &start);
	loop_timer_set(rig->loop, &timer, test_time);
	loop_add(rig->loop, &fd, rig->pipe[1], EPOLLOUT);
	loop_defer(rig->loop, &deferred);
	loop_turn(rig->loop, NSEC_NEVER);
	assert_string_equal(trace, "set12d");
	loop_del(rig->loop, &fd);
}

static void test_what_is_deferred_runs_at_the_latest_with_the_end(void **state)
{
	struct loop *l = loop_new(test_clock);
	struct loop_deferred a = {.run = note_deferred},
			     b = {.run = note_deferred};

	traced = 0;
	loop_defer(l, &a);
	loop_defer(l, &b);
	loop_free(l);
	assert_string_equal(trace, "dd");
}

static void test_the_time_of_a_turn_stands_still(void **state)
{
	struct rig *rig = *state;

	test_time += 5;
	assert_int_equal(loop_now(rig->loop), NSEC_PER_SEC);
	loop_turn(rig->loop, 0);
	assert_int_equal(loop_now(rig->loop), NSEC_PER_SEC + 5);
}

static void stopper_ready(struct loop_fd *f, uint32_t events)
{
	struct watcher *w = (struct watcher *)f;

	loop_stop(w->loop, 42);
}

static void test_run_returns_the_status_it_was_stopped_with(void **state)
{
	struct rig *rig = *state;
	struct watcher w = watcher(rig);

	w.fd.ready = stopper_ready;
	loop_add(rig->loop, &w.fd, rig->pipe[1], EPOLLOUT);
	assert_int_equal(loop_run(rig->loop), 42);
	loop_del(rig->loop, &w.fd);
}

static void test_the_real_clock_wakes_a_sleeping_loop(void **state)
{
	struct loop *l = loop_new(NULL);
	struct alarm a = {.timer.fire = alarm_fire};
	nsec_t began = loop_now(l);

	loop_timer_set(l, &a.timer, began + 3 * NSEC_PER_MSEC);
	while (!a.fired)
		assert_int_equal(loop_turn(l, NSEC_NEVER), 0);
	assert_true(loop_now(l) - began >= 3 * NSEC_PER_MSEC);
	loop_free(l);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_readable_is_told_again_until_it_is_read),
		T(test_a_changed_mask_holds_and_hangups_are_always_told),
		T(test_a_removed_descriptor_hears_nothing_in_that_turn),
		T(test_watching_a_bad_descriptor_fails),
		T(test_timers_fire_in_order_of_time_however_they_were_set),
		T(test_a_timer_fires_once_and_never_disarms),
		T(test_a_timer_set_to_the_past_does_not_stop_the_turn),
		T(test_a_turn_has_its_order),
		T(test_what_is_deferred_runs_at_the_latest_with_the_end),
		T(test_the_time_of_a_turn_stands_still),
		T(test_run_returns_the_status_it_was_stopped_with),
		T(test_the_real_clock_wakes_a_sleeping_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
