#include "port/cli_replay.h"

#include "tests/recording.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

struct run {
	int status;
	char *out, *err; /* allocated */
};

static struct run run(int argc, const char *const *argv)
{
	struct run r;
	size_t a, b;
	FILE *out = open_memstream(&r.out, &a);
	FILE *err = open_memstream(&r.err, &b);

	r.status = cli_replay(argc, (char **)(uintptr_t)argv, out, err);
	fclose(out);
	fclose(err);
	return r;
}
#define RUN(...)                                                               \
	run((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),     \
	    (const char *[]){__VA_ARGS__, NULL})

static void forget(struct run *r)
{
	free(r->out);
	free(r->err);
}

/* Fails, and with these words. */
static void refuse(struct run r, const char *words)
{
	if (r.status != 1 || !strstr(r.err, words))
		fail_msg("%d, no '%s' in\n%s", r.status, words, r.err);
	forget(&r);
}

static void succeed(struct run r, const char *words)
{
	if (r.status != 0 || !strstr(r.out, words))
		fail_msg("%d, no '%s' in\n%s%s", r.status, words, r.out, r.err);
	assert_string_equal(r.err, "");
	forget(&r);
}

/* IPv4 would be given other identifications by each replay of a process. */
static const struct recording_talk web = {
	"fd00::64", "2001:db8::7", 40000, 80, 1, 1};

static const char *capture(struct recording *r)
{
	recording_up(r, &web, WIRE_TCP_SYN, 0, 0, NULL, 0);
	fflush(r->file);
	return r->in;
}

static const char *file(struct recording *r, const char *name, const char *text)
{
	static char path[SAVEFILE_PATH];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static void test_bad_words_are_refused(void **state)
{
	refuse(RUN("replay"), "want one capture, got 0");
	refuse(RUN("replay", "a", "b"), "want one capture, got 2");
	refuse(RUN("replay", "--mtu", "575", "a"), "--mtu '575': want");
	refuse(RUN("replay", "--mtu=65522", "a"), "--mtu '65522': want");
	refuse(RUN("replay", "--cidr", "10.0.2.1/24", "a"), "--cidr");
	refuse(RUN("replay", "--bogus", "a"), "bogus");
	refuse(RUN("replay", "-"), "read twice");
	refuse(RUN("replay", "/nonexistent/x"), "No such file");
	refuse(RUN("replay", "--bogus"), "Try 'tapir replay --help'.");
}

static void test_help_says_all_there_is(void **state)
{
	static const char *const words[] = {"--output", "--expect", "--host",
					    "--cidr",   "--mtu",    "wait end"};
	struct run r = RUN("replay", "-h");

	assert_int_equal(r.status, 0);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_non_null(strstr(r.out, words[i]));
	for (const char *at = r.out; *at; at += strcspn(at, "\n") + 1)
		assert_true(strcspn(at, "\n") <= 80);
	forget(&r);
}

static void test_files_that_cannot_be_are_told_by_name(void **state)
{
	struct recording *r = *state;
	const char *in = capture(r);

	refuse(RUN("replay", "--host", "/nonexistent/h", in), "/nonexistent/h");
	refuse(RUN("replay", "--host", r->dir, in), r->dir);
	refuse(RUN("replay", "--host", file(r, "h", "tcp * sing\n"), in),
	       "h:1: 'sing' is no action of tcp");
	refuse(RUN("replay", "--expect", "/nonexistent/w", in),
	       "/nonexistent/w");
	refuse(RUN("replay", "-o", "/nonexistent/o", in), "/nonexistent/o");
	refuse(RUN("replay", "-o", "/dev/full", in), "/dev/full");
}

static void test_the_input_is_not_written_over(void **state)
{
	struct recording *r = *state;
	const char *in = capture(r);
	char again[SAVEFILE_PATH + 8];

	refuse(RUN("replay", "-o", in, in), "would be written over");
	snprintf(again, sizeof(again), "%s/./in.pcap", r->dir);
	refuse(RUN("replay", "-o", again, in), "would be written over");
	succeed(RUN("replay", "-o", r->out, in), "1 frames of the container");
	refuse(RUN("replay", "-o", r->out, "--expect", r->out, in),
	       "would be written over");
}

static void test_what_is_as_expected_is_said_to_be(void **state)
{
	struct recording *r = *state;
	const char *in = capture(r);
	const char *host;
	struct run got;

	succeed(RUN("replay", "-o", r->out, in), "followed");
	succeed(RUN("replay", "--expect", r->out, in), "all as expected\n");
	host = file(r, "h", "tcp * refuse\n");
	got = RUN("replay", "--host", host, "--expect", r->out, in);
	assert_int_equal(got.status, 1);
	assert_non_null(strstr(got.out, "tcp.flags: wanted 0x12, got 0x14\n"));
	assert_null(strstr(got.out, "all as expected"));
	forget(&got);
}

static void test_one_frame_more_or_less_is_a_difference(void **state)
{
	struct recording *r = *state;
	const char *in = capture(r);
	const char *host = file(r, "h", "tcp * timeout\n");
	struct run got;

	succeed(RUN("replay", "--host", host, "-o", r->out, in), "followed");
	got = RUN("replay", "--expect", r->out, in);
	assert_int_equal(got.status, 1);
	assert_non_null(strstr(got.out, ": got one more than wanted\n"));
	forget(&got);
	succeed(RUN("replay", "-o", r->out, in), "followed");
	got = RUN("replay", "--host", host, "--expect", r->out, in);
	assert_int_equal(got.status, 1);
	assert_non_null(strstr(got.out, ": wanted, and did not come\n"));
	forget(&got);
}

static void test_a_wrong_time_is_a_difference(void **state)
{
	struct recording *r = *state;
	const char *in = capture(r);
	uint32_t nsec = 12345;
	struct run got;
	FILE *f;

	succeed(RUN("replay", "-o", r->out, in), "followed");
	f = fopen(r->out, "r+b");
	assert_int_equal(fseek(f, 28, SEEK_SET), 0);
	assert_int_equal(fwrite(&nsec, sizeof(nsec), 1, f), 1);
	fclose(f);
	got = RUN("replay", "--expect", r->out, in);
	assert_int_equal(got.status, 1);
	assert_non_null(
		strstr(got.out, "frame 1: time: wanted 12345 ns, got 0 ns\n"));
	forget(&got);
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(f, recording_setup, recording_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_bad_words_are_refused),
		CASE(test_help_says_all_there_is),
		CASE(test_files_that_cannot_be_are_told_by_name),
		CASE(test_the_input_is_not_written_over),
		CASE(test_what_is_as_expected_is_said_to_be),
		CASE(test_one_frame_more_or_less_is_a_difference),
		CASE(test_a_wrong_time_is_a_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
