#include "tests/parsed.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static void expect_all(struct parsed p)
{
	const struct dump_config *d = &p.config.pcap;

	if (p.verdict != CLI_GO)
		fail_msg("%s", p.err);
	assert_string_equal(d->path, "x.pcap");
	assert_string_equal(d->filter, "tcp port 443");
	assert_int_equal(d->snaplen, 128);
	assert_int_equal(d->size, 7000000);
	assert_int_equal(d->files, 3);
	assert_true(p.config.pcap_segment);
	parsed_forget(&p);
}

static void test_both_command_lines_take_all_options(void **state)
{
	expect_all(PARSE("tapir", "run", "--pcap=x.pcap", "--pcap-filter",
			 "tcp port 443", "--pcap-snaplen=128", "--pcap-size=7",
			 "--pcap-files=3", "--pcap-segment", "true"));
	expect_all(PARSE("tapir", "slirp4netns", "--pcap=x.pcap",
			 "--pcap-filter", "tcp port 443", "--pcap-snaplen=128",
			 "--pcap-size=7", "--pcap-files=3", "--pcap-segment",
			 "1", "tap0"));
}

static void test_without_them_nothing_is_captured(void **state)
{
	struct parsed p = PARSE("tapir", "run", "true");

	assert_int_equal(p.verdict, CLI_GO);
	assert_null(p.config.pcap.path);
	assert_false(p.config.pcap_segment);
	parsed_forget(&p);
}

static void refuse(struct parsed p, const char *words)
{
	if (p.verdict != CLI_BAD || !strstr(p.err, words))
		fail_msg("no '%s' in\n%s", words, p.err);
	parsed_forget(&p);
}

static void test_numbers_have_limits(void **state)
{
	refuse(PARSE("tapir", "run", "--pcap=x", "--pcap-snaplen=13", "true"),
	       "--pcap-snaplen '13': want a number from 14 to 262144");
	refuse(PARSE("tapir", "run", "--pcap=x", "--pcap-snaplen=262145", "x"),
	       "--pcap-snaplen '262145'");
	refuse(PARSE("tapir", "run", "--pcap=x", "--pcap-size=0", "true"),
	       "--pcap-size '0'");
	refuse(PARSE("tapir", "run", "--pcap=x", "--pcap-size=1",
		     "--pcap-files", "1000001", "true"),
	       "--pcap-files '1000001'");
	refuse(PARSE("tapir", "run", "--pcap=x", "--pcap-size=1k", "true"),
	       "--pcap-size '1k'");
}

static void test_options_that_need_another_say_so(void **state)
{
	static const char *const alone[] = {
		"--pcap-filter=tcp", "--pcap-snaplen=100", "--pcap-size=1",
		"--pcap-files=2", "--pcap-segment"};

	for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++)
		refuse(PARSE("tapir", "run", alone[i], "true"),
		       "--pcap-... options need --pcap\n");
	refuse(PARSE("tapir", "run", "--pcap=x", "--pcap-files=2", "true"),
	       "--pcap-files needs --pcap-size\n");
	refuse(PARSE("tapir", "slirp4netns", "--pcap-segment", "1", "tap0"),
	       "--pcap-... options need --pcap\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_command_lines_take_all_options),
		cmocka_unit_test(test_without_them_nothing_is_captured),
		cmocka_unit_test(test_numbers_have_limits),
		cmocka_unit_test(test_options_that_need_another_say_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
