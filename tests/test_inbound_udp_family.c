#include "tests/test.h"
#include "tests/udp_rig.h"

#include <stdlib.h>

#define LONGEST 65527

static struct udp_rig *rig;

static int setup(void **state)
{
	rig = udp_rig_start();
	return 0;
}

static int teardown(void **state)
{
	udp_rig_finish();
	return 0;
}

static void test_the_longest_datagrams_pass_whole(void **state)
{
	uint8_t *buf = calloc(1, LONGEST);
	struct endpoint client = at("2001:db8::9", 4000);
	struct dgram d = {SERVICE6, client, .payload = buf, .len = LONGEST};

	assert_non_null(buf);
	buf[LONGEST - 1] = 7;
	udp_rig_ask_at(client, at("2001:db8::1", 5353), buf, LONGEST);
	assert_int_equal(fake_stack_out(0, FAKE_OUT_UDP)->dgram.len, LONGEST);
	udp_rig_refuse(SERVICE6, client);
	assert_int_equal(fake_stack_count(), 2);
	assert_int_equal(fake_stack_out(1, FAKE_OUT_UDP)->dgram.len, LONGEST);
	assert_memory_equal(fake_stack_out(1, FAKE_OUT_UDP)->dgram.payload, buf,
			    LONGEST);
	d.src = SERVICE4;
	d.dst = at("10.0.2.2", 4000);
	assert_true(inbound_udp_input(rig->inbound, &d));
	assert_int_equal(rig->answers[0].len, LONGEST);
	free(buf);
}

static void test_refused_the_other_family_is_asked_at_once(void **state)
{
	struct endpoint client = at("2001:db8::9", 4000);
	struct endpoint seen = at("10.0.2.2", 4000);

	udp_rig_ask(client, "first");
	udp_rig_ask(client, "second");
	udp_rig_refuse(SERVICE6, client);
	assert_int_equal(fake_stack_count(), 3);
	udp_rig_assert_asked(2, seen, SERVICE4, "first");
	udp_rig_ask(client, "third");
	udp_rig_assert_asked(3, seen, SERVICE4, "third");
	assert_true(udp_rig_answer(SERVICE4, seen, "a"));
	udp_rig_assert_same(rig->answers[0].client, client);
	assert_int_equal(udp_rig_clients(), 1);
	assert_int_equal(rig->unanswered, 0);
}

/* The kernel limits how often it says so, and many services never answer. */
static void test_the_next_client_goes_where_the_first_was_led(void **state)
{
	udp_rig_ask(at("2001:db8::9", 4000), "q");
	udp_rig_refuse(SERVICE6, at("2001:db8::9", 4000));
	udp_rig_ask(at("2001:db8::8", 4001), "r");
	udp_rig_assert_asked(2, at("10.0.2.2", 4001), SERVICE4, "r");
	relay_rig_advance(TARGET_MEMORY);
	udp_rig_ask(at("2001:db8::8", 4002), "s");
	udp_rig_assert_asked(3, at("2001:db8::8", 4002), SERVICE6, "s");
}

/* Of many that came at once the kernel refuses but a few. Whoever asks again is
 * led where those went, and its first datagram too. */
static void test_who_heard_no_refusal_goes_where_others_were_led(void **state)
{
	struct endpoint quiet = at("2001:db8::8", 4001);

	udp_rig_ask(at("2001:db8::9", 4000), "q");
	udp_rig_ask(quiet, "r");
	udp_rig_refuse(SERVICE6, at("2001:db8::9", 4000));
	assert_int_equal(fake_stack_count(), 3);
	udp_rig_ask(quiet, "s");
	assert_int_equal(fake_stack_count(), 5);
	udp_rig_assert_asked(3, at("10.0.2.2", 4001), SERVICE4, "r");
	udp_rig_assert_asked(4, at("10.0.2.2", 4001), SERVICE4, "s");
	/* its own family has nobody, and the other is the last */
	udp_rig_refuse(SERVICE4, at("10.0.2.2", 4001));
	assert_int_equal(rig->unanswered, 1);
	assert_int_equal(udp_rig_clients(), 1);
}

/* A client that is answered stays where it is. */
static void test_who_was_answered_is_led_nowhere_else(void **state)
{
	struct endpoint served = at("2001:db8::8", 4001);

	udp_rig_ask(served, "r");
	assert_true(udp_rig_answer(SERVICE6, served, "a"));
	udp_rig_ask(at("2001:db8::9", 4000), "q");
	udp_rig_refuse(SERVICE6, at("2001:db8::9", 4000));
	udp_rig_ask(served, "s");
	udp_rig_assert_asked(3, served, SERVICE6, "s");
}

static void test_what_answered_is_asked_first_for_a_while(void **state)
{
	struct endpoint client = at("2001:db8::9", 4000);

	udp_rig_ask(client, "q");
	udp_rig_refuse(SERVICE6, client);
	relay_rig_advance(TARGET_MEMORY - 1);
	assert_true(udp_rig_answer(SERVICE4, at("10.0.2.2", 4000), "a"));
	relay_rig_advance(TARGET_MEMORY - 1);
	udp_rig_ask(at("2001:db8::8", 4000), "r");
	udp_rig_assert_asked(
		2,
		at("10.0.2.2", fake_stack_out(2, FAKE_OUT_UDP)->dgram.src.port),
		SERVICE4, "r");
}

static void test_refused_by_all_the_flow_ends_and_is_told_once(void **state)
{
	struct endpoint client = at("2001:db8::9", 4000);

	udp_rig_ask(client, "q");
	udp_rig_refuse(SERVICE6, client);
	udp_rig_refuse(SERVICE6, client);
	assert_int_equal(udp_rig_clients(), 1);
	udp_rig_refuse(SERVICE4, at("10.0.2.2", 4000));
	assert_int_equal(udp_rig_clients(), 0);
	assert_int_equal(rig->unanswered, 1);
	assert_int_equal(fake_stack_count(), 2);
	/* and nothing is remembered */
	udp_rig_ask(client, "again");
	udp_rig_assert_asked(2, client, SERVICE6, "again");
}

static void test_with_one_family_a_refusal_ends_the_flow(void **state)
{
	struct endpoint client = at("2001:db8::9", 4000);

	rig->guest.has4 = false;
	udp_rig_ask(client, "q");
	udp_rig_refuse(SERVICE6, client);
	assert_int_equal(udp_rig_clients(), 0);
	assert_int_equal(rig->unanswered, 1);
	assert_int_equal(fake_stack_count(), 1);
}

static void test_a_service_that_went_away_ends_its_flows(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);

	udp_rig_ask(client, "q");
	assert_true(udp_rig_answer(SERVICE4, client, "a"));
	udp_rig_ask(client, "r");
	udp_rig_refuse(SERVICE4, client);
	assert_int_equal(udp_rig_clients(), 0);
	assert_int_equal(rig->unanswered, 0);
	assert_int_equal(fake_stack_count(), 2);
	assert_false(udp_rig_answer(SERVICE4, client, "b"));
}

static void test_a_refusal_of_something_else_is_ignored(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);

	udp_rig_refuse(SERVICE4, client);
	udp_rig_ask(client, "q");
	udp_rig_refuse(at("10.0.2.100", 54), client);
	udp_rig_refuse(SERVICE4, at("192.0.2.9", 4001));
	udp_rig_refuse(SERVICE6, client);
	assert_int_equal(udp_rig_clients(), 1);
	assert_int_equal(fake_stack_count(), 1);
}

static void test_a_client_whose_other_port_is_taken_gets_another(void **state)
{
	struct endpoint client = at("::1", 4000);
	const struct fake_out *o;

	udp_rig_ask(at("127.0.0.1", 4000), "q");
	udp_rig_ask(client, "r");
	udp_rig_refuse(SERVICE6, at("fd00::2", 4000));
	o = fake_stack_out(2, FAKE_OUT_UDP);
	udp_rig_assert_same(o->dgram.dst, SERVICE4);
	assert_int_not_equal(o->dgram.src.port, 4000);
	assert_memory_equal(o->dgram.payload, "r", 1);
	assert_int_equal(udp_rig_clients(), 2);
}

/* 4 MiB are 65 of these; the latest are the ones that may be needed. */
static void test_first_datagrams_are_kept_within_bounds(void **state)
{
	uint8_t *buf = calloc(1, 65000);
	struct endpoint client;

	assert_non_null(buf);
	for (uint16_t i = 0; i < 80; i++)
		udp_rig_ask_at(at("2001:db8::9", (uint16_t)(4000 + i)),
			       at("2001:db8::1", 5353), buf, 65000);
	fake_stack_clear();
	client = at("2001:db8::9", 4000);
	udp_rig_refuse(SERVICE6, client);
	assert_int_equal(fake_stack_count(), 0);
	udp_rig_ask(client, "q");
	client = at("2001:db8::9", 4079);
	udp_rig_refuse(SERVICE6, client);
	assert_int_equal(fake_stack_out(1, FAKE_OUT_UDP)->dgram.len, 65000);
	free(buf);
}

static void test_a_client_follows_the_container_to_another_address(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);

	udp_rig_ask(client, "q");
	assert_true(udp_rig_answer(SERVICE4, client, "a"));
	rig->guest.changes++;
	udp_rig_ask(client, "r");
	udp_rig_assert_asked(1, client, SERVICE4, "r");
	rig->guest.plan.guest4 = at("10.0.2.7", 0).addr;
	rig->guest.changes++;
	udp_rig_ask(client, "s");
	udp_rig_assert_asked(2, client, at("10.0.2.7", 53), "s");
	assert_int_equal(udp_rig_clients(), 1);
	rig->guest.has4 = rig->guest.has6 = false;
	rig->guest.changes++;
	udp_rig_ask(client, "t");
	assert_int_equal(fake_stack_count(), 3);
	assert_int_equal(udp_rig_clients(), 0);
}

static void test_a_container_without_address_is_not_asked(void **state)
{
	rig->guest.has4 = rig->guest.has6 = false;
	udp_rig_ask(at("192.0.2.9", 4000), "q");
	assert_int_equal(rig->host->count[RELAY_COUNT_DROP_NO_GUEST], 1);
	assert_int_equal(udp_rig_clients(), 0);
	assert_int_equal(fake_stack_count(), 0);
	rig->guest.has4 = true;
	udp_rig_ask(at("192.0.2.9", 4000), "q");
	assert_int_equal(fake_stack_count(), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_longest_datagrams_pass_whole),
		T(test_refused_the_other_family_is_asked_at_once),
		T(test_the_next_client_goes_where_the_first_was_led),
		T(test_who_heard_no_refusal_goes_where_others_were_led),
		T(test_who_was_answered_is_led_nowhere_else),
		T(test_what_answered_is_asked_first_for_a_while),
		T(test_refused_by_all_the_flow_ends_and_is_told_once),
		T(test_with_one_family_a_refusal_ends_the_flow),
		T(test_a_service_that_went_away_ends_its_flows),
		T(test_a_refusal_of_something_else_is_ignored),
		T(test_a_client_whose_other_port_is_taken_gets_another),
		T(test_first_datagrams_are_kept_within_bounds),
		T(test_a_client_follows_the_container_to_another_address),
		T(test_a_container_without_address_is_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
