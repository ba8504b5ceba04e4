#include "pcap/source.h"

#include "tests/savefile.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAGIC_MICRO 0xa1b2c3d4
#define MAGIC_NANO  0xa1b23c4d
#define ETHERNET    1
#define LINUX_SLL   113
#define SNAPLEN     262144
#define FRAME_MAX   262144

/* A file being written by hand, in either byte order. */
struct writer {
	FILE *f;
	bool big;
};

static void put_n(struct writer *w, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++) {
		int shift = 8 * (w->big ? bytes - 1 - i : i);

		fputc((int)(v >> shift & 255), w->f);
	}
}

static struct writer writer_open(const char *path, bool big)
{
	struct writer w = {fopen(path, "wb"), big};

	assert_non_null(w.f);
	return w;
}

static void classic_header(struct writer *w, uint32_t magic, uint32_t link)
{
	put_n(w, magic, 4);
	put_n(w, 2, 2);
	put_n(w, 4, 2);
	put_n(w, 0, 8);
	put_n(w, SNAPLEN, 4);
	put_n(w, link, 4);
}

/* A frame whose bytes count up from @number. */
static void classic_frame(struct writer *w, uint64_t sec, uint64_t fraction,
			  uint32_t have, uint32_t len, uint8_t number)
{
	put_n(w, sec, 4);
	put_n(w, fraction, 4);
	put_n(w, have, 4);
	put_n(w, len, 4);
	for (uint32_t i = 0; i < have; i++)
		fputc((uint8_t)(number + i), w->f);
}

static void block(struct writer *w, uint32_t type, uint32_t body)
{
	put_n(w, type, 4);
	put_n(w, body + 12, 4);
}

/* Section header and one interface. @tsresol: 10^-N s. */
static void ng_header(struct writer *w, uint16_t link, uint8_t tsresol)
{
	block(w, 0x0a0d0d0a, 16);
	put_n(w, 0x1a2b3c4d, 4);
	put_n(w, 1, 2);
	put_n(w, 0, 2);
	put_n(w, UINT64_MAX, 8);
	put_n(w, 28, 4);
	block(w, 1, 20);
	put_n(w, link, 2);
	put_n(w, 0, 2);
	put_n(w, SNAPLEN, 4);
	put_n(w, 9, 2); /* if_tsresol */
	put_n(w, 1, 2);
	fputc(tsresol, w->f);
	fputs("   ", w->f);
	put_n(w, 0, 4);
	put_n(w, 32, 4);
}

static void ng_frame(struct writer *w, uint64_t ticks, uint32_t len,
		     uint8_t number)
{
	uint32_t padded = (len + 3) & ~3u;

	block(w, 6, 20 + padded);
	put_n(w, 0, 4);
	put_n(w, ticks >> 32, 4);
	put_n(w, ticks & UINT32_MAX, 4);
	put_n(w, len, 4);
	put_n(w, len, 4);
	for (uint32_t i = 0; i < padded; i++)
		fputc((uint8_t)(number + i), w->f);
	put_n(w, 32 + padded, 4);
}

static struct source *open_source(const char *path)
{
	struct fail why = {""};
	struct source *s = source_open(path, &why);

	if (!s)
		print_error("%s\n", why.text);
	assert_non_null(s);
	return s;
}

static void expect_frame(struct source *s, nsec_t when, size_t len,
			 uint8_t number)
{
	struct source_frame f;
	struct fail why = {""};

	assert_int_equal(source_next(s, &f, &why), 1);
	assert_int_equal(f.when, when);
	assert_int_equal(f.have, len);
	assert_int_equal(f.len, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(f.bytes[i], (uint8_t)(number + i));
}

static void expect_end(struct source *s)
{
	struct source_frame f;
	struct fail why = {""};

	assert_int_equal(source_next(s, &f, &why), 0);
	assert_int_equal(source_next(s, &f, &why), 0);
	source_close(s);
}

static void test_classic_files_are_read_in_all_their_forms(void **state)
{
	char path[SAVEFILE_PATH];

	savefile_path(state, "f", path);
	for (int i = 0; i < 4; i++) {
		bool nano = i & 1;
		struct writer w = writer_open(path, i & 2);
		struct source *s;

		classic_header(&w, nano ? MAGIC_NANO : MAGIC_MICRO, ETHERNET);
		classic_frame(&w, 1700000000, 123456, 60, 60, 1);
		classic_frame(&w, 1700000001, 999999, 1, 1, 2);
		fclose(w.f);
		s = open_source(path);
		expect_frame(s,
			     1700000000 * NSEC_PER_SEC +
				     (nano ? 123456 : 123456000),
			     60, 1);
		expect_frame(s,
			     1700000001 * NSEC_PER_SEC +
				     (nano ? 999999 : 999999000),
			     1, 2);
		expect_end(s);
	}
}

static void test_pcapng_is_read_in_both_byte_orders(void **state)
{
	static const uint8_t tsresols[] = {3, 6, 9};
	static const int64_t tick[] = {1000000, 1000, 1};
	char path[SAVEFILE_PATH];

	savefile_path(state, "f", path);
	for (int i = 0; i < 6; i++) {
		struct writer w = writer_open(path, i & 1);
		struct source *s;

		ng_header(&w, ETHERNET, tsresols[i / 2]);
		ng_frame(&w, 1700000000123, 61, 7);
		ng_frame(&w, 1700000000124, 60, 8);
		fclose(w.f);
		s = open_source(path);
		expect_frame(s, 1700000000123 * tick[i / 2], 61, 7);
		expect_frame(s, 1700000000124 * tick[i / 2], 60, 8);
		expect_end(s);
	}
}

/* None of these is an error: they happen. */
static void test_odd_frames_are_handed_out_as_they_are(void **state)
{
	char path[SAVEFILE_PATH];
	struct writer w = writer_open(savefile_path(state, "f", path), false);
	struct source_frame f;
	struct fail why = {""};
	struct source *s;

	classic_header(&w, MAGIC_NANO, ETHERNET);
	classic_frame(&w, 100, 5, 0, 0, 0);
	classic_frame(&w, 100, 4, 10, 1500, 1);            /* cut off */
	classic_frame(&w, 99, 0, FRAME_MAX, FRAME_MAX, 2); /* back in time */
	classic_frame(&w, 101, 0, 50, 20, 3);
	classic_frame(&w, 101, 0, 0, UINT32_MAX, 4);
	classic_frame(&w, 102, UINT32_MAX, 1, 1, 5); /* no such fraction */
	fclose(w.f);
	s = open_source(path);
	expect_frame(s, 100 * NSEC_PER_SEC + 5, 0, 0);
	assert_int_equal(source_next(s, &f, &why), 1);
	assert_int_equal(f.number, 2);
	assert_int_equal(f.when, 100 * NSEC_PER_SEC + 4);
	assert_int_equal(f.have, 10);
	assert_int_equal(f.len, 1500);
	expect_frame(s, 99 * NSEC_PER_SEC, FRAME_MAX, 2);
	expect_frame(s, 101 * NSEC_PER_SEC, 50, 3); /* not 50 of 20 */
	assert_int_equal(source_next(s, &f, &why), 1);
	assert_int_equal(f.have, 0);
	assert_int_equal(f.len, UINT32_MAX);
	assert_int_equal(source_next(s, &f, &why), 1);
	assert_in_range(f.when, 102 * NSEC_PER_SEC, 103 * NSEC_PER_SEC - 1);
	expect_end(s);
}

static void test_times_beyond_all_calendars_stay_numbers(void **state)
{
	static const uint64_t ticks[] = {0, UINT64_MAX, INT64_MAX,
					 UINT64_C(1) << 63, 1};
	char path[SAVEFILE_PATH];
	struct writer w = writer_open(savefile_path(state, "f", path), false);
	struct source_frame f;
	struct fail why = {""};
	nsec_t last = 0, span;
	struct source *s;

	ng_header(&w, ETHERNET, 0); /* seconds */
	for (size_t i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++)
		ng_frame(&w, ticks[i], 60, 1);
	fclose(w.f);
	s = open_source(path);
	while (source_next(s, &f, &why) == 1) {
		assert_false(__builtin_sub_overflow(f.when, last, &span));
		last = f.when;
	}
	assert_int_equal(last, NSEC_PER_SEC);
	source_close(s);
}

static struct fail refused(const char *path)
{
	unsigned fds = savefile_count_fds();
	struct fail why = {""};

	assert_null(source_open(path, &why));
	assert_null(strchr(why.text, '\n'));
	assert_int_equal(savefile_count_fds(), fds);
	return why;
}

static void test_what_is_no_capture_is_refused_in_words(void **state)
{
	char path[SAVEFILE_PATH];
	struct fail why = refused(savefile_path(state, "none", path));
	struct writer w;

	assert_non_null(strstr(why.text, path));
	assert_non_null(strstr(why.text, "No such file"));
	why = refused(*state);
	assert_non_null(strstr(why.text, "directory"));
	w = writer_open(savefile_path(state, "text", path), false);
	fputs("This is a text, which is no capture at all.\n", w.f);
	fclose(w.f);
	why = refused(path);
	assert_non_null(strstr(why.text, path));
	assert_non_null(strstr(why.text, "unknown file format"));
	w = writer_open(path, false);
	fclose(w.f);
	why = refused(path);
	assert_non_null(strstr(why.text, path));
	assert_non_null(strstr(why.text, "truncated"));
}

static void test_other_link_types_are_refused_by_name(void **state)
{
	char path[SAVEFILE_PATH];
	struct writer w = writer_open(savefile_path(state, "f", path), false);
	struct fail why;

	classic_header(&w, MAGIC_MICRO, LINUX_SLL);
	fclose(w.f);
	why = refused(path);
	assert_non_null(strstr(why.text, "LINUX_SLL"));
	assert_non_null(strstr(why.text, "Ethernet"));
	w = writer_open(path, false);
	classic_header(&w, MAGIC_MICRO, 9999);
	fclose(w.f);
	why = refused(path);
	assert_non_null(strstr(why.text, "9999"));
}

/* The frames before the fault are good, and its place is told. */
static void expect_fault(const char *path, unsigned good, const char *words)
{
	struct source *s = open_source(path);
	struct source_frame f;
	struct fail why = {""};
	char place[32];

	for (unsigned i = 0; i < good; i++)
		assert_int_equal(source_next(s, &f, &why), 1);
	assert_true(source_next(s, &f, &why) < 0);
	snprintf(place, sizeof(place), "after frame %u: ", good);
	if (!strstr(why.text, path) || !strstr(why.text, place) ||
	    !strstr(why.text, words))
		fail_msg("%s", why.text);
	source_close(s);
}

static void test_a_file_that_is_cut_off_is_read_to_there(void **state)
{
	char path[SAVEFILE_PATH];
	struct writer w = writer_open(savefile_path(state, "f", path), false);
	long whole;

	classic_header(&w, MAGIC_NANO, ETHERNET);
	classic_frame(&w, 1, 1, 60, 60, 1);
	classic_frame(&w, 2, 2, 60, 60, 2);
	whole = ftell(w.f);
	fclose(w.f);
	for (long cut = 1; cut < 76; cut++) {
		assert_int_equal(truncate(path, whole - cut), 0);
		expect_fault(path, 1, "truncated");
	}
}

static void test_a_length_that_is_none_is_a_fault(void **state)
{
	static const uint32_t lengths[] = {SNAPLEN + 1, 0x7fffffff, 0x80000000,
					   UINT32_MAX};
	char path[SAVEFILE_PATH];

	savefile_path(state, "f", path);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct writer w = writer_open(path, false);

		classic_header(&w, MAGIC_NANO, ETHERNET);
		put_n(&w, 0, 8);
		put_n(&w, lengths[i], 4);
		put_n(&w, lengths[i], 4);
		fclose(w.f);
		expect_fault(path, 0, "");
	}
}

static void test_stdin_is_a_file_too(void **state)
{
	char path[SAVEFILE_PATH];
	struct writer w = writer_open(savefile_path(state, "f", path), false);
	int saved = dup(STDIN_FILENO), fds[2];
	struct source *s;
	char buf[256];
	size_t n;

	classic_header(&w, MAGIC_NANO, ETHERNET);
	classic_frame(&w, 1, 1, 60, 60, 1);
	fclose(w.f);
	w.f = fopen(path, "rb");
	n = fread(buf, 1, sizeof(buf), w.f);
	fclose(w.f);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], buf, n), n);
	close(fds[1]);
	dup2(fds[0], STDIN_FILENO);
	close(fds[0]);
	s = open_source("-");
	expect_frame(s, NSEC_PER_SEC + 1, 60, 1);
	expect_end(s);
	if (saved < 0)
		close(STDIN_FILENO);
	else
		dup2(saved, STDIN_FILENO);
	close(saved);
}

/* Most of the file is a hole: eight million frames of no
 * bytes. */
static void test_a_long_file_takes_no_more_memory_than_a_short_one(void **state)
{
	char path[SAVEFILE_PATH];
	struct writer w = writer_open(savefile_path(state, "f", path), false);
	struct rusage before, after;
	struct source_frame f;
	struct fail why;
	struct source *s;
	uint64_t n = 0;

	classic_header(&w, MAGIC_NANO, ETHERNET);
	classic_frame(&w, 0, 0, FRAME_MAX, FRAME_MAX, 0);
	assert_int_equal(ftruncate(fileno(w.f), 128 << 20), 0);
	fclose(w.f);
	s = open_source(path);
	assert_int_equal(source_next(s, &f, &why), 1);
	getrusage(RUSAGE_SELF, &before);
	while (source_next(s, &f, &why) == 1)
		n++;
	getrusage(RUSAGE_SELF, &after);
	assert_true(n > 8000000);
	assert_int_equal(f.number, n + 1);
	assert_true(after.ru_maxrss - before.ru_maxrss < 4096);
	source_close(s);
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
		IN_DIR(test_classic_files_are_read_in_all_their_forms),
		IN_DIR(test_pcapng_is_read_in_both_byte_orders),
		IN_DIR(test_odd_frames_are_handed_out_as_they_are),
		IN_DIR(test_times_beyond_all_calendars_stay_numbers),
		IN_DIR(test_what_is_no_capture_is_refused_in_words),
		IN_DIR(test_other_link_types_are_refused_by_name),
		IN_DIR(test_a_file_that_is_cut_off_is_read_to_there),
		IN_DIR(test_a_length_that_is_none_is_a_fault),
		IN_DIR(test_stdin_is_a_file_too),
		IN_DIR(test_a_long_file_takes_no_more_memory_than_a_short_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
