#include "port/api.h"
#include "tests/api_rig.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TOO_LARGE "{\"error\":{\"desc\":\"bad request: too large message\"}}"
#define BAD_JSON  "{\"error\":{\"desc\":\"bad request: cannot parse JSON\"}}"

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

/* The file. */

static void test_only_the_owner_may_connect_whatever_the_umask(void **state)
{
	struct api_rig *rig = *state;
	mode_t old = umask(0);

	api_rig_start(rig);
	assert_int_equal(mode_of(rig->path), S_IFSOCK | 0600);
	assert_int_equal(umask(old), 0);
	api_rig_expect_works(rig);
}

static void test_the_file_goes_at_the_end(void **state)
{
	struct api_rig *rig = *state;

	api_rig_start(rig);
	api_rig_stop(rig);
	assert_int_equal(access(rig->path, F_OK), -1);
}

static void test_a_file_that_is_not_ours_any_more_stays(void **state)
{
	struct api_rig *rig = *state;
	struct api *second;

	api_rig_start(rig);
	second = api_new(rig->loop, rig->path, &rig->env, false, &rig->why);
	assert_non_null(second);
	api_rig_stop(rig);
	assert_int_equal(mode_of(rig->path) & S_IFMT, S_IFSOCK);
	api_rig_expect_works(rig);
	assert_int_equal(unlink(rig->path), 0);
	assert_int_equal(mkdir(rig->path, 0700), 0);
	api_free(second);
	assert_int_equal(rmdir(rig->path), 0);
}

static void test_what_an_earlier_program_left_gives_way(void **state)
{
	struct api_rig *rig = *state;
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(name.sun_path, rig->path, strlen(rig->path));
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	close(fd);
	assert_int_equal(api_rig_connect(rig->path), -1);
	api_rig_start(rig);
	api_rig_expect_works(rig);
}

static void expect_refused(struct api_rig *rig, const char *path,
			   const char *part)
{
	assert_null(api_new(rig->loop, path, &rig->env, false, &rig->why));
	if (!strstr(rig->why.text, part))
		fail_msg("'%s' does not say '%s'", rig->why.text, part);
}

static void test_what_is_no_socket_stays_and_is_told(void **state)
{
	struct api_rig *rig = *state;
	char target[80];
	int fd = open(rig->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	expect_refused(rig, rig->path, rig->path);
	assert_int_equal(mode_of(rig->path), S_IFREG | 0644);
	/* nor is a link, wherever it leads */
	snprintf(target, sizeof(target), "%s/target", rig->dir);
	assert_int_equal(rename(rig->path, target), 0);
	assert_int_equal(symlink(target, rig->path), 0);
	expect_refused(rig, rig->path, rig->path);
	assert_int_equal(mode_of(target), S_IFREG | 0644);
	assert_int_equal(unlink(target), 0);
}

static void test_a_path_that_cannot_be_bound_is_told(void **state)
{
	struct api_rig *rig = *state;
	char path[160];

	expect_refused(rig, "", "no path");
	snprintf(path, sizeof(path), "%s/none/sock", rig->dir);
	expect_refused(rig, path, path);
	snprintf(path, sizeof(path), "%s/%0*d", rig->dir,
		 108 - (int)strlen(rig->dir) - 1, 0);
	assert_int_equal(strlen(path), 108);
	expect_refused(rig, path, "108 bytes, the most is 107");
	assert_int_equal(access(path, F_OK), -1);
	path[107] = '\0';
	assert_int_equal(access(path, F_OK), -1);
	rig->api = api_new(rig->loop, path, &rig->env, false, &rig->why);
	assert_non_null(rig->api);
	assert_int_equal(mode_of(path), S_IFSOCK | 0600);
	api_rig_stop(rig);
	assert_int_equal(access(path, F_OK), -1);
}

/* Requests. */

static void test_a_request_is_answered_half_closed_or_not(void **state)
{
	struct api_rig *rig = *state;
	int fd;

	api_rig_start(rig);
	for (int half_close = 0; half_close < 2; half_close++) {
		fd = api_rig_client(rig);
		api_rig_say(fd, API_RIG_LIST "\n", strlen(API_RIG_LIST) + 1);
		if (half_close)
			shutdown(fd, SHUT_WR);
		api_rig_expect_reply(rig, fd, API_RIG_EMPTY_LIST);
	}
	fd = api_rig_client(rig);
	shutdown(fd, SHUT_WR);
	api_rig_expect_reply(rig, fd, BAD_JSON);
	fd = api_rig_client(rig);
	api_rig_say(fd, API_RIG_LIST, 5);
	api_rig_expect_silence(rig, fd);
	shutdown(fd, SHUT_WR);
	api_rig_expect_reply(rig, fd, BAD_JSON);
	assert_int_equal(loop_timers(rig->loop), 0);
}

static void test_a_byte_at_a_time_is_a_request(void **state)
{
	struct api_rig *rig = *state;
	static const char text[] =
		"{\"execute\":\"add_hostfwd\",\"arguments\":{\"proto\":\"tcp\","
		"\"host_addr\":\"127.0.0.1\",\"host_port\":80.0e2,"
		"\"\\u00e9\xc3\xa9\":null,\"guest_port\":80,\"follow\":true}}";
	size_t len = sizeof(text) - 1;
	int fd;

	api_rig_start(rig);
	fd = api_rig_client(rig);
	for (size_t i = 0; i < len; i++) {
		if (i > 0)
			api_rig_expect_silence(rig, fd);
		api_rig_say(fd, text + i, 1);
	}
	api_rig_expect_reply(
		rig, fd,
		"{\"return\":{\"id\":1,\"host_port\":8000,"
		"\"host_addrs\":[\"127.0.0.1\"],\"follow\":true}}");
}

static void test_4095_bytes_are_a_request_and_4096_are_too_many(void **state)
{
	struct api_rig *rig = *state;
	char text[API_REQUEST_MAX + 1];
	int fd;

	api_rig_start(rig);
	memset(text, ' ', sizeof(text));
	memcpy(text + API_REQUEST_MAX - strlen(API_RIG_LIST), API_RIG_LIST,
	       strlen(API_RIG_LIST));
	fd = api_rig_client(rig);
	api_rig_say(fd, text, API_REQUEST_MAX);
	api_rig_expect_reply(rig, fd, API_RIG_EMPTY_LIST);
	fd = api_rig_client(rig);
	api_rig_say(fd, text, API_REQUEST_MAX + 1);
	api_rig_expect_reply(rig, fd, TOO_LARGE);
	/* however it comes */
	memset(text, ' ', sizeof(text));
	fd = api_rig_client(rig);
	api_rig_say(fd, text, API_REQUEST_MAX);
	api_rig_expect_silence(rig, fd);
	api_rig_say(fd, text, 1);
	api_rig_expect_reply(rig, fd, TOO_LARGE);
}

static void test_10_mb_are_taken_and_answered(void **state)
{
	struct api_rig *rig = *state;
	int fd;

	api_rig_start(rig);
	fd = api_rig_client(rig);
	assert_int_equal(api_rig_pour(rig, fd, 10 * API_RIG_MEGABYTE),
			 10 * API_RIG_MEGABYTE);
	shutdown(fd, SHUT_WR);
	api_rig_expect_reply(rig, fd, TOO_LARGE);
	api_rig_expect_works(rig);
}

static void test_who_never_ends_is_ended(void **state)
{
	struct api_rig *rig = *state;
	int fd;

	api_rig_start(rig);
	fd = api_rig_client(rig);
	assert_in_range(api_rig_pour(rig, fd, 1000 * API_RIG_MEGABYTE),
			60 * API_RIG_MEGABYTE, 70 * API_RIG_MEGABYTE);
	close(fd);
	api_rig_expect_works(rig);
	assert_int_equal(loop_timers(rig->loop), 0);
}

/* What slirp4netns says of a request, but no byte that a terminal would obey; and
 * in one write, which is what a pipe with O_DIRECT gives back. */
static void test_requests_are_told_on_stderr_if_wanted(void **state)
{
	struct api_rig *rig = *state;
	int saved = dup(STDERR_FILENO), out[2], fd;
	char said[256] = "";

	assert_int_equal(pipe2(out, O_NONBLOCK | O_CLOEXEC | O_DIRECT), 0);
	assert_int_equal(dup2(out[1], STDERR_FILENO), STDERR_FILENO);
	rig->api = api_new(rig->loop, rig->path, &rig->env, true, &rig->why);
	fd = api_rig_client(rig);
	api_rig_say(fd, "{\n\033[2J\xff}\n", 9);
	api_rig_settle(rig);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_true(read(out[0], said, sizeof(said) - 1) > 0);
	assert_string_equal(said, "apifd event\napi_handler: got request: "
				  "{\\x0a\\x1b[2J\\xff}\n");
	close(out[0]);
	close(out[1]);
	close(fd);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, api_rig_setup, api_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_the_owner_may_connect_whatever_the_umask),
		TEST(test_the_file_goes_at_the_end),
		TEST(test_a_file_that_is_not_ours_any_more_stays),
		TEST(test_what_an_earlier_program_left_gives_way),
		TEST(test_what_is_no_socket_stays_and_is_told),
		TEST(test_a_path_that_cannot_be_bound_is_told),
		TEST(test_a_request_is_answered_half_closed_or_not),
		TEST(test_a_byte_at_a_time_is_a_request),
		TEST(test_4095_bytes_are_a_request_and_4096_are_too_many),
		TEST(test_10_mb_are_taken_and_answered),
		TEST(test_who_never_ends_is_ended),
		TEST(test_requests_are_told_on_stderr_if_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
