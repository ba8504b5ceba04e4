#include "port/cli_flows.h"

#include "pcap/dump.h"
#include "tests/frames.h"
#include "tests/savefile.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char out_text[8192], err_text[8192];

/* The exit status of `flows ARGS...`, its words in out_text and err_text. */
static int flows(const char *a, const char *b)
{
	char *argv[] = {(char[]){"flows"}, a ? strdup(a) : NULL,
			b ? strdup(b) : NULL, NULL};
	FILE *out = fmemopen(memset(out_text, 0, 1), sizeof(out_text), "w");
	FILE *err = fmemopen(err_text, sizeof(err_text), "w");
	int status = cli_flows(1 + !!a + !!b, argv, out, err);

	fclose(out);
	fclose(err);
	free(argv[1]);
	free(argv[2]);
	return status;
}

/* A capture of one datagram each way. */
static const char *capture(void **state, char path[SAVEFILE_PATH])
{
	static struct frames_buf b;
	struct fail why;
	struct dump *d =
		dump_open(&(struct dump_config){.path = savefile_path(
							state, "f.pcap", path)},
			  &why);

	assert_non_null(d);
	frames_udp(&b, "10.0.2.100", 5000, "192.0.2.1", 4000, "ask", 3);
	assert_int_equal(dump_put(d, 0, b.data, b.len, b.len), 0);
	frames_udp(&b, "192.0.2.1", 4000, "10.0.2.100", 5000, "told", 4);
	assert_int_equal(dump_put(d, 0, b.data, b.len, b.len), 0);
	assert_int_equal(dump_flush(d), 0);
	dump_close(d);
	return path;
}

static void test_a_capture_is_listed(void **state)
{
	char path[SAVEFILE_PATH];

	assert_int_equal(flows(capture(state, path), NULL), 0);
	assert_non_null(strstr(out_text, "udp  10.0.2.100:5000 192.0.2.1:4000 "
					 "   3    4  0ms   0   0 answered\n"));
	assert_string_equal(err_text, "");
	assert_int_equal(flows("--json", path), 0);
	assert_non_null(strstr(out_text, "\"end\": \"answered\""));
	assert_int_equal(flows(path, "--json"), 0);
	assert_int_equal(out_text[0], '{');
}

static void test_what_could_be_read_of_a_cut_file_is_listed(void **state)
{
	char path[SAVEFILE_PATH];

	capture(state, path);
	assert_int_equal(truncate(path, 24 + 16 + 45 + 20), 0);
	assert_int_equal(flows(path, NULL), 1);
	assert_non_null(strstr(out_text, "\n1 conversation, 1 frame\n"));
	assert_non_null(strstr(err_text, "tapir flows: "));
	assert_non_null(strstr(err_text, "after frame 1: truncated"));
}

static void test_what_cannot_be_read_is_told_in_words(void **state)
{
	assert_int_equal(flows("/nonexistent", NULL), 1);
	assert_string_equal(out_text, "");
	assert_non_null(strstr(err_text, "tapir flows: /nonexistent: No such"));
}

static void test_bad_command_lines_are_refused(void **state)
{
	assert_int_equal(flows(NULL, NULL), 1);
	assert_non_null(strstr(err_text, "want one capture, got 0"));
	assert_int_equal(flows("a", "b"), 1);
	assert_non_null(strstr(err_text, "want one capture, got 2"));
	assert_int_equal(flows("--jsn", "b"), 1);
	assert_non_null(strstr(err_text, "Try 'tapir flows --help'."));
}

static void test_help_fits_the_screen(void **state)
{
	assert_int_equal(flows("--help", NULL), 0);
	assert_non_null(strstr(out_text, "Usage: tapir flows "));
	for (const char *line = out_text; *line;) {
		size_t len = strcspn(line, "\n");

		assert_true(len <= 80);
		line += len + (line[len] == '\n');
	}
}

static void test_a_full_disk_is_an_error(void **state)
{
	char path[SAVEFILE_PATH];
	char *argv[] = {(char[]){"flows"},
			(char *)(uintptr_t)capture(state, path), NULL};
	FILE *full = fopen("/dev/full", "w");
	FILE *err = fmemopen(err_text, sizeof(err_text), "w");

	assert_int_equal(cli_flows(2, argv, full, err), 1);
	fclose(err);
	fclose(full);
	assert_non_null(strstr(err_text, "cannot write the list"));
}

static unsigned fds_before;

static int set_up(void **state)
{
	fds_before = savefile_count_fds();
	return savefile_mkdir(state);
}

static int tear_down(void **state)
{
	savefile_rmdir(state);
	return savefile_count_fds() == fds_before ? 0 : -1;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_capture_is_listed),
		TEST(test_what_could_be_read_of_a_cut_file_is_listed),
		TEST(test_what_cannot_be_read_is_told_in_words),
		TEST(test_bad_command_lines_are_refused),
		TEST(test_help_fits_the_screen),
		TEST(test_a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
