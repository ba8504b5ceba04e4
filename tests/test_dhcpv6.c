#include "tests/dhcpv6_rig.h"

#include <string.h>

static void test_a_solicit_is_answered_with_the_one_address(void **state)
{
	struct front *f = *state;
	struct view v, preference;
	struct dhcpv6_ask a;

	dhcpv6_start(&a, DHCPV6_SOLICIT, true, false);
	dhcpv6_put_ia(&a, 3, 1, NULL, NULL);
	dhcpv6_send(f, &a);
	v = dhcpv6_answer(f, DHCPV6_ADVERTISE);
	dhcpv6_assert_lease(v);
	preference = dhcpv6_option(v, 7);
	assert_int_equal(preference.left, 1);
	assert_int_equal(preference.at[0], 255);
	assert_null(dhcpv6_option(v, 14).at);
	/* What it would like makes no difference. */
	dhcpv6_start(&a, DHCPV6_SOLICIT, true, false);
	dhcpv6_put_ia(&a, 3, 1, "2001:db8::77", "fd00::1");
	dhcpv6_send(f, &a);
	dhcpv6_assert_lease(dhcpv6_answer(f, DHCPV6_ADVERTISE));
	assert_int_equal(front_drops(f), 0);
}

static void test_rapid_commit_saves_two_messages(void **state)
{
	struct front *f = *state;
	struct view v;
	struct dhcpv6_ask a;

	dhcpv6_start(&a, DHCPV6_SOLICIT, true, false);
	dhcpv6_put(&a, 14, NULL, 0);
	dhcpv6_put_ia(&a, 3, 1, NULL, NULL);
	dhcpv6_send(f, &a);
	v = dhcpv6_answer(f, DHCPV6_REPLY);
	dhcpv6_assert_lease(v);
	assert_non_null(dhcpv6_option(v, 14).at);
	assert_int_equal(dhcpv6_option(v, 14).left, 0);
	assert_null(dhcpv6_option(v, 7).at);
}

static void test_request_renew_and_rebind_get_the_address(void **state)
{
	static const struct {
		uint8_t type;
		bool server;
	} rows[] = {{DHCPV6_REQUEST, true},
		    {DHCPV6_RENEW, true},
		    {DHCPV6_REBIND, false}};
	struct front *f = *state;
	struct dhcpv6_ask a;

	for (size_t i = 0; i < 3; i++) {
		dhcpv6_start(&a, rows[i].type, true, rows[i].server);
		dhcpv6_put_ia(&a, 3, 1, "2001:db8::5", NULL);
		dhcpv6_send(f, &a);
		dhcpv6_assert_lease(dhcpv6_answer(f, DHCPV6_REPLY));
		dhcpv6_start(&a, rows[i].type, true, rows[i].server);
		dhcpv6_put_ia(&a, 3, 1, NULL, NULL);
		dhcpv6_send(f, &a);
		dhcpv6_assert_lease(dhcpv6_answer(f, DHCPV6_REPLY));
	}
	assert_int_equal(front_drops(f), 0);
}

static void test_a_foreign_address_is_not_on_link(void **state)
{
	struct front *f = *state;
	struct dhcpv6_ask a;

	dhcpv6_start(&a, DHCPV6_REQUEST, true, true);
	dhcpv6_put_ia(&a, 3, 1, "2001:db8::5", "2001:db8:1::5");
	dhcpv6_send(f, &a);
	dhcpv6_assert_refused(dhcpv6_answer(f, DHCPV6_REPLY), 3, 0, 4);
}

static void test_a_renewing_client_loses_what_is_foreign(void **state)
{
	struct front *f = *state;
	struct view ia;
	struct dhcpv6_ask a;

	for (int i = 0; i < 2; i++) {
		dhcpv6_start(&a, i ? DHCPV6_REBIND : DHCPV6_RENEW, true, !i);
		dhcpv6_put_ia(&a, 3, 1, "fd00::9", "2001:db8::5");
		dhcpv6_send(f, &a);
		ia = dhcpv6_option(dhcpv6_answer(f, DHCPV6_REPLY), 3);
		assert_int_equal(ia.left, 12 + 2 * 28);
		dhcpv6_assert_addr(ia, 0, "2001:db8::5", UINT32_MAX);
		dhcpv6_assert_addr(ia, 1, "fd00::9", 0);
	}
}

static void test_confirm_tells_whether_the_address_still_holds(void **state)
{
	struct front *f = *state;
	struct view v;
	struct dhcpv6_ask a;

	dhcpv6_start(&a, DHCPV6_CONFIRM, true, false);
	dhcpv6_put_ia(&a, 3, 1, "2001:db8::5", NULL);
	dhcpv6_send(f, &a);
	v = dhcpv6_answer(f, DHCPV6_REPLY);
	dhcpv6_assert_client(v);
	dhcpv6_assert_status(v, 0);
	assert_null(dhcpv6_option(v, 3).at);
	dhcpv6_put_ia(&a, 3, 2, "2001:db8::6", NULL);
	dhcpv6_send(f, &a);
	dhcpv6_assert_status(dhcpv6_answer(f, DHCPV6_REPLY), 4);
	/* RFC 8415 18.3.3: no address, no answer. */
	dhcpv6_start(&a, DHCPV6_CONFIRM, true, false);
	dhcpv6_put_ia(&a, 3, 1, NULL, NULL);
	dhcpv6_send(f, &a);
	dhcpv6_assert_silence(f);
}

static void test_release_and_decline_are_acknowledged(void **state)
{
	struct front *f = *state;
	struct view v;
	struct dhcpv6_ask a;

	for (unsigned type = DHCPV6_RELEASE; type <= DHCPV6_DECLINE; type++) {
		dhcpv6_start(&a, (uint8_t)type, true, true);
		dhcpv6_put_ia(&a, 3, 1, "2001:db8::5", NULL);
		dhcpv6_send(f, &a);
		v = dhcpv6_answer(f, DHCPV6_REPLY);
		dhcpv6_assert_client(v);
		dhcpv6_assert_status(v, 0);
		assert_null(dhcpv6_option(v, 3).at);
		dhcpv6_put_ia(&a, 3, 2, "2001:db8::6", NULL);
		dhcpv6_put_ia(&a, 4, 3, NULL, NULL);
		dhcpv6_send(f, &a);
		v = dhcpv6_answer(f, DHCPV6_REPLY);
		dhcpv6_assert_status(v, 0);
		dhcpv6_assert_refused(v, 3, 0, 3);
		dhcpv6_assert_refused(v, 4, 0, 3);
	}
}

static void test_there_is_one_address_and_no_prefix(void **state)
{
	static const uint16_t codes[] = {3, 4, 25};
	struct front *f = *state;
	struct view v;
	struct dhcpv6_ask a;

	dhcpv6_start(&a, DHCPV6_SOLICIT, true, false);
	dhcpv6_put_ia(&a, 4, 7, NULL, NULL);
	dhcpv6_send(f, &a);
	dhcpv6_assert_refused(dhcpv6_answer(f, DHCPV6_ADVERTISE), 4, 0, 2);

	dhcpv6_start(&a, DHCPV6_SOLICIT, true, false);
	dhcpv6_put_ia(&a, 3, 1, NULL, NULL);
	for (size_t i = 0; i < 3; i++)
		dhcpv6_put_ia(&a, codes[i], 7, NULL, NULL);
	dhcpv6_send(f, &a);
	v = dhcpv6_answer(f, DHCPV6_ADVERTISE);
	dhcpv6_assert_lease(v);
	dhcpv6_assert_refused(v, 3, 1, 2);
	dhcpv6_assert_refused(v, 4, 0, 2);
	dhcpv6_assert_refused(v, 25, 0, 6);

	a.data[0] = DHCPV6_REBIND;
	dhcpv6_send(f, &a);
	v = dhcpv6_answer(f, DHCPV6_REPLY);
	dhcpv6_assert_lease(v);
	dhcpv6_assert_refused(v, 3, 1, 3);
	dhcpv6_assert_refused(v, 4, 0, 3);
	dhcpv6_assert_refused(v, 25, 0, 3);
}

static void test_an_information_request_gets_no_address(void **state)
{
	struct front *f = *state;
	struct view v;
	struct dhcpv6_ask a;

	dhcpv6_start(&a, DHCPV6_INFORMATION_REQUEST, false, false);
	dhcpv6_send(f, &a);
	v = dhcpv6_answer(f, DHCPV6_REPLY);
	assert_null(dhcpv6_option(v, 1).at);
	assert_null(dhcpv6_option(v, 3).at);
	assert_int_equal(dhcpv6_option(v, 23).left, 32);
	dhcpv6_start(&a, DHCPV6_INFORMATION_REQUEST, true, true);
	dhcpv6_send(f, &a);
	dhcpv6_assert_client(dhcpv6_answer(f, DHCPV6_REPLY));
	dhcpv6_put_ia(&a, 3, 1, NULL, NULL);
	dhcpv6_assert_dropped(f, &a);
}

static void assert_resolvers(struct view v)
{
	struct in6_addr want[] = {frames_addr("2001:db8::53"),
				  frames_addr("fd00::53")};
	struct view dns = dhcpv6_option(v, 23);

	assert_int_equal(dns.left, sizeof(want));
	assert_memory_equal(dns.at, want, sizeof(want));
}

static void test_resolvers_and_search_list_come_along(void **state)
{
	struct front *f = *state;
	struct view v, search;
	struct dhcpv6_ask a;

	dhcpv6_start(&a, DHCPV6_SOLICIT, true, false);
	dhcpv6_put_ia(&a, 3, 1, NULL, NULL);
	dhcpv6_send(f, &a);
	v = dhcpv6_answer(f, DHCPV6_ADVERTISE);
	assert_resolvers(v);
	search = dhcpv6_option(v, 24);
	assert_int_equal(search.left, 18);
	assert_memory_equal(search.at, "\3lan\0\7example\3net", 18);
	assert_null(dhcpv6_option(v, 39).at);
	/* What was not asked for is kept. */
	dhcpv6_put_wanted(&a, 23);
	dhcpv6_send(f, &a);
	v = dhcpv6_answer(f, DHCPV6_ADVERTISE);
	assert_resolvers(v);
	assert_null(dhcpv6_option(v, 24).at);
	/* What there is not, cannot be told. */
	f->plan.offer.dns_count = 0;
	f->plan.offer.search_len = 0;
	dhcpv6_start(&a, DHCPV6_INFORMATION_REQUEST, true, false);
	dhcpv6_send(f, &a);
	v = dhcpv6_answer(f, DHCPV6_REPLY);
	assert_null(dhcpv6_option(v, 23).at);
	assert_null(dhcpv6_option(v, 24).at);
}

static void test_a_client_that_asks_hears_its_name(void **state)
{
	/* It wants DNS to be told; its own idea of its name is ignored. */
	static const uint8_t hint[] = {1, 3, 'f', 'o', 'o'};
	static const uint8_t want[] = "\6\3box\7example\3net";
	struct front *f = *state;
	struct view name;
	struct dhcpv6_ask a;

	dhcpv6_start(&a, DHCPV6_SOLICIT, true, false);
	dhcpv6_put_ia(&a, 3, 1, NULL, NULL);
	dhcpv6_put(&a, 39, hint, sizeof(hint));
	dhcpv6_send(f, &a);
	name = dhcpv6_option(dhcpv6_answer(f, DHCPV6_ADVERTISE), 39);
	assert_int_equal(name.left, sizeof(want));
	assert_memory_equal(name.at, want, sizeof(want));

	dhcpv6_start(&a, DHCPV6_REQUEST, true, true);
	dhcpv6_put_wanted(&a, 39);
	dhcpv6_send(f, &a);
	name = dhcpv6_option(dhcpv6_answer(f, DHCPV6_REPLY), 39);
	assert_int_equal(name.left, sizeof(want));
	assert_int_equal(name.at[0], 4);
	f->plan.offer.fqdn[0] = 0;
	dhcpv6_send(f, &a);
	assert_null(dhcpv6_option(dhcpv6_answer(f, DHCPV6_REPLY), 39).at);
}

#define DHCP_TEST(t)                                                           \
	cmocka_unit_test_setup_teardown(t, dhcpv6_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DHCP_TEST(test_a_solicit_is_answered_with_the_one_address),
		DHCP_TEST(test_rapid_commit_saves_two_messages),
		DHCP_TEST(test_request_renew_and_rebind_get_the_address),
		DHCP_TEST(test_a_foreign_address_is_not_on_link),
		DHCP_TEST(test_a_renewing_client_loses_what_is_foreign),
		DHCP_TEST(test_confirm_tells_whether_the_address_still_holds),
		DHCP_TEST(test_release_and_decline_are_acknowledged),
		DHCP_TEST(test_there_is_one_address_and_no_prefix),
		DHCP_TEST(test_an_information_request_gets_no_address),
		DHCP_TEST(test_resolvers_and_search_list_come_along),
		DHCP_TEST(test_a_client_that_asks_hears_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
