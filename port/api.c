/* A client is read until its request is whole, answered, and closed; one whose
 * request was too large is read on for a while, since closing over unread bytes
 * would take the reply from it. */
#include "port/api.h"

#include "stack/container_of.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG  64
#define BACK_OFF (100 * NSEC_PER_MSEC)
/* What is read away behind a request that was too large. */
#define DISCARD_MAX (64u << 20)
#define DISCARD_AT  65536 /* a turn */

enum client_state {
	CLIENT_READS,
	CLIENT_IS_ANSWERED,
	CLIENT_IS_DRAINED
};

struct client {
	struct api *api;
	struct loop_fd watch;
	struct loop_timer patience;
	struct loop_deferred gone;
	enum client_state state;
	bool too_large;
	char *reply; /* owned; @sent bytes of it are out */
	size_t sent, discarded, len;
	TAILQ_ENTRY(client) link;
	char request[API_REQUEST_MAX + 1];
};

struct api {
	struct loop *loop;
	struct api_request_env *requests;
	struct loop_fd watch; /* of the listening socket */
	struct loop_timer again;
	bool talk;
	unsigned count;
	TAILQ_HEAD(clients, client) clients; /* the oldest first */
	struct sockaddr_un name;
	dev_t dev; /* of the file that is ours */
	ino_t ino;
};

static void free_client(struct loop_deferred *d)
{
	struct client *c = container_of(d, struct client, gone);

	free(c->reply);
	free(c);
}

static void end_client(struct client *c)
{
	struct api *a = c->api;
	int fd = c->watch.fd;

	loop_timer_clear(a->loop, &c->patience);
	loop_del(a->loop, &c->watch);
	close(fd);
	TAILQ_REMOVE(&a->clients, c, link);
	a->count--;
	c->gone.run = free_client;
	loop_defer(a->loop, &c->gone);
}

static void on_patience(struct loop_timer *t)
{
	end_client(container_of(t, struct client, patience));
}

/* All is said. */
static void finish(struct client *c)
{
	if (!c->too_large) {
		end_client(c);
		return;
	}
	c->state = CLIENT_IS_DRAINED;
	shutdown(c->watch.fd, SHUT_WR);
	if (loop_set(c->api->loop, &c->watch, EPOLLIN) < 0)
		end_client(c);
}

static void write_reply(struct client *c)
{
	size_t left = strlen(c->reply) - c->sent;
	ssize_t n = send(c->watch.fd, c->reply + c->sent, left,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		n = 0;
	if (n < 0) {
		end_client(c);
		return;
	}
	c->sent += (size_t)n;
	if ((size_t)n == left)
		finish(c);
	else if (loop_set(c->api->loop, &c->watch, EPOLLOUT) < 0)
		end_client(c);
}

/* As slirp4netns says it; the bytes are anybody's. In one piece: stderr has no
 * buffer, a byte would be a system call. */
static void tell(const struct client *c)
{
	char text[4 * API_REQUEST_MAX + 1];
	size_t used = 0;

	for (size_t i = 0; i < c->len; i++) {
		unsigned char b = (unsigned char)c->request[i];

		if (b == '\n' && i + 1 == c->len)
			break;
		if (b < ' ' || b > '~')
			used += (size_t)snprintf(text + used, 5, "\\x%02x", b);
		else
			text[used++] = (char)b;
	}
	text[used] = '\0';
	fprintf(stderr, "apifd event\napi_handler: got request: %s\n", text);
}

static void answer(struct client *c)
{
	struct api *a = c->api;

	if (a->talk)
		tell(c);
	c->state = CLIENT_IS_ANSWERED;
	c->reply = c->too_large ? api_request_too_large()
				: api_request_answer(a->requests, c->request,
						     c->len);
	if (c->reply)
		write_reply(c);
	else
		end_client(c);
}

static void read_request(struct client *c)
{
	size_t room = sizeof(c->request) - c->len;
	ssize_t n = recv(c->watch.fd, c->request + c->len, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end_client(c);
		return;
	}
	c->len += (size_t)n;
	c->too_large = c->len > API_REQUEST_MAX;
	if (c->too_large)
		c->len = API_REQUEST_MAX;
	if (n == 0 || c->too_large || api_request_complete(c->request, c->len))
		answer(c);
}

static void discard(struct client *c)
{
	char bytes[DISCARD_AT];
	ssize_t n = recv(c->watch.fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->discarded += (size_t)n;
	if (n <= 0 || c->discarded > DISCARD_MAX)
		end_client(c);
}

static void on_client(struct loop_fd *f, uint32_t events)
{
	struct client *c = container_of(f, struct client, watch);

	switch (c->state) {
	case CLIENT_READS:
		read_request(c);
		break;
	case CLIENT_IS_ANSWERED:
		write_reply(c);
		break;
	case CLIENT_IS_DRAINED:
		discard(c);
		break;
	}
}

static void add_client(struct api *a, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	c->api = a;
	c->watch.ready = on_client;
	c->patience.fire = on_patience;
	if (loop_add(a->loop, &c->watch, fd, EPOLLIN) < 0) {
		close(fd);
		free(c);
		return;
	}
	TAILQ_INSERT_TAIL(&a->clients, c, link);
	a->count++;
	if (loop_timer_set(a->loop, &c->patience,
			   loop_now(a->loop) + API_PATIENCE) < 0)
		end_client(c);
}

static void back_off(struct api *a)
{
	if (loop_timer_set(a->loop, &a->again, loop_now(a->loop) + BACK_OFF) ==
	    0)
		loop_set(a->loop, &a->watch, 0);
}

static void on_again(struct loop_timer *t)
{
	struct api *a = container_of(t, struct api, again);

	loop_set(a->loop, &a->watch, EPOLLIN);
}

static void on_listening(struct loop_fd *f, uint32_t events)
{
	struct api *a = container_of(f, struct api, watch);
	int fd = accept4(f->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			back_off(a);
		return;
	}
	if (a->count == API_CLIENTS_MAX)
		end_client(TAILQ_FIRST(&a->clients));
	add_client(a, fd);
}

/* What an earlier program left behind. */
static int remove_stale(const char *path, struct fail *why)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : fail_errno(why, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return fail_set(why, -EEXIST,
				"%s is there and is no socket: remove it, or "
				"name another path",
				path);
	return unlink(path) < 0 ? fail_errno(why, "cannot remove %s", path) : 0;
}

static int bind_private(int fd, const struct sockaddr_un *name)
{
	mode_t old = umask(0177);
	int n = bind(fd, (const struct sockaddr *)name, sizeof(*name));
	int err = n < 0 ? -errno : 0;

	umask(old);
	return err;
}

static int listen_at(struct api *a, const char *path, struct fail *why)
{
	struct stat st;
	int fd, err;

	a->name.sun_family = AF_UNIX;
	if (*path == '\0') /* the kernel would take it for an abstract name */
		return fail_set(why, -EINVAL, "the API socket has no path");
	if (strlen(path) >= sizeof(a->name.sun_path))
		return fail_set(why, -ENAMETOOLONG,
				"the API socket's path has %zu bytes, the most "
				"is %zu: %s",
				strlen(path), sizeof(a->name.sun_path) - 1,
				path);
	memcpy(a->name.sun_path, path, strlen(path) + 1);
	err = remove_stale(path, why);
	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_errno(why, "API socket");
	err = bind_private(fd, &a->name);
	if (err == 0 && lstat(path, &st) == 0) {
		a->dev = st.st_dev;
		a->ino = st.st_ino;
	}
	if (err == 0 && listen(fd, BACKLOG) < 0)
		err = -errno;
	if (err == 0)
		err = loop_add(a->loop, &a->watch, fd, EPOLLIN);
	if (err == 0)
		return 0;
	close(fd);
	return fail_set(why, err, "API socket %s: %s", path, strerror(-err));
}

struct api *api_new(struct loop *loop, const char *path,
		    struct api_request_env *requests, bool talk,
		    struct fail *why)
{
	struct api *a = calloc(1, sizeof(*a));

	if (!a) {
		fail_set(why, -ENOMEM, "no memory for the API socket");
		return NULL;
	}
	a->loop = loop;
	a->requests = requests;
	a->talk = talk;
	a->watch = (struct loop_fd){.ready = on_listening, .fd = -1};
	a->again.fire = on_again;
	TAILQ_INIT(&a->clients);
	if (listen_at(a, path, why) == 0)
		return a;
	api_free(a);
	return NULL;
}

/* Only if nobody has put another file in its place. */
static void remove_file(const struct api *a)
{
	struct stat st;

	if (a->ino != 0 && lstat(a->name.sun_path, &st) == 0 &&
	    st.st_dev == a->dev && st.st_ino == a->ino)
		unlink(a->name.sun_path);
}

void api_free(struct api *a)
{
	int fd;

	if (!a)
		return;
	while (!TAILQ_EMPTY(&a->clients))
		end_client(TAILQ_FIRST(&a->clients));
	loop_timer_clear(a->loop, &a->again);
	fd = a->watch.fd;
	loop_del(a->loop, &a->watch);
	if (fd >= 0)
		close(fd);
	remove_file(a);
	free(a);
}
