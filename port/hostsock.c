#include "port/hostsock.h"

#include "port/hostsock_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* How often another free port is picked when somebody took the last one before
 * it was bound by its number. */
#define PICKS 16

bool hostsock_is_scoped(const struct in6_addr *a)
{
	return !addr_is_v4(a) && addr_is_linklocal(a);
}

uint32_t hostsock_scope(const struct in6_addr *a)
{
	const uint8_t *b = a->s6_addr;

	return (uint32_t)b[4] << 24 | (uint32_t)b[5] << 16 |
	       (uint32_t)b[6] << 8 | b[7];
}

void hostsock_set_scope(struct in6_addr *a, uint32_t index)
{
	a->s6_addr[4] = (uint8_t)(index >> 24);
	a->s6_addr[5] = (uint8_t)(index >> 16);
	a->s6_addr[6] = (uint8_t)(index >> 8);
	a->s6_addr[7] = (uint8_t)index;
}

/* By its name or its number; 0: neither. */
static unsigned interface(const char *name)
{
	unsigned index = if_nametoindex(name);
	unsigned long number;
	char *end;

	if (index > 0)
		return index;
	number = strtoul(name, &end, 10);
	return *end || number > INT_MAX ? 0 : (unsigned)number;
}

int hostsock_scoped(const struct in6_addr *a, const char *name,
		    struct in6_addr *ret)
{
	struct in6_addr scoped = *a;
	unsigned index;

	if (hostsock_is_scoped(a)) {
		index = interface(name);
		if (index == 0)
			return -ENODEV;
		hostsock_set_scope(&scoped, index);
	}
	*ret = scoped;
	return 0;
}

const char *hostsock_format(const struct in6_addr *a, char buf[HOSTSOCK_STRLEN])
{
	struct in6_addr bare = *a;
	char name[IF_NAMESIZE];
	uint32_t index = hostsock_is_scoped(a) ? hostsock_scope(a) : 0;
	size_t used;

	if (index > 0)
		hostsock_set_scope(&bare, 0);
	addr_format(&bare, buf);
	used = strlen(buf);
	if (index > 0 && if_indextoname(index, name))
		snprintf(buf + used, HOSTSOCK_STRLEN - used, "%%%s", name);
	else if (index > 0)
		snprintf(buf + used, HOSTSOCK_STRLEN - used, "%%%u",
			 (unsigned)index);
	return buf;
}

socklen_t hostsock_to_sockaddr(const struct in6_addr *a, uint16_t port,
			       union hostsock_sockaddr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (addr_is_v4(a)) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(port);
		ret->v4.sin_addr.s_addr = htonl(addr_v4(a));
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(port);
	ret->v6.sin6_addr = *a;
	if (hostsock_is_scoped(a)) {
		ret->v6.sin6_scope_id = hostsock_scope(a);
		hostsock_set_scope(&ret->v6.sin6_addr, 0);
	}
	return sizeof(ret->v6);
}

struct endpoint hostsock_from_sockaddr(const union hostsock_sockaddr *sa)
{
	struct endpoint e = {.addr = in6addr_any};

	if (sa->any.sa_family == AF_INET) {
		e.addr = addr_from_v4(ntohl(sa->v4.sin_addr.s_addr));
		e.port = ntohs(sa->v4.sin_port);
	} else if (sa->any.sa_family == AF_INET6) {
		e.addr = sa->v6.sin6_addr;
		e.port = ntohs(sa->v6.sin6_port);
		if (hostsock_is_scoped(&e.addr))
			hostsock_set_scope(&e.addr, sa->v6.sin6_scope_id);
	}
	return e;
}

static int family(const struct in6_addr *a)
{
	return addr_is_v4(a) ? AF_INET : AF_INET6;
}

void hostsock_option(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof(value));
}

int hostsock_open(const struct in6_addr *of, int type, int proto)
{
	int fd = socket(family(of), type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);

	if (fd < 0)
		return -errno;
	if (!addr_is_v4(of))
		hostsock_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	return fd;
}

int hostsock_bind_to(int fd, const struct in6_addr *a, uint16_t port)
{
	union hostsock_sockaddr sa;
	socklen_t len = hostsock_to_sockaddr(a, port, &sa);

	return bind(fd, &sa.any, len) < 0 ? -errno : 0;
}

const struct in6_addr *hostsock_source_for(const struct in6_addr *to,
					   const struct hostsock_source *source)
{
	return addr_is_v4(to) ? &source->v4 : &source->v6;
}

int hostsock_bind_if(int fd, const struct in6_addr *to,
		     const struct hostsock_source *source)
{
	const char *name = addr_is_v4(to) ? source->ifname4 : source->ifname6;

	if (!name)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name,
		       (socklen_t)strlen(name)) < 0)
		return -errno;
	return 0;
}

/* Probes of the container's end at us, who always answer: only the host can find
 * out that the peer has vanished, and would keep its descriptor for ever. */
static void want_keepalive(int fd)
{
	hostsock_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

static int start_connect(int fd, const struct endpoint *to,
			 const struct hostsock_source *source)
{
	const struct in6_addr *from = hostsock_source_for(&to->addr, source);
	union hostsock_sockaddr sa;
	socklen_t len = hostsock_to_sockaddr(&to->addr, to->port, &sa);
	int err = hostsock_bind_if(fd, &to->addr, source);

	if (err)
		return err;
	hostsock_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	want_keepalive(fd);
	if (!addr_is_unspecified(from)) {
		/* else 28,000 connections to different hosts use up the
		 * ports that one address has */
		hostsock_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
		err = hostsock_bind_to(fd, from, 0);
		if (err)
			return err;
	}
	if (connect(fd, &sa.any, len) < 0 && errno != EINPROGRESS &&
	    errno != EINTR)
		return -errno;
	return 0;
}

int hostsock_connect(const struct endpoint *to,
		     const struct hostsock_source *source)
{
	int fd = hostsock_open(&to->addr, SOCK_STREAM, 0);
	int err;

	if (fd < 0)
		return fd;
	err = start_connect(fd, to, source);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int hostsock_error(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

ssize_t hostsock_send_message(int fd, const struct msghdr *msg)
{
	ssize_t n;

	do {
		n = sendmsg(fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t hostsock_recv_message(int fd, struct msghdr *msg, int flags)
{
	ssize_t n;

	do {
		n = recvmsg(fd, msg, flags | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t hostsock_send(int fd, const struct iovec *iov, int iovcnt)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
			     .msg_iovlen = (size_t)iovcnt};

	return hostsock_send_message(fd, &msg);
}

ssize_t hostsock_recv(int fd, const struct iovec *iov, int iovcnt)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
			     .msg_iovlen = (size_t)iovcnt};

	return hostsock_recv_message(fd, &msg, 0);
}

int hostsock_shutdown(int fd)
{
	return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

void hostsock_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

void hostsock_reset(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* The kernel hands out the lowest. */
bool hostsock_in_reserve(int fd)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return false;
	return (rlim_t)fd + HOSTSOCK_RESERVE >= limit.rlim_cur;
}

/* Datagrams tell which address they were sent to. */
static void want_destination(int fd, bool v4)
{
	if (v4) {
		hostsock_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
		hostsock_option(fd, IPPROTO_IP, IP_MTU_DISCOVER,
				IP_PMTUDISC_DONT);
	} else {
		hostsock_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
		hostsock_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
				IPV6_PMTUDISC_DONT);
	}
}

/* SO_REUSEADDR lets a port be bound over what is left of connections to it; but
 * between two sockets that both have it and do not listen it lets the second
 * bind as well. So it is off whenever the port is bound and silent: the first
 * try does without, and what the second try needed goes again. */
static int bind_port(int fd, const struct endpoint *local)
{
	int err = hostsock_bind_to(fd, &local->addr, local->port);

	if (err != -EADDRINUSE)
		return err;
	hostsock_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	err = hostsock_bind_to(fd, &local->addr, local->port);
	hostsock_option(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	return err;
}

static int bound(const struct endpoint *local, bool udp)
{
	int fd = hostsock_open(&local->addr, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	int err = fd < 0 ? fd : 0;

	if (!err && hostsock_in_reserve(fd))
		err = -EMFILE;
	if (!err && udp) {
		want_destination(fd, addr_is_v4(&local->addr));
		err = hostsock_bind_to(fd, &local->addr, local->port);
	} else if (!err) {
		err = bind_port(fd, local);
	}
	if (err)
		hostsock_close(fd);
	return err ? err : fd;
}

/* A port that the kernel picked is given back when the socket stops listening;
 * only one that was asked for by its number stays. */
static int bound_by_number(const struct endpoint *local)
{
	int fd = -EADDRINUSE;

	for (int i = 0; i < PICKS && fd == -EADDRINUSE; i++) {
		struct endpoint picked = *local;
		int err;

		fd = bound(local, false);
		if (fd < 0)
			return fd;
		err = hostsock_local(fd, &picked);
		close(fd);
		if (err)
			return err;
		fd = bound(&picked, false);
	}
	return fd;
}

int hostsock_bind(const struct endpoint *local, bool udp)
{
	if (local->port == 0 && !udp)
		return bound_by_number(local);
	return bound(local, udp);
}

int hostsock_local(int fd, struct endpoint *ret)
{
	union hostsock_sockaddr sa = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof(sa);

	if (getsockname(fd, &sa.any, &len) < 0)
		return -errno;
	*ret = hostsock_from_sockaddr(&sa);
	return 0;
}

int hostsock_listen(int fd)
{
	/* what is accepted inherits both; the one lets the port be bound anew
	 * while such connections linger */
	want_keepalive(fd);
	hostsock_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (listen(fd, SOMAXCONN) == 0)
		return 0;
	hostsock_option(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	return -errno;
}

int hostsock_unlisten(int fd)
{
	/* of a listening socket this undoes listen(), not bind() */
	if (shutdown(fd, SHUT_RD) < 0)
		return -errno;
	hostsock_option(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	return 0;
}

int hostsock_accept(int fd, struct endpoint *ret_client)
{
	union hostsock_sockaddr sa = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof(sa);
	/* asked first: a client that is not taken waits, one that is taken and
	 * not kept is lost */
	int next = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int client;

	if (next < 0)
		return -errno;
	close(next);
	if (hostsock_in_reserve(next))
		return -EMFILE;
	do {
		client = accept4(fd, &sa.any, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (client < 0 && errno == EINTR);
	if (client < 0)
		return -errno;
	hostsock_option(client, IPPROTO_TCP, TCP_NODELAY, 1);
	*ret_client = hostsock_from_sockaddr(&sa);
	return client;
}
