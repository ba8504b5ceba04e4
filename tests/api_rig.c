#include "tests/api_rig.h"

#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static nsec_t test_time;

static nsec_t test_clock(void)
{
	return test_time;
}

int api_rig_lowest_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

int api_rig_setup(void **state)
{
	static const uint8_t mac[WIRE_MAC_LEN] = {0x52, 0x55, 10, 0, 2, 2};
	struct api_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	test_time = NSEC_PER_SEC;
	rig->now = &test_time;
	getrlimit(RLIMIT_NOFILE, &rig->limit);
	rig->lowest_fd = api_rig_lowest_fd();
	rig->loop = loop_new(test_clock);
	assert_non_null(rig->loop);
	rig->plan = plan_make(addr_from_v4(0x0a000200), 24, 1500, mac);
	rig->env.plan = &rig->plan;
	rig->env.forwards = forward_new(NULL);
	assert_non_null(rig->env.forwards);
	strcpy(rig->dir, "/tmp/tapir-api-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->path, sizeof(rig->path), "%s/sock", rig->dir);
	*state = rig;
	return 0;
}

int api_rig_teardown(void **state)
{
	struct api_rig *rig = *state;

	setrlimit(RLIMIT_NOFILE, &rig->limit);
	api_free(rig->api);
	loop_turn(rig->loop, 0); /* what was deferred */
	assert_int_equal(loop_timers(rig->loop), 0);
	loop_free(rig->loop);
	forward_free(rig->env.forwards);
	unlink(rig->path);
	assert_int_equal(rmdir(rig->dir), 0);
	assert_int_equal(api_rig_lowest_fd(), rig->lowest_fd);
	free(rig);
	return 0;
}

void api_rig_start(struct api_rig *rig)
{
	rig->api = api_new(rig->loop, rig->path, &rig->env, false, &rig->why);
	if (!rig->api)
		fail_msg("%s", rig->why.text);
}

void api_rig_stop(struct api_rig *rig)
{
	api_free(rig->api);
	rig->api = NULL;
}

void api_rig_settle(struct api_rig *rig)
{
	for (int i = 0; i < 2 * API_CLIENTS_MAX; i++)
		assert_int_equal(loop_turn(rig->loop, 0), 0);
}

int api_rig_connect(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(name.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
		return fd;
	close(fd);
	return -1;
}

int api_rig_client(struct api_rig *rig)
{
	int fd = api_rig_connect(rig->path);

	assert_true(fd >= 0);
	api_rig_settle(rig);
	return fd;
}

void api_rig_say(int fd, const char *text, size_t len)
{
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

ssize_t api_rig_hear(int fd, char *buf, size_t size)
{
	ssize_t n = recv(fd, buf, size, 0);

	return n < 0 ? -errno : n;
}

void api_rig_expect_silence(struct api_rig *rig, int fd)
{
	char c;

	api_rig_settle(rig);
	assert_int_equal(api_rig_hear(fd, &c, 1), -EAGAIN);
}

void api_rig_expect_end(struct api_rig *rig, int fd)
{
	char c;

	api_rig_settle(rig);
	assert_int_equal(api_rig_hear(fd, &c, 1), 0);
	close(fd);
}

void api_rig_expect_reply(struct api_rig *rig, int fd, const char *want)
{
	char buf[2048];
	ssize_t n;

	api_rig_settle(rig);
	n = api_rig_hear(fd, buf, sizeof(buf) - 1);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, want);
	api_rig_expect_end(rig, fd);
}

void api_rig_expect_works(struct api_rig *rig)
{
	int fd = api_rig_client(rig);

	api_rig_say(fd, API_RIG_LIST, strlen(API_RIG_LIST));
	api_rig_expect_reply(rig, fd, API_RIG_EMPTY_LIST);
}

size_t api_rig_pour(struct api_rig *rig, int fd, size_t len)
{
	char *bytes = calloc(1, API_RIG_MEGABYTE);
	size_t sent = 0;

	assert_non_null(bytes);
	memset(bytes, ' ', API_RIG_MEGABYTE);
	while (sent < len) {
		size_t n = len - sent < API_RIG_MEGABYTE ? len - sent
							 : API_RIG_MEGABYTE;
		ssize_t took = send(fd, bytes, n, MSG_NOSIGNAL);

		if (took < 0 && errno != EAGAIN)
			break;
		sent += took < 0 ? 0 : (size_t)took;
		loop_turn(rig->loop, 0);
	}
	free(bytes);
	return sent;
}
