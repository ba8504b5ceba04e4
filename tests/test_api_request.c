#include "port/api_request.h"
#include "tests/request_rig.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_errors_have_the_words_that_clients_know(void **state)
{
	struct request_rig *rig = *state;
	static const struct {
		const char *text, *want;
	} table[] = {
		{"", "cannot parse JSON"},
		{" \n", "cannot parse JSON"},
		{"rubbish", "cannot parse JSON"},
		{"{", "cannot parse JSON"},
		{"{\"execute\":\"list_hostfwd\"", "cannot parse JSON"},
		{"[]", "json_object() failed"},
		{"7", "json_object() failed"},
		{"null", "json_object() failed"},
		{"\"list_hostfwd\"", "json_object() failed"},
		{"[{\"execute\":\"list_hostfwd\"}]", "json_object() failed"},
		{"{}", "no execute found"},
		{"{\"Execute\":\"list_hostfwd\"}", "no execute found"},
		{"{\"execute\":7}", "no execute found"},
		{"{\"execute\":null}", "no execute found"},
		{"{\"execute\":[\"list_hostfwd\"]}", "no execute found"},
		{"{\"execute\":\"\"}", "unknown execute"},
		{"{\"execute\":\"LIST_HOSTFWD\"}", "unknown execute"},
		{"{\"execute\":\"list_hostfwd \"}", "unknown execute"},
		{"{\"execute\":\"remove_hostfwd\",\"arguments\":{\"id\":1}}",
		 "remove_hostfwd: bad arguments.id"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char want[128];

		snprintf(want, sizeof(want), "bad request: %s", table[i].want);
		request_rig_expect_error(rig, table[i].text,
					 strlen(table[i].text), want, true);
	}
	assert_int_equal(rig->env.forwards->adds, 0);
}

static void test_a_request_that_is_too_large_has_its_error(void **state)
{
	char *reply = api_request_too_large();

	assert_string_equal(
		reply,
		"{\"error\":{\"desc\":\"bad request: too large message\"}}");
	free(reply);
}

static void test_arguments_are_looked_at_in_slirp4netns_s_order(void **state)
{
	struct request_rig *rig = *state;
	static const struct {
		const char *args, *field;
	} table[] = {
		{"'proto':'x','host_addr':'x','host_port':0.5,'guest_addr':'x'",
		 "proto"},
		{"'proto':'tcp','host_addr':'x','host_port':-1,'guest_addr':'"
		 "x'",
		 "host_addr"},
		{"'proto':'tcp','host_port':-1,'guest_addr':'x'", "host_port"},
		{"'proto':'tcp','host_port':1,'guest_addr':'x','guest_port':0",
		 "guest_addr"},
		{"'proto':'tcp','host_port':1,'guest_port':0,"
		 "'host_port_end':0,'follow':0",
		 "guest_port"},
		{"'proto':'tcp','host_port':1,'guest_port':1,"
		 "'host_port_end':0,'follow':0",
		 "host_port_end"},
		{"'proto':'tcp','host_port':1,'guest_port':1,'follow':0",
		 "follow"},
	};

	/* what no port is bound for comes before the bind */
	rig->env.forwards->refuse = "not asked";
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char want[64];

		snprintf(want, sizeof(want),
			 "bad arguments.%s: ", table[i].field);
		request_rig_refused(rig, table[i].args, want);
	}
}

static void test_what_is_no_proto_is_refused(void **state)
{
	struct request_rig *rig = *state;
	static const char *const protos[] = {"",
					     "'proto':null,",
					     "'proto':'',",
					     "'proto':6,",
					     "'proto':'TCP',",
					     "'proto':'sctp',",
					     "'proto':'tcp5',",
					     "'proto':'tcp ',",
					     "'proto':['tcp'],",
					     "'proto':true,",
					     "'proto':'udp46',"};

	for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++) {
		char args[128];

		snprintf(args, sizeof(args), "%s'host_port':1,'guest_port':1",
			 protos[i]);
		request_rig_refused(rig, args, "bad arguments.proto");
	}
	request_rig_expect_error(
		rig, "{\"execute\":\"add_hostfwd\"}", 25,
		"bad request: add_hostfwd: bad arguments.proto", false);
	request_rig_expect_error(
		rig, "{\"execute\":\"add_hostfwd\",\"arguments\":[1]}", 41,
		"bad request: add_hostfwd: bad arguments.proto", false);
}

/* Numbers that are no port, each as @field of an otherwise good request. */
static void refuse_ports(struct request_rig *rig, const char *field,
			 const char *rest)
{
	static const char *const values[] = {
		"-1",    "65536", "80.5", "1e999999", "1e99",
		"'80'",  "true",  "[80]", "{}",       "99999999999999999999",
		"-0.001"};
	char args[256], want[64];
	const char *text;

	snprintf(want, sizeof(want), "bad arguments.%s", field);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(args, sizeof(args), "%s,'%s':%s", rest, field,
			 values[i]);
		if (strcmp(values[i], "1e999999") != 0) {
			request_rig_refused(rig, args, want);
			continue;
		}
		text = request_rig_addition(args); /* no double can hold it */
		request_rig_expect_error(rig, text, strlen(text),
					 "bad request: cannot parse JSON",
					 true);
	}
}

static void test_what_is_no_port_is_refused(void **state)
{
	struct request_rig *rig = *state;

	refuse_ports(rig, "host_port", "'proto':'tcp','guest_port':1");
	refuse_ports(rig, "guest_port", "'proto':'tcp','host_port':1");
	refuse_ports(rig, "host_port_end",
		     "'proto':'tcp','host_port':1,'guest_port':1");
	request_rig_refused(rig, "'proto':'tcp','guest_port':1",
			    "bad arguments.host_port");
	request_rig_refused(rig,
			    "'proto':'tcp','host_port':null,'guest_port':1",
			    "bad arguments.host_port");
	request_rig_refused(rig, "'proto':'tcp','host_port':1",
			    "bad arguments.guest_port");
	request_rig_refused(rig, "'proto':'tcp','host_port':1,'guest_port':0",
			    "bad arguments.guest_port");
}

static void test_what_is_no_address_is_refused(void **state)
{
	struct request_rig *rig = *state;
	static const char *const values[] = {
		"'rubbish'",
		"'127.0.0.256'",
		"'127.1'",
		"' 127.0.0.1'",
		"'[::1'",
		"'::1]'",
		"'[127.0.0.1]'",
		"'::g'",
		"'[]'",
		"'::1%lo'",
		"'fe80::1%nosuch0'",
		"'fe80::1%'",
		"'%lo'",
		"7",
		"true",
		"['::1']",
		"'127.0.0.1:80'",
		"'0123456789012345678901234567890123456789012345678901234567'"};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char args[256];

		snprintf(args, sizeof(args), REQUEST_RIG_GOOD ",'host_addr':%s",
			 values[i]);
		request_rig_refused(rig, args, "bad arguments.host_addr");
		snprintf(args, sizeof(args),
			 REQUEST_RIG_GOOD ",'guest_addr':%s", values[i]);
		request_rig_refused(rig, args, "bad arguments.guest_addr");
	}
	request_rig_refused(rig, REQUEST_RIG_GOOD ",'guest_addr':'lo'",
			    "bad arguments.guest_addr");
}

static void
test_the_reason_of_a_failed_bind_is_behind_the_known_words(void **state)
{
	struct request_rig *rig = *state;

	rig->env.forwards->refuse = "address in use: 0.0.0.0:8080 (tcp)";
	request_rig_expect(
		rig, request_rig_addition(REQUEST_RIG_GOOD),
		"{\"error\":{\"desc\":\"bad request: add_hostfwd: "
		"slirp_add_hostfwd failed: address in use: 0.0.0.0:8080 "
		"(tcp)\"}}");
	assert_int_equal(rig->env.forwards->adds, 1);
}

/* What rule_check() refuses never reaches the binding. */
static void test_rules_that_cannot_be_are_refused_with_the_reason(void **state)
{
	struct request_rig *rig = *state;

	request_rig_refused(
		rig, REQUEST_RIG_GOOD ",'guest_addr':'127.0.0.1'",
		"slirp_add_hostfwd failed: container address 127.0.0.1");
	request_rig_refused(rig, REQUEST_RIG_GOOD ",'host_addr':'224.0.0.1'",
			    "slirp_add_hostfwd failed: host address 224.0.0.1");
	request_rig_refused(rig, REQUEST_RIG_GOOD ",'host_addr':'fe80::1'",
			    "slirp_add_hostfwd failed: host address fe80::1");
	request_rig_refused(
		rig,
		"'proto':'tcp','host_port':1,'host_port_end':3,"
		"'guest_port':65534",
		"slirp_add_hostfwd failed: 3 ports from container port");
	request_rig_refused(
		rig,
		"'proto':'tcp','host_port':0,'host_port_end':3,"
		"'guest_port':80",
		"slirp_add_hostfwd failed: a range needs host ports");
}

static void test_a_reply_is_as_podman_and_rootlesskit_read_it(void **state)
{
	struct request_rig *rig = *state;
	const struct rule *r = request_rig_added(
		rig,
		"'proto':'tcp','host_addr':'127.0.0.1','host_port':8080,"
		"'guest_addr':'','guest_port':80",
		"{\"return\":{\"id\":1,\"host_port\":8080,"
		"\"host_addrs\":[\"127.0.0.1\"]}}");

	assert_int_equal(r->proto, RULE_TCP);
	assert_int_equal(r->families, RULE_IPV4);
	assert_int_equal(r->host_port, 8080);
	assert_int_equal(r->host_port_end, 8080);
	assert_int_equal(r->guest_port, 80);
	assert_false(r->follow);
	assert_true(addr_equal(&r->guest_addr, &in6addr_any));
	request_rig_added(rig, "'proto':'udp','host_port':9,'guest_port':90",
			  "{\"return\":{\"id\":2,\"host_port\":9,"
			  "\"host_addrs\":[\"0.0.0.0\",\"::\"]}}");
}

static void test_lists_have_both_shapes_in_one(void **state)
{
	struct request_rig *rig = *state;

	request_rig_expect(rig, "{\"execute\":\"list_hostfwd\"}",
			   "{\"return\":{\"entries\":[]},\"entries\":[]}");
	request_rig_add(rig, REQUEST_RIG_GOOD);
	request_rig_add(rig,
			"'proto':'udp','host_addr':'127.0.0.1','host_port':53,"
			"'guest_addr':'10.0.2.77','guest_port':5353");
#define ENTRIES                                                                \
	"[{\"id\":1,\"proto\":\"tcp\",\"host_addr\":\"0.0.0.0\","              \
	"\"host_port\":8080,\"guest_addr\":\"10.0.2.100\",\"guest_port\":80,"  \
	"\"host_addrs\":[\"0.0.0.0\",\"::\"]},"                                \
	"{\"id\":2,\"proto\":\"udp\",\"host_addr\":\"127.0.0.1\","             \
	"\"host_port\":53,\"guest_addr\":\"10.0.2.77\",\"guest_port\":5353,"   \
	"\"host_addrs\":[\"127.0.0.1\"]}]"
	request_rig_expect(rig,
			   "{\"execute\":\"list_hostfwd\",\"arguments\":7}",
			   "{\"return\":{\"entries\":" ENTRIES
			   "},\"entries\":" ENTRIES "}");
	assert_int_equal(rig->env.forwards->looks, 2);
}

static void test_a_rule_is_removed_by_its_id_once(void **state)
{
	struct request_rig *rig = *state;
	static const char *const bad[] = {"0",    "3",    "-1",        "1.5",
					  "'1'",  "true", "null",      "[1]",
					  "1e99", "{}",   "4294967297"};
	char text[128];

	request_rig_add(rig, REQUEST_RIG_GOOD);
	request_rig_add(rig, REQUEST_RIG_GOOD);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text),
			 "{\"execute\":\"remove_hostfwd\",\"arguments\":"
			 "{\"id\":%s}}",
			 bad[i]);
		for (char *c = text; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		request_rig_expect_error(
			rig, text, strlen(text),
			"bad request: remove_hostfwd: bad arguments.id", true);
	}
	assert_int_equal(rig->env.forwards->n, 2);
	snprintf(text, sizeof(text), "%s",
		 "{\"execute\":\"remove_hostfwd\",\"arguments\":{\"id\":1.0}}");
	request_rig_expect(rig, text, "{\"return\":{}}");
	assert_int_equal(rig->env.forwards->n, 1);
	assert_int_equal(rig->env.forwards->list[0].id, 2);
	request_rig_expect_error(
		rig, text, strlen(text),
		"bad request: remove_hostfwd: bad arguments.id", true);
}

static void test_what_is_not_known_does_not_matter(void **state)
{
	struct request_rig *rig = *state;

	request_rig_expect(
		rig,
		" \n\t{\"x\":[1,{\"y\":null}],\"huge\":99999999999999999999,"
		"\"execute\":\"list_hostfwd\"}\r\n and more",
		"{\"return\":{\"entries\":[]},\"entries\":[]}");
	request_rig_add(rig, REQUEST_RIG_GOOD
			",'z':{'proto':'x'},'host_addr':null,'guest_addr':null,"
			"'follow':null,'host_port_end':null");
	assert_int_equal(rig->env.forwards->list[0].rule.host_port_end, 8080);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, request_rig_setup,               \
					request_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_errors_have_the_words_that_clients_know),
		TEST(test_a_request_that_is_too_large_has_its_error),
		TEST(test_arguments_are_looked_at_in_slirp4netns_s_order),
		TEST(test_what_is_no_proto_is_refused),
		TEST(test_what_is_no_port_is_refused),
		TEST(test_what_is_no_address_is_refused),
		TEST(test_the_reason_of_a_failed_bind_is_behind_the_known_words),
		TEST(test_rules_that_cannot_be_are_refused_with_the_reason),
		TEST(test_a_reply_is_as_podman_and_rootlesskit_read_it),
		TEST(test_lists_have_both_shapes_in_one),
		TEST(test_a_rule_is_removed_by_its_id_once),
		TEST(test_what_is_not_known_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
