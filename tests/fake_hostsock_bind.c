#include "tests/fake_hostsock_impl.h"
#include "tests/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A bound socket of either protocol is a UDP socket on loopback, so that the
 * loop sees what waits there: of TCP the names of clients, of UDP datagrams
 * behind the names of who sent them where. */

/* Where ports that the kernel picks begin. */
#define FIRST_PICKED 40000

static bool is_taken(enum fake_kind kind, const struct endpoint *at)
{
	for (size_t i = 0; i < fake_made(); i++) {
		const struct fake_sock *s = fake_get(i);

		if (s->fd >= 0 && s->kind == kind && endpoint_equal(&s->to, at))
			return true;
	}
	return false;
}

int hostsock_bind(const struct endpoint *local, bool udp)
{
	enum fake_kind kind = udp ? FAKE_BOUND_UDP : FAKE_BOUND_TCP;
	struct endpoint at = *local;
	struct fake_sock *s;

	if (fake_socket_error())
		return -fake_socket_error();
	if (at.port == 0)
		at.port = (uint16_t)(FIRST_PICKED + fake_made());
	if (is_taken(kind, &at))
		return -EADDRINUSE;
	s = fake_add(kind, fake_loopback_udp());
	s->to = at;
	return s->fd;
}

int hostsock_listen(int fd)
{
	struct fake_sock *s = fake_by_fd(fd);

	assert_int_equal(s->kind, FAKE_BOUND_TCP);
	s->listening = true;
	return 0;
}

int hostsock_unlisten(int fd)
{
	struct fake_sock *s = fake_by_fd(fd);
	char junk[sizeof(struct endpoint)];

	assert_true(s->listening);
	s->listening = false;
	while (recv(fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
	return 0;
}

struct fake_sock *fake_client(const struct endpoint *client)
{
	struct fake_sock *s;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				    0, pair),
			 0);
	s = fake_add(FAKE_TCP, pair[0]);
	s->to = *client;
	s->peer = pair[1];
	return s;
}

void fake_connect(struct fake_sock *s, const struct endpoint *client)
{
	struct endpoint claimed = *client;
	struct iovec iov = {&claimed, sizeof(claimed)};

	assert_int_equal(s->kind, FAKE_BOUND_TCP);
	assert_true(s->listening);
	fake_feed(s, &iov, 1);
}

int hostsock_accept(int fd, struct endpoint *ret_client)
{
	struct fake_sock *s = fake_by_fd(fd);
	struct endpoint client;

	assert_true(s->listening);
	if (fake_socket_error())
		return -fake_socket_error();
	if (recv(fd, &client, sizeof(client), MSG_DONTWAIT) < 0)
		return -errno;
	*ret_client = client;
	return fake_client(&client)->fd;
}

void fake_deliver_at(struct fake_sock *s, const struct endpoint *client,
		     const struct in6_addr *local, const void *buf, size_t len)
{
	struct endpoint from = *client;
	struct in6_addr to = *local;
	struct iovec iov[3] = {{&from, sizeof(from)},
			       {&to, sizeof(to)},
			       {(void *)(uintptr_t)buf, len}};

	assert_int_equal(s->kind, FAKE_BOUND_UDP);
	fake_feed(s, iov, 3);
}

ssize_t hostsock_recv_at(int fd, struct endpoint *ret_client,
			 struct in6_addr *ret_local, void *buf, size_t len)
{
	struct endpoint client;
	struct in6_addr local;
	const ssize_t names = sizeof(client) + sizeof(local);
	struct iovec iov[3] = {
		{&client, sizeof(client)}, {&local, sizeof(local)}, {buf, len}};
	ssize_t n = readv(fd, iov, 3);

	if (n < 0)
		return -errno;
	assert_true(n >= names);
	*ret_client = client;
	*ret_local = local;
	return n - names;
}

ssize_t hostsock_send_from(int fd, const struct endpoint *to,
			   const struct in6_addr *local,
			   const struct hostsock_opts *want,
			   struct hostsock_opts *set, const void *buf,
			   size_t len)
{
	struct fake_sock *s = fake_by_fd(fd);

	assert_int_equal(s->kind, FAKE_BOUND_UDP);
	assert_int_equal(addr_is_v4(&to->addr), addr_is_v4(&s->to.addr));
	*set = *want;
	if (fake_send_error())
		return -fake_send_error();
	fake_record(s, to, local, want, buf, len);
	return (ssize_t)len;
}
