#include "tapdev/lane.h"

#include "tapdev/lane_serve.h"
#include "tapdev/scoped.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

struct lane {
	pid_t pid;
	int sock; /* -1: it is gone */
};

union control {
	struct cmsghdr h;
	char room[CMSG_SPACE(sizeof(int))];
};

void lane_ports_add(struct lane_ports *p, enum lane_way way,
		    enum lane_proto proto, uint16_t port)
{
	uint8_t *byte = &p->bits[way][proto][port / 8];

	*byte = (uint8_t)(*byte | 1u << port % 8);
}

bool lane_ports_has(const struct lane_ports *p, enum lane_way way,
		    enum lane_proto proto, uint16_t port)
{
	return p->bits[way][proto][port / 8] & 1u << port % 8;
}

/* The message of @len bytes that comes next, and *@ret_fd, -1 without one. False
 * if there is no such message. */
static bool receive(int sock, void *buf, size_t len, int *ret_fd)
{
	struct iovec iov = {buf, len};
	union control control;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control.room)};
	const struct cmsghdr *h;
	ssize_t n;

	*ret_fd = -1;
	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (h && h->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(h), sizeof(*ret_fd));
	return n == (ssize_t)len;
}

static void end(struct lane *l)
{
	if (l->sock < 0)
		return;
	close(steal_fd(&l->sock));
	/* It goes by itself, unless it hangs. */
	kill(l->pid, SIGKILL);
	while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int greet(struct lane *l, struct fail *why)
{
	struct lane_hello hello;
	int none;

	if (!receive(l->sock, &hello, sizeof(hello), &none))
		return fail_set(why, -ECHILD,
				"the lane's process ended before its time");
	if (hello.err < 0)
		*why = hello.why;
	return hello.err;
}

static int fork_it(struct lane *l, struct lane_birth *birth, struct fail *why)
{
	const struct timeval patience = {.tv_sec = LANE_PATIENCE};
	int sock[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return fail_errno(why, "socketpair");
	birth->sock = sock[1];
	birth->parent = getpid();
	l->pid = fork();
	if (l->pid == 0)
		lane_serve(birth);
	close(sock[1]);
	if (l->pid < 0) {
		close(sock[0]);
		return fail_errno(why, "fork");
	}
	l->sock = sock[0];
	setsockopt(l->sock, SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof(patience));
	setsockopt(l->sock, SOL_SOCKET, SO_SNDTIMEO, &patience,
		   sizeof(patience));
	return 0;
}

struct lane *lane_start(const struct netns_target *t,
			const struct lane_ports *ports, bool grows,
			struct fail *why)
{
	struct lane_birth birth = {.target = t, .ports = ports, .grows = grows};
	struct lane *l = calloc(1, sizeof(*l));

	if (!l) {
		fail_set(why, -ENOMEM, "no memory for the lane");
		return NULL;
	}
	l->sock = -1;
	if (fork_it(l, &birth, why) == 0 && greet(l, why) == 0)
		return l;
	lane_stop(l);
	return NULL;
}

void lane_stop(struct lane *l)
{
	if (!l)
		return;
	end(l);
	free(l);
}

/* 0 or a descriptor if one is @wanted, or -errno. */
static int ask(struct lane *l, const struct lane_request *q, bool wanted)
{
	int32_t err;
	int fd = -1;

	if (l->sock < 0)
		return -ENOTCONN;
	if (send(l->sock, q, sizeof(*q), MSG_NOSIGNAL) != sizeof(*q) ||
	    !receive(l->sock, &err, sizeof(err), &fd)) {
		end(l);
		return -ENOTCONN;
	}
	if (err < 0 || !wanted)
		return err;
	/* The kernel drops what the receiver has no room for. */
	return fd < 0 ? -EMFILE : fd;
}

static int make(struct lane *l, enum lane_way way, enum lane_proto proto,
		bool v4, uint16_t port)
{
	return ask(l,
		   &(struct lane_request){
			   .act = LANE_ACT_MAKE,
			   .way = (uint8_t)way,
			   .proto = (uint8_t)proto,
			   .v4 = v4,
			   .port = port,
		   },
		   true);
}

int lane_connect(struct lane *l, enum lane_proto proto, bool v4, uint16_t port)
{
	return make(l, LANE_CONNECT, proto, v4, port);
}

int lane_listen(struct lane *l, enum lane_proto proto, bool v4, uint16_t port)
{
	return make(l, LANE_LISTEN, proto, v4, port);
}

int lane_allow(struct lane *l, enum lane_way way, enum lane_proto proto,
	       uint16_t port)
{
	return ask(l,
		   &(struct lane_request){
			   .act = LANE_ACT_ALLOW,
			   .way = (uint8_t)way,
			   .proto = (uint8_t)proto,
			   .port = port,
		   },
		   false);
}
