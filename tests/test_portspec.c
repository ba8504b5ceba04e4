#include "port/portspec.h"

#include "port/hostsock.h"
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What the tests take for ephemeral, whatever the machine's own are. */
static struct portspec make(void)
{
	struct portspec s;

	portspec_init(&s, "-t");
	memset(&s.ephemeral, 0, sizeof(s.ephemeral));
	portset_add(&s.ephemeral, 32768, 60999);
	return s;
}

/* All rules as one text: as rule_format() and what it leaves out. */
static const char *format(const struct portspec *s, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < s->rule_count && n < size; i++) {
		const struct rule *r = &s->rules[i];
		char text[RULE_STRLEN];

		n += (size_t)snprintf(buf + n, size - n, "%s%s%s",
				      n ? "; " : "", rule_format(r, text),
				      r->best_effort ? " (best effort)" : "");
	}
	return buf;
}

struct spec {
	const char *text[3]; /* arguments, in their order */
	const char *rules;
};

static void check_good(const struct spec *spec)
{
	struct portspec s = make();
	struct fail why = {.text = ""};
	char rules[1024];

	for (size_t i = 0; i < 3 && spec->text[i]; i++) {
		if (portspec_add(&s, spec->text[i], RULE_TCP, &why))
			fail_msg("%s: %s", spec->text[i], why.text);
	}
	assert_string_equal(format(&s, rules, sizeof(rules)), spec->rules);
	assert_int_equal(s.auto_count, 0);
	assert_true(s.given);
	portspec_fini(&s);
}

#define EVERY(port) "tcp 0.0.0.0:" port " and [::]:" port " -> port "

static void test_every_form_of_the_grammar_is_a_rule(void **state)
{
	static const struct spec good[] = {
		{{"none"}, ""},
		{{"22"}, EVERY("22") "22"},
		{{"22:23"}, EVERY("22") "23"},
		{{"65535"}, EVERY("65535") "65535"},
		{{"022"}, EVERY("22") "22"},
		{{"22,25"}, EVERY("22") "22; " EVERY("25") "25"},
		{{"22", "25"}, EVERY("22") "22; " EVERY("25") "25"},
		{{"22-80"}, "tcp 0.0.0.0:22-80 and [::]:22-80 -> ports 22-80"},
		{{"22-80:32-90"},
		 "tcp 0.0.0.0:22-80 and [::]:22-80 -> ports 32-90"},
		{{"8080-8080:80-80"}, EVERY("8080") "80"},
		{{"1-65535"},
		 "tcp 0.0.0.0:1-65535 and [::]:1-65535 -> ports 1-65535"},
		{{"127.0.0.1/8080:80"}, "tcp 127.0.0.1:8080 -> port 80"},
		{{"::1/8080-8080:80-80"}, "tcp [::1]:8080 -> port 80"},
		{{"[::1]/8080-8080:80-80"}, "tcp [::1]:8080 -> port 80"},
		{{"2001:db8::1/80"}, "tcp [2001:db8::1]:80 -> port 80"},
		{{"0.0.0.0/80"}, "tcp 0.0.0.0:80 -> port 80"},
		{{"::/80"}, "tcp [::]:80 -> port 80"},
		{{"%lo/22"}, "tcp lo:22 -> port 22"},
		{{"0.0.0.0%lo/22"}, "tcp4 lo:22 -> port 22"},
		{{"::%lo/22"}, "tcp6 lo:22 -> port 22"},
		{{"192.0.2.1%eth0/22:23"}, "tcp 192.0.2.1%eth0:22 -> port 23"},
		{{"::1%lo/22"}, "tcp [::1%lo]:22 -> port 22"},
		{{"[::1%lo]/22"}, "tcp [::1%lo]:22 -> port 22"},
		{{"[::1]%lo/22"}, "tcp [::1%lo]:22 -> port 22"},
		{{"80:10.0.2.9/81"},
		 "tcp 0.0.0.0:80 and [::]:80 -> "
		 "10.0.2.9:81"},
		{{"80-81:10.0.2.9/90-91"},
		 "tcp 0.0.0.0:80-81 and [::]:80-81 -> 10.0.2.9:90-91"},
		{{"80:[fd00::9]/81"},
		 "tcp 0.0.0.0:80 and [::]:80 -> [fd00::9]:81"},
		{{"::1/80:fd00::9/81"}, "tcp [::1]:80 -> [fd00::9]:81"},
		{{"70,80:10.0.2.9/81"},
		 EVERY("70") "70; tcp 0.0.0.0:80 and [::]:80 -> 10.0.2.9:81"},
		{{"127.0.0.1/22,25:26"},
		 "tcp 127.0.0.1:22 -> port 22; tcp 127.0.0.1:25 -> port 26"},
	};

	for (size_t i = 0; i < COUNT(good); i++)
		check_good(&good[i]);
}

static void test_what_is_excluded_is_left_out_wherever_it_stands(void **state)
{
	static const struct spec good[] = {
		{{"127.0.0.1/2000-5000,~3000-3010"},
		 "tcp 127.0.0.1:2000-2999 -> ports 2000-2999; "
		 "tcp 127.0.0.1:3011-5000 -> ports 3011-5000"},
		{{"192.0.2.1/~25,20-30:120-130"},
		 "tcp 192.0.2.1:20-24 -> ports 120-124; "
		 "tcp 192.0.2.1:26-30 -> ports 126-130"},
		{{"::1/20-22,~20,~22"}, "tcp [::1]:21 -> port 21"},
		{{"::1/20-22,~1-30"}, ""},
		{{"::1/20-22,~20-22,30"}, "tcp [::1]:30 -> port 30"},
		{{"::1/20-22,~65535"}, "tcp [::1]:20-22 -> ports 20-22"},
		/* of its own argument only */
		{{"::1/20-22,~21", "127.0.0.1/21"},
		 "tcp [::1]:20 -> port 20; tcp [::1]:22 -> port 22; "
		 "tcp 127.0.0.1:21 -> port 21"},
	};

	for (size_t i = 0; i < COUNT(good); i++)
		check_good(&good[i]);
}

static void test_all_is_every_port_that_is_not_ephemeral(void **state)
{
	static const struct spec good[] = {
		{{"::1/all"},
		 "tcp [::1]:1-32767 -> ports 1-32767 (best effort); "
		 "tcp [::1]:61000-65535 -> ports 61000-65535 (best effort)"},
		{{"::1/~1-60000"},
		 "tcp [::1]:61000-65535 -> ports 61000-65535 (best effort)"},
		{{"::1/all,~100-65535"},
		 "tcp [::1]:1-99 -> ports 1-99 (best effort)"},
		{{"::1/~100-65535,all"},
		 "tcp [::1]:1-99 -> ports 1-99 (best effort)"},
		{{"::1/all:10.0.2.9,~3-65535"},
		 "tcp [::1]:1-2 -> 10.0.2.9:1-2 (best effort)"},
		/* the ones that are named come first */
		{{"::1/~3-65535", "::1/2:80", "::1/40000"},
		 "tcp [::1]:2 -> port 80; tcp [::1]:40000 -> port 40000; "
		 "tcp [::1]:1-2 -> ports 1-2 (best effort)"},
		{{"::1/all,2:80,~3-65535"},
		 "tcp [::1]:2 -> port 80; "
		 "tcp [::1]:1-2 -> ports 1-2 (best effort)"},
	};

	for (size_t i = 0; i < COUNT(good); i++)
		check_good(&good[i]);
}

/* Engines pass it behind what a user has asked for. */
static void test_none_adds_nothing_and_is_at_one_with_everything(void **state)
{
	static const struct spec good[] = {
		{{"22", "none"}, EVERY("22") "22"},
		{{"none", "22", "none"}, EVERY("22") "22"},
		{{"none", "none"}, ""},
		{{"127.0.0.1/none"}, ""},
	};
	struct portspec s = make();
	struct fail why;

	for (size_t i = 0; i < COUNT(good); i++)
		check_good(&good[i]);
	assert_false(s.given);
	assert_int_equal(portspec_add(&s, "auto", RULE_TCP, &why), 0);
	assert_int_equal(portspec_add(&s, "none", RULE_TCP, &why), 0);
	assert_int_equal(s.auto_count, 1);
	portspec_fini(&s);
}

static const struct {
	const char *text, *word;
} wrong[] = {
	{"", "\"\""},
	{",", "\"\""},
	{"22,", "\"\""},
	{",22", "\"\""},
	{"0", "\"0\""},
	{"22:0", "\"0\""},
	{"0-5", "\"0-5\""},
	{"65536", "\"65536\""},
	{"4294967318", "\"4294967318\""},
	{"22:70000", "\"70000\""},
	{"80-70", "\"80-70\""},
	{"80-90:100", "\"100\""},
	{"80-90:100-109", "\"100-109\""},
	{"80:100-101", "\"100-101\""},
	{"80-", "\"80-\""},
	{"-80", "\"-80\""},
	{"80--90", "\"80--90\""},
	{"1-2-3", "\"1-2-3\""},
	{"80:", "\"\""},
	{":80", "\"\""},
	{"80:90:100", "\"90:100\""},
	{" 80", "\" 80\""},
	{"80 ", "\"80 \""},
	{"+80", "\"+80\""},
	{"0x50", "\"0x50\""},
	{"foo", "\"foo\""},
	{"AUTO", "\"AUTO\""},
	{"none,80", "\"none\""},
	{"80,none", "\"none\""},
	{"all:", "\"\""},
	{"all:80", "\"80\""},
	{"~", "\"\""},
	{"~0", "\"0\""},
	{"~all", "\"all\""},
	{"~22:23", "\"22:23\""},
	{"~30-20", "\"30-20\""},
	{"foo/80", "\"foo\""},
	{"/80", "\"\""},
	{"127.0.0.1/", "\"\""},
	{"127.0.0.1", "\"127.0.0.1\""},
	{"127.0.0.256/80", "\"127.0.0.256\""},
	{"[::1/80", "\"[::1\""},
	{"::1]/80", "\"::1]\""},
	{"[127.0.0.1]/80", "\"[127.0.0.1\""},
	{"224.0.0.1/80", "\"80\""},
	{"%/80", "\"\""},
	{"127.0.0.1%/80", "\"\""},
	{"%an-interface-name/80", "\"an-interface-name\""},
	{"% /80", "\" \""},
	{"fe80::1%none-such/80", "\"none-such\""},
	{"fe80::1/80", "\"80\""},
	{"80:foo/80", "\"foo\""},
	{"80:10.0.2.300/80", "\"10.0.2.300\""},
	{"80:10.0.2.9/", "\"\""},
	{"80:127.0.0.1/80", "\"80\""},
	{"80:/80", "\"\""},
	{"22,22", "\"22\""},
	{"22-30,25", "\"25\""},
	{"22,127.0.0.1/22", "\"127.0.0.1/22\""},
	{"all,all", "\"all\""},
	{"auto,auto", "\"auto\""},
};

static void test_what_makes_no_sense_is_refused_by_name(void **state)
{
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct portspec s = make();
		struct fail why = {.text = ""};

		if (portspec_add(&s, wrong[i].text, RULE_TCP, &why) != -EINVAL)
			fail_msg("\"%s\" was taken", wrong[i].text);
		if (!strstr(why.text, wrong[i].word) ||
		    strncmp(why.text, "-t ", 3) != 0 ||
		    !strstr(why.text, wrong[i].text))
			fail_msg("\"%s\": %s", wrong[i].text, why.text);
		assert_int_equal(s.rule_count, 0);
		assert_int_equal(s.auto_count, 0);
		assert_false(s.given);
		portspec_fini(&s);
	}
}

static void test_ports_at_one_address_are_asked_for_once(void **state)
{
	static const struct {
		const char *first, *second;
		bool refused;
	} pairs[] = {
		{"80", "80", true},
		{"80:81", "80:82", true},
		{"80", "81", false},
		{"80-90", "85-95", true},
		{"80-90", "91-95", false},
		{"80", "127.0.0.1/80", true},
		{"::1/80", "80", true},
		{"0.0.0.0/80", "127.0.0.1/80", true},
		{"0.0.0.0/80", "::/80", false},
		{"0.0.0.0/80", "::1/80", false},
		{"127.0.0.1/80", "::1/80", false},
		{"127.0.0.1/80", "127.0.0.2/80", false},
		{"%lo/80", "%lo/80", true},
		{"%lo/80", "%eth0/80", false},
		{"%lo/80", "80", true},
		{"%lo/80", "127.0.0.1%lo/80", true},
		{"::1%lo/80", "127.0.0.1%lo/80", false},
		{"80-90,~85", "85", false},
		{"80", "all", false},
		{"all", "80", false},
		{"all", "all", true},
		{"all", "~22", true},
		{"::1/all", "127.0.0.1/~22", false},
		{"auto", "auto", true},
		{"auto", "127.0.0.1/auto", true},
		{"::1/auto", "127.0.0.1/auto", false},
		{"auto", "22", false},
		{"22", "auto", false},
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct portspec s = make();
		struct fail why = {.text = "taken"};
		int err;

		assert_int_equal(
			portspec_add(&s, pairs[i].first, RULE_TCP, &why), 0);
		err = portspec_add(&s, pairs[i].second, RULE_TCP, &why);
		if ((err == -EINVAL) != pairs[i].refused)
			fail_msg("%s and %s: %s", pairs[i].first,
				 pairs[i].second, why.text);
		portspec_fini(&s);
	}
}

static void test_tcp_and_udp_do_not_overlap(void **state)
{
	struct portspec s = make();
	struct fail why;

	assert_int_equal(portspec_add(&s, "53,auto", RULE_TCP, &why), 0);
	assert_int_equal(portspec_add(&s, "53,auto", RULE_UDP, &why), 0);
	assert_int_equal(s.rules[1].proto, RULE_UDP);
	assert_int_equal(s.autos[1].where.proto, RULE_UDP);
	portspec_fini(&s);
}

static void test_an_argument_that_is_refused_leaves_nothing(void **state)
{
	static const char *const refused[] = {"90,auto,all,80", "1-70,~5,foo",
					      "::1/90,all,0"};
	struct portspec s = make();
	struct fail why;
	char before[1024], after[1024];

	assert_int_equal(
		portspec_add(&s, "80,::1/all,~500-65535", RULE_TCP, &why),
		-EINVAL);
	assert_int_equal(portspec_add(&s, "80", RULE_TCP, &why), 0);
	assert_int_equal(
		portspec_add(&s, "::1/auto,all,~500-65535", RULE_TCP, &why), 0);
	format(&s, before, sizeof(before));
	for (size_t i = 0; i < COUNT(refused); i++) {
		assert_int_equal(portspec_add(&s, refused[i], RULE_TCP, &why),
				 -EINVAL);
		assert_string_equal(format(&s, after, sizeof(after)), before);
		assert_int_equal(s.auto_count, 1);
	}
	portspec_fini(&s);
}

static void test_auto_keeps_its_limits_and_what_it_leaves_out(void **state)
{
	struct portspec s = make();
	struct in6_addr lo = addr_from_v4(INADDR_LOOPBACK);
	struct fail why;
	const struct portspec_auto *a;

	assert_int_equal(portspec_add(&s, "auto", RULE_TCP, &why), 0);
	assert_int_equal(portspec_add(&s, "127.0.0.1%lo/~22,auto,~80-81,443",
				      RULE_UDP, &why),
			 0);
	assert_int_equal(s.auto_count, 2);
	a = &s.autos[0];
	assert_int_equal(a->where.proto, RULE_TCP);
	assert_int_equal(a->where.families, RULE_IPV4 | RULE_IPV6);
	assert_int_equal(a->where.host_port, 0);
	assert_false(portset_has(&a->but, 22));
	assert_true(portset_has(&a->but, 32768));
	assert_true(portset_has(&a->but, 60999));
	assert_false(portset_has(&a->but, 61000));
	a = &s.autos[1];
	assert_int_equal(a->where.proto, RULE_UDP);
	assert_int_equal(a->where.families, RULE_IPV4);
	assert_true(addr_equal(&a->where.host_addr, &lo));
	assert_string_equal(a->where.ifname, "lo");
	assert_true(portset_has(&a->but, 22));
	assert_true(portset_has(&a->but, 81));
	assert_false(portset_has(&a->but, 82));
	assert_true(portset_has(&a->but, 40000));
	assert_int_equal(s.rule_count, 1);
	portspec_fini(&s);
}

static void test_a_link_local_address_gets_its_scope(void **state)
{
	struct portspec s = make();
	struct in6_addr want, bare;
	struct fail why;

	assert_int_equal(addr_parse("fe80::1", &bare), 0);
	assert_int_equal(hostsock_scoped(&bare, "lo", &want), 0);
	assert_int_equal(portspec_add(&s, "fe80::1%lo/80", RULE_TCP, &why), 0);
	assert_true(addr_equal(&s.rules[0].host_addr, &want));
	assert_string_equal(s.rules[0].ifname, "");
	portspec_fini(&s);
}

static void test_one_family_alone_can_be_kept(void **state)
{
	struct portspec s = make();
	struct fail why;

	assert_int_equal(portspec_add(&s, "80,auto", RULE_TCP, &why), 0);
	assert_int_equal(portspec_add(&s, "::1/81", RULE_TCP, &why), 0);
	assert_int_equal(portspec_limit(&s, RULE_IPV4 | RULE_IPV6, &why), 0);
	assert_int_equal(s.rules[0].families, RULE_IPV4 | RULE_IPV6);
	assert_int_equal(portspec_limit(&s, RULE_IPV6, &why), 0);
	assert_int_equal(s.rules[0].families, RULE_IPV6);
	assert_int_equal(s.autos[0].where.families, RULE_IPV6);
	assert_int_equal(portspec_limit(&s, RULE_IPV4, &why), -EINVAL);
	portspec_fini(&s);
	s = make();
	assert_int_equal(portspec_add(&s, "::1/81", RULE_TCP, &why), 0);
	assert_int_equal(portspec_limit(&s, RULE_IPV4, &why), -EINVAL);
	assert_non_null(strstr(why.text, "::1"));
	portspec_fini(&s);
}

static void test_a_list_as_long_as_it_gets_is_read(void **state)
{
	struct portspec s = make();
	char *text = malloc(65536 * 7), *end = text;
	struct fail why;

	assert_non_null(text);
	for (int port = 1; port < 6000; port += 2)
		end += sprintf(end, "~%d,", port);
	memcpy(end, "1-6000", sizeof("1-6000"));
	assert_int_equal(portspec_add(&s, text, RULE_TCP, &why), 0);
	assert_int_equal(s.rule_count, 3000);
	assert_int_equal(s.rules[2999].guest_port, 6000);
	memset(text, '9', 100000);
	text[100000] = '\0';
	assert_int_equal(portspec_add(&s, text, RULE_TCP, &why), -EINVAL);
	free(text);
	portspec_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form_of_the_grammar_is_a_rule),
		cmocka_unit_test(
			test_what_is_excluded_is_left_out_wherever_it_stands),
		cmocka_unit_test(test_all_is_every_port_that_is_not_ephemeral),
		cmocka_unit_test(
			test_none_adds_nothing_and_is_at_one_with_everything),
		cmocka_unit_test(test_what_makes_no_sense_is_refused_by_name),
		cmocka_unit_test(test_ports_at_one_address_are_asked_for_once),
		cmocka_unit_test(test_tcp_and_udp_do_not_overlap),
		cmocka_unit_test(
			test_an_argument_that_is_refused_leaves_nothing),
		cmocka_unit_test(
			test_auto_keeps_its_limits_and_what_it_leaves_out),
		cmocka_unit_test(test_a_link_local_address_gets_its_scope),
		cmocka_unit_test(test_one_family_alone_can_be_kept),
		cmocka_unit_test(test_a_list_as_long_as_it_gets_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
