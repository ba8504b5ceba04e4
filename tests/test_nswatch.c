#include "port/nswatch.h"

#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/test_nswatch.XXXXXX";
static char path[64], other[64];
static struct loop *loop;
static struct nswatch w;
static unsigned told;

static void on_gone(struct nswatch *unused)
{
	told++;
}

static void touch(const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static int set_up(void **state)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/ns", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	touch(path);
	loop = loop_new(NULL);
	told = 0;
	nswatch_init(&w, on_gone);
	return 0;
}

static int tear_down(void **state)
{
	nswatch_fini(&w);
	loop_free(loop);
	unlink(path);
	unlink(other);
	return rmdir(folder);
}

static void test_a_removed_path_is_told_and_others_are_not(void **state)
{
	struct fail why;

	assert_int_equal(nswatch_path(&w, loop, path, &why), 0);
	touch(other);
	unlink(other);
	loop_turn(loop, 0);
	assert_int_equal(told, 0);
	unlink(path);
	loop_turn(loop, 0);
	assert_int_equal(told, 1);
}

static void test_a_name_given_to_another_is_told(void **state)
{
	struct fail why;

	touch(other);
	assert_int_equal(nswatch_path(&w, loop, path, &why), 0);
	/* Both happen before the loop looks, as `ip netns del` and `add` of
	 * the same name may. */
	assert_int_equal(rename(other, path), 0);
	loop_turn(loop, 0);
	assert_int_equal(told, 1);
}

static void test_a_path_that_is_not_there_is_an_error(void **state)
{
	struct fail why;

	assert_int_equal(nswatch_path(&w, loop, other, &why), -ENOENT);
	assert_non_null(strstr(why.text, other));
}

static void test_in_proc_the_process_is_watched(void **state)
{
	pid_t pid = fork();
	struct fail why;
	char proc[32];

	if (pid == 0) {
		pause();
		_exit(0);
	}
	snprintf(proc, sizeof(proc), "/proc/%d/ns/net", (int)pid);
	assert_int_equal(nswatch_path(&w, loop, proc, &why), 0);
	loop_turn(loop, 0);
	assert_int_equal(told, 0);
	kill(pid, SIGKILL);
	loop_turn(loop, NSEC_PER_SEC);
	assert_int_equal(told, 1);
	waitpid(pid, NULL, 0);
}

static void test_no_such_process_is_an_error(void **state)
{
	struct fail why;

	assert_int_equal(nswatch_pid(&w, loop, 1 << 30, &why), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_removed_path_is_told_and_others_are_not, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_name_given_to_another_is_told, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_path_that_is_not_there_is_an_error, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_in_proc_the_process_is_watched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_no_such_process_is_an_error, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
