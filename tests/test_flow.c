#include "port/flow.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>

#define MANY 20000

static nsec_t test_time;

static nsec_t test_clock(void)
{
	return test_time;
}

struct rig {
	struct loop *loop;
	struct flow_table *table;
	unsigned ended;
	struct flow *last_ended;
};

static struct rig rig;

static void end(struct flow *f)
{
	rig.ended++;
	rig.last_ended = f;
	flow_remove(rig.table, f);
}

static int setup(void **state)
{
	static const uint64_t secret[2] = {1, 2};
	static const unsigned max[FLOW_PROTOS] = {
		[FLOW_TCP] = 2, [FLOW_UDP] = MANY, [FLOW_ECHO] = 3,
		[FLOW_DNS] = 2, [FLOW_CLIENT] = 2, [FLOW_PUBLISHED] = 2};

	test_time = 100 * NSEC_PER_SEC;
	rig = (struct rig){.loop = loop_new(test_clock)};
	rig.table = flow_table_new(rig.loop, secret, max);
	assert_non_null(rig.table);
	return 0;
}

static int teardown(void **state)
{
	flow_table_free(rig.table);
	loop_free(rig.loop);
	return 0;
}

static void advance(nsec_t by)
{
	test_time += by;
	loop_turn(rig.loop, 0);
}

static struct flow_key key(enum flow_proto proto, unsigned n)
{
	return (struct flow_key){
		.proto = proto,
		.container = {addr_from_v4(0x0a000264 + n / 50000),
			      (uint16_t)(n % 50000)},
	};
}

static int add(struct flow *f, enum flow_proto proto, unsigned n,
	       enum flow_idle idle)
{
	struct flow_key k = key(proto, n);

	*f = (struct flow){.end = end};
	return flow_add(rig.table, f, &k, idle);
}

static void test_a_flow_is_found_by_all_of_its_key(void **state)
{
	struct flow f = {.end = end};
	struct flow_key k = key(FLOW_TCP, 1), other = k;

	k.remote = (struct endpoint){addr_from_v4(0x01020304), 80};
	assert_int_equal(flow_add(rig.table, &f, &k, FLOW_IDLE_NEVER), 0);
	assert_int_equal(f.state, FLOW_ASKING);
	assert_ptr_equal(flow_find(rig.table, &k), &f);
	assert_null(flow_find(rig.table, &other));
	other = k;
	other.proto = FLOW_UDP;
	assert_null(flow_find(rig.table, &other));
	other = k;
	other.container.port++;
	assert_null(flow_find(rig.table, &other));
	other = k;
	other.remote.addr.s6_addr[15]++;
	assert_null(flow_find(rig.table, &other));
	flow_remove(rig.table, &f);
	assert_int_equal(f.state, FLOW_DEAD);
	assert_null(flow_find(rig.table, &k));
}

static void test_the_thousandth_costs_what_the_first_does(void **state)
{
	struct flow *flows = calloc(MANY, sizeof(*flows));
	uint64_t before;

	assert_non_null(flows);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(add(&flows[i], FLOW_UDP, i, FLOW_IDLE_UDP), 0);
	assert_int_equal(flow_count(rig.table, FLOW_UDP), MANY);
	before = flow_steps(rig.table);
	for (unsigned i = 0; i < MANY; i++) {
		struct flow_key k = key(FLOW_UDP, i);

		assert_ptr_equal(flow_find(rig.table, &k), &flows[i]);
		flow_touch(rig.table, &flows[i]);
	}
	/* 32768 buckets: a third of a link beyond the one that is it */
	assert_true(flow_steps(rig.table) - before < MANY * 3 / 2);
	for (unsigned i = 0; i < MANY; i++)
		flow_remove(rig.table, &flows[i]);
	assert_true(flow_steps(rig.table) - before < MANY * 2);
	free(flows);
}

static void test_an_idle_flow_ends_at_its_time(void **state)
{
	static const struct {
		enum flow_proto proto;
		enum flow_idle idle;
		int seconds;
	} rows[] = {
		{FLOW_UDP, FLOW_IDLE_BRIEF, 10},
		{FLOW_UDP, FLOW_IDLE_UDP, 120},
		{FLOW_UDP, FLOW_IDLE_BOTH, 300},
		{FLOW_ECHO, FLOW_IDLE_ECHO, 60},
		{FLOW_CLIENT, FLOW_IDLE_CLIENT, 120},
		{FLOW_CLIENT, FLOW_IDLE_SERVED, 300},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flow f;

		rig.ended = 0;
		add(&f, rows[i].proto, 1, rows[i].idle);
		advance(rows[i].seconds * NSEC_PER_SEC - 1);
		assert_int_equal(rig.ended, 0);
		advance(1);
		assert_int_equal(rig.ended, 1);
		assert_int_equal(f.state, FLOW_DEAD);
	}
}

static void test_a_touched_flow_lives_on(void **state)
{
	struct flow a, b;

	add(&a, FLOW_UDP, 1, FLOW_IDLE_UDP);
	add(&b, FLOW_UDP, 2, FLOW_IDLE_UDP);
	for (int i = 0; i < 10; i++) {
		advance(40 * NSEC_PER_SEC);
		flow_touch(rig.table, &a);
	}
	assert_int_equal(rig.ended, 1);
	assert_ptr_equal(rig.last_ended, &b);
	advance(119 * NSEC_PER_SEC);
	assert_int_equal(rig.ended, 1);
	advance(NSEC_PER_SEC);
	assert_ptr_equal(rig.last_ended, &a);
}

static void test_a_changed_idle_class_changes_the_time(void **state)
{
	struct flow a, b;

	add(&a, FLOW_UDP, 1, FLOW_IDLE_BRIEF);
	add(&b, FLOW_UDP, 2, FLOW_IDLE_BOTH);
	flow_set_idle(rig.table, &a, FLOW_IDLE_BOTH);
	flow_set_idle(rig.table, &b, FLOW_IDLE_BRIEF);
	advance(10 * NSEC_PER_SEC);
	assert_int_equal(rig.ended, 1);
	assert_ptr_equal(rig.last_ended, &b);
	advance(290 * NSEC_PER_SEC);
	assert_int_equal(rig.ended, 2);
}

static void test_the_oldest_unanswered_gives_way_at_the_limit(void **state)
{
	struct flow f[5];

	for (unsigned i = 0; i < 3; i++) {
		add(&f[i], FLOW_ECHO, i, FLOW_IDLE_ECHO);
		advance(1);
	}
	flow_touch(rig.table, &f[0]);
	assert_int_equal(add(&f[3], FLOW_ECHO, 3, FLOW_IDLE_ECHO), 0);
	assert_ptr_equal(rig.last_ended, &f[1]);
	assert_int_equal(add(&f[4], FLOW_ECHO, 4, FLOW_IDLE_ECHO), 0);
	assert_ptr_equal(rig.last_ended, &f[2]);
	assert_int_equal(flow_evicted(rig.table, FLOW_ECHO), 2);
	assert_int_equal(flow_count(rig.table, FLOW_ECHO), 3);
	flow_remove(rig.table, &f[0]);
	flow_remove(rig.table, &f[3]);
	flow_remove(rig.table, &f[4]);
}

static void test_what_worked_both_ways_gives_way_last(void **state)
{
	struct flow *flows = calloc(MANY + 1, sizeof(*flows));

	assert_non_null(flows);
	for (unsigned i = 0; i < MANY; i++)
		add(&flows[i], FLOW_UDP, i, FLOW_IDLE_UDP);
	flow_set_idle(rig.table, &flows[0], FLOW_IDLE_BOTH);
	advance(NSEC_PER_SEC);
	for (unsigned i = 1; i < MANY - 1; i++)
		flow_touch(rig.table, &flows[i]);
	add(&flows[MANY], FLOW_UDP, MANY, FLOW_IDLE_UDP);
	assert_ptr_equal(rig.last_ended, &flows[MANY - 1]);
	for (unsigned i = 0; i <= MANY; i++) {
		if (flows[i].state != FLOW_DEAD)
			flow_remove(rig.table, &flows[i]);
	}
	free(flows);
}

/* A crowd of clients must not cost the container's own conversations. */
static void test_clients_give_way_to_clients_only(void **state)
{
	struct flow out, f[4];

	add(&out, FLOW_UDP, 0, FLOW_IDLE_UDP);
	advance(1);
	add(&f[0], FLOW_CLIENT, 0, FLOW_IDLE_SERVED);
	add(&f[1], FLOW_CLIENT, 1, FLOW_IDLE_CLIENT);
	add(&f[2], FLOW_CLIENT, 2, FLOW_IDLE_SERVED);
	assert_ptr_equal(rig.last_ended, &f[1]);
	add(&f[3], FLOW_CLIENT, 3, FLOW_IDLE_CLIENT);
	assert_ptr_equal(rig.last_ended, &f[0]);
	assert_int_equal(flow_count(rig.table, FLOW_CLIENT), 2);
	assert_int_equal(flow_count(rig.table, FLOW_UDP), 1);
	flow_remove(rig.table, &out);
	assert_int_equal(loop_timers(rig.loop), 1);
	flow_remove(rig.table, &f[2]);
	flow_remove(rig.table, &f[3]);
}

static void test_beyond_the_limit_the_busy_are_not_disturbed(void **state)
{
	struct flow f[3];

	add(&f[0], FLOW_TCP, 0, FLOW_IDLE_NEVER);
	add(&f[1], FLOW_TCP, 1, FLOW_IDLE_NEVER);
	assert_int_equal(add(&f[2], FLOW_TCP, 2, FLOW_IDLE_NEVER), -ENOSPC);
	assert_int_equal(flow_refused(rig.table, FLOW_TCP), 1);
	assert_int_equal(rig.ended, 0);
	assert_int_equal(f[2].state, FLOW_NEW);
	flow_remove(rig.table, &f[0]);
	assert_int_equal(add(&f[2], FLOW_TCP, 2, FLOW_IDLE_NEVER), 0);
	flow_remove(rig.table, &f[1]);
	flow_remove(rig.table, &f[2]);
}

static void test_a_flow_with_a_new_key_is_found_by_that_alone(void **state)
{
	struct flow f, other;
	struct flow_key old = key(FLOW_TCP, 1), new = key(FLOW_TCP, 2);

	add(&f, FLOW_TCP, 1, FLOW_IDLE_NEVER);
	flow_set_key(rig.table, &f, &new);
	assert_null(flow_find(rig.table, &old));
	assert_ptr_equal(flow_find(rig.table, &new), &f);
	assert_int_equal(f.state, FLOW_ASKING);
	assert_int_equal(flow_count(rig.table, FLOW_TCP), 1);
	assert_int_equal(add(&other, FLOW_TCP, 1, FLOW_IDLE_NEVER), 0);
	assert_ptr_equal(flow_find(rig.table, &old), &other);
	flow_remove(rig.table, &f);
	assert_null(flow_find(rig.table, &new));
	flow_remove(rig.table, &other);
}

static void test_a_walk_meets_every_flow_once(void **state)
{
	struct flow f[4];
	unsigned met = 0;

	assert_null(flow_next(rig.table, NULL));
	add(&f[0], FLOW_TCP, 0, FLOW_IDLE_NEVER);
	add(&f[1], FLOW_UDP, 0, FLOW_IDLE_BOTH);
	add(&f[2], FLOW_ECHO, 0, FLOW_IDLE_ECHO);
	add(&f[3], FLOW_UDP, 1, FLOW_IDLE_BOTH);
	for (struct flow *p = NULL; (p = flow_next(rig.table, p));)
		met += 1u << (p - f);
	assert_int_equal(met, 15);
	for (int i = 0; i < 4; i++)
		flow_remove(rig.table, &f[i]);
}

static void test_an_empty_table_arms_nothing(void **state)
{
	struct flow f;

	add(&f, FLOW_UDP, 1, FLOW_IDLE_UDP);
	flow_remove(rig.table, &f);
	add(&f, FLOW_TCP, 1, FLOW_IDLE_NEVER);
	assert_int_equal(loop_timers(rig.loop), 0);
	flow_remove(rig.table, &f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_flow_is_found_by_all_of_its_key),
		T(test_the_thousandth_costs_what_the_first_does),
		T(test_an_idle_flow_ends_at_its_time),
		T(test_a_touched_flow_lives_on),
		T(test_a_changed_idle_class_changes_the_time),
		T(test_the_oldest_unanswered_gives_way_at_the_limit),
		T(test_what_worked_both_ways_gives_way_last),
		T(test_clients_give_way_to_clients_only),
		T(test_beyond_the_limit_the_busy_are_not_disturbed),
		T(test_a_flow_with_a_new_key_is_found_by_that_alone),
		T(test_a_walk_meets_every_flow_once),
		T(test_an_empty_table_arms_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
