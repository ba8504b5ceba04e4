#include "port/hostsock.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* After the headers of libc, which define what it needs twice otherwise. */
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Room for one extended error with the offender's address, and to spare. */
#define CONTROL_LEN 256

static bool is_scoped(const struct in6_addr *a)
{
	return !addr_is_v4(a) && addr_is_linklocal(a);
}

static uint32_t scope_of(const struct in6_addr *a)
{
	const uint8_t *b = a->s6_addr;

	return (uint32_t)b[4] << 24 | (uint32_t)b[5] << 16 |
	       (uint32_t)b[6] << 8 | b[7];
}

static void set_scope(struct in6_addr *a, uint32_t index)
{
	a->s6_addr[4] = (uint8_t)(index >> 24);
	a->s6_addr[5] = (uint8_t)(index >> 16);
	a->s6_addr[6] = (uint8_t)(index >> 8);
	a->s6_addr[7] = (uint8_t)index;
}

int hostsock_scoped(const struct in6_addr *a, const char *name,
		    struct in6_addr *ret)
{
	struct in6_addr scoped = *a;
	unsigned index;

	if (is_scoped(a)) {
		index = if_nametoindex(name);
		if (index == 0)
			index = (unsigned)strtoul(name, NULL, 10);
		if (index == 0)
			return -ENODEV;
		set_scope(&scoped, index);
	}
	*ret = scoped;
	return 0;
}

static socklen_t to_sockaddr(const struct in6_addr *a, uint16_t port,
			     union address *ret)
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
	if (is_scoped(a)) {
		ret->v6.sin6_scope_id = scope_of(a);
		set_scope(&ret->v6.sin6_addr, 0);
	}
	return sizeof(ret->v6);
}

static struct endpoint from_sockaddr(const union address *sa)
{
	struct endpoint e = {.addr = in6addr_any};

	if (sa->any.sa_family == AF_INET) {
		e.addr = addr_from_v4(ntohl(sa->v4.sin_addr.s_addr));
		e.port = ntohs(sa->v4.sin_port);
	} else if (sa->any.sa_family == AF_INET6) {
		e.addr = sa->v6.sin6_addr;
		e.port = ntohs(sa->v6.sin6_port);
		if (is_scoped(&e.addr))
			set_scope(&e.addr, sa->v6.sin6_scope_id);
	}
	return e;
}

static int family(const struct in6_addr *a)
{
	return addr_is_v4(a) ? AF_INET : AF_INET6;
}

/* Failure is not told: an option that some kernel lacks (or that a race with
 * the peer made pointless) must not cost the flow. */
static int option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int open_socket(const struct in6_addr *of, int type, int proto)
{
	int fd = socket(family(of), type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);

	if (fd < 0)
		return -errno;
	if (!addr_is_v4(of))
		option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	return fd;
}

static int bind_to(int fd, const struct in6_addr *a, uint16_t port)
{
	union address sa;
	socklen_t len = to_sockaddr(a, port, &sa);

	return bind(fd, &sa.any, len) < 0 ? -errno : 0;
}

static const struct in6_addr *source_for(const struct in6_addr *to,
					 const struct hostsock_source *source)
{
	return addr_is_v4(to) ? &source->v4 : &source->v6;
}

static int start_connect(int fd, const struct endpoint *to,
			 const struct hostsock_source *source)
{
	const struct in6_addr *from = source_for(&to->addr, source);
	union address sa;
	socklen_t len = to_sockaddr(&to->addr, to->port, &sa);

	option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!addr_is_unspecified(from)) {
		int err;

		/* else 28,000 connections to different hosts use up the
		 * ports that one address has */
		option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
		err = bind_to(fd, from, 0);
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
	int fd = open_socket(&to->addr, SOCK_STREAM, 0);
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

static ssize_t send_message(int fd, const struct msghdr *msg)
{
	ssize_t n;

	do {
		n = sendmsg(fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t recv_message(int fd, struct msghdr *msg, int flags)
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

	return send_message(fd, &msg);
}

ssize_t hostsock_recv(int fd, const struct iovec *iov, int iovcnt)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
			     .msg_iovlen = (size_t)iovcnt};

	return recv_message(fd, &msg, 0);
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

/* A kernel starts with path MTU discovery on: make what struct hostsock_opts
 * calls zero true. */
static void prepare_datagrams(int fd, const struct in6_addr *of)
{
	if (addr_is_v4(of)) {
		option(fd, IPPROTO_IP, IP_RECVERR, 1);
		option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	} else {
		option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	}
}

int hostsock_udp(const struct in6_addr *family_of, uint16_t port,
		 const struct hostsock_source *source)
{
	const struct in6_addr *from = source_for(family_of, source);
	int fd = open_socket(family_of, SOCK_DGRAM, 0);
	int err;

	if (fd < 0)
		return fd;
	prepare_datagrams(fd, family_of);
	err = bind_to(fd, from, port);
	if (port != 0 && (err == -EADDRINUSE || err == -EACCES))
		err = bind_to(fd, from, 0);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int hostsock_ping(const struct in6_addr *family_of,
		  const struct hostsock_source *source)
{
	const struct in6_addr *from = source_for(family_of, source);
	int proto =
		addr_is_v4(family_of) ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6;
	int fd = open_socket(family_of, SOCK_DGRAM, proto);
	int err;

	if (fd < 0)
		return fd;
	prepare_datagrams(fd, family_of);
	err = addr_is_unspecified(from) ? 0 : bind_to(fd, from, 0);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static void set_fragmenting(int fd, bool v4, bool dont)
{
	if (v4) {
		option(fd, IPPROTO_IP, IP_MTU_DISCOVER,
		       dont ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
		return;
	}
	option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
	       dont ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT);
	option(fd, IPPROTO_IPV6, IPV6_DONTFRAG, dont);
}

static void apply(int fd, bool v4, const struct hostsock_opts *want,
		  struct hostsock_opts *set)
{
	if (want->ttl != set->ttl)
		option(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       v4 ? IP_TTL : IPV6_UNICAST_HOPS,
		       want->ttl ? want->ttl : -1);
	if (want->tos != set->tos)
		option(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       v4 ? IP_TOS : IPV6_TCLASS, want->tos);
	if (want->dont_fragment != set->dont_fragment)
		set_fragmenting(fd, v4, want->dont_fragment);
	*set = *want;
}

ssize_t hostsock_sendto(int fd, const struct endpoint *to,
			const struct hostsock_opts *want,
			struct hostsock_opts *set, const void *buf, size_t len)
{
	union address sa;
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	struct msghdr msg = {.msg_name = &sa,
			     .msg_namelen =
				     to_sockaddr(&to->addr, to->port, &sa),
			     .msg_iov = &iov,
			     .msg_iovlen = 1};

	apply(fd, addr_is_v4(&to->addr), want, set);
	return send_message(fd, &msg);
}

ssize_t hostsock_recvfrom(int fd, struct endpoint *ret_from, void *buf,
			  size_t len)
{
	union address sa = {.any.sa_family = AF_UNSPEC};
	struct iovec iov = {buf, len};
	struct msghdr msg = {.msg_name = &sa,
			     .msg_namelen = sizeof(sa),
			     .msg_iov = &iov,
			     .msg_iovlen = 1};
	ssize_t n = recv_message(fd, &msg, 0);

	if (n >= 0)
		*ret_from = from_sockaddr(&sa);
	return n;
}

static const struct sock_extended_err *find_error(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		bool v4 = c->cmsg_level == IPPROTO_IP &&
			  c->cmsg_type == IP_RECVERR;
		bool v6 = c->cmsg_level == IPPROTO_IPV6 &&
			  c->cmsg_type == IPV6_RECVERR;

		if ((v4 || v6) &&
		    c->cmsg_len >= CMSG_LEN(sizeof(struct sock_extended_err)))
			return (const struct sock_extended_err *)(const void *)
				CMSG_DATA(c);
	}
	return NULL;
}

static bool is_time_exceeded(const struct sock_extended_err *ee)
{
	return (ee->ee_origin == SO_EE_ORIGIN_ICMP &&
		ee->ee_type == ICMP_TIME_EXCEEDED) ||
	       (ee->ee_origin == SO_EE_ORIGIN_ICMP6 &&
		ee->ee_type == ICMPV6_TIME_EXCEED);
}

static struct in6_addr offender(const struct sock_extended_err *ee)
{
	union address sa;

	/* of IPv4 the kernel gives fewer bytes; what follows is zero.
	 * SO_EE_OFFENDER() is this too, but casts const away */
	memcpy(&sa, ee + 1, sizeof(sa));
	return from_sockaddr(&sa).addr;
}

int hostsock_recverr(int fd, struct hostsock_err *ret, void *buf, size_t len)
{
	union {
		struct cmsghdr align;
		char room[CONTROL_LEN];
	} control = {.room = {0}};
	union address sa = {.any.sa_family = AF_UNSPEC};
	struct iovec iov = {buf, len};
	struct msghdr msg = {.msg_name = &sa,
			     .msg_namelen = sizeof(sa),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room)};
	ssize_t n = recv_message(fd, &msg, MSG_ERRQUEUE);
	const struct sock_extended_err *ee;

	if (n < 0)
		return (int)n;
	*ret = (struct hostsock_err){
		.err = EIO, .to = from_sockaddr(&sa), .len = (size_t)n};
	ee = find_error(&msg);
	if (!ee)
		return 0;
	ret->err = (int)ee->ee_errno;
	ret->mtu = ee->ee_errno == EMSGSIZE ? ee->ee_info : 0;
	ret->time_exceeded = is_time_exceeded(ee);
	ret->local = ee->ee_origin == SO_EE_ORIGIN_LOCAL;
	if (!ret->local)
		ret->from = offender(ee);
	return 0;
}
