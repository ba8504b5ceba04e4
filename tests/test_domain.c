#include "stack/domain.h"
#include "tests/test.h"

#include <string.h>

static void assert_name(const char *text, const char *want, size_t len)
{
	uint8_t got[DOMAIN_MAX];

	assert_int_equal(domain_encode(text, got), len);
	assert_memory_equal(got, want, len);
}

static void test_a_name_is_written_label_by_label(void **state)
{
	assert_name("a.example", "\1a\7example", 11);
	assert_name("box.", "\3box", 5);
	assert_name("box", "\3box", 5);
}

static void test_what_is_no_name_is_refused(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a..b", ".a", "a.."};
	uint8_t got[DOMAIN_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(domain_encode(bad[i], got), 0);
}

static void test_labels_and_names_have_their_limits(void **state)
{
	uint8_t got[DOMAIN_MAX];
	char text[300];

	memset(text, 'x', sizeof(text));
	text[63] = 0;
	assert_int_equal(domain_encode(text, got), 65);
	text[63] = 'x';
	text[64] = 0;
	assert_int_equal(domain_encode(text, got), 0);

	/* 3 labels of 63, then 61 bytes: 253 of text, 255 on the wire. */
	for (size_t i = 0; i < 253; i++)
		text[i] = i % 64 == 63 ? '.' : 'x';
	text[253] = 0;
	assert_int_equal(domain_encode(text, got), 255);
	assert_int_equal(got[254], 0);
	text[253] = 'x';
	text[254] = 0;
	assert_int_equal(domain_encode(text, got), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_is_written_label_by_label),
		cmocka_unit_test(test_what_is_no_name_is_refused),
		cmocka_unit_test(test_labels_and_names_have_their_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
