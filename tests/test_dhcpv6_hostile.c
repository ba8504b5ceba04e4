#include "tests/dhcpv6_rig.h"

#include <string.h>

static void test_another_servers_client_is_left_alone(void **state)
{
	static const uint8_t others[] = {0, 3, 0, 1, 0x52, 0x55, 10, 0, 2, 3};
	static const uint8_t types[] = {DHCPV6_REQUEST, DHCPV6_RENEW,
					DHCPV6_RELEASE, DHCPV6_DECLINE,
					DHCPV6_INFORMATION_REQUEST};
	struct front *f = *state;
	struct dhcpv6_ask a;

	for (size_t i = 0; i < sizeof(types); i++) {
		dhcpv6_start(&a, types[i], true, false);
		dhcpv6_put(&a, 2, others, sizeof(others));
		dhcpv6_send(f, &a);
		dhcpv6_assert_silence(f);
		dhcpv6_start(&a, types[i], true, false);
		dhcpv6_put(&a, 2, dhcpv6_our_duid, sizeof(dhcpv6_our_duid) - 1);
		dhcpv6_send(f, &a);
		dhcpv6_assert_silence(f);
	}
}

static void test_identifiers_that_break_the_rules_are_dropped(void **state)
{
	static const struct {
		uint8_t type;
		bool client, server;
	} bad[] = {
		{DHCPV6_SOLICIT, false, false},
		{DHCPV6_SOLICIT, true, true},
		{DHCPV6_CONFIRM, false, false},
		{DHCPV6_CONFIRM, true, true},
		{DHCPV6_REBIND, false, false},
		{DHCPV6_REBIND, true, true},
		{DHCPV6_REQUEST, false, true},
		{DHCPV6_REQUEST, true, false},
		{DHCPV6_RENEW, false, true},
		{DHCPV6_RENEW, true, false},
		{DHCPV6_RELEASE, false, true},
		{DHCPV6_RELEASE, true, false},
		{DHCPV6_DECLINE, false, true},
		{DHCPV6_DECLINE, true, false},
		{DHCPV6_ADVERTISE, true, true},
		{DHCPV6_REPLY, true, true},
		{DHCPV6_RECONFIGURE, true, true},
		{12, true, false},
		{13, true, false},
		{0, true, false},
		{255, true, true},
	};
	struct front *f = *state;
	struct dhcpv6_ask a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		dhcpv6_start(&a, bad[i].type, bad[i].client, bad[i].server);
		dhcpv6_put_ia(&a, 3, 1, "2001:db8::5", NULL);
		dhcpv6_assert_dropped(f, &a);
	}
}

static void test_a_cut_message_is_dropped_at_every_length(void **state)
{
	struct front *f = *state;
	struct dhcpv6_ask a, whole;

	dhcpv6_start(&whole, DHCPV6_REQUEST, true, true);
	dhcpv6_put_ia(&whole, 3, 1, "2001:db8::5", NULL);
	for (size_t len = 0; len < whole.len; len++) {
		/* Two identifiers are a message, if not much of one. */
		if (len == 4 + 14 + 14)
			continue;
		a = whole;
		a.len = len;
		dhcpv6_assert_dropped(f, &a);
	}
	dhcpv6_send(f, &whole);
	dhcpv6_assert_lease(dhcpv6_answer(f, DHCPV6_REPLY));
}

static void test_options_of_hostile_lengths_are_dropped(void **state)
{
	static const struct {
		uint16_t code;
		size_t len;
		uint8_t data[48];
	} bad[] = {
		{1, 0, {0}},                      /* no identifier */
		{6, 3, {0, 23, 0}},               /* half a code */
		{39, 0, {0}},                     /* no flags */
		{3, 11, {0}},                     /* cut association */
		{4, 3, {0}},                      /* the same */
		{25, 11, {0}},                    /* the same */
		{3, 13, {0}},                     /* one byte of an option */
		{3, 16, {[13] = 5, [15] = 1}},    /* beyond the association */
		{3, 39, {[13] = 5, [15] = 23}},   /* cut address */
		{4, 8, {[5] = 5}},                /* empty address */
		{3, 16, {[12] = 0xff, [15] = 9}}, /* beyond, unknown */
	};
	struct front *f = *state;
	uint8_t long_id[131] = {0};
	struct dhcpv6_ask a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		dhcpv6_start(&a, DHCPV6_SOLICIT, true, false);
		dhcpv6_put(&a, bad[i].code, bad[i].data, bad[i].len);
		dhcpv6_assert_dropped(f, &a);
	}
	dhcpv6_start(&a, DHCPV6_SOLICIT, false, false);
	dhcpv6_put(&a, 1, long_id, sizeof(long_id));
	dhcpv6_assert_dropped(f, &a);
	dhcpv6_start(&a, DHCPV6_SOLICIT, false, false);
	dhcpv6_put(&a, 1, long_id, sizeof(long_id) - 1);
	dhcpv6_send(f, &a);
	assert_int_equal(
		dhcpv6_option(dhcpv6_answer(f, DHCPV6_ADVERTISE), 1).left, 130);
}

static void test_an_answer_never_outgrows_its_packet(void **state)
{
	struct front *f = *state;
	uint8_t id[130] = {0};
	struct dhcpv6_ask a;

	f->plan.offer.dns_count = 0;
	while (f->plan.offer.dns_count < PLAN_DNS_MAX)
		f->plan.offer.dns[f->plan.offer.dns_count++] =
			frames_addr("2001:db8::53");
	f->plan.offer.search_len = PLAN_SEARCH_MAX;
	for (int i = 0; i < 2; i++) {
		dhcpv6_start(&a, DHCPV6_SOLICIT, false, false);
		dhcpv6_put(&a, 1, id, sizeof(id));
		dhcpv6_put_ia(&a, 3, 1, NULL, NULL);
		while (a.len < 1400)
			dhcpv6_put_ia(&a, i ? 4 : 3, 2, NULL, NULL);
		dhcpv6_send(f, &a);
		assert_int_equal(
			dhcpv6_option(dhcpv6_answer(f, DHCPV6_ADVERTISE), 3)
				.left,
			40);
	}
	dhcpv6_start(&a, DHCPV6_REBIND, true, false);
	for (int i = 0; i < 12; i++)
		dhcpv6_put_ia(&a, 3, 1, "fd00::1", "fd00::2");
	dhcpv6_send(f, &a);
	assert_int_equal(dhcpv6_option(dhcpv6_answer(f, DHCPV6_REPLY), 3).left,
			 12 + 3 * 28);
	assert_int_equal(front_drops(f), 0);
}

static void test_without_a_server_its_group_is_not_listened_to(void **state)
{
	struct front *f = *state;
	struct dhcpv6_ask a;

	dhcpv6_start(&a, DHCPV6_SOLICIT, true, false);
	f->plan.offer.dhcp6 = false;
	dhcpv6_send(f, &a);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_IP_DEST], 1);
}

static void test_the_group_has_one_port_and_others_have_none(void **state)
{
	static const struct {
		const char *src, *dst;
		uint16_t port;
		enum count_reason why;
	} rows[] = {
		{DHCPV6_CLIENT, DHCPV6_SERVERS, 546, COUNT_DROP_IP_DEST},
		{DHCPV6_CLIENT, DHCPV6_SERVERS, 53, COUNT_DROP_IP_DEST},
		{DHCPV6_CLIENT, "ff02::1", 547, COUNT_DROP_IP_DEST},
		{DHCPV6_CLIENT, "ff05::1:3", 547, COUNT_DROP_IP_DEST},
		{"::", DHCPV6_SERVERS, 547, COUNT_DROP_IP_SOURCE},
		{"2001:db8:1::1", DHCPV6_SERVERS, 547, COUNT_DROP_IP_SOURCE},
		{"fe80::1", DHCPV6_SERVERS, 547, COUNT_DROP_IP_SOURCE},
	};
	struct front *f = *state;
	struct frames_buf b;
	struct dhcpv6_ask a;

	dhcpv6_start(&a, DHCPV6_SOLICIT, true, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = f->count.v[rows[i].why];

		frames_udp(&b, rows[i].src, 546, rows[i].dst, rows[i].port,
			   a.data, a.len);
		front_give(f, &b);
		assert_int_equal(f->sink.n, 0);
		assert_int_equal(f->count.v[rows[i].why], before + 1);
	}
}

#define DHCP_TEST(t)                                                           \
	cmocka_unit_test_setup_teardown(t, dhcpv6_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DHCP_TEST(test_another_servers_client_is_left_alone),
		DHCP_TEST(test_identifiers_that_break_the_rules_are_dropped),
		DHCP_TEST(test_a_cut_message_is_dropped_at_every_length),
		DHCP_TEST(test_options_of_hostile_lengths_are_dropped),
		DHCP_TEST(test_an_answer_never_outgrows_its_packet),
		DHCP_TEST(test_without_a_server_its_group_is_not_listened_to),
		DHCP_TEST(test_the_group_has_one_port_and_others_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
