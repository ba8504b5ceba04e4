#include "stack/fail.h"
#include "tests/test.h"

#include <errno.h>
#include <string.h>

static void test_the_text_is_what_was_said(void **state)
{
	struct fail why;

	assert_int_equal(fail_set(&why, -EINVAL, "mtu '%s'", "x"), -EINVAL);
	assert_string_equal(why.text, "mtu 'x'");
}

static void test_errno_comes_with_its_words(void **state)
{
	struct fail why;

	errno = ENOENT;
	assert_int_equal(fail_errno(&why, "open %s", "/a"), -ENOENT);
	assert_string_equal(why.text, "open /a: No such file or directory");
}

static void test_a_text_too_long_is_cut_and_ends(void **state)
{
	struct fail why;
	char text[2 * sizeof(why.text)];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	errno = EPERM;
	assert_int_equal(fail_errno(&why, "%s", text), -EPERM);
	assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_text_is_what_was_said),
		cmocka_unit_test(test_errno_comes_with_its_words),
		cmocka_unit_test(test_a_text_too_long_is_cut_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
