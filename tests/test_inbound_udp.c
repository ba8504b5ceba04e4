#include "tests/fake_hostsock.h"
#include "tests/test.h"
#include "tests/udp_rig.h"

#include <errno.h>

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

static void test_the_container_sees_the_client_itself(void **state)
{
	udp_rig_ask(at("192.0.2.9", 4000), "q");
	udp_rig_ask(at("2001:db8::9", 4000), "r");
	udp_rig_assert_asked(0, at("192.0.2.9", 4000), SERVICE4, "q");
	udp_rig_assert_asked(1, at("2001:db8::9", 4000), SERVICE6, "r");
}

static void test_the_answer_leaves_by_the_address_that_was_asked(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);
	struct endpoint local = at("198.51.100.7", 5353);
	const struct udp_rig_answer *a = rig->answers;

	udp_rig_ask_at(client, local, "q", 1);
	assert_true(udp_rig_answer(SERVICE4, client, "a"));
	assert_int_equal(rig->answer_count, 1);
	assert_ptr_equal(a->listener, &rig->listener);
	udp_rig_assert_same(a->client, client);
	udp_rig_assert_same(a->local, local);
	assert_string_equal(a->text, "a");
	assert_int_equal(a->opts.ttl, 63);
	assert_int_equal(a->opts.tos, 0x28);
	assert_true(a->opts.dont_fragment);
}

static void test_one_client_is_one_flow(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);

	udp_rig_ask(client, "1");
	udp_rig_ask(client, "2");
	assert_true(udp_rig_answer(SERVICE4, client, "a"));
	udp_rig_ask(client, "3");
	assert_true(udp_rig_answer(SERVICE4, client, "b"));
	assert_int_equal(udp_rig_clients(), 1);
	assert_int_equal(fake_stack_count(), 3);
	assert_int_equal(rig->answer_count, 2);
}

static void test_what_is_no_answer_is_left_to_others(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);

	assert_false(udp_rig_answer(SERVICE4, client, "early"));
	udp_rig_ask(client, "q");
	assert_false(udp_rig_answer(SERVICE4, at("192.0.2.9", 4001), "x"));
	assert_false(udp_rig_answer(SERVICE4, at("192.0.2.8", 4000), "x"));
	assert_false(udp_rig_answer(at("10.0.2.100", 54), client, "x"));
	assert_false(udp_rig_answer(SERVICE6, client, "x"));
	assert_int_equal(rig->answer_count, 0);
}

static void test_loopback_clients_come_from_the_gateway(void **state)
{
	udp_rig_ask(at("127.0.0.1", 4000), "q");
	udp_rig_ask(at("::1", 4001), "r");
	udp_rig_assert_asked(0, at("10.0.2.2", 4000), SERVICE4, "q");
	udp_rig_assert_asked(1, at("fd00::2", 4001), SERVICE6, "r");
	assert_true(udp_rig_answer(SERVICE6, at("fd00::2", 4001), "b"));
	udp_rig_assert_same(rig->answers[0].client, at("::1", 4001));
}

/* The gateway is both 127.0.0.1 and, in the other family, ::1. */
static void test_clients_that_look_alike_get_ports_of_their_own(void **state)
{
	struct endpoint lo4 = at("127.0.0.1", 4000), lo6 = at("::1", 4000);
	struct endpoint seen;

	rig->guest.has6 = false;
	udp_rig_ask(lo4, "q");
	udp_rig_ask(lo6, "r");
	seen = fake_stack_out(1, FAKE_OUT_UDP)->dgram.src;
	udp_rig_assert_same(seen, at("10.0.2.2", seen.port));
	assert_in_range(seen.port, 1024, 65535);
	assert_int_not_equal(seen.port, 4000);
	assert_true(udp_rig_answer(SERVICE4, seen, "b"));
	assert_true(udp_rig_answer(SERVICE4, at("10.0.2.2", 4000), "a"));
	udp_rig_assert_same(rig->answers[0].client, lo6);
	udp_rig_assert_same(rig->answers[1].client, lo4);
}

/* Two published ports lead to one service. */
static void test_one_client_may_ask_by_two_ways(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000), seen;

	udp_rig_ask_at(client, at("192.0.2.1", 5353), "q", 1);
	udp_rig_ask_at(client, at("192.0.2.2", 5354), "r", 1);
	assert_int_equal(udp_rig_clients(), 2);
	seen = fake_stack_out(1, FAKE_OUT_UDP)->dgram.src;
	assert_true(udp_rig_answer(SERVICE4, seen, "b"));
	assert_int_equal(rig->answers[0].local.port, 5354);
	assert_true(udp_rig_answer(SERVICE4, client, "a"));
	assert_int_equal(rig->answers[1].local.port, 5353);
}

/* RFC 768 lets a sender have none, but our stack would choose one for it. */
static void test_a_client_without_port_is_shown_with_one(void **state)
{
	udp_rig_ask(at("192.0.2.9", 0), "q");
	assert_int_not_equal(fake_stack_out(0, FAKE_OUT_UDP)->dgram.src.port,
			     0);
}

static void test_without_a_free_port_the_client_is_dropped(void **state)
{
	unsigned ways = 0;

	while (rig->host->count[RELAY_COUNT_DROP_LIMIT] == 0 && ways < 100)
		udp_rig_ask_at(at("192.0.2.9", 4000),
			       at("192.0.2.1", (uint16_t)(5353 + ways++)), "q",
			       1);
	assert_in_range(ways, 10, 99);
	assert_int_equal(udp_rig_clients(), ways - 1);
	assert_int_equal(fake_stack_count(), ways - 1);
}

static void test_empty_datagrams_pass_both_ways(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);

	udp_rig_ask_at(client, at("192.0.2.1", 5353), NULL, 0);
	udp_rig_assert_asked(0, client, SERVICE4, "");
	assert_true(udp_rig_answer(SERVICE4, client, ""));
	assert_int_equal(rig->answer_count, 1);
	assert_int_equal(rig->answers[0].len, 0);
}

static void test_unanswered_flows_end_after_two_minutes(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);

	udp_rig_ask(client, "q");
	relay_rig_advance(119 * NSEC_PER_SEC);
	udp_rig_ask(client, "q");
	relay_rig_advance(119 * NSEC_PER_SEC);
	assert_int_equal(udp_rig_clients(), 1);
	relay_rig_advance(NSEC_PER_SEC);
	assert_int_equal(udp_rig_clients(), 0);
	assert_int_equal(rig->unanswered, 0);
}

static void test_answered_flows_end_after_five_minutes(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);

	udp_rig_ask(client, "q");
	assert_true(udp_rig_answer(SERVICE4, client, "a"));
	relay_rig_advance(299 * NSEC_PER_SEC);
	assert_true(udp_rig_answer(SERVICE4, client, "late"));
	relay_rig_advance(299 * NSEC_PER_SEC);
	udp_rig_ask(client, "r");
	relay_rig_advance(299 * NSEC_PER_SEC);
	assert_int_equal(udp_rig_clients(), 1);
	relay_rig_advance(NSEC_PER_SEC);
	assert_int_equal(udp_rig_clients(), 0);
}

static void test_a_closed_listener_takes_its_flows_along(void **state)
{
	struct listener other = {.fd = -1};
	struct endpoint local = at("192.0.2.1", 9999);
	struct endpoint client = at("192.0.2.8", 4000);

	for (uint16_t i = 0; i < 10; i++)
		udp_rig_ask(at("192.0.2.9", (uint16_t)(4000 + i)), "q");
	inbound_udp_client(rig->inbound, &other, &client, &local, rig->target,
			   53, (const uint8_t *)"r", 1);
	assert_int_equal(udp_rig_clients(), 11);
	inbound_udp_forget(rig->inbound, &rig->listener);
	assert_int_equal(udp_rig_clients(), 1);
	assert_false(udp_rig_answer(SERVICE4, at("192.0.2.9", 4000), "a"));
	assert_true(udp_rig_answer(SERVICE4, client, "b"));
	assert_ptr_equal(rig->answers[0].listener, &other);
	inbound_udp_forget(rig->inbound, &other);
	assert_int_equal(udp_rig_clients(), 0);
}

/* A socket bound to the very address takes over from one bound to any. */
static void test_a_client_follows_the_listener_that_hears_it(void **state)
{
	struct listener other = {.fd = -1};
	struct endpoint client = at("192.0.2.9", 4000);
	struct endpoint local = at("192.0.2.1", 5353);

	udp_rig_ask_at(client, local, "q", 1);
	assert_true(udp_rig_answer(SERVICE4, client, "a"));
	inbound_udp_client(rig->inbound, &other, &client, &local, rig->target,
			   54, (const uint8_t *)"r", 1);
	assert_int_equal(udp_rig_clients(), 1);
	udp_rig_assert_asked(1, client, at("10.0.2.100", 54), "r");
	assert_true(udp_rig_answer(at("10.0.2.100", 54), client, "b"));
	assert_ptr_equal(rig->answers[1].listener, &other);
	inbound_udp_forget(rig->inbound, &other);
}

static void test_an_answer_too_long_for_the_host_is_told(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);
	const struct fake_out *o;

	udp_rig_ask(client, "q");
	rig->send_err = EMSGSIZE;
	fake_mtu(1400);
	assert_true(udp_rig_answer(SERVICE4, client, "long"));
	o = fake_stack_out(1, FAKE_OUT_UDP_ERROR);
	assert_int_equal(o->why, ICMPMSG_TOO_BIG);
	assert_int_equal(o->mtu, 1400);
	udp_rig_assert_same(o->dgram.src, SERVICE4);
	udp_rig_assert_same(o->dgram.dst, client);
	assert_memory_equal(o->dgram.payload, "long", 4);
	assert_int_equal(rig->host->count[RELAY_COUNT_HOST_ERRORS], 1);
}

/* What the container sends to a client of the other family has another header
 * there, and what it is told is about its own. */
static void test_the_mtu_is_that_of_the_containers_packet(void **state)
{
	udp_rig_ask(at("192.0.2.9", 4000), "q");
	rig->guest.has4 = false;
	udp_rig_ask(at("192.0.2.9", 4001), "q");
	rig->guest.has4 = true;
	rig->guest.has6 = false;
	udp_rig_ask(at("2001:db8::9", 4002), "q");
	rig->send_err = EMSGSIZE;
	fake_mtu(1400);
	assert_true(udp_rig_answer(SERVICE6, at("fd00::2", 4001), "long"));
	assert_true(udp_rig_answer(SERVICE4, at("10.0.2.2", 4002), "long"));
	fake_mtu(0);
	assert_true(udp_rig_answer(SERVICE6, at("fd00::2", 4001), "long"));
	assert_true(udp_rig_answer(SERVICE4, at("10.0.2.2", 4002), "long"));
	assert_int_equal(fake_stack_out(3, FAKE_OUT_UDP_ERROR)->mtu, 1420);
	assert_int_equal(fake_stack_out(4, FAKE_OUT_UDP_ERROR)->mtu, 1380);
	assert_int_equal(fake_stack_out(5, FAKE_OUT_UDP_ERROR)->mtu, 1280);
	assert_int_equal(fake_stack_out(6, FAKE_OUT_UDP_ERROR)->mtu, 576);
}

static void test_an_answer_that_cannot_be_sent_is_counted(void **state)
{
	struct endpoint client = at("192.0.2.9", 4000);

	udp_rig_ask(client, "q");
	rig->send_err = EAGAIN;
	assert_true(udp_rig_answer(SERVICE4, client, "a"));
	assert_int_equal(rig->host->count[RELAY_COUNT_DROP_BUSY], 1);
	assert_int_equal(fake_stack_count(), 1);
	rig->send_err = ENETUNREACH;
	assert_true(udp_rig_answer(SERVICE4, client, "a"));
	assert_int_equal(rig->host->count[RELAY_COUNT_HOST_ERRORS], 1);
	assert_int_equal(fake_stack_out(1, FAKE_OUT_UDP_ERROR)->why,
			 ICMPMSG_NET_UNREACH);
	rig->send_err = 0;
	assert_true(udp_rig_answer(SERVICE4, client, "a"));
	assert_int_equal(rig->answer_count, 1);
}

static void many(unsigned from, unsigned count)
{
	for (unsigned i = from; i < from + count; i++)
		udp_rig_ask(at("192.0.2.9", (uint16_t)(1000 + i)), "q");
}

static void test_at_the_limit_the_oldest_client_gives_way(void **state)
{
	struct endpoint first = at("192.0.2.9", 1000);

	many(0, 1);
	assert_true(udp_rig_answer(SERVICE4, first, "a"));
	many(1, RELAY_RIG_CLIENTS_MAX);
	assert_int_equal(udp_rig_clients(), RELAY_RIG_CLIENTS_MAX);
	assert_int_equal(flow_evicted(rig->host->flows, FLOW_CLIENT), 1);
	/* not the one that was answered, but the next */
	assert_false(udp_rig_answer(SERVICE4, at("192.0.2.9", 1001), "a"));
	assert_true(udp_rig_answer(SERVICE4, first, "a"));
	assert_true(udp_rig_answer(SERVICE4, at("192.0.2.9", 1002), "a"));
}

static void
test_the_ten_thousandth_client_costs_what_the_first_does(void **state)
{
	uint64_t steps;

	many(0, 5000);
	steps = flow_steps(rig->host->flows);
	many(5000, 5000);
	for (uint16_t i = 0; i < 10000; i++)
		assert_true(udp_rig_answer(
			SERVICE4, at("192.0.2.9", (uint16_t)(1000 + i)), "a"));
	/* two look-ups for a new one and one for an answer; 65536 buckets */
	assert_true(flow_steps(rig->host->flows) - steps < 20000);
	steps = flow_steps(rig->host->flows);
	inbound_udp_forget(rig->inbound, &rig->listener);
	assert_true(flow_steps(rig->host->flows) - steps < 20000);
	assert_int_equal(udp_rig_clients(), 0);
}

/* As many in both families, and all of them seem to be the gateway. */
static void test_runs_of_ports_do_not_crowd_each_other_out(void **state)
{
	rig->guest.has6 = false;
	for (uint16_t i = 0; i < 5000; i++) {
		udp_rig_ask(at("127.0.0.1", (uint16_t)(30000 + i)), "q");
		udp_rig_ask(at("::1", (uint16_t)(30000 + i)), "q");
	}
	assert_int_equal(udp_rig_clients(), 10000);
	assert_int_equal(rig->host->count[RELAY_COUNT_DROP_LIMIT], 0);
	assert_true(flow_steps(rig->host->flows) < 40000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_container_sees_the_client_itself),
		T(test_the_answer_leaves_by_the_address_that_was_asked),
		T(test_one_client_is_one_flow),
		T(test_what_is_no_answer_is_left_to_others),
		T(test_loopback_clients_come_from_the_gateway),
		T(test_clients_that_look_alike_get_ports_of_their_own),
		T(test_one_client_may_ask_by_two_ways),
		T(test_a_client_without_port_is_shown_with_one),
		T(test_without_a_free_port_the_client_is_dropped),
		T(test_empty_datagrams_pass_both_ways),
		T(test_unanswered_flows_end_after_two_minutes),
		T(test_answered_flows_end_after_five_minutes),
		T(test_a_closed_listener_takes_its_flows_along),
		T(test_a_client_follows_the_listener_that_hears_it),
		T(test_an_answer_too_long_for_the_host_is_told),
		T(test_the_mtu_is_that_of_the_containers_packet),
		T(test_an_answer_that_cannot_be_sent_is_counted),
		T(test_at_the_limit_the_oldest_client_gives_way),
		T(test_the_ten_thousandth_client_costs_what_the_first_does),
		T(test_runs_of_ports_do_not_crowd_each_other_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
