#include "pcap/capture.h"

#include "tests/frames.h"
#include "tests/savefile.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOME_DAY (INT64_C(1700000000) * NSEC_PER_SEC)

/* A capture in front of a list of frames. */
struct bed {
	char *dir; /* must be first, see savefile_path() */
	struct frames_sink tap;
	struct capture c;
	struct frames_buf frame;
	unsigned fds, failures;
	char why[256];
};

static struct bed *the_bed(struct capture *c)
{
	return (struct bed *)((char *)c - offsetof(struct bed, c));
}

static nsec_t clock_now(void)
{
	return SOME_DAY;
}

static void on_failed(struct capture *c, const char *why)
{
	struct bed *b = the_bed(c);

	b->failures++;
	snprintf(b->why, sizeof(b->why), "%s", why);
}

static int bed_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	void *dir;

	if (!b || savefile_mkdir(&dir) < 0)
		return -1;
	b->dir = dir;
	b->fds = savefile_count_fds();
	frames_sink_init(&b->tap);
	capture_init(&b->c, &b->tap.sink, clock_now, on_failed);
	*state = b;
	return 0;
}

static int bed_down(void **state)
{
	struct bed *b = *state;
	void *dir = b->dir;

	capture_fini(&b->c);
	frames_sink_clear(&b->tap);
	savefile_rmdir(&dir);
	if (savefile_count_fds() != b->fds || b->c.bufs || b->c.dump ||
	    b->c.last)
		return -1;
	free(b);
	return 0;
}

/* DIR/NAME in @path. */
static const char *path_of(struct bed *b, const char *name,
			   char path[SAVEFILE_PATH])
{
	void *dir = b->dir;

	return savefile_path(&dir, name, path);
}

static void start(struct bed *b, const struct dump_config *config, bool segment)
{
	struct fail why = {""};

	if (capture_start(&b->c, config, segment, &why) < 0)
		print_error("%s\n", why.text);
	assert_true(capture_running(&b->c));
}

static int send_frame(struct bed *b, const struct offload *off)
{
	struct iovec iov = {b->frame.data, b->frame.len};

	return b->c.sink.put(&b->c.sink, &(struct frame){.iov = &iov,
							 .iovcnt = 1,
							 .len = b->frame.len,
							 .off = *off});
}

static const struct offload plain;
static uint8_t payload[60000];

static void make_udp(struct bed *b, size_t len)
{
	frames_udp(&b->frame, "10.0.2.2", 53, "10.0.2.100", 1000, payload, len);
}

static void test_both_directions_are_recorded_in_order(void **state)
{
	struct bed *b = *state;
	char path[SAVEFILE_PATH];
	struct savefile s;

	start(b, &(struct dump_config){.path = path_of(b, "f", path)}, false);
	make_udp(b, 10);
	assert_int_equal(send_frame(b, &plain), 0);
	frames_only(&b->tap);
	make_udp(b, 20);
	capture_input(&b->c, b->frame.data, b->frame.len, &plain);
	make_udp(b, 30);
	assert_int_equal(send_frame(b, &plain), 0);
	assert_int_equal(b->tap.n, 2);
	assert_true(capture_waiting(&b->c));
	capture_flush(&b->c);
	assert_false(capture_waiting(&b->c));
	s = savefile_read(path);
	assert_int_equal(s.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(s.rec[i].when, SOME_DAY);
		assert_int_equal(s.rec[i].len, 42 + 10 + i * 10);
	}
	assert_memory_equal(s.rec[2].data, b->frame.data, b->frame.len);
	savefile_free(&s);
	assert_int_equal(b->failures, 0);
}

static void test_a_frame_that_the_tap_refuses_is_not_recorded(void **state)
{
	struct bed *b = *state;
	char path[SAVEFILE_PATH];

	start(b, &(struct dump_config){.path = path_of(b, "f", path)}, false);
	make_udp(b, 10);
	b->tap.err = -EIO;
	assert_int_equal(send_frame(b, &plain), -EIO);
	assert_int_equal(capture_stats(&b->c).frames, 0);
	b->tap.err = 0;
	assert_int_equal(send_frame(b, &plain), 0);
	assert_int_equal(capture_stats(&b->c).frames, 1);
}

static void test_without_a_capture_frames_just_pass(void **state)
{
	struct bed *b = *state;

	assert_false(capture_running(&b->c));
	make_udp(b, 10);
	assert_int_equal(send_frame(b, &plain), 0);
	assert_int_equal(b->tap.n, 1);
	capture_input(&b->c, b->frame.data, b->frame.len, &plain);
	assert_false(capture_waiting(&b->c));
	capture_flush(&b->c);
	capture_stop(&b->c);
	assert_null(b->c.bufs);
	assert_int_equal(capture_stats(&b->c).frames, 0);
}

static void test_one_capture_at_a_time(void **state)
{
	struct bed *b = *state;
	char path[SAVEFILE_PATH], other[SAVEFILE_PATH];
	struct fail why;

	start(b, &(struct dump_config){.path = path_of(b, "f", path)}, false);
	assert_int_equal(
		capture_start(&b->c,
			      &(struct dump_config){
				      .path = path_of(b, "other", other)},
			      false, &why),
		-EBUSY);
	assert_int_not_equal(access(other, F_OK), 0);
	make_udp(b, 10);
	assert_int_equal(send_frame(b, &plain), 0);
	capture_stop(&b->c);
	assert_false(capture_running(&b->c));
	assert_int_equal(capture_stats(&b->c).frames, 1);
	start(b, &(struct dump_config){.path = other}, false);
	assert_int_equal(capture_stats(&b->c).frames, 0);
}

static void test_a_capture_that_cannot_start_leaves_nothing(void **state)
{
	struct bed *b = *state;
	struct fail why = {""};

	assert_int_equal(
		capture_start(&b->c, &(struct dump_config){.path = "/dev/full"},
			      false, &why),
		-EIO);
	assert_non_null(strstr(why.text, "No space left"));
	assert_false(capture_running(&b->c));
	assert_null(b->c.bufs);
	assert_int_equal(b->failures, 0);
}

/* The size is reached, and where the next file belongs there is a directory. */
static void test_a_failure_is_told_once_and_the_network_goes_on(void **state)
{
	struct bed *b = *state;
	char path[SAVEFILE_PATH], next[SAVEFILE_PATH];

	start(b,
	      &(struct dump_config){.path = path_of(b, "f", path), .size = 80},
	      false);
	assert_int_equal(mkdir(path_of(b, "f1", next), 0700), 0);
	make_udp(b, 100);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(send_frame(b, &plain), 0);
		capture_input(&b->c, b->frame.data, b->frame.len, &plain);
		capture_flush(&b->c);
	}
	assert_int_equal(b->tap.n, 5);
	assert_int_equal(b->failures, 1);
	assert_non_null(strstr(b->why, "f1: Is a directory"));
	assert_false(capture_running(&b->c));
	assert_int_equal(capture_stats(&b->c).frames, 1);
	rmdir(next);
}

static int make_fifo(struct bed *b, char path[SAVEFILE_PATH])
{
	int fd;

	assert_int_equal(mkfifo(path_of(b, "fifo", path), 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

static void test_a_reader_that_goes_away_ends_the_capture(void **state)
{
	struct bed *b = *state;
	char path[SAVEFILE_PATH];
	int fd = make_fifo(b, path);

	signal(SIGPIPE, SIG_IGN);
	start(b, &(struct dump_config){.path = path}, false);
	close(fd);
	make_udp(b, 10);
	assert_int_equal(send_frame(b, &plain), 0);
	capture_flush(&b->c);
	assert_int_equal(b->failures, 1);
	assert_false(capture_running(&b->c));
	signal(SIGPIPE, SIG_DFL);
}

/* What waited when it was stopped comes out as its reader reads. */
static void test_a_stop_does_not_wait_and_loses_nothing(void **state)
{
	struct bed *b = *state;
	char path[SAVEFILE_PATH], copy[SAVEFILE_PATH];
	static uint8_t buf[1 << 16];
	int fd = make_fifo(b, path);
	FILE *to = fopen(path_of(b, "copy", copy), "wb");
	struct savefile s;
	bool owed;
	ssize_t n;

	assert_non_null(to);
	start(b, &(struct dump_config){.path = path}, false);
	make_udp(b, 50000);
	for (int i = 0; i < 20; i++)
		assert_int_equal(send_frame(b, &plain), 0);
	capture_stop(&b->c);
	assert_false(capture_running(&b->c));
	assert_int_equal(capture_stats(&b->c).frames, 20);
	assert_true(capture_waiting(&b->c));
	do {
		n = read(fd, buf, sizeof(buf));
		if (n > 0)
			assert_int_equal(fwrite(buf, 1, (size_t)n, to), n);
		capture_flush(&b->c);
		owed = capture_waiting(&b->c);
	} while (owed || n > 0);
	close(fd);
	fclose(to);
	s = savefile_read(copy);
	assert_int_equal(s.n, 20);
	assert_false(s.truncated);
	savefile_free(&s);
	assert_int_equal(b->failures, 0);
}

static void test_what_an_old_reader_does_is_nothing_to_the_next(void **state)
{
	struct bed *b = *state;
	char path[SAVEFILE_PATH], next[SAVEFILE_PATH];
	int fd = make_fifo(b, path);

	signal(SIGPIPE, SIG_IGN);
	start(b, &(struct dump_config){.path = path}, false);
	make_udp(b, 50000);
	for (int i = 0; i < 20; i++)
		assert_int_equal(send_frame(b, &plain), 0);
	capture_stop(&b->c);
	start(b, &(struct dump_config){.path = path_of(b, "f", next)}, false);
	close(fd);
	capture_flush(&b->c);
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(b->failures, 0);
	assert_true(capture_running(&b->c));
	assert_false(capture_waiting(&b->c));
}

static void make_super(struct bed *b, struct offload *off)
{
	frames_tcp(&b->frame, &(struct frames_tcp){
				      .src = "10.0.2.2",
				      .dst = "10.0.2.100",
				      .sport = 80,
				      .dport = 1000,
				      .flags = WIRE_TCP_ACK,
				      .payload = payload,
				      .len = 10000,
			      });
	*off = (struct offload){
		.csum_partial = true,
		.csum_start = 34,
		.csum_offset = offsetof(struct wire_tcp, csum),
		.gso = GSO_TCP4,
		.gso_size = 1460,
		.hdr_len = 54,
	};
	/* the pseudo-header's sum */
	put16(b->frame.data + 50,
	      (uint16_t)~csum_fold(
		      csum_add(WIRE_PROTO_TCP + 10020, b->frame.data + 26, 8)));
}

static void test_a_super_frame_is_one_record_or_its_segments(void **state)
{
	struct bed *b = *state;
	char path[SAVEFILE_PATH];
	struct offload off;

	for (int segment = 0; segment < 2; segment++) {
		struct savefile s;

		start(b,
		      &(struct dump_config){.path = path_of(b, "f", path),
					    .snaplen = 100},
		      segment);
		make_super(b, &off);
		assert_int_equal(send_frame(b, &off), 0);
		capture_stop(&b->c);
		s = savefile_read(path);
		assert_int_equal(s.n, segment ? 7 : 1);
		assert_int_equal(s.rec[0].caplen, 100);
		assert_int_equal(s.rec[0].len, segment ? 1514 : 10054);
		savefile_free(&s);
	}
}

/* A raw socket can send what no IP packet holds. */
static void test_a_frame_longer_than_any_packet_is_cut(void **state)
{
	struct bed *b = *state;
	char path[SAVEFILE_PATH];
	struct savefile s;

	start(b, &(struct dump_config){.path = path_of(b, "f", path)}, true);
	memset(b->frame.data, 1, sizeof(b->frame.data));
	capture_input(&b->c, b->frame.data, sizeof(b->frame.data), &plain);
	capture_stop(&b->c);
	s = savefile_read(path);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.rec[0].len, sizeof(b->frame.data));
	assert_true(s.rec[0].caplen < s.rec[0].len);
	savefile_free(&s);
}

static void test_only_what_passes_the_filter_is_recorded(void **state)
{
	struct bed *b = *state;
	char path[SAVEFILE_PATH];
	struct savefile s;

	start(b,
	      &(struct dump_config){.path = path_of(b, "f", path),
				    .filter = "udp and greater 150",
				    .snaplen = 14},
	      false);
	make_udp(b, 10);
	send_frame(b, &plain);
	make_udp(b, 1000);
	send_frame(b, &plain);
	capture_stop(&b->c);
	s = savefile_read(path);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.rec[0].len, 1042);
	assert_int_equal(s.rec[0].caplen, 14);
	savefile_free(&s);
}

#define ON_BED(test) cmocka_unit_test_setup_teardown(test, bed_up, bed_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BED(test_both_directions_are_recorded_in_order),
		ON_BED(test_a_frame_that_the_tap_refuses_is_not_recorded),
		ON_BED(test_without_a_capture_frames_just_pass),
		ON_BED(test_one_capture_at_a_time),
		ON_BED(test_a_capture_that_cannot_start_leaves_nothing),
		ON_BED(test_a_failure_is_told_once_and_the_network_goes_on),
		ON_BED(test_a_reader_that_goes_away_ends_the_capture),
		ON_BED(test_a_stop_does_not_wait_and_loses_nothing),
		ON_BED(test_what_an_old_reader_does_is_nothing_to_the_next),
		ON_BED(test_a_super_frame_is_one_record_or_its_segments),
		ON_BED(test_a_frame_longer_than_any_packet_is_cut),
		ON_BED(test_only_what_passes_the_filter_is_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
