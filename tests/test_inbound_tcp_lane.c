/* When clients of published ports are left to the loopback lane. */
#include "stack/wire.h"
#include "tests/fake_lanes.h"
#include "tests/inbound_rig.h"

#define CLIENT4  "192.0.2.9"
#define CLIENT6  "2001:db8::9"
#define GATEWAY4 "10.0.2.2"
#define GATEWAY6 "fd00::2"

static struct lanes lanes;

static int setup(void **state)
{
	struct inbound_rig *b;

	inbound_rig_setup(state);
	b = *state;
	lanes = (struct lanes){.last = true};
	inbound_tcp_use_lanes(b->inbound, &lanes);
	return 0;
}

/* Both families refuse a client of @first's. */
static struct fake_sock *refused_client(struct inbound_rig *b,
					const char *first, const char *second)
{
	struct fake_sock *s = inbound_rig_client(b, first, 5555);
	struct rig_peer p = inbound_rig_syn(b, first, 5555);

	assert_int_equal(fake_write(s, "GET", 3), 3);
	inbound_rig_refuse(b, &p);
	assert_int_equal(lanes.opened, 0);
	p = inbound_rig_syn(b, second, 5555);
	inbound_rig_refuse(b, &p);
	return s;
}

static void test_who_is_refused_by_both_is_left_to_the_lane(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = refused_client(b, CLIENT6, GATEWAY4);

	assert_int_equal(lanes.opened, 1);
	assert_true(lanes.client.last);
	assert_int_equal(lanes.client.fd, s->fd);
	assert_int_equal(lanes.client.port, INBOUND_PORT);
	assert_int_equal(lanes.client.from.port, 5555);
	assert_ptr_equal(lanes.client.target, b->target);
	assert_int_equal(b->unanswered, 0);
	assert_int_equal(b->host.count[RELAY_COUNT_INBOUND_REFUSED], 0);
	fake_lanes_serve(&lanes);
}

static void test_whom_the_lane_misses_at_last_is_reset(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s = refused_client(b, CLIENT4, GATEWAY6);

	fake_lanes_miss(&lanes);
	assert_true(s->was_reset);
	assert_int_equal(b->unanswered, 1);
	assert_int_equal(b->unanswered_port, INBOUND_PORT);
	assert_int_equal(b->host.count[RELAY_COUNT_INBOUND_REFUSED], 1);
	assert_int_equal(lanes.opened, 1);
}

static void test_whom_it_misses_at_first_goes_by_the_tap(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s;
	struct rig_peer p;

	lanes.first = true;
	s = inbound_rig_client(b, CLIENT4, 5555);
	assert_int_equal(lanes.opened, 1);
	assert_false(lanes.client.last);
	assert_int_equal(inbound_rig_syns(b), 0);
	fake_lanes_miss(&lanes);
	p = inbound_rig_syn(b, CLIENT4, 5555);
	inbound_rig_answer(b, &p);
	inbound_rig_served(b, s, &p);
}

static void test_nobody_is_left_to_it_twice(void **state)
{
	struct inbound_rig *b = *state;
	struct fake_sock *s;
	struct rig_peer p;

	lanes.first = true;
	s = inbound_rig_client(b, CLIENT4, 5555);
	fake_lanes_miss(&lanes);
	p = inbound_rig_syn(b, CLIENT4, 5555);
	inbound_rig_refuse(b, &p);
	p = inbound_rig_syn(b, GATEWAY6, 5555);
	inbound_rig_refuse(b, &p);
	assert_true(s->was_reset);
	assert_int_equal(lanes.opened, 1);
	assert_int_equal(b->unanswered, 1);
}

static void test_who_is_answered_never_sees_it(void **state)
{
	struct inbound_rig *b = *state;
	struct rig_peer p;
	struct fake_sock *s = inbound_rig_open(b, CLIENT4, 5555, &p);

	inbound_rig_served(b, s, &p);
	assert_int_equal(lanes.opened, 0);
}

static void test_a_container_without_address_has_a_loopback(void **state)
{
	struct inbound_rig *b = *state;

	b->guest.has4 = b->guest.has6 = false;
	inbound_rig_client(b, CLIENT4, 5555);
	assert_int_equal(lanes.opened, 1);
	fake_lanes_serve(&lanes);
}

int main(void)
{
#define LANE_TEST(f)                                                           \
	cmocka_unit_test_setup_teardown(f, setup, inbound_rig_teardown)
	const struct CMUnitTest tests[] = {
		LANE_TEST(test_who_is_refused_by_both_is_left_to_the_lane),
		LANE_TEST(test_whom_the_lane_misses_at_last_is_reset),
		LANE_TEST(test_whom_it_misses_at_first_goes_by_the_tap),
		LANE_TEST(test_nobody_is_left_to_it_twice),
		LANE_TEST(test_who_is_answered_never_sees_it),
		LANE_TEST(test_a_container_without_address_has_a_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
