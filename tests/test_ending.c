#include "port/ending.h"

#include "tests/test.h"

/* All that daemons and terminals are ended by: what is left behind otherwise is
 * an API socket. */
static void test_whoever_ends_it_stops_the_loop_first(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct ending e = {.fd.fd = -1};
		struct loop *loop = loop_new(NULL);
		struct fail why;

		signal(signals[i], SIG_DFL);
		assert_int_equal(ending_watch(&e, loop, &why), 0);
		raise(signals[i]);
		assert_int_equal(loop_run(loop), 1);
		assert_int_equal(e.signo, signals[i]);
		ending_unwatch(&e);
		loop_free(loop);
	}
}

/* As nohup(1) wants it. */
static void test_what_is_ignored_stays_so(void **state)
{
	struct ending e = {.fd.fd = -1};
	struct loop *loop = loop_new(NULL);
	struct fail why;

	signal(SIGHUP, SIG_IGN);
	assert_int_equal(ending_watch(&e, loop, &why), 0);
	raise(SIGHUP);
	loop_turn(loop, 0);
	assert_int_equal(e.signo, 0);
	ending_unwatch(&e);
	loop_free(loop);
	signal(SIGHUP, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whoever_ends_it_stops_the_loop_first),
		cmocka_unit_test(test_what_is_ignored_stays_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
