#include "port/start.h"
#include "tests/test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/* 0 if, with @closed of the first three descriptors closed, none of them is left
 * for a socket to take. */
static int try_without(int closed)
{
	for (int fd = 0; fd < closed; fd++)
		close(fd);
	start_hold_stdio();
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) != 0)
			return 1;
	}
	return dup(STDERR_FILENO) <= STDERR_FILENO;
}

static void test_no_socket_gets_the_number_of_stderr(void **state)
{
	for (int closed = 0; closed <= 3; closed++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(try_without(closed));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void test_holding_leaves_no_descriptor(void **state)
{
	int before = dup(STDERR_FILENO);
	int after;

	close(before);
	start_hold_stdio();
	after = dup(STDERR_FILENO);
	close(after);
	assert_int_equal(after, before);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_socket_gets_the_number_of_stderr),
		cmocka_unit_test(test_holding_leaves_no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
