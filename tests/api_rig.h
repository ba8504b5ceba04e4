/* What the tests of port/api.c share: a real loop and real sockets in a
 * directory of the test's own, rules that bind nothing, a clock that is a
 * variable. Teardown proves that nothing is left. */
#ifndef TESTS_API_RIG_H
#define TESTS_API_RIG_H

#include "port/api.h"
#include "tests/fake_forward.h"

#include <sys/resource.h>

struct api_rig {
	nsec_t *now; /* of the loop */
	struct loop *loop;
	struct plan plan;
	struct api_request_env env;
	struct api *api;
	struct fail why;
	struct rlimit limit; /* put back by teardown */
	int lowest_fd;
	char dir[32], path[64];
};

#define API_RIG_LIST       "{\"execute\":\"list_hostfwd\"}"
#define API_RIG_EMPTY_LIST "{\"return\":{\"entries\":[]},\"entries\":[]}"
#define API_RIG_MEGABYTE   (1u << 20)

/* cmocka's. */
int api_rig_setup(void **state);
int api_rig_teardown(void **state);

void api_rig_start(struct api_rig *rig);
void api_rig_stop(struct api_rig *rig);
/* Until nothing happens any more. */
void api_rig_settle(struct api_rig *rig);
int api_rig_lowest_fd(void);

/* A client's socket, non-blocking; -1 if nobody listens at @path. */
int api_rig_connect(const char *path);
/* One that was let in. */
int api_rig_client(struct api_rig *rig);
/* All of it, at once. */
void api_rig_say(int fd, const char *text, size_t len);
/* What there is to read now: -EAGAIN if nothing, 0 at the end. */
ssize_t api_rig_hear(int fd, char *buf, size_t size);
/* As much of @len bytes as is taken until the other side ends it; how much. */
size_t api_rig_pour(struct api_rig *rig, int fd, size_t len);

void api_rig_expect_silence(struct api_rig *rig, int fd);
/* And closes @fd. */
void api_rig_expect_end(struct api_rig *rig, int fd);
/* @want comes in one piece, then the end; closes @fd. */
void api_rig_expect_reply(struct api_rig *rig, int fd, const char *want);
/* A new client is answered. */
void api_rig_expect_works(struct api_rig *rig);

#endif
