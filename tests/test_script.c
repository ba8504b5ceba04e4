#include "port/script.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct script *parse(const char *text)
{
	struct fail why = {.text = ""};
	struct script *s = script_parse(text, "host", &why);

	if (!s)
		print_message("%s\n", why.text);
	assert_non_null(s);
	return s;
}

static const struct script_action *find(const struct script *s,
					enum script_proto proto,
					const char *addr, uint16_t port)
{
	struct endpoint to = {.port = port};

	assert_int_equal(addr_parse(addr, &to.addr), 0);
	return script_find(s, proto, &to);
}

static void assert_bad(const char *text, const char *words)
{
	struct fail why;

	assert_null(script_parse(text, "host", &why));
	if (!strstr(why.text, words))
		fail_msg("'%s' says: %s", text, why.text);
}

static void test_without_a_rule_everything_echoes(void **state)
{
	struct script *s = parse("");

	assert_int_equal(find(s, SCRIPT_TCP, "192.0.2.1", 80)[0].verb,
			 SCRIPT_ECHO);
	assert_int_equal(find(NULL, SCRIPT_PING, "::1", 0)[0].verb,
			 SCRIPT_ECHO);
	assert_int_equal(find(NULL, SCRIPT_UDP, "::1", 5)[1].verb, SCRIPT_END);
	script_free(s);
}

static void test_the_first_rule_that_matches_decides(void **state)
{
	struct script *s = parse("# who answers\n"
				 "tcp 192.0.2.1:80 send 10, close\n"
				 "tcp 192.0.2.1 refuse\n"
				 "tcp *:22 timeout # filtered\n"
				 "\n"
				 "tcp [2001:db8::1]:80 reset\n"
				 "tcp 2001:db8::2 host-unreachable\n"
				 "udp * drop\r\n"
				 "ping 192.0.2.1 net-unreachable");
	const struct script_action *a = find(s, SCRIPT_TCP, "192.0.2.1", 80);

	assert_int_equal(a[0].verb, SCRIPT_SEND);
	assert_int_equal(a[0].n, 10);
	assert_int_equal(a[1].verb, SCRIPT_CLOSE);
	assert_int_equal(a[2].verb, SCRIPT_END);
	a = find(s, SCRIPT_TCP, "192.0.2.1", 22);
	assert_int_equal(a[0].verb, SCRIPT_FAIL);
	assert_int_equal(a[0].n, ECONNREFUSED);
	a = find(s, SCRIPT_TCP, "192.0.2.2", 22);
	assert_int_equal(a[0].n, ETIMEDOUT);
	assert_int_equal(find(s, SCRIPT_TCP, "2001:db8::1", 80)[0].verb,
			 SCRIPT_RESET);
	assert_int_equal(find(s, SCRIPT_TCP, "2001:db8::1", 81)[0].verb,
			 SCRIPT_ECHO);
	assert_int_equal(find(s, SCRIPT_TCP, "2001:db8::2", 9)[0].n,
			 EHOSTUNREACH);
	assert_int_equal(find(s, SCRIPT_UDP, "192.0.2.1", 80)[0].verb,
			 SCRIPT_DROP);
	assert_int_equal(find(s, SCRIPT_PING, "192.0.2.1", 0)[0].n,
			 ENETUNREACH);
	script_free(s);
}

static void test_actions_take_their_arguments(void **state)
{
	struct script *s =
		parse("tcp * after 250, wait 5, send 7 ,wait end,echo, close");
	const struct script_action *a = find(s, SCRIPT_TCP, "::1", 1);

	assert_int_equal(a[0].verb, SCRIPT_AFTER);
	assert_int_equal(a[0].n, 250 * NSEC_PER_MSEC);
	assert_int_equal(a[1].verb, SCRIPT_WAIT);
	assert_int_equal(a[1].n, 5);
	assert_int_equal(a[2].verb, SCRIPT_SEND);
	assert_int_equal(a[2].n, 7);
	assert_int_equal(a[3].verb, SCRIPT_WAIT_END);
	assert_int_equal(a[4].verb, SCRIPT_ECHO);
	assert_int_equal(a[5].verb, SCRIPT_CLOSE);
	assert_int_equal(a[6].verb, SCRIPT_END);
	script_free(s);
}

static void test_a_connection_may_fail_late_but_not_once_it_stands(void **state)
{
	struct script *s = parse("tcp * after 250, after 5, refuse");
	const struct script_action *a = find(s, SCRIPT_TCP, "::1", 1);

	assert_int_equal(a[1].verb, SCRIPT_AFTER);
	assert_int_equal(a[2].verb, SCRIPT_FAIL);
	assert_int_equal(a[2].n, ECONNREFUSED);
	script_free(s);
	assert_bad("tcp * after 5, wait 5, refuse", "can only stand alone");
}

static void test_bad_lines_say_where_and_what(void **state)
{
	char longest[700];

	assert_bad("tcp * echo\nicmp * echo", "host:2: 'icmp'");
	assert_bad("tcp", "want a target");
	assert_bad("tcp *", "an action is missing");
	assert_bad("tcp *:0 echo", "'*:0'");
	assert_bad("tcp 1.2.3 echo", "'1.2.3'");
	assert_bad("tcp [::1 echo", "want a target");
	assert_bad("tcp [::1]80 echo", "want a target");
	assert_bad("ping *:80 echo", "want a target");
	assert_bad("tcp * shout", "'shout' is no action of tcp");
	assert_bad("udp * too-big", "want bytes");
	assert_bad("tcp * too-big 1280", "'too-big' is no action of tcp");
	assert_bad("udp * close", "'close' is no action of udp");
	assert_bad("tcp * send", "want bytes");
	assert_bad("tcp * send x", "want bytes");
	assert_bad("tcp * send 5 6", "want bytes");
	assert_bad("tcp * send 2000000000", "want bytes");
	assert_bad("tcp * after 1h", "milliseconds");
	assert_bad("tcp * echo now", "want nothing");
	assert_bad("tcp * send 5, refuse", "can only stand alone");
	assert_bad("udp * echo, drop", "too many");
	assert_bad("tcp * close,close,close,close,close,close,close,close,"
		   "close,close,close,close,close,close,close,close,close",
		   "too many");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_bad(longest, "too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_rule_everything_echoes),
		cmocka_unit_test(test_the_first_rule_that_matches_decides),
		cmocka_unit_test(test_actions_take_their_arguments),
		cmocka_unit_test(
			test_a_connection_may_fail_late_but_not_once_it_stands),
		cmocka_unit_test(test_bad_lines_say_where_and_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
