#include "port/searchlist.h"

#include "tests/test.h"

#include <errno.h>
#include <string.h>

static const uint8_t two[] = "\3one\7example\0\3two";

static void test_names_are_written_one_behind_the_other(void **state)
{
	struct plan_offer o = {.search_len = 0};

	assert_int_equal(searchlist_parse("  one.example\ttwo. ", &o), 0);
	assert_int_equal(o.search_len, sizeof(two));
	assert_memory_equal(o.search, two, sizeof(two));
	assert_int_equal(searchlist_parse("", &o), 0);
	assert_int_equal(o.search_len, 0);
}

static void test_what_is_no_name_or_too_much_changes_nothing(void **state)
{
	struct plan_offer o = {.search = {7}, .search_len = 1};
	char many[400];

	assert_int_equal(searchlist_parse("a..b", &o), -EINVAL);
	memset(many, 'a', sizeof(many));
	many[sizeof(many) - 1] = '\0';
	assert_int_equal(searchlist_parse(many, &o), -EINVAL);
	for (size_t i = 40; i < sizeof(many) - 1; i += 40)
		many[i] = ' ';
	assert_int_equal(searchlist_parse(many, &o), -EINVAL);
	assert_int_equal(o.search_len, 1);
}

static void test_the_last_line_of_resolv_conf_counts(void **state)
{
	struct plan_offer o = {.search_len = 0};

	searchlist_find("nameserver 192.0.2.1\nsearch not.this\n"
			"searching for.it\n#search nor.this\n"
			"search one.example two\noptions ndots:1\n",
			&o);
	assert_int_equal(o.search_len, sizeof(two));
	assert_memory_equal(o.search, two, sizeof(two));
	o.search_len = 0;
	searchlist_find("search", &o);
	assert_int_equal(o.search_len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_written_one_behind_the_other),
		cmocka_unit_test(
			test_what_is_no_name_or_too_much_changes_nothing),
		cmocka_unit_test(test_the_last_line_of_resolv_conf_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
