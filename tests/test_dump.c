#include "pcap/dump.h"

#include "tests/savefile.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_HEADER   24
#define RECORD_HEADER 16
#define SOME_DAY      (INT64_C(1700000000) * NSEC_PER_SEC)

/* Ethernet, IPv4, UDP to port 53. */
static const uint8_t to_dns[60] = {2,  0,  0, 0,    0,  1, 2,  0,   0,  0, 0,
				   2,  8,  0, 0x45, 0,  0, 46, 0,   0,  0, 0,
				   64, 17, 0, 0,    10, 0, 2,  100, 10, 0, 2,
				   3,  4,  0, 0,    53, 0, 26, 0,   0};

static struct dump *open_dump(const struct dump_config *c)
{
	struct fail why = {""};
	struct dump *d = dump_open(c, &why);

	if (!d)
		print_error("%s\n", why.text);
	assert_non_null(d);
	return d;
}

/* The words with which @c is refused. */
static struct fail refused(const struct dump_config *c)
{
	unsigned fds = savefile_count_fds();
	struct fail why = {""};

	assert_null(dump_open(c, &why));
	assert_int_equal(savefile_count_fds(), fds);
	return why;
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

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void test_libpcap_reads_back_what_was_put(void **state)
{
	char path[SAVEFILE_PATH];
	struct dump *d = open_dump(
		&(struct dump_config){.path = savefile_path(state, "f", path)});
	static uint8_t big[65589];
	struct savefile s;
	struct stat st;

	memset(big, 7, sizeof(big));
	put(d, SOME_DAY + 123456789, to_dns, sizeof(to_dns));
	put(d, SOME_DAY + NSEC_PER_SEC - 1, big, sizeof(big));
	put(d, SOME_DAY - 1, to_dns, 0); /* clocks are set back, too */
	assert_int_equal(dump_stats(d).frames, 3);
	assert_int_equal(dump_stats(d).bytes, FILE_HEADER + 3 * RECORD_HEADER +
						      sizeof(to_dns) +
						      sizeof(big));
	assert_true(dump_waiting(d));
	finish(d);
	s = savefile_read(path);
	assert_true(s.nano);
	assert_false(s.truncated);
	assert_int_equal(s.snaplen, 262144);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.rec[0].when, SOME_DAY + 123456789);
	assert_int_equal(s.rec[0].len, sizeof(to_dns));
	assert_memory_equal(s.rec[0].data, to_dns, sizeof(to_dns));
	assert_int_equal(s.rec[1].caplen, sizeof(big));
	assert_memory_equal(s.rec[1].data, big, sizeof(big));
	assert_int_equal(s.rec[2].when, SOME_DAY - 1);
	assert_int_equal(s.rec[2].len, 0);
	savefile_free(&s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* Wireshark opens a file before there is a frame in it. */
static void test_a_file_can_be_read_once_it_is_open(void **state)
{
	char path[SAVEFILE_PATH];
	struct dump *d = open_dump(
		&(struct dump_config){.path = savefile_path(state, "f", path)});
	struct savefile s = savefile_read(path);

	assert_int_equal(s.n, 0);
	assert_false(s.truncated);
	savefile_free(&s);
	dump_close(d);
}

static void test_the_snap_length_cuts_and_tells_the_true_length(void **state)
{
	char path[SAVEFILE_PATH];
	struct dump *d = open_dump(&(struct dump_config){
		.path = savefile_path(state, "f", path), .snaplen = 40});
	struct savefile s;

	assert_int_equal(dump_room(d), 40);
	put(d, SOME_DAY, to_dns, sizeof(to_dns));
	assert_int_equal(dump_put(d, SOME_DAY, to_dns, 40, 1514), 0);
	put(d, SOME_DAY, to_dns, 39);
	finish(d);
	s = savefile_read(path);
	assert_int_equal(s.snaplen, 40);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.rec[0].caplen, 40);
	assert_int_equal(s.rec[0].len, sizeof(to_dns));
	assert_int_equal(s.rec[1].len, 1514);
	assert_int_equal(s.rec[2].caplen, 39);
	savefile_free(&s);
}

static void test_a_filter_chooses_and_wants_to_see_enough(void **state)
{
	char path[SAVEFILE_PATH];
	struct dump *d = open_dump(
		&(struct dump_config){.path = savefile_path(state, "f", path),
				      .filter = "udp port 53",
				      .snaplen = 20});
	uint8_t other[sizeof(to_dns)];
	struct savefile s;

	/* Ports lie behind 20 bytes, but not behind 128. */
	assert_true(dump_room(d) >= 38 && dump_room(d) <= 128);
	memcpy(other, to_dns, sizeof(other));
	other[37] = 54;
	for (int i = 0; i < 3; i++) {
		put(d, SOME_DAY, other, sizeof(other));
		put(d, SOME_DAY, to_dns, sizeof(to_dns));
	}
	assert_int_equal(dump_stats(d).frames, 3);
	finish(d);
	s = savefile_read(path);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.rec[0].caplen, 20);
	assert_int_equal(s.rec[0].len, sizeof(to_dns));
	savefile_free(&s);
}

/* A filter that was shown too little would say no. */
static void test_the_room_of_a_filter_is_what_it_reads(void **state)
{
	static const struct {
		const char *filter;
		size_t min, max;
	} rows[] = {
		{"tcp port 443", 38, 200},
		{"greater 1000", 0, 20}, /* reads nothing */
		{"ether[1000] = 1", 1001, 1001},
		{"ether[1000:4] = 1", 1004, 1004},
		{"tcp[tcpflags] & tcp-syn != 0", 48, 200},
		/* the place is computed: it may be anywhere */
		{"tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", 65589, 262144},
		{"ether[4294967295 & 4000] = 1", 4001, 262144},
	};
	char path[SAVEFILE_PATH];

	savefile_path(state, "f", path);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dump *d = open_dump(&(struct dump_config){
			.path = path, .filter = rows[i].filter, .snaplen = 1});

		assert_in_range(dump_room(d), rows[i].min, rows[i].max);
		dump_close(d);
	}
}

static void test_a_bad_filter_is_refused_in_words(void **state)
{
	char path[SAVEFILE_PATH];
	struct fail why = refused(
		&(struct dump_config){.path = savefile_path(state, "f", path),
				      .filter = "tcp prot 443"});

	assert_non_null(strstr(why.text, "capture filter 'tcp prot 443': "));
	assert_null(strchr(why.text, '\n'));
	assert_false(exists(path)); /* nothing was overwritten for it */
}

/* Whoever asks a name server waits for it. */
static void test_the_hosts_of_a_filter_are_not_looked_up(void **state)
{
	static const char *const good[] = {
		"host 10.0.2.3 or net 10.0.0.0/8",
		"ip6 host fd00::3 or net fd00::/64",
		"ether host 52:55:0a:00:02:02",
		"port domain or portrange 1-9",
	};
	char path[SAVEFILE_PATH];
	struct fail why = refused(
		&(struct dump_config){.path = savefile_path(state, "f", path),
				      .filter = "host www.example.com"});

	assert_string_equal(why.text,
			    "capture filter 'host www.example.com': unknown "
			    "host 'www.example.com': want an address, since no "
			    "name server is asked");
	refused(&(struct dump_config){.path = path, .filter = "net example"});
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		dump_close(open_dump(&(struct dump_config){.path = path,
							   .filter = good[i]}));
}

static void test_what_cannot_be_written_is_refused_in_words(void **state)
{
	char path[SAVEFILE_PATH];
	struct fail why;

	why = refused(&(struct dump_config){
		.path = savefile_path(state, "no/f", path)});
	assert_non_null(strstr(why.text, path));
	assert_non_null(strstr(why.text, "No such file"));
	why = refused(&(struct dump_config){.path = *state});
	assert_non_null(strstr(why.text, "directory"));
	why = refused(&(struct dump_config){.path = "/dev/full"});
	assert_non_null(strstr(why.text, "/dev/full: No space left"));
	assert_int_equal(mkfifo(savefile_path(state, "fifo", path), 0600), 0);
	why = refused(&(struct dump_config){.path = path});
	assert_non_null(strstr(why.text, "nobody reads"));
	why = refused(&(struct dump_config){.path = path, .files = 2});
	assert_non_null(strstr(why.text, "size"));
	why = refused(&(struct dump_config){.path = "-", .size = 1000});
	assert_non_null(strstr(why.text, "stdout"));
	why = refused(&(struct dump_config){.path = "/dev/null", .size = 1});
	assert_non_null(strstr(why.text, "/dev/null"));
}

static void test_a_terminal_is_refused(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	char name[64];
	struct fail why;

	if (master < 0)
		skip();
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, name, sizeof(name)), 0);
	why = refused(&(struct dump_config){.path = name});
	assert_non_null(strstr(why.text, "terminal"));
	close(master);
}

/* Puts @n frames of 60 bytes whose first byte counts. */
static void put_counted(struct dump *d, unsigned from, unsigned n)
{
	uint8_t frame[60] = {0};

	for (unsigned i = from; i < from + n; i++) {
		frame[0] = (uint8_t)i;
		put(d, SOME_DAY, frame, sizeof(frame));
	}
}

static void expect_counted(const char *path, unsigned from, unsigned n)
{
	struct savefile s = savefile_read(path);

	assert_int_equal(s.n, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(s.rec[i].data[0], (uint8_t)(from + i));
	savefile_free(&s);
}

/* One frame is the size of 100, not more; two are. So does tcpdump. */
static void test_a_size_begins_new_files_numbered_from_one(void **state)
{
	char path[SAVEFILE_PATH], next[SAVEFILE_PATH];
	struct dump *d = open_dump(&(struct dump_config){
		.path = savefile_path(state, "f", path), .size = 100});

	put_counted(d, 0, 5);
	finish(d);
	expect_counted(path, 0, 2);
	expect_counted(savefile_path(state, "f1", next), 2, 2);
	expect_counted(savefile_path(state, "f2", next), 4, 1);
	assert_false(exists(savefile_path(state, "f3", next)));
}

static void test_a_ring_of_files_writes_over_the_oldest(void **state)
{
	char path[SAVEFILE_PATH], name[SAVEFILE_PATH];
	struct dump *d = open_dump(
		&(struct dump_config){.path = savefile_path(state, "f", path),
				      .size = 100,
				      .files = 3});

	put_counted(d, 0, 9);
	finish(d);
	assert_false(exists(path));
	expect_counted(savefile_path(state, "f0", name), 6, 2);
	expect_counted(savefile_path(state, "f1", name), 8, 1);
	expect_counted(savefile_path(state, "f2", name), 4, 2);
	assert_false(exists(savefile_path(state, "f3", name)));
}

static void test_a_ring_numbers_with_as_many_digits_as_it_needs(void **state)
{
	char path[SAVEFILE_PATH], name[SAVEFILE_PATH];
	struct dump *d = open_dump(
		&(struct dump_config){.path = savefile_path(state, "f", path),
				      .size = 1,
				      .files = 11});

	put_counted(d, 0, 11);
	finish(d);
	assert_false(exists(savefile_path(state, "f0", name)));
	/* The header alone is more than a byte: the first is empty. */
	expect_counted(savefile_path(state, "f01", name), 0, 1);
	expect_counted(savefile_path(state, "f10", name), 9, 1);
	expect_counted(savefile_path(state, "f00", name), 10, 1);
	d = open_dump(
		&(struct dump_config){.path = savefile_path(state, "one", path),
				      .size = 100,
				      .files = 1});
	put_counted(d, 0, 3);
	finish(d);
	expect_counted(path, 2, 1);
}

static void test_a_next_file_that_cannot_be_made_ends_it(void **state)
{
	char path[SAVEFILE_PATH], next[SAVEFILE_PATH];
	struct dump *d = open_dump(&(struct dump_config){
		.path = savefile_path(state, "f", path), .size = 1});

	assert_int_equal(mkdir(savefile_path(state, "f1", next), 0700), 0);
	assert_int_equal(dump_put(d, SOME_DAY, to_dns, 60, 60), -EISDIR);
	assert_non_null(strstr(dump_error(d), next));
	assert_int_equal(dump_flush(d), -EISDIR);
	dump_close(d);
	rmdir(next);
}

/* The largest file that may be written, which takes the place of a full disk. */
static void limit_files(rlim_t bytes)
{
	static struct rlimit before;
	struct rlimit r;

	if (bytes == RLIM_INFINITY) {
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		signal(SIGXFSZ, SIG_DFL);
		return;
	}
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	r = (struct rlimit){bytes, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* Two frames are written, and then two and a half. */
static void test_a_file_that_may_not_grow_ends_with_a_whole_record(void **state)
{
	char path[SAVEFILE_PATH];
	struct dump *d = open_dump(
		&(struct dump_config){.path = savefile_path(state, "f", path)});
	struct dump_stats stats;

	put_counted(d, 0, 2);
	assert_int_equal(dump_flush(d), 0);
	limit_files(FILE_HEADER + 4 * (RECORD_HEADER + 60) + 30);
	put_counted(d, 2, 5);
	assert_int_equal(dump_flush(d), -EFBIG);
	limit_files(RLIM_INFINITY);
	assert_non_null(strstr(dump_error(d), "File too large"));
	stats = dump_stats(d);
	dump_close(d);
	expect_counted(path, 0, 4);
	assert_int_equal(stats.frames, 4);
	assert_int_equal(stats.dropped, 3);
	assert_int_equal(stats.bytes, FILE_HEADER + 4 * (RECORD_HEADER + 60));
}

/* A next file's header waits together with its first records. */
static void test_so_does_the_file_that_follows(void **state)
{
	char path[SAVEFILE_PATH], next[SAVEFILE_PATH];
	struct dump *d = open_dump(&(struct dump_config){
		.path = savefile_path(state, "f", path), .size = 200});
	struct dump_stats stats;

	put_counted(d, 0, 3);
	assert_int_equal(dump_flush(d), 0);
	put_counted(d, 3, 2);
	limit_files(FILE_HEADER + RECORD_HEADER + 60 + 1);
	assert_int_equal(dump_flush(d), -EFBIG);
	limit_files(RLIM_INFINITY);
	stats = dump_stats(d);
	dump_close(d);
	expect_counted(path, 0, 3);
	expect_counted(savefile_path(state, "f1", next), 3, 1);
	assert_int_equal(stats.frames, 4);
	assert_int_equal(stats.dropped, 1);
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
		IN_DIR(test_libpcap_reads_back_what_was_put),
		IN_DIR(test_a_file_can_be_read_once_it_is_open),
		IN_DIR(test_the_snap_length_cuts_and_tells_the_true_length),
		IN_DIR(test_a_filter_chooses_and_wants_to_see_enough),
		IN_DIR(test_the_room_of_a_filter_is_what_it_reads),
		IN_DIR(test_a_bad_filter_is_refused_in_words),
		IN_DIR(test_the_hosts_of_a_filter_are_not_looked_up),
		IN_DIR(test_what_cannot_be_written_is_refused_in_words),
		IN_DIR(test_a_terminal_is_refused),
		IN_DIR(test_a_size_begins_new_files_numbered_from_one),
		IN_DIR(test_a_ring_of_files_writes_over_the_oldest),
		IN_DIR(test_a_ring_numbers_with_as_many_digits_as_it_needs),
		IN_DIR(test_a_next_file_that_cannot_be_made_ends_it),
		IN_DIR(test_a_file_that_may_not_grow_ends_with_a_whole_record),
		IN_DIR(test_so_does_the_file_that_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
