#include "port/follow.h"

#include "stack/container_of.h"
#include "tests/test.h"

#include <errno.h>

static nsec_t test_time;

static nsec_t test_clock(void)
{
	return test_time;
}

/* In place of tapdev/sockdiag.c: counts the looks. */
struct sockdiag {
	unsigned looks[SOCKDIAG_PROTOS];
	int err[SOCKDIAG_PROTOS]; /* what they fail with */
	size_t count[SOCKDIAG_PROTOS];
};

int sockdiag_look(struct sockdiag *d, enum sockdiag_proto proto)
{
	d->looks[proto]++;
	return -d->err[proto];
}

size_t sockdiag_count(const struct sockdiag *d, enum sockdiag_proto proto)
{
	return d->count[proto];
}

struct rig {
	struct follow follow;
	struct sockdiag diag;
	struct loop *loop;
	unsigned looked;
	bool leave; /* the only user of TCP goes when it hears of a look */
};

static void looked(struct follow *f)
{
	struct rig *rig = container_of(f, struct rig, follow);

	rig->looked++;
	if (rig->leave) {
		rig->leave = false;
		follow_unuse(f, SOCKDIAG_TCP);
	}
}

static int setup(void **state)
{
	static struct rig rig;

	rig = (struct rig){.looked = 0};
	test_time = 1000 * NSEC_PER_SEC;
	rig.loop = loop_new(test_clock);
	assert_non_null(rig.loop);
	follow_init(&rig.follow, rig.loop, &rig.diag, looked);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	follow_fini(&rig->follow);
	assert_int_equal(loop_timers(rig->loop), 0);
	loop_free(rig->loop);
	return 0;
}

static void turn(struct rig *rig, nsec_t later)
{
	test_time += later;
	loop_turn(rig->loop, 0);
}

static void use(struct rig *rig, enum sockdiag_proto proto)
{
	assert_int_equal(follow_use(&rig->follow, proto), 0);
}

static void test_nothing_is_asked_while_nobody_wants_to_know(void **state)
{
	struct rig *rig = *state;

	turn(rig, 100 * NSEC_PER_SEC);
	assert_int_equal(loop_timers(rig->loop), 0);
	use(rig, SOCKDIAG_TCP);
	use(rig, SOCKDIAG_TCP);
	follow_unuse(&rig->follow, SOCKDIAG_TCP);
	assert_int_equal(loop_timers(rig->loop), 1);
	follow_unuse(&rig->follow, SOCKDIAG_TCP);
	assert_int_equal(loop_timers(rig->loop), 0);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 2);
	turn(rig, 100 * NSEC_PER_SEC);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 2);
}

static void test_the_first_look_is_told_before_use_returns(void **state)
{
	struct rig *rig = *state;

	use(rig, SOCKDIAG_UDP);
	assert_int_equal(rig->looked, 1);
	assert_int_equal(rig->diag.looks[SOCKDIAG_UDP], 1);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 0);
}

static void test_each_period_has_a_look_at_what_is_used(void **state)
{
	struct rig *rig = *state;

	use(rig, SOCKDIAG_TCP);
	for (unsigned i = 1; i <= 10; i++) {
		turn(rig, FOLLOW_PERIOD - 1);
		assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], i);
		turn(rig, 1);
		assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], i + 1);
		assert_int_equal(rig->looked, i + 1);
	}
	assert_int_equal(rig->diag.looks[SOCKDIAG_UDP], 0);
	use(rig, SOCKDIAG_UDP);
	turn(rig, FOLLOW_PERIOD);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 12);
	assert_int_equal(rig->diag.looks[SOCKDIAG_UDP], 2);
	/* Both looks are told at once. */
	assert_int_equal(rig->looked, 13);
	follow_unuse(&rig->follow, SOCKDIAG_TCP);
	turn(rig, FOLLOW_PERIOD);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 12);
	assert_int_equal(rig->diag.looks[SOCKDIAG_UDP], 3);
}

static void test_who_comes_and_goes_does_not_put_off_the_others(void **state)
{
	struct rig *rig = *state;

	use(rig, SOCKDIAG_UDP);
	for (int i = 0; i < 10; i++) {
		turn(rig, FOLLOW_PERIOD / 2);
		use(rig, SOCKDIAG_TCP);
		follow_unuse(&rig->follow, SOCKDIAG_TCP);
	}
	assert_int_equal(rig->diag.looks[SOCKDIAG_UDP], 6);
}

static void test_a_look_that_fails_is_taken_again(void **state)
{
	struct rig *rig = *state;

	use(rig, SOCKDIAG_TCP);
	rig->diag.err[SOCKDIAG_TCP] = ENOBUFS;
	turn(rig, FOLLOW_PERIOD);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 2);
	assert_int_equal(rig->looked, 1);
	rig->diag.err[SOCKDIAG_TCP] = 0;
	turn(rig, FOLLOW_PERIOD);
	assert_int_equal(rig->looked, 2);
}

static void test_one_failure_does_not_hide_the_other_look(void **state)
{
	struct rig *rig = *state;

	use(rig, SOCKDIAG_TCP);
	use(rig, SOCKDIAG_UDP);
	rig->diag.err[SOCKDIAG_UDP] = ENOBUFS;
	turn(rig, FOLLOW_PERIOD);
	assert_int_equal(rig->looked, 3);
}

static void test_who_cannot_be_told_at_all_is_no_user(void **state)
{
	struct rig *rig = *state;

	rig->diag.err[SOCKDIAG_TCP] = ENOENT;
	assert_int_equal(follow_use(&rig->follow, SOCKDIAG_TCP), -ENOENT);
	assert_int_equal(rig->follow.users[SOCKDIAG_TCP], 0);
	assert_int_equal(rig->looked, 0);
	assert_int_equal(loop_timers(rig->loop), 0);
}

static void test_without_sock_diag_nothing_is_followed(void **state)
{
	struct rig *rig = *state;

	follow_init(&rig->follow, rig->loop, NULL, looked);
	assert_int_equal(follow_use(&rig->follow, SOCKDIAG_TCP), -EOPNOTSUPP);
	assert_int_equal(loop_timers(rig->loop), 0);
}

static void test_the_last_user_may_go_from_inside(void **state)
{
	struct rig *rig = *state;

	use(rig, SOCKDIAG_TCP);
	rig->leave = true;
	turn(rig, FOLLOW_PERIOD);
	assert_int_equal(rig->looked, 2);
	assert_int_equal(loop_timers(rig->loop), 0);
	turn(rig, FOLLOW_PERIOD);
	assert_int_equal(rig->looked, 2);
}

/* Nobody is kept busy by a container that makes them by the ten thousand. */
static void test_the_more_sockets_there_are_the_rarer_it_looks(void **state)
{
	struct rig *rig = *state;

	rig->diag.count[SOCKDIAG_TCP] = 2 * FOLLOW_MANY;
	rig->diag.count[SOCKDIAG_UDP] = 50 * FOLLOW_MANY; /* unseen */
	use(rig, SOCKDIAG_TCP);
	turn(rig, 3 * FOLLOW_PERIOD - 1);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 1);
	turn(rig, 1);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 2);
	rig->diag.count[SOCKDIAG_TCP] = FOLLOW_MANY - 1;
	turn(rig, 3 * FOLLOW_PERIOD);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 3);
	turn(rig, FOLLOW_PERIOD);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 4);
	follow_unuse(&rig->follow, SOCKDIAG_TCP);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_asked_while_nobody_wants_to_know),
		TEST(test_the_first_look_is_told_before_use_returns),
		TEST(test_each_period_has_a_look_at_what_is_used),
		TEST(test_who_comes_and_goes_does_not_put_off_the_others),
		TEST(test_a_look_that_fails_is_taken_again),
		TEST(test_one_failure_does_not_hide_the_other_look),
		TEST(test_who_cannot_be_told_at_all_is_no_user),
		TEST(test_without_sock_diag_nothing_is_followed),
		TEST(test_the_last_user_may_go_from_inside),
		TEST(test_the_more_sockets_there_are_the_rarer_it_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
