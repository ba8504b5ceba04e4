#include "port/api_request.h"
#include "tests/request_rig.h"
#include "tests/test.h"

#include "port/api.h"

#include <string.h>

#define TEXT(s) s, sizeof(s) - 1

static void test_texts_that_no_json_has_are_refused(void **state)
{
	struct request_rig *rig = *state;
	static const struct {
		const char *text;
		size_t len;
	} table[] = {
		{TEXT("\0")},
		{TEXT("{\"execute\":\"list_hostfwd\"\0}")},
		{TEXT("{\"x\":1\0,\"execute\":\"list_hostfwd\"}")},
		{TEXT("{\"execute\":\"list_host\0fwd\"}")},
		{TEXT("{\"execute\":\"list_hostfwd\\u0000\"}")},
		{TEXT("{\"execute\":\"list_hostfwd\xff\"}")},
		{TEXT("{\"execute\":\"\xc3\x28\"}")},
		{TEXT("{\"execute\":\"\xed\xa0\x80\"}")}, /* a surrogate */
		{TEXT("{\"execute\":\"\xc0\xaf\"}")},     /* two for one */
		{TEXT("{\"execute\":\"\xf8\x88\x80\x80\x80\"}")},
		{TEXT("{\"execute\":\"\\ud800\"}")},
		{TEXT("\xef\xbb\xbf{\"execute\":\"list_hostfwd\"}")},
		{TEXT("{\"execute\":\"list_hostfwd\",\"execute\":\"x\"}")},
		{TEXT("{\"execute\":\"list_hostfwd\",}")},
		{TEXT("{\"x\":1e999,\"execute\":\"list_hostfwd\"}")},
		{TEXT("{\"x\":01,\"execute\":\"list_hostfwd\"}")},
		{TEXT("{\"x\":NaN,\"execute\":\"list_hostfwd\"}")},
		{TEXT("{'execute':'list_hostfwd'}")},
		{TEXT("{\"execute\":\"list_hostfwd\n\"}")},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		request_rig_expect_error(rig, table[i].text, table[i].len,
					 "bad request: cannot parse JSON",
					 true);
}

static void test_depth_does_not_matter(void **state)
{
	struct request_rig *rig = *state;
	char text[API_REQUEST_MAX];
	static const char head[] = "{\"execute\":\"list_hostfwd\",\"x\":";
	size_t depth = 1000, len = sizeof(head) - 1;

	memset(text, '[', sizeof(text));
	request_rig_expect_error(rig, text, sizeof(text),
				 "bad request: cannot parse JSON", true);
	assert_true(api_request_complete(text, sizeof(text)));
	for (size_t i = 0; i + 5 <= sizeof(text); i += 5)
		memcpy(text + i, "{\"a\":", 5);
	request_rig_expect_error(rig, text, sizeof(text),
				 "bad request: cannot parse JSON", true);
	memcpy(text, head, len);
	memset(text + len, '[', depth);
	memset(text + len + depth, ']', depth);
	len += 2 * depth;
	text[len++] = '}';
	request_rig_expect_bytes(
		rig, text, len, "{\"return\":{\"entries\":[]},\"entries\":[]}");
}

/* When api.c need not wait. */

/* Each shorter text is one that more may come for. */
static void check_prefixes(const char *text, size_t len)
{
	for (size_t n = 0; n < len; n++) {
		if (api_request_complete(text, n))
			fail_msg("'%.*s' is complete", (int)n, text);
	}
	assert_true(api_request_complete(text, len));
}

static void test_a_request_is_complete_with_its_last_byte_only(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} table[] = {
		{TEXT("{}")},
		{TEXT("{\"execute\":\"list_hostfwd\"}")},
		{TEXT(" [ ] ")},
		{TEXT("{\"a\":true,\"b\":false,\"c\":null,\"d\":[-1,0,-0.5,"
		      "12.5e+10,1E-7]}")},
		{TEXT("{\"a\\\"b\":\"\\\\\\/"
		      "\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00"
		      "}]\"}")},
		{TEXT("{\"\xc3\xa9\xe2\x82\xac\":\"\xf0\x9f\x98\x80\"}")},
	};

	check_prefixes(TEXT("{}"));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t len = table[i].len;

		while (table[i].text[len - 1] == ' ')
			len--;
		check_prefixes(table[i].text, len);
		assert_true(api_request_complete(table[i].text, table[i].len));
	}
}

static void test_texts_beyond_mending_are_complete(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} table[] = {
		{TEXT("rubbish\n")},
		{TEXT("{]")},
		{TEXT("{,")},
		{TEXT("{\"a\" \"b\"")},
		{TEXT("{tru}")},
		{TEXT("\0")},
		{TEXT("{\0")},
		{TEXT("{\"a\":1,\"a\":")},
		{TEXT("{\"\xff\xff\xff\xff\xff")},
		{TEXT("GET / HTTP/1.1\r\n")},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!api_request_complete(table[i].text, table[i].len))
			fail_msg("'%s' waits", table[i].text);
	}
}

static void test_what_is_behind_a_whole_text_does_not_matter(void **state)
{
	struct request_rig *rig = *state;

	request_rig_expect_bytes(
		rig, TEXT("{\"execute\":\"list_hostfwd\"}\0x"),
		"{\"return\":{\"entries\":[]},\"entries\":[]}");
	assert_true(api_request_complete(TEXT("{} ")));
	assert_true(api_request_complete(TEXT("{}\n\n")));
	assert_true(api_request_complete(TEXT("{}{")));
	assert_true(api_request_complete(TEXT("{}\0")));
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, request_rig_setup,               \
					request_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_texts_that_no_json_has_are_refused),
		TEST(test_depth_does_not_matter),
		TEST(test_a_request_is_complete_with_its_last_byte_only),
		TEST(test_texts_beyond_mending_are_complete),
		TEST(test_what_is_behind_a_whole_text_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
