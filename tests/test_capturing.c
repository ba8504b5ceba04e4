#include "port/capturing.h"

#include "tests/frames.h"
#include "tests/savefile.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static nsec_t now; /* of the loop under test */

static nsec_t clock_now(void)
{
	return now;
}

struct bed {
	char *dir;
	char path[SAVEFILE_PATH];
	struct loop *loop;
	struct frames_sink tap;
	struct capturing c;
	struct frames_buf frame;
	char *log; /* allocated; of_log */
	size_t log_len;
	FILE *of_log;
	unsigned fds;
};

static int set_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	void *dir;

	if (!b || savefile_mkdir(&dir) < 0)
		return -1;
	b->dir = dir;
	savefile_path(&dir, "x.pcap", b->path);
	b->fds = savefile_count_fds();
	now = NSEC_PER_SEC;
	b->loop = loop_new(clock_now);
	b->of_log = open_memstream(&b->log, &b->log_len);
	frames_sink_init(&b->tap);
	capturing_init(&b->c, b->loop, &b->tap.sink, b->of_log);
	capturing_watch(&b->c);
	frames_udp(&b->frame, "10.0.2.100", 1, "10.0.2.3", 53, "query", 5);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bed *b = *state;
	void *dir = b->dir;
	bool closed;

	capturing_fini(&b->c);
	loop_free(b->loop);
	frames_sink_clear(&b->tap);
	fclose(b->of_log);
	free(b->log);
	savefile_rmdir(&dir);
	closed = savefile_count_fds() == b->fds;
	free(b);
	return closed ? 0 : -1;
}

static int start(struct bed *b, const char *path, struct fail *why)
{
	struct capturing_config c = {.dump = {.path = path}};

	return capturing_start(&b->c, &c, why);
}

static void send_frame(struct bed *b)
{
	struct iovec iov = {b->frame.data, b->frame.len};
	struct frame f = {.iov = &iov, .iovcnt = 1, .len = b->frame.len};

	assert_int_equal(b->c.capture.sink.put(&b->c.capture.sink, &f), 0);
}

static void turn(struct bed *b)
{
	now += NSEC_PER_MSEC;
	assert_int_equal(loop_turn(b->loop, 0), 0);
}

static off_t size(const struct bed *b)
{
	struct stat st;

	assert_int_equal(stat(b->path, &st), 0);
	return st.st_size;
}

static void test_frames_are_written_when_the_loop_idles(void **state)
{
	struct bed *b = *state;
	struct fail why;
	off_t before;

	assert_int_equal(start(b, b->path, &why), 0);
	turn(b);
	before = size(b);
	send_frame(b);
	turn(b);
	turn(b);
	assert_int_equal(size(b), before + 16 + (off_t)b->frame.len);
	assert_int_equal(loop_timers(b->loop), 0);
}

static void test_under_load_they_are_after_200_ms(void **state)
{
	struct bed *b = *state;
	struct fail why;
	off_t before;
	unsigned turns = 0;

	assert_int_equal(start(b, b->path, &why), 0);
	turn(b);
	before = size(b);
	while (size(b) == before && turns < 100) {
		send_frame(b);
		turn(b);
		now += 9 * NSEC_PER_MSEC;
		turns++;
	}
	assert_in_range(turns, 15, 22);
}

static void test_without_a_capture_the_loop_has_nothing_to_do(void **state)
{
	struct bed *b = *state;

	for (unsigned i = 0; i < 5; i++) {
		send_frame(b);
		turn(b);
		assert_int_equal(loop_timers(b->loop), 0);
	}
	assert_int_equal(b->tap.n, 5);
	assert_int_equal(capturing_stop(&b->c), -ENOENT);
}

static void test_a_capture_that_fails_ends_and_the_network_goes_on(void **state)
{
	struct bed *b = *state;
	struct fail why;

	if (start(b, "/dev/full", &why) == 0) {
		for (unsigned i = 0; i < 4; i++) {
			send_frame(b);
			turn(b);
		}
		fflush(b->of_log);
		assert_non_null(strstr(b->log, "the capture ends, the network "
					       "goes on: "));
		assert_non_null(strstr(b->c.ended, "No space left"));
		assert_int_equal(b->tap.n, 4);
	} else {
		assert_non_null(strstr(why.text, "No space left"));
	}
	assert_false(capture_running(&b->c.capture));
	assert_int_equal(loop_timers(b->loop), 0);
}

static void test_one_capture_at_a_time_and_again_after_its_end(void **state)
{
	struct bed *b = *state;
	struct fail why;

	assert_int_equal(start(b, b->path, &why), 0);
	assert_int_equal(start(b, b->path, &why), -EBUSY);
	send_frame(b);
	assert_int_equal(capturing_stop(&b->c), 0);
	assert_int_equal(capture_stats(&b->c.capture).frames, 1);
	assert_int_equal(size(b), 24 + 16 + (off_t)b->frame.len);
	assert_int_equal(start(b, b->path, &why), 0);
	assert_string_equal(b->c.path, b->path);
	assert_string_equal(b->c.ended, "");
}

/* The reader of a pipe that does not read: what waits is tried again, without
 * the loop spinning. */
static void test_a_slow_reader_is_waited_for_by_the_clock(void **state)
{
	struct bed *b = *state;
	struct fail why;
	int fd, capacity;
	unsigned turns = 0;

	assert_int_equal(mkfifo(b->path, 0600), 0);
	fd = open(b->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	capacity = fcntl(fd, F_SETPIPE_SZ, 4096);
	assert_true(capacity > 0);
	assert_int_equal(start(b, b->path, &why), 0);
	for (int i = 0; i < capacity / 40 + 10; i++)
		send_frame(b);
	turn(b);
	turn(b);
	assert_true(capture_waiting(&b->c.capture));
	turn(b);
	assert_int_equal(loop_timers(b->loop), 1);
	while (capture_waiting(&b->c.capture) && turns++ < 50) {
		char buf[4096];

		while (read(fd, buf, sizeof(buf)) > 0)
			;
		now += CAPTURING_LATEST / 2;
		turn(b);
	}
	assert_in_range(turns, 1, 10);
	close(fd);
}

static void test_at_its_end_it_says_what_is_not_in_it(void **state)
{
	struct bed *b = *state;
	struct fail why;
	static const uint8_t zeros[1400];
	unsigned frames = 2 * DUMP_BUFFER / sizeof(zeros);
	int fd;

	assert_int_equal(mkfifo(b->path, 0600), 0);
	fd = open(b->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	frames_udp(&b->frame, "10.0.2.100", 1, "10.0.2.3", 53, zeros,
		   sizeof(zeros));
	assert_int_equal(start(b, b->path, &why), 0);
	while (frames-- > 0 && !capture_stats(&b->c.capture).dropped)
		send_frame(b);
	capturing_fini(&b->c);
	fflush(b->of_log);
	assert_non_null(strstr(b->log, "x.pcap lacks frames"));
	assert_string_equal(strrchr(b->log, ':'), ": 1\n");
	close(fd);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_frames_are_written_when_the_loop_idles),
		CASE(test_under_load_they_are_after_200_ms),
		CASE(test_without_a_capture_the_loop_has_nothing_to_do),
		CASE(test_a_capture_that_fails_ends_and_the_network_goes_on),
		CASE(test_one_capture_at_a_time_and_again_after_its_end),
		CASE(test_a_slow_reader_is_waited_for_by_the_clock),
		CASE(test_at_its_end_it_says_what_is_not_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
