#include "port/detach.h"
#include "port/pidfile.h"
#include "port/process.h"

#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[] = "/tmp/test_detach.XXXXXX";

static int set_up(void **state)
{
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	close(fd);
	return fd < 0;
}

static int tear_down(void **state)
{
	return unlink(path);
}

/* In a child, as the program whose launcher is waited for: goes on until the
 * pipe @hold is closed. Returns the launcher's exit status, and what there was
 * on its stdout in @said. */
static int launch(int status, const int hold[2], char *said, size_t room)
{
	struct config_process config = {
		.name = "test", .background = true, .pid_path = path};
	int out[2];
	pid_t pid;
	ssize_t n;
	int ret;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		struct process p;
		struct fail why;
		char byte;

		if (hold)
			close(hold[1]);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		if (process_begin(&p, &config, &why) < 0)
			_exit(99);
		if (write(STDOUT_FILENO, "begun", 5) != 5)
			_exit(98);
		if (status)
			_exit(status);
		if (process_settle(&p, NULL, &why) < 0)
			_exit(97);
		n = read(hold[0], &byte, 1);
		_exit(n == 0 ? 0 : 1);
	}
	close(out[1]);
	/* Until the last writer let go, as Podman reads. */
	memset(said, 0, room);
	for (size_t got = 0;
	     (n = read(out[0], said + got, room - got - 1)) > 0;)
		got += (size_t)n;
	close(out[0]);
	assert_int_equal(waitpid(pid, &ret, 0), pid);
	assert_true(WIFEXITED(ret));
	return WEXITSTATUS(ret);
}

static void test_the_launcher_returns_while_the_program_goes_on(void **state)
{
	char said[32], text[32] = "";
	struct stat st;
	int hold[2], fd, pid;

	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	assert_int_equal(launch(0, hold, said, sizeof(said)), 0);
	assert_string_equal(said, "begun");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	assert_int_equal(sscanf(text, "%d\n", &pid), 1);
	assert_int_equal(text[strlen(text) - 1], '\n');
	/* It is there still, in a session of its own. */
	assert_int_equal(getsid(pid), pid);
	close(hold[0]);
	close(hold[1]);
}

/* bats(1) waits for a descriptor 3 of its own, others for pipes of theirs. */
static void test_what_the_caller_had_open_is_let_go_of(void **state)
{
	int hold[2], theirs[2];
	char said[32], byte;

	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	assert_int_equal(pipe(theirs), 0);
	assert_int_equal(launch(0, hold, said, sizeof(said)), 0);
	close(theirs[1]);
	assert_int_equal(fcntl(theirs[0], F_SETFL, O_NONBLOCK), 0);
	/* The end, not "try again": nobody has the other end. */
	assert_int_equal(read(theirs[0], &byte, 1), 0);
	close(theirs[0]);
	close(hold[0]);
	close(hold[1]);
}

static void test_a_failure_is_the_launchers_exit_status(void **state)
{
	char said[32];

	assert_int_equal(launch(3, NULL, said, sizeof(said)), 3);
	assert_string_equal(said, "begun");
}

static void test_a_pid_file_that_cannot_be_is_named(void **state)
{
	struct fail why;

	assert_true(pidfile_open("/nonexistent/pid", &why) < 0);
	assert_non_null(strstr(why.text, "/nonexistent/pid"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_the_launcher_returns_while_the_program_goes_on,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_the_caller_had_open_is_let_go_of, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_failure_is_the_launchers_exit_status, set_up,
			tear_down),
		cmocka_unit_test(test_a_pid_file_that_cannot_be_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
