#include "tests/fake_hostsock.h"

#include "tests/fake_hostsock_impl.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* TCP is a Unix socket pair. A connection that waits is one whose send buffer
 * was filled, so that it does not poll writable.
 *
 * A datagram socket is a UDP socket on loopback. What it "receives" comes from
 * one feeder, the claimed sender in front of the bytes. Its error queue is made
 * readable by a datagram to a port that refuses: the true entry is thrown away
 * and the scripted one handed out. */

struct fake_error {
	struct hostsock_err err;
	uint8_t *buf;
};

struct script {
	struct endpoint to;
	enum fake_how how;
	int err;
};

static struct {
	struct fake_sock **socks;
	size_t count;
	struct script scripts[64];
	size_t script_count;
	int no_sockets, no_sends;
	uint32_t mtu;
	int feeder;
	int deaf; /* connected elsewhere: datagrams to its port are refused */
	struct sockaddr_in deaf_at;
} fake = {.feeder = -1, .deaf = -1};

int fake_loopback_udp(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static struct sockaddr_in name_of(int fd)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	return sa;
}

void fake_start(void)
{
	struct sockaddr_in sa;

	fake.no_sockets = fake.no_sends = 0;
	fake.mtu = 0;
	fake.script_count = 0;
	fake.feeder = fake_loopback_udp();
	fake.deaf = fake_loopback_udp();
	fake.deaf_at = name_of(fake.deaf);
	sa = name_of(fake.feeder);
	assert_int_equal(connect(fake.deaf, (struct sockaddr *)&sa, sizeof(sa)),
			 0);
}

static void free_sock(struct fake_sock *s)
{
	if (s->peer >= 0)
		close(s->peer);
	for (size_t i = 0; i < s->sent_count; i++)
		free(s->sent[i].buf);
	for (size_t i = 0; i < s->error_count; i++)
		free(s->errors[i].buf);
	free(s->sent);
	free(s->errors);
	free(s);
}

void fake_finish(void)
{
	size_t open = fake_open();

	for (size_t i = 0; i < fake.count; i++) {
		if (fake.socks[i]->fd >= 0)
			close(fake.socks[i]->fd);
		free_sock(fake.socks[i]);
	}
	free(fake.socks);
	fake.socks = NULL;
	fake.count = 0;
	close(fake.feeder);
	close(fake.deaf);
	assert_int_equal(open, 0);
}

void fake_script(const struct endpoint *to, enum fake_how how, int err)
{
	struct script *s = fake.scripts;

	while (s < fake.scripts + fake.script_count &&
	       !endpoint_equal(&s->to, to))
		s++;
	if (s == fake.scripts + fake.script_count)
		fake.script_count++;
	assert_true(fake.script_count <= 64);
	*s = (struct script){*to, how, err};
}

static struct script script_for(const struct endpoint *to)
{
	for (size_t i = 0; i < fake.script_count; i++) {
		if (endpoint_equal(&fake.scripts[i].to, to))
			return fake.scripts[i];
	}
	return (struct script){*to, FAKE_OK, 0};
}

void fake_no_sockets(int err)
{
	fake.no_sockets = err;
}

void fake_no_sends(int err)
{
	fake.no_sends = err;
}

void fake_mtu(uint32_t mtu)
{
	fake.mtu = mtu;
}

uint32_t hostsock_mtu(const struct endpoint *to)
{
	return fake.mtu;
}

int fake_socket_error(void)
{
	return fake.no_sockets;
}

int fake_send_error(void)
{
	return fake.no_sends;
}

size_t fake_made(void)
{
	return fake.count;
}

struct fake_sock *fake_get(size_t n)
{
	assert_true(n < fake.count);
	return fake.socks[n];
}

struct fake_sock *fake_last(void)
{
	assert_true(fake.count > 0);
	return fake.socks[fake.count - 1];
}

size_t fake_open(void)
{
	size_t n = 0;

	for (size_t i = 0; i < fake.count; i++)
		n += fake.socks[i]->fd >= 0;
	return n;
}

struct fake_sock *fake_add(enum fake_kind kind, int fd)
{
	struct fake_sock *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	fake.socks = realloc(fake.socks,
			     (fake.count + 1) * sizeof(struct fake_sock *));
	assert_non_null(fake.socks);
	fake.socks[fake.count++] = s;
	s->kind = kind;
	s->fd = fd;
	s->peer = -1;
	s->send_max = SIZE_MAX;
	return s;
}

/* Newest first: a descriptor number is used again after close(). */
struct fake_sock *fake_by_fd(int fd)
{
	for (size_t i = fake.count; i-- > 0;) {
		if (fake.socks[i]->fd == fd)
			return fake.socks[i];
	}
	fail_msg("descriptor %d is none that hostsock handed out", fd);
	return NULL;
}

static void fill(int fd)
{
	static const char junk[4096];

	while (send(fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
}

static void drain(int fd)
{
	char junk[4096];

	while (recv(fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
}

const char *hostsock_format(const struct in6_addr *a, char buf[HOSTSOCK_STRLEN])
{
	return addr_format(a, buf);
}

int hostsock_scoped(const struct in6_addr *a, const char *name,
		    struct in6_addr *ret)
{
	if (strcmp(name, "fake0") != 0)
		return -ENODEV;
	*ret = *a;
	if (!addr_is_v4(a) && addr_is_linklocal(a))
		ret->s6_addr[7] = 7;
	return 0;
}

int hostsock_connect(const struct endpoint *to,
		     const struct hostsock_source *source)
{
	struct script script = script_for(to);
	struct fake_sock *s;
	int pair[2];

	if (fake.no_sockets)
		return -fake.no_sockets;
	if (script.how == FAKE_FAIL_NOW)
		return -script.err;
	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				    0, pair),
			 0);
	s = fake_add(FAKE_TCP, pair[0]);
	s->to = *to;
	s->from = *source;
	s->peer = pair[1];
	if (script.how == FAKE_LATER) {
		s->pending = true;
		fill(s->fd);
	}
	if (script.how == FAKE_FAIL_LATER)
		fake_refuse(s, script.err);
	return s->fd;
}

static int take_error(struct fake_sock *s)
{
	int err = s->err;

	s->err = 0;
	return -err;
}

int hostsock_local(int fd, struct endpoint *ret)
{
	*ret = fake_by_fd(fd)->to;
	return 0;
}

bool hostsock_in_reserve(int fd)
{
	return false;
}

int hostsock_error(int fd)
{
	struct fake_sock *s = fake_by_fd(fd);

	assert_false(s->pending);
	return take_error(s);
}

static void start_transfer(struct fake_sock *s)
{
	assert_int_equal(s->kind, FAKE_TCP);
	assert_false(s->pending);
}

ssize_t hostsock_send(int fd, const struct iovec *iov, int iovcnt)
{
	struct fake_sock *s = fake_by_fd(fd);
	size_t sent = 0;

	start_transfer(s);
	if (s->err)
		return take_error(s);
	if (fake.no_sends)
		return -fake.no_sends;
	for (int i = 0; i < iovcnt && sent < s->send_max; i++) {
		size_t room = s->send_max - sent;
		size_t want = iov[i].iov_len < room ? iov[i].iov_len : room;
		ssize_t n = send(fd, iov[i].iov_base, want,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && sent == 0)
			return -errno;
		if (n < 0)
			break;
		sent += (size_t)n;
		if ((size_t)n < want)
			break;
	}
	return sent == 0 && s->send_max == 0 ? -EAGAIN : (ssize_t)sent;
}

ssize_t hostsock_recv(int fd, const struct iovec *iov, int iovcnt)
{
	struct fake_sock *s = fake_by_fd(fd);
	ssize_t n;

	start_transfer(s);
	if (s->err)
		return take_error(s);
	n = readv(fd, iov, iovcnt);
	return n < 0 ? -errno : n;
}

int hostsock_shutdown(int fd)
{
	struct fake_sock *s = fake_by_fd(fd);

	start_transfer(s);
	s->shut = true;
	return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

void hostsock_close(int fd)
{
	struct fake_sock *s;

	if (fd < 0)
		return;
	s = fake_by_fd(fd);
	close(fd);
	s->fd = -1;
}

void hostsock_reset(int fd)
{
	if (fd < 0)
		return;
	fake_by_fd(fd)->was_reset = true;
	hostsock_close(fd);
}

void fake_accept(struct fake_sock *s)
{
	assert_true(s->pending);
	drain(s->peer);
	s->pending = false;
}

void fake_refuse(struct fake_sock *s, int err)
{
	s->pending = false;
	s->err = err;
	drain(s->peer);
	close(s->peer);
	s->peer = -1;
}

size_t fake_write(struct fake_sock *s, const void *buf, size_t len)
{
	ssize_t n = send(s->peer, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 ? 0 : (size_t)n;
}

ssize_t fake_read(struct fake_sock *s, void *buf, size_t len)
{
	ssize_t n = recv(s->peer, buf, len, MSG_DONTWAIT);

	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	return n;
}

void fake_shutdown(struct fake_sock *s)
{
	assert_int_equal(shutdown(s->peer, SHUT_WR), 0);
}

void fake_reset(struct fake_sock *s)
{
	s->err = ECONNRESET;
	close(s->peer);
	s->peer = -1;
}

void fake_limit(struct fake_sock *s, size_t max)
{
	s->send_max = max;
}

static int datagram_socket(enum fake_kind kind, const struct in6_addr *of,
			   uint16_t port, const struct hostsock_source *source)
{
	int on = 1;
	int fd;
	struct fake_sock *s;

	if (fake.no_sockets)
		return -fake.no_sockets;
	fd = fake_loopback_udp();
	assert_int_equal(
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)), 0);
	s = fake_add(kind, fd);
	s->to = (struct endpoint){*of, port};
	s->from = *source;
	return fd;
}

int hostsock_udp(const struct in6_addr *family_of, uint16_t port,
		 const struct hostsock_source *source)
{
	return datagram_socket(FAKE_UDP, family_of, port, source);
}

int hostsock_ping(const struct in6_addr *family_of,
		  const struct hostsock_source *source)
{
	return datagram_socket(FAKE_PING, family_of, 0, source);
}

void fake_record(struct fake_sock *s, const struct endpoint *to,
		 const struct in6_addr *from, const struct hostsock_opts *opts,
		 const void *buf, size_t len)
{
	struct fake_sent *sent;

	s->sent = realloc(s->sent,
			  (s->sent_count + 1) * sizeof(struct fake_sent));
	assert_non_null(s->sent);
	sent = &s->sent[s->sent_count++];
	*sent = (struct fake_sent){*to, *from, *opts, malloc(len + 1), len};
	assert_non_null(sent->buf);
	if (len > 0)
		memcpy(sent->buf, buf, len);
}

ssize_t hostsock_sendto(int fd, const struct endpoint *to,
			const struct hostsock_opts *want,
			struct hostsock_opts *set, const void *buf, size_t len)
{
	struct fake_sock *s = fake_by_fd(fd);
	struct script script = script_for(to);

	assert_int_not_equal(s->kind, FAKE_TCP);
	assert_int_equal(addr_is_v4(&to->addr), addr_is_v4(&s->to.addr));
	*set = *want;
	if (fake.no_sends)
		return -fake.no_sends;
	/* as the kernel does: what an earlier datagram met is told first */
	if (s->error_count > 0 && s->err)
		return take_error(s);
	if (script.how == FAKE_FAIL_NOW)
		return -script.err;
	fake_record(s, to, &in6addr_any, want, buf, len);
	if (script.how == FAKE_FAIL_LATER) {
		struct hostsock_err e = {.err = script.err,
					 .to = *to,
					 .from = to->addr,
					 .len = len};

		fake_deliver_error(s, &e, buf);
	}
	return (ssize_t)len;
}

ssize_t hostsock_recvfrom(int fd, struct endpoint *ret_from, void *buf,
			  size_t len)
{
	struct iovec iov[2] = {{ret_from, sizeof(*ret_from)}, {buf, len}};
	ssize_t n = readv(fd, iov, 2);

	if (n < 0)
		return -errno;
	assert_true((size_t)n >= sizeof(*ret_from));
	return n - (ssize_t)sizeof(*ret_from);
}

int hostsock_recverr(int fd, struct hostsock_err *ret, void *buf, size_t len)
{
	struct fake_sock *s = fake_by_fd(fd);
	char junk[1024];
	struct iovec iov = {junk, sizeof(junk)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct fake_error e;

	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
		assert_int_equal(s->error_count, 0);
		return -errno;
	}
	assert_true(s->error_count > 0);
	e = s->errors[0];
	memmove(s->errors, s->errors + 1,
		--s->error_count * sizeof(struct fake_error));
	s->err = s->error_count > 0 ? s->errors[0].err.err : 0;
	*ret = e.err;
	if (ret->len > len)
		ret->len = len;
	if (ret->len > 0)
		memcpy(buf, e.buf, ret->len);
	free(e.buf);
	return 0;
}

void fake_feed(struct fake_sock *s, struct iovec *iov, size_t iovcnt)
{
	struct sockaddr_in sa = name_of(s->fd);
	struct msghdr msg = {.msg_name = &sa,
			     .msg_namelen = sizeof(sa),
			     .msg_iov = iov,
			     .msg_iovlen = iovcnt};

	assert_true(sendmsg(fake.feeder, &msg, 0) >= 0);
}

void fake_deliver(struct fake_sock *s, const struct endpoint *from,
		  const void *buf, size_t len)
{
	struct endpoint claimed;
	struct iovec iov[2] = {{&claimed, sizeof(claimed)},
			       {(void *)(uintptr_t)buf, len}};

	memset(&claimed, 0, sizeof(claimed));
	claimed.addr = from->addr;
	claimed.port = from->port;
	fake_feed(s, iov, 2);
}

void fake_deliver_error(struct fake_sock *s, const struct hostsock_err *e,
			const void *buf)
{
	struct fake_error *added;

	s->errors = realloc(s->errors,
			    (s->error_count + 1) * sizeof(struct fake_error));
	assert_non_null(s->errors);
	added = &s->errors[s->error_count++];
	*added = (struct fake_error){*e, malloc(e->len + 1)};
	assert_non_null(added->buf);
	if (e->len > 0)
		memcpy(added->buf, buf, e->len);
	if (!e->local)
		s->err = e->err;
	/* the error of an earlier one is what this send may return */
	if (sendto(s->fd, "", 0, 0, (struct sockaddr *)&fake.deaf_at,
		   sizeof(fake.deaf_at)) < 0)
		assert_int_equal(sendto(s->fd, "", 0, 0,
					(struct sockaddr *)&fake.deaf_at,
					sizeof(fake.deaf_at)),
				 0);
}
