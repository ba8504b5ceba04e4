#include "port/api_request.h"
#include "tests/request_rig.h"
#include "tests/test.h"

#include "port/hostsock.h"

#include <stdio.h>

static void test_proto_words_name_protocol_and_families(void **state)
{
	struct request_rig *rig = *state;
	static const struct {
		const char *word;
		enum rule_proto proto;
		unsigned families;
	} table[] = {
		{"tcp", RULE_TCP, RULE_IPV4 | RULE_IPV6},
		{"udp", RULE_UDP, RULE_IPV4 | RULE_IPV6},
		{"tcp4", RULE_TCP, RULE_IPV4},
		{"udp4", RULE_UDP, RULE_IPV4},
		{"tcp6", RULE_TCP, RULE_IPV6},
		{"udp6", RULE_UDP, RULE_IPV6},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char args[128];
		const struct rule *r;
		json_t *entry;

		snprintf(args, sizeof(args),
			 "'proto':'%s','host_port':1,'guest_port':1",
			 table[i].word);
		r = request_rig_add(rig, args);
		assert_int_equal(r->proto, table[i].proto);
		assert_int_equal(r->families, table[i].families);
		entry = request_rig_entry(rig);
		assert_string_equal(request_rig_string(entry, "proto"),
				    table[i].word);
		assert_string_equal(request_rig_string(entry, "host_addr"),
				    table[i].families & RULE_IPV4 ? "0.0.0.0"
								  : "::");
		json_decref(entry);
		rig->env.forwards->n = 0;
	}
}

/* Absent, empty and 0.0.0.0 are three ways to say the same, in the families that
 * proto leaves. */
static void test_no_address_is_every_address_of_both_families(void **state)
{
	struct request_rig *rig = *state;
	static const char *const ways[] = {"", ",'host_addr':''",
					   ",'host_addr':'0.0.0.0'"};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		char args[128];
		const struct rule *r;

		snprintf(args, sizeof(args), REQUEST_RIG_GOOD "%s", ways[i]);
		r = request_rig_add(rig, args);
		assert_int_equal(r->families, RULE_IPV4 | RULE_IPV6);
		assert_true(addr_is_unspecified(&r->host_addr));
		assert_int_equal(r->ifname[0], '\0');
		snprintf(args, sizeof(args),
			 "'proto':'tcp4','host_port':1,'guest_port':1%s",
			 ways[i]);
		assert_int_equal(request_rig_add(rig, args)->families,
				 RULE_IPV4);
	}
	assert_int_equal(
		request_rig_add(rig,
				"'proto':'udp6','host_port':1,'guest_port':1,"
				"'host_addr':''")
			->families,
		RULE_IPV6);
	request_rig_refused(rig,
			    "'proto':'udp6','host_port':1,'guest_port':1,"
			    "'host_addr':'0.0.0.0'",
			    "bad arguments.host_addr");
}

static void test_every_ipv6_address_is_not_of_both_families(void **state)
{
	struct request_rig *rig = *state;
	const struct rule *r =
		request_rig_added(rig, REQUEST_RIG_GOOD ",'host_addr':'::'",
				  "{\"return\":{\"id\":1,\"host_port\":8080,"
				  "\"host_addrs\":[\"::\"]}}");
	json_t *entry = request_rig_entry(rig);

	assert_int_equal(r->families, RULE_IPV6);
	assert_string_equal(request_rig_string(entry, "proto"), "tcp6");
	assert_string_equal(request_rig_string(entry, "host_addr"), "::");
	json_decref(entry);
}

static void test_api_any_ipv4_brings_the_old_meaning_back(void **state)
{
	struct request_rig *rig = *state;
	json_t *entry;

	rig->env.any_is_ipv4 = true;
	request_rig_added(rig, REQUEST_RIG_GOOD ",'host_addr':'0.0.0.0'",
			  "{\"return\":{\"id\":1,\"host_port\":8080,"
			  "\"host_addrs\":[\"0.0.0.0\"]}}");
	entry = request_rig_entry(rig);
	assert_string_equal(request_rig_string(entry, "proto"), "tcp");
	assert_string_equal(request_rig_string(entry, "host_addr"), "0.0.0.0");
	json_decref(entry);
	assert_int_equal(request_rig_add(rig, REQUEST_RIG_GOOD)->families,
			 RULE_IPV4);
	assert_int_equal(
		request_rig_add(rig, REQUEST_RIG_GOOD ",'host_addr':''")
			->families,
		RULE_IPV4);
	/* who names a family, an address or an interface gets that */
	assert_int_equal(
		request_rig_add(rig,
				"'proto':'tcp6','host_port':1,'guest_port':1")
			->families,
		RULE_IPV6);
	assert_int_equal(
		request_rig_add(rig, REQUEST_RIG_GOOD ",'host_addr':'::1'")
			->families,
		RULE_IPV6);
	assert_int_equal(
		request_rig_add(rig, REQUEST_RIG_GOOD ",'host_addr':'lo'")
			->families,
		RULE_IPV4 | RULE_IPV6);
}

static void test_a_family_that_the_kernel_lacks_is_not_listed(void **state)
{
	struct request_rig *rig = *state;

	rig->env.forwards->absent = RULE_IPV6;
	request_rig_added(rig, REQUEST_RIG_GOOD,
			  "{\"return\":{\"id\":1,\"host_port\":8080,"
			  "\"host_addrs\":[\"0.0.0.0\"]}}");
}

static void test_addresses_are_of_the_proto_s_family(void **state)
{
	struct request_rig *rig = *state;
	static const struct {
		const char *proto, *addr;
	} table[] = {{"tcp4", "::1"},       {"tcp4", "[::1]"},
		     {"tcp4", "::"},        {"tcp6", "127.0.0.1"},
		     {"udp6", "192.0.2.1"}, {"udp4", "fe80::1%lo"}};
	char args[128];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(args, sizeof(args),
			 "'proto':'%s','host_addr':'%s','host_port':1,"
			 "'guest_port':1",
			 table[i].proto, table[i].addr);
		request_rig_refused(rig, args, "bad arguments.host_addr");
	}
}

static void test_ipv6_literals_are_addresses_on_both_sides(void **state)
{
	struct request_rig *rig = *state;
	struct in6_addr loopback = request_rig_address("::1"),
			guest = request_rig_address("fd00::64");
	json_t *entry;
	const struct rule *r = request_rig_added(
		rig,
		REQUEST_RIG_GOOD ",'host_addr':'::1','guest_addr':'[fd00::64]'",
		"{\"return\":{\"id\":1,\"host_port\":8080,"
		"\"host_addrs\":[\"::1\"]}}");

	assert_int_equal(r->families, RULE_IPV6);
	assert_true(addr_equal(&r->host_addr, &loopback));
	assert_true(addr_equal(&r->guest_addr, &guest));
	entry = request_rig_entry(rig);
	assert_string_equal(request_rig_string(entry, "proto"), "tcp");
	assert_string_equal(request_rig_string(entry, "host_addr"), "::1");
	assert_string_equal(request_rig_string(entry, "guest_addr"),
			    "fd00::64");
	json_decref(entry);
	r = request_rig_add(rig, "'proto':'udp6','host_port':1,'guest_port':1,"
				 "'host_addr':'[::1]'");
	assert_true(addr_equal(&r->host_addr, &loopback));
}

static void test_a_link_local_address_has_its_interface(void **state)
{
	struct request_rig *rig = *state;
	struct in6_addr bare = request_rig_address("fe80::1"), scoped;
	const struct rule *r = request_rig_added(
		rig, REQUEST_RIG_GOOD ",'host_addr':'fe80::1%lo'",
		"{\"return\":{\"id\":1,\"host_port\":8080,"
		"\"host_addrs\":[\"fe80::1%lo\"]}}");
	json_t *entry = request_rig_entry(rig);

	assert_int_equal(hostsock_scoped(&bare, "lo", &scoped), 0);
	assert_true(addr_equal(&r->host_addr, &scoped));
	assert_string_equal(request_rig_string(entry, "host_addr"),
			    "fe80::1%lo");
	json_decref(entry);
	/* so do those that an interface has */
	rig->env.forwards->extra.addr = scoped;
	request_rig_added(rig, REQUEST_RIG_GOOD ",'host_addr':'lo'",
			  "{\"return\":{\"id\":2,\"host_port\":8080,"
			  "\"host_addrs\":[\"fe80::1%lo\"]}}");
}

static void test_an_interface_is_a_host_address(void **state)
{
	struct request_rig *rig = *state;
	const struct rule *r;
	json_t *entry;

	rig->env.forwards->extra.addr = request_rig_address("127.0.0.1");
	r = request_rig_added(rig, REQUEST_RIG_GOOD ",'host_addr':'lo'",
			      "{\"return\":{\"id\":1,\"host_port\":8080,"
			      "\"host_addrs\":[\"127.0.0.1\"]}}");
	assert_string_equal(r->ifname, "lo");
	assert_int_equal(r->families, RULE_IPV4 | RULE_IPV6);
	entry = request_rig_entry(rig);
	assert_string_equal(request_rig_string(entry, "host_addr"), "lo");
	assert_string_equal(request_rig_string(entry, "proto"), "tcp");
	json_decref(entry);
	r = request_rig_add(rig, "'proto':'tcp4','host_port':1,'guest_port':1,"
				 "'host_addr':'lo'");
	assert_int_equal(r->families, RULE_IPV4);
	request_rig_refused(rig, REQUEST_RIG_GOOD ",'host_addr':'nosuch0'",
			    "bad arguments.host_addr");
}

static void test_host_port_0_is_answered_with_what_was_picked(void **state)
{
	struct request_rig *rig = *state;
	json_t *entry;

	request_rig_added(rig, "'proto':'tcp','host_port':0,'guest_port':80",
			  "{\"return\":{\"id\":1,\"host_port\":40000,"
			  "\"host_addrs\":[\"0.0.0.0\",\"::\"]}}");
	entry = request_rig_entry(rig);
	assert_int_equal(
		json_integer_value(json_object_get(entry, "host_port")),
		FAKE_FORWARD_PICKED);
	assert_null(json_object_get(entry, "host_port_end"));
	json_decref(entry);
}

static void test_host_port_end_makes_a_range(void **state)
{
	struct request_rig *rig = *state;
	json_t *entry;
	const struct rule *r = request_rig_added(
		rig,
		REQUEST_RIG_GOOD
		",'host_port_end':8082,'host_addr':'127.0.0.1'",
		"{\"return\":{\"id\":1,\"host_port\":8080,"
		"\"host_addrs\":[\"127.0.0.1\"],\"host_port_end\":8082}}");

	assert_int_equal(rule_ports(r), 3);
	entry = request_rig_entry(rig);
	assert_int_equal(
		json_integer_value(json_object_get(entry, "host_port_end")),
		8082);
	json_decref(entry);
	/* a range of one is none */
	r = request_rig_add(rig, REQUEST_RIG_GOOD ",'host_port_end':8080");
	assert_int_equal(rule_ports(r), 1);
	request_rig_refused(rig, REQUEST_RIG_GOOD ",'host_port_end':8079",
			    "bad arguments.host_port_end");
}

static void test_follow_is_the_rule_s_or_else_the_program_s(void **state)
{
	struct request_rig *rig = *state;
	json_t *entry;

	request_rig_added(
		rig, REQUEST_RIG_GOOD ",'follow':true",
		"{\"return\":{\"id\":1,\"host_port\":8080,"
		"\"host_addrs\":[\"0.0.0.0\",\"::\"],\"follow\":true}}");
	entry = request_rig_entry(rig);
	assert_true(json_is_true(json_object_get(entry, "follow")));
	json_decref(entry);
	assert_false(request_rig_add(rig, REQUEST_RIG_GOOD ",'follow':false")
			     ->follow);
	rig->env.follow = true;
	assert_true(request_rig_add(rig, REQUEST_RIG_GOOD)->follow);
	assert_false(request_rig_add(rig, REQUEST_RIG_GOOD ",'follow':false")
			     ->follow);
	request_rig_refused(rig, REQUEST_RIG_GOOD ",'follow':1",
			    "bad arguments.follow");
	request_rig_refused(rig, REQUEST_RIG_GOOD ",'follow':'true'",
			    "bad arguments.follow");
}

static void test_a_list_says_what_its_user_should_know(void **state)
{
	struct request_rig *rig = *state;
	json_t *entry;

	rig->env.forwards->note = "nothing listens on port 80";
	request_rig_add(rig, REQUEST_RIG_GOOD);
	entry = request_rig_entry(rig);
	assert_string_equal(request_rig_string(entry, "note"),
			    "nothing listens on port 80");
	json_decref(entry);
}

static void test_a_list_names_the_address_that_a_rule_leads_to(void **state)
{
	struct request_rig *rig = *state;
	json_t *entry;

	request_rig_add(rig, REQUEST_RIG_GOOD ",'guest_addr':'0.0.0.0'");
	assert_true(addr_equal(&rig->env.forwards->list[0].rule.guest_addr,
			       &in6addr_any));
	entry = request_rig_entry(rig);
	assert_string_equal(request_rig_string(entry, "guest_addr"),
			    "10.0.2.100");
	json_decref(entry);
	rig->env.forwards->guest = request_rig_address("10.0.2.15");
	entry = request_rig_entry(rig);
	assert_string_equal(request_rig_string(entry, "guest_addr"),
			    "10.0.2.15");
	json_decref(entry);
	rig->env.forwards->guest = in6addr_any;
	rig->plan.ipv4 = false;
	entry = request_rig_entry(rig);
	assert_string_equal(request_rig_string(entry, "guest_addr"),
			    "fd00::64");
	json_decref(entry);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, request_rig_setup,               \
					request_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_proto_words_name_protocol_and_families),
		TEST(test_no_address_is_every_address_of_both_families),
		TEST(test_every_ipv6_address_is_not_of_both_families),
		TEST(test_api_any_ipv4_brings_the_old_meaning_back),
		TEST(test_a_family_that_the_kernel_lacks_is_not_listed),
		TEST(test_addresses_are_of_the_proto_s_family),
		TEST(test_ipv6_literals_are_addresses_on_both_sides),
		TEST(test_a_link_local_address_has_its_interface),
		TEST(test_an_interface_is_a_host_address),
		TEST(test_host_port_0_is_answered_with_what_was_picked),
		TEST(test_host_port_end_makes_a_range),
		TEST(test_follow_is_the_rule_s_or_else_the_program_s),
		TEST(test_a_list_says_what_its_user_should_know),
		TEST(test_a_list_names_the_address_that_a_rule_leads_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
