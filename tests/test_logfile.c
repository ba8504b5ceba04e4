#include "port/logfile.h"

#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE 4096

static char path[] = "/tmp/test_logfile.XXXXXX";
static struct logfile *l;
static char text[SIZE + 1];

static int set_up(void **state)
{
	struct fail why;
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	l = logfile_open(path, SIZE, "a header", &why);
	assert_non_null(l);
	return 0;
}

static int tear_down(void **state)
{
	logfile_close(l);
	l = NULL;
	unlink(path);
	return 0;
}

static void read_back(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size <= SIZE);
	n = read(fd, text, SIZE);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
}

static void test_each_line_has_its_time(void **state)
{
	double at;
	char word[16];

	logfile_write(l, "one\ntw", 6);
	logfile_write(l, "o\n", 2);
	read_back();
	assert_int_equal(strncmp(text, "a header\n", 9), 0);
	assert_int_equal(sscanf(text + 9, "%lf: %15s", &at, word), 2);
	assert_string_equal(word, "one");
	assert_non_null(strstr(text, ": two\n"));
	assert_null(strstr(text, "tw\n"));
}

static void test_the_oldest_lines_make_room(void **state)
{
	char line[64];
	int n;

	for (int i = 0; i < 1000; i++) {
		n = snprintf(line, sizeof(line), "line number %d\n", i);
		logfile_write(l, line, (size_t)n);
	}
	read_back();
	assert_int_equal(strncmp(text, "a header\n", 9), 0);
	assert_non_null(strstr(text, "line number 999\n"));
	assert_null(strstr(text, "line number 1\n"));
	/* whole lines: behind the header there is a time */
	assert_true(text[9] >= '0' && text[9] <= '9');
	assert_true(strlen(text) > SIZE / 3);
}

static void test_a_line_that_never_fits_is_lost(void **state)
{
	char *line = malloc(SIZE);

	memset(line, 'x', SIZE);
	logfile_write(l, line, SIZE);
	logfile_write(l, "\nafter\n", 7);
	read_back();
	assert_non_null(strstr(text, "after\n"));
	free(line);
}

static void test_stderr_can_be_the_file(void **state)
{
	struct loop *loop = loop_new(NULL);
	int before = dup(STDERR_FILENO);
	struct fail why;

	assert_int_equal(logfile_take_stderr(l, loop, &why), 0);
	fputs("said on stderr\n", stderr);
	assert_int_equal(loop_turn(loop, 0), 0);
	fputs("and at the end\n", stderr);
	logfile_close(l);
	l = NULL;
	dup2(before, STDERR_FILENO);
	close(before);
	loop_free(loop);
	read_back();
	assert_non_null(strstr(text, ": said on stderr\n"));
	assert_non_null(strstr(text, ": and at the end\n"));
}

static void test_a_file_that_cannot_be_is_named(void **state)
{
	struct fail why;

	assert_null(logfile_open("/nonexistent/log", SIZE, "", &why));
	assert_non_null(strstr(why.text, "/nonexistent/log"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_line_has_its_time,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_oldest_lines_make_room,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_line_that_never_fits_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stderr_can_be_the_file,
						set_up, tear_down),
		cmocka_unit_test(test_a_file_that_cannot_be_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
