/* A dump to stdout: a pipe or socket whose reader does as it likes. */
#include "pcap/dump.h"

#include "stack/frame.h"
#include "tests/savefile.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOME_DAY (INT64_C(1700000000) * NSEC_PER_SEC)

static struct dump *open_dump(const struct dump_config *c)
{
	struct fail why = {""};
	struct dump *d = dump_open(c, &why);

	if (!d)
		print_error("%s\n", why.text);
	assert_non_null(d);
	return d;
}

static void put(struct dump *d, nsec_t when, const void *bytes, size_t len)
{
	assert_int_equal(dump_put(d, when, bytes, len, len), 0);
}

/* The end of a dump to something that takes all. */
static void finish(struct dump *d)
{
	assert_int_equal(dump_flush(d), 0);
	assert_false(dump_waiting(d));
	dump_close(d);
}

/* stdout is the writing end of a pipe or a socket for a while. */
struct pipe_out {
	int saved, read_end;
	bool stranger; /* made by somebody else: it cannot be opened anew */
};

static struct pipe_out pipe_begin(int fds[2])
{
	struct pipe_out p = {dup(STDOUT_FILENO), fds[0], false};

	fflush(stdout);
	assert_true(p.saved >= 0);
	assert_int_equal(dup2(fds[1], STDOUT_FILENO), STDOUT_FILENO);
	close(fds[1]);
	return p;
}

static void pipe_end(struct pipe_out *p)
{
	dup2(p->saved, STDOUT_FILENO);
	close(p->saved);
	if (p->read_end >= 0)
		close(p->read_end);
}

/* Reads what is there, into @to. */
static size_t drain(int from, FILE *to)
{
	static uint8_t buf[1 << 16];
	size_t all = 0;
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		assert_int_equal(fwrite(buf, 1, (size_t)n, to), n);
		all += (size_t)n;
	}
	return all;
}

static struct dump *open_stdout_dump(const struct pipe_out *p)
{
	struct dump *d;

	if (p->stranger) {
		assert_int_equal(fchmod(STDOUT_FILENO, 0), 0);
		assert_true(geteuid() != 0 || seteuid(65534) == 0);
	}
	d = open_dump(&(struct dump_config){.path = "-"});
	if (p->stranger)
		assert_int_equal(seteuid(getuid()), 0);
	return d;
}

/* More than all buffers hold goes out while nobody reads: records are lost, and
 * counted, but whole ones, and what is read at last is a capture. */
static void outrun_the_reader(void **state, struct pipe_out p)
{
	static uint8_t frame[9000];
	const unsigned n = 1000; /* 9 MB */
	char path[SAVEFILE_PATH];
	struct dump *d;
	struct savefile s;
	uint64_t dropped;
	FILE *copy = fopen(savefile_path(state, "copy", path), "wb");
	size_t last = 0;

	assert_non_null(copy);
	d = open_stdout_dump(&p);
	fcntl(p.read_end, F_SETFL, O_NONBLOCK);
	for (unsigned i = 0; i < n; i++) {
		put16(frame, (uint16_t)i);
		put(d, SOME_DAY, frame, sizeof(frame) - i % 7);
		if (i == n / 2)
			assert_true(drain(p.read_end, copy) > 0);
	}
	dropped = dump_stats(d).dropped;
	assert_in_range(dropped, 100, n - 400);
	assert_int_equal(dump_stats(d).frames + dropped, n);
	while (dump_waiting(d)) {
		assert_true(drain(p.read_end, copy) > 0);
		assert_int_equal(dump_wait(d, 1000), 0);
	}
	drain(p.read_end, copy);
	fclose(copy);
	dump_close(d);
	s = savefile_read(path);
	assert_false(s.truncated);
	assert_int_equal(s.n + dropped, n);
	for (size_t i = 0; i < s.n; i++) {
		size_t id = get16(s.rec[i].data);

		assert_true(i == 0 || id > last);
		assert_int_equal(s.rec[i].len, sizeof(frame) - id % 7);
		last = id;
	}
	savefile_free(&s);
}

static void test_a_slow_reader_of_a_pipe_loses_whole_records(void **state)
{
	int fds[2];
	struct pipe_out p;

	assert_int_equal(pipe(fds), 0);
	p = pipe_begin(fds);
	outrun_the_reader(state, p);
	/* Who else writes to stdout is not surprised. */
	assert_false(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK);
	pipe_end(&p);
}

static void test_a_pipe_of_somebody_else_never_blocks(void **state)
{
	int fds[2];
	struct pipe_out p;

	assert_int_equal(pipe(fds), 0);
	p = pipe_begin(fds);
	p.stranger = true;
	outrun_the_reader(state, p);
	pipe_end(&p);
}

static void test_a_slow_reader_of_a_socket_loses_whole_records(void **state)
{
	int fds[2];
	struct pipe_out p;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	p = pipe_begin(fds);
	outrun_the_reader(state, p);
	pipe_end(&p);
}

static void gone(void **state, int fds[2])
{
	struct pipe_out p = pipe_begin(fds);
	struct dump *d = open_dump(&(struct dump_config){.path = "-"});

	close(p.read_end);
	p.read_end = -1;
	put(d, SOME_DAY, "frame", 5);
	assert_int_equal(dump_flush(d), -EPIPE);
	assert_int_equal(dump_put(d, SOME_DAY, (const uint8_t *)"", 0, 0),
			 -EPIPE);
	assert_int_equal(dump_wait(d, 10000), -EPIPE);
	assert_string_equal(dump_error(d), "stdout: Broken pipe");
	dump_close(d);
	pipe_end(&p);
}

static void test_a_reader_that_is_gone_is_an_error(void **state)
{
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	gone(state, fds);
	signal(SIGPIPE, SIG_DFL); /* of a socket none is raised */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	gone(state, fds);
}

static void test_stdout_may_be_a_file(void **state)
{
	struct savefile s;
	char path[SAVEFILE_PATH];
	int fds[2] = {-1, open(savefile_path(state, "f", path),
			       O_WRONLY | O_CREAT, 0600)};
	struct pipe_out p = pipe_begin(fds);
	struct dump *d = open_dump(&(struct dump_config){.path = "-"});

	put(d, SOME_DAY, "frame", 5);
	finish(d);
	pipe_end(&p);
	s = savefile_read(path);
	assert_int_equal(s.n, 1);
	assert_memory_equal(s.rec[0].data, "frame", 5);
	savefile_free(&s);
}

static void test_closing_never_waits(void **state)
{
	static uint8_t frame[1000];
	int fds[2];
	struct pipe_out p;
	struct dump *d;

	assert_int_equal(pipe(fds), 0);
	p = pipe_begin(fds);
	d = open_dump(&(struct dump_config){.path = "-"});
	for (int i = 0; i < 1000; i++)
		put(d, SOME_DAY, frame, sizeof(frame));
	assert_int_equal(dump_wait(d, 0), 0);
	assert_true(dump_waiting(d));
	dump_close(d);
	dump_close(NULL);
	pipe_end(&p);
}

/* Reads @fd to its end into @path, now and then a little. */
static pid_t spawn_reader(int fd, const char *path)
{
	static uint8_t buf[1 << 16];
	pid_t pid = fork();
	FILE *to;
	ssize_t n;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	close(STDOUT_FILENO);
	to = fopen(path, "wb");
	while (to && (n = read(fd, buf, sizeof(buf))) > 0) {
		fwrite(buf, 1, (size_t)n, to);
		usleep(500);
	}
	_exit(!to || fclose(to) != 0);
}

static void test_a_patient_dump_waits_for_its_reader(void **state)
{
	static uint8_t frame[9000];
	char path[SAVEFILE_PATH];
	int fds[2], status;
	struct savefile s;
	struct pipe_out p;
	struct dump *d;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	p = pipe_begin(fds);
	pid = spawn_reader(fds[0], savefile_path(state, "copy", path));
	d = open_dump(&(struct dump_config){.path = "-", .patient = true});
	for (unsigned i = 0; i < 1000; i++)
		put(d, SOME_DAY, frame, sizeof(frame));
	assert_int_equal(dump_stats(d).dropped, 0);
	finish(d);
	pipe_end(&p);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	s = savefile_read(path);
	assert_int_equal(s.n, 1000);
	savefile_free(&s);
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

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_a_slow_reader_of_a_pipe_loses_whole_records),
		IN_DIR(test_a_pipe_of_somebody_else_never_blocks),
		IN_DIR(test_a_slow_reader_of_a_socket_loses_whole_records),
		IN_DIR(test_a_reader_that_is_gone_is_an_error),
		IN_DIR(test_stdout_may_be_a_file),
		IN_DIR(test_a_patient_dump_waits_for_its_reader),
		IN_DIR(test_closing_never_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
