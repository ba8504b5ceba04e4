#include "port/rule.h"
#include "tests/test.h"

#include <errno.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct in6_addr addr(const char *text)
{
	struct in6_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void test_what_users_type_means_what_they_mean(void **state)
{
	static const struct {
		const char *text;
		enum rule_proto proto;
		unsigned families;
		const char *host;
		uint16_t first, last, guest;
	} good[] = {
		{"8080:80", RULE_TCP, 3, "::", 8080, 8080, 80},
		{"8080:80/tcp", RULE_TCP, 3, "::", 8080, 8080, 80},
		{"8080:80/tcp4", RULE_TCP, 1, "::", 8080, 8080, 80},
		{"8080:80/udp6", RULE_UDP, 2, "::", 8080, 8080, 80},
		{"127.0.0.1:8080:80/udp", RULE_UDP, 1, "127.0.0.1", 8080, 8080,
		 80},
		{"127.0.0.1:8080:80/udp4", RULE_UDP, 1, "127.0.0.1", 8080, 8080,
		 80},
		{"[::1]:8080-8082:80-82", RULE_TCP, 2, "::1", 8080, 8082, 80},
		{"[::]:1-3:5/tcp6", RULE_TCP, 2, "::", 1, 3, 5},
		{"[::]:80:80", RULE_TCP, 2, "::", 80, 80, 80},
		{"0.0.0.0:80:80", RULE_TCP, 1, "0.0.0.0", 80, 80, 80},
		{":80", RULE_TCP, 3, "::", 0, 0, 80},
		{"80", RULE_TCP, 3, "::", 0, 0, 80},
		{"53/udp", RULE_UDP, 3, "::", 0, 0, 53},
		{"0:80", RULE_TCP, 3, "::", 0, 0, 80},
		{"127.0.0.1::80", RULE_TCP, 1, "127.0.0.1", 0, 0, 80},
		{"[::1]::80", RULE_TCP, 2, "::1", 0, 0, 80},
		{"5-5:9", RULE_TCP, 3, "::", 5, 5, 9},
		{"5:9-9", RULE_TCP, 3, "::", 5, 5, 9},
		{"1-65535:1-65535", RULE_TCP, 3, "::", 1, 65535, 1},
		{"65535:65535", RULE_TCP, 3, "::", 65535, 65535, 65535},
		{"00080:080", RULE_TCP, 3, "::", 80, 80, 80},
	};

	for (size_t i = 0; i < COUNT(good); i++) {
		struct in6_addr host = addr(good[i].host);
		struct fail why = {.text = ""};
		struct rule r;

		if (rule_parse(good[i].text, &r, &why))
			fail_msg("%s: %s", good[i].text, why.text);
		assert_int_equal(r.proto, good[i].proto);
		assert_int_equal(r.families, good[i].families);
		assert_true(addr_equal(&r.host_addr, &host));
		assert_string_equal(r.ifname, "");
		assert_int_equal(r.host_port, good[i].first);
		assert_int_equal(r.host_port_end, good[i].last);
		assert_int_equal(r.guest_port, good[i].guest);
		assert_true(addr_is_unspecified(&r.guest_addr));
		assert_false(r.follow);
	}
}

static void test_an_interface_may_stand_for_its_addresses(void **state)
{
	struct fail why;
	struct rule r;

	assert_int_equal(rule_parse("eth0:8080:80", &r, &why), 0);
	assert_string_equal(r.ifname, "eth0");
	assert_int_equal(r.families, RULE_IPV4 | RULE_IPV6);
	assert_int_equal(rule_parse("br-0123456789ab:1:1/udp6", &r, &why), 0);
	assert_string_equal(r.ifname, "br-0123456789ab");
	assert_int_equal(r.families, RULE_IPV6);
}

static void test_a_link_local_address_is_on_an_interface(void **state)
{
	struct in6_addr bare = addr("fe80::1");
	struct fail why;
	struct rule r;
	char buf[RULE_STRLEN];

	assert_int_equal(rule_parse("[fe80::1%lo]:80:80", &r, &why), 0);
	assert_int_equal(r.host_addr.s6_addr[7], if_nametoindex("lo"));
	assert_string_equal(rule_format(&r, buf),
			    "tcp [fe80::1%lo]:80 -> port 80");
	assert_int_equal(rule_parse("[fe80::1]:80:80", &r, &why), -EINVAL);
	assert_non_null(strstr(why.text, "[fe80::1%eth0]"));
	r.host_addr = bare;
	assert_int_equal(rule_check(&r, &why), -EINVAL);
}

static void test_a_refusal_names_text_part_and_expectation(void **state)
{
	static const struct {
		const char *text, *part, *said;
	} refused[] = {
		{"", "container port \"\"", "1 to 65535"},
		{":", "container port \"\"", "1 to 65535"},
		{"8080:", "container port \"\"", "1 to 65535"},
		{"a:b", "host port \"a\"", "1 to 65535"},
		{"eth0:80", "host port \"eth0\"", "1 to 65535"},
		{"80:b", "container port \"b\"", "1 to 65535"},
		{"8080:80/sctp", "protocol \"sctp\"", "tcp, udp"},
		{"8080:80/", "protocol \"\"", "tcp, udp"},
		{"8080:80/TCP", "protocol \"TCP\"", "tcp, udp"},
		{"70000:1", "host port \"70000\"", "1 to 65535"},
		{"1:65536", "container port \"65536\"", "1 to 65535"},
		{"4294967376:80", "host port \"4294967376\"", "1 to 65535"},
		{"-1:80", "host port \"-1\"", "1 to 65535"},
		{"+1:80", "host port \"+1\"", "1 to 65535"},
		{" 1:80", "host port \" 1\"", "1 to 65535"},
		{"1-:80", "host port \"1-\"", "as the last"},
		{"1-2-3:80", "host port \"1-2-3\"", "as the last"},
		{"5-3:1", "host port \"5-3\"", "ends before it starts"},
		{"1-3:1-2", "3 host ports and 2 container ports", "as many"},
		{"1:1-2", "1 host ports and 2 container ports", "as many"},
		{"65535-65536:1", "host port \"65535-65536\"", "as the last"},
		{"1-2:65535", "container port 65535", "beyond 65535"},
		{"80:0", "no container port", "1 to 65535"},
		{"80-82", "range", "no free one is picked"},
		{":80-82", "range", "no free one is picked"},
		{"0-5:80", "range", "no free one is picked"},
		{"::1:80:80", "address \"::1:80:80\"", "brackets"},
		{"fd00::1:80", "address \"fd00::1:80\"", "brackets"},
		{"1:2:3:4", "address \"1:2:3:4\"", "brackets"},
		{"[::1]:80", "\":80\"", "[ADDR]:HOST:CONTAINER"},
		{"[::1]80:80", "\"80:80\"", "[ADDR]:HOST:CONTAINER"},
		{"[::1:80:80", "address \"[::1:80:80\"", "not closed"},
		{"[eth0]:80:80", "address \"eth0\"", "IPv6 address in"},
		{"[1.2.3.4]:80:80", "address \"1.2.3.4\"", "IPv6 address in"},
		{"[::ffff:1.2.3.4]:1:1", "\"::ffff:1.2.3.4\"",
		 "IPv6 address in"},
		{"[fd00::1%lo]:80:80", "interface \"lo\"", "link-local"},
		{"[fe80::1%none0]:80:80", "interface \"none0\"",
		 "there is none"},
		{"1.2.3:80:80", "address \"1.2.3\"", "an interface"},
		{"1.2.3.400:80:80", "address \"1.2.3.400\"", "an interface"},
		{":80:80", "address \"\"", "an interface"},
		{"name-of-16-chars:80:80", "address \"name-of-16-chars\"",
		 "an interface"},
		{"e h:80:80", "address \"e h\"", "an interface"},
		{"127.0.0.1:80:80/tcp6", "protocol \"tcp6\"", "other family"},
		{"[::1]:80:80/udp4", "protocol \"udp4\"", "other family"},
		{"224.0.0.1:80:80/udp", "224.0.0.1", "nobody can listen"},
		{"255.255.255.255:80:80", "255.255.255.255", "nobody can"},
		{"[ff02::1]:80:80", "ff02::1", "nobody can listen"},
	};

	for (size_t i = 0; i < COUNT(refused); i++) {
		struct fail why = {.text = ""};
		struct rule r = {.guest_port = 4711};

		if (rule_parse(refused[i].text, &r, &why) != -EINVAL)
			fail_msg("%s: was taken", refused[i].text);
		if (strncmp(why.text + 1, refused[i].text,
			    strlen(refused[i].text)) != 0 ||
		    !strstr(why.text, refused[i].part) ||
		    !strstr(why.text, refused[i].said))
			fail_msg("%s: %s", refused[i].text, why.text);
		assert_int_equal(r.guest_port, 4711);
	}
}

static void test_a_text_of_any_length_is_refused_in_a_line(void **state)
{
	char text[4096];
	struct fail why;
	struct rule r;

	for (size_t n = 1; n < sizeof(text); n++) {
		memset(text, '8', n);
		text[n] = '\0';
		assert_int_equal(rule_parse(text, &r, &why),
				 n > 4 ? -EINVAL : 0);
	}
	assert_non_null(strstr(why.text, "too long"));
}

static void test_rules_read_as_sentences(void **state)
{
	static const char *const texts[][2] = {
		{"8080:80", "tcp 0.0.0.0:8080 and [::]:8080 -> port 80"},
		{"8080:80/udp4", "udp 0.0.0.0:8080 -> port 80"},
		{"8080:80/tcp6", "tcp [::]:8080 -> port 80"},
		{"127.0.0.1:1:2", "tcp 127.0.0.1:1 -> port 2"},
		{"[::1]:1-3:5", "tcp [::1]:1-3 -> ports 5-7"},
		{"1-3:1", "tcp 0.0.0.0:1-3 and [::]:1-3 -> ports 1-3"},
		{"eth0:53:53/udp", "udp eth0:53 -> port 53"},
		{"eth0:53:53/udp6", "udp6 eth0:53 -> port 53"},
	};
	char buf[RULE_STRLEN];
	struct fail why;
	struct rule r;

	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_int_equal(rule_parse(texts[i][0], &r, &why), 0);
		assert_string_equal(rule_format(&r, buf), texts[i][1]);
	}
	r = rule_default(RULE_TCP);
	r.host_port = r.host_port_end = 80;
	r.guest_port = 8080;
	r.guest_addr = addr("fd00::64");
	assert_string_equal(rule_format(&r, buf),
			    "tcp 0.0.0.0:80 and [::]:80 -> [fd00::64]:8080");
	r.host_port_end = 82;
	r.guest_addr = addr("10.0.2.100");
	r.families = RULE_IPV6;
	assert_string_equal(rule_format(&r, buf),
			    "tcp [::]:80-82 -> 10.0.2.100:8080-8082");
	r.host_addr = r.guest_addr =
		addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	r.host_port = r.guest_port = 60000;
	r.host_port_end = 65535;
	rule_format(&r, buf);
	assert_string_equal(buf + strlen(buf) - 11, "60000-65535");
}

static void
test_protocol_words_name_a_family_where_nothing_else_does(void **state)
{
	static const char *const words[] = {"tcp", "tcp4", "tcp6",
					    "udp", "udp4", "udp6"};
	struct rule r = rule_default(RULE_TCP);

	for (size_t i = 0; i < COUNT(words); i++) {
		assert_int_equal(rule_parse_proto(words[i], &r), 0);
		assert_string_equal(rule_proto_name(&r), words[i]);
	}
	assert_int_equal(rule_parse_proto("sctp", &r), -EINVAL);
	assert_int_equal(rule_parse_proto("tcp ", &r), -EINVAL);
	assert_string_equal(rule_proto_name(&r), "udp6");
	r.host_addr = in6addr_loopback;
	assert_string_equal(rule_proto_name(&r), "udp");
	strcpy(r.ifname, "lo");
	assert_string_equal(rule_proto_name(&r), "udp");
	r.host_addr = in6addr_any;
	assert_string_equal(rule_proto_name(&r), "udp6");
}

static struct rule http(void)
{
	struct rule r = rule_default(RULE_TCP);

	r.host_port = r.host_port_end = 8080;
	r.guest_port = 80;
	return r;
}

static void test_rules_filled_in_by_hand_are_checked(void **state)
{
	struct fail why;
	struct rule r = http();

	assert_int_equal(rule_check(&r, &why), 0);
	assert_int_equal(rule_ports(&r), 1);
	r.host_port = r.host_port_end = 0;
	assert_int_equal(rule_check(&r, &why), 0);
	assert_int_equal(rule_ports(&r), 1);
	r.host_port_end = 5;
	assert_int_equal(rule_check(&r, &why), -EINVAL);
	r = http();
	r.host_port_end = 0;
	assert_int_equal(rule_check(&r, &why), -EINVAL);
	r.host_port_end = 18079;
	assert_int_equal(rule_check(&r, &why), 0);
	assert_int_equal(rule_ports(&r), 10000);
	r.guest_port = 55536;
	assert_int_equal(rule_check(&r, &why), 0);
	r.guest_port = 55537;
	assert_int_equal(rule_check(&r, &why), -EINVAL);
	r = http();
	r.families = 0;
	assert_int_equal(rule_check(&r, &why), -EINVAL);
	r.families = 4;
	assert_int_equal(rule_check(&r, &why), -EINVAL);
}

/* The API's 0.0.0.0 with proto tcp is every address of both families. */
static void
test_either_unspecified_address_goes_with_both_families(void **state)
{
	struct fail why;
	struct rule r = http();

	r.host_addr = addr_from_v4(0);
	assert_int_equal(rule_check(&r, &why), 0);
	r.families = RULE_IPV6;
	assert_int_equal(rule_check(&r, &why), -EINVAL);
	assert_non_null(strstr(why.text, "IPv6 alone"));
	r.families = RULE_IPV4;
	assert_int_equal(rule_check(&r, &why), 0);
	r.host_addr = in6addr_any;
	assert_int_equal(rule_check(&r, &why), 0);
	r.host_addr = addr("10.1.2.3");
	assert_int_equal(rule_check(&r, &why), 0);
	r.families = RULE_IPV4 | RULE_IPV6;
	assert_int_equal(rule_check(&r, &why), -EINVAL);
	strcpy(r.ifname, "eth0");
	assert_int_equal(rule_check(&r, &why), -EINVAL);
	r.host_addr = addr_from_v4(0);
	assert_int_equal(rule_check(&r, &why), 0);
}

static void
test_an_interface_may_be_asked_for_one_of_its_addresses(void **state)
{
	char buf[RULE_STRLEN];
	struct fail why;
	struct rule r = http();

	strcpy(r.ifname, "eth0");
	r.host_addr = addr("10.1.2.3");
	r.families = RULE_IPV4;
	assert_int_equal(rule_check(&r, &why), 0);
	assert_string_equal(rule_format(&r, buf),
			    "tcp 10.1.2.3%eth0:8080 -> port 80");
	r.host_addr = addr("fd00::9");
	assert_int_equal(rule_check(&r, &why), -EINVAL);
	r.families = RULE_IPV6;
	assert_int_equal(rule_check(&r, &why), 0);
	assert_string_equal(rule_format(&r, buf),
			    "tcp [fd00::9%eth0]:8080 -> port 80");
}

static void test_what_is_best_effort_neither_follows_nor_picks(void **state)
{
	struct fail why;
	struct rule r = http();

	r.best_effort = true;
	assert_int_equal(rule_check(&r, &why), 0);
	r.follow = true;
	assert_int_equal(rule_check(&r, &why), -EINVAL);
	r = http();
	r.best_effort = true;
	r.host_port = r.host_port_end = 0;
	assert_int_equal(rule_check(&r, &why), -EINVAL);
}

static void test_an_address_that_no_service_can_have_is_refused(void **state)
{
	static const char *const refused[] = {"127.0.0.1", "::1", "224.0.0.1",
					      "ff02::1", "255.255.255.255"};
	struct fail why;
	struct rule r = http();

	for (size_t i = 0; i < COUNT(refused); i++) {
		r.guest_addr = addr(refused[i]);
		assert_int_equal(rule_check(&r, &why), -EINVAL);
		assert_non_null(strstr(why.text, refused[i]));
	}
	r.guest_addr = addr("10.0.2.100");
	assert_int_equal(rule_check(&r, &why), 0);
	r.guest_addr = addr_from_v4(0);
	assert_int_equal(rule_check(&r, &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_users_type_means_what_they_mean),
		cmocka_unit_test(test_an_interface_may_stand_for_its_addresses),
		cmocka_unit_test(test_a_link_local_address_is_on_an_interface),
		cmocka_unit_test(
			test_a_refusal_names_text_part_and_expectation),
		cmocka_unit_test(
			test_a_text_of_any_length_is_refused_in_a_line),
		cmocka_unit_test(test_rules_read_as_sentences),
		cmocka_unit_test(
			test_protocol_words_name_a_family_where_nothing_else_does),
		cmocka_unit_test(test_rules_filled_in_by_hand_are_checked),
		cmocka_unit_test(
			test_either_unspecified_address_goes_with_both_families),
		cmocka_unit_test(
			test_an_interface_may_be_asked_for_one_of_its_addresses),
		cmocka_unit_test(
			test_what_is_best_effort_neither_follows_nor_picks),
		cmocka_unit_test(
			test_an_address_that_no_service_can_have_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
