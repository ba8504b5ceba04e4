#include "port/hostsock_impl.h"

#include <errno.h>
#include <string.h>

/* After the headers of libc, which define what it needs twice otherwise. */
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>

/* A kernel starts with path MTU discovery on: make what struct hostsock_opts
 * calls zero true. */
static void prepare_datagrams(int fd, const struct in6_addr *of)
{
	if (addr_is_v4(of)) {
		hostsock_option(fd, IPPROTO_IP, IP_RECVERR, 1);
		hostsock_option(fd, IPPROTO_IP, IP_MTU_DISCOVER,
				IP_PMTUDISC_DONT);
	} else {
		hostsock_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		hostsock_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
				IPV6_PMTUDISC_DONT);
	}
}

int hostsock_udp(const struct in6_addr *family_of, uint16_t port,
		 const struct hostsock_source *source)
{
	const struct in6_addr *from = hostsock_source_for(family_of, source);
	int fd = hostsock_open(family_of, SOCK_DGRAM, 0);
	int err;

	if (fd < 0)
		return fd;
	prepare_datagrams(fd, family_of);
	err = hostsock_bind_if(fd, family_of, source);
	if (!err)
		err = hostsock_bind_to(fd, from, port);
	if (port != 0 && (err == -EADDRINUSE || err == -EACCES))
		err = hostsock_bind_to(fd, from, 0);
	if (err) {
		hostsock_close(fd);
		return err;
	}
	return fd;
}

int hostsock_ping(const struct in6_addr *family_of,
		  const struct hostsock_source *source)
{
	const struct in6_addr *from = hostsock_source_for(family_of, source);
	int proto =
		addr_is_v4(family_of) ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6;
	int fd = hostsock_open(family_of, SOCK_DGRAM, proto);
	int err;

	if (fd < 0)
		return fd;
	prepare_datagrams(fd, family_of);
	err = hostsock_bind_if(fd, family_of, source);
	if (!err && !addr_is_unspecified(from))
		err = hostsock_bind_to(fd, from, 0);
	if (err) {
		hostsock_close(fd);
		return err;
	}
	return fd;
}

static void set_fragmenting(int fd, bool v4, bool dont)
{
	if (v4) {
		hostsock_option(fd, IPPROTO_IP, IP_MTU_DISCOVER,
				dont ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
		return;
	}
	hostsock_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
			dont ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT);
	hostsock_option(fd, IPPROTO_IPV6, IPV6_DONTFRAG, dont);
}

static void apply(int fd, bool v4, const struct hostsock_opts *want,
		  struct hostsock_opts *set)
{
	if (want->ttl != set->ttl)
		hostsock_option(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
				v4 ? IP_TTL : IPV6_UNICAST_HOPS,
				want->ttl ? want->ttl : -1);
	if (want->tos != set->tos)
		hostsock_option(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
				v4 ? IP_TOS : IPV6_TCLASS, want->tos);
	if (want->dont_fragment != set->dont_fragment)
		set_fragmenting(fd, v4, want->dont_fragment);
	*set = *want;
}

ssize_t hostsock_sendto(int fd, const struct endpoint *to,
			const struct hostsock_opts *want,
			struct hostsock_opts *set, const void *buf, size_t len)
{
	union hostsock_sockaddr sa;
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = hostsock_to_sockaddr(&to->addr, to->port, &sa),
		.msg_iov = &iov,
		.msg_iovlen = 1};

	apply(fd, addr_is_v4(&to->addr), want, set);
	return hostsock_send_message(fd, &msg);
}

ssize_t hostsock_recvfrom(int fd, struct endpoint *ret_from, void *buf,
			  size_t len)
{
	union hostsock_sockaddr sa = {.any.sa_family = AF_UNSPEC};
	struct iovec iov = {buf, len};
	struct msghdr msg = {.msg_name = &sa,
			     .msg_namelen = sizeof(sa),
			     .msg_iov = &iov,
			     .msg_iovlen = 1};
	ssize_t n = hostsock_recv_message(fd, &msg, 0);

	if (n >= 0)
		*ret_from = hostsock_from_sockaddr(&sa);
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
	union hostsock_sockaddr sa;

	/* of IPv4 the kernel gives fewer bytes; what follows is zero.
	 * SO_EE_OFFENDER() is this too, but casts const away */
	memcpy(&sa, ee + 1, sizeof(sa));
	return hostsock_from_sockaddr(&sa).addr;
}

int hostsock_recverr(int fd, struct hostsock_err *ret, void *buf, size_t len)
{
	union hostsock_control control = {.room = {0}};
	union hostsock_sockaddr sa = {.any.sa_family = AF_UNSPEC};
	struct iovec iov = {buf, len};
	struct msghdr msg = {.msg_name = &sa,
			     .msg_namelen = sizeof(sa),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room)};
	ssize_t n = hostsock_recv_message(fd, &msg, MSG_ERRQUEUE);
	const struct sock_extended_err *ee;

	if (n < 0)
		return (int)n;
	*ret = (struct hostsock_err){.err = EIO,
				     .to = hostsock_from_sockaddr(&sa),
				     .len = (size_t)n};
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

static void read_destination(struct msghdr *msg, struct in6_addr *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		struct in_pktinfo v4;
		struct in6_pktinfo v6;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(v4))) {
			/* of a broadcast, the address to answer from */
			memcpy(&v4, CMSG_DATA(c), sizeof(v4));
			*ret = addr_from_v4(ntohl(v4.ipi_spec_dst.s_addr));
		}
		if (c->cmsg_level == IPPROTO_IPV6 &&
		    c->cmsg_type == IPV6_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(v6))) {
			memcpy(&v6, CMSG_DATA(c), sizeof(v6));
			*ret = v6.ipi6_addr;
			if (hostsock_is_scoped(ret))
				hostsock_set_scope(ret, v6.ipi6_ifindex);
		}
	}
}

ssize_t hostsock_recv_at(int fd, struct endpoint *ret_client,
			 struct in6_addr *ret_local, void *buf, size_t len)
{
	union hostsock_control control = {.room = {0}};
	union hostsock_sockaddr sa = {.any.sa_family = AF_UNSPEC};
	struct iovec iov = {buf, len};
	struct msghdr msg = {.msg_name = &sa,
			     .msg_namelen = sizeof(sa),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room)};
	ssize_t n = hostsock_recv_message(fd, &msg, 0);

	if (n < 0)
		return n;
	*ret_client = hostsock_from_sockaddr(&sa);
	*ret_local =
		addr_is_v4(&ret_client->addr) ? addr_from_v4(0) : in6addr_any;
	read_destination(&msg, ret_local);
	return n;
}

static void add_control(struct msghdr *msg, int level, int type,
			const void *data, size_t len)
{
	struct cmsghdr *c;

	msg->msg_controllen = CMSG_SPACE(len);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
}

void hostsock_write_source(struct msghdr *msg, const struct in6_addr *local)
{
	if (addr_is_v4(local)) {
		struct in_pktinfo v4 = {.ipi_spec_dst.s_addr =
						htonl(addr_v4(local))};

		add_control(msg, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4));
	} else {
		struct in6_pktinfo v6 = {.ipi6_addr = *local};

		if (hostsock_is_scoped(local)) {
			v6.ipi6_ifindex = hostsock_scope(local);
			hostsock_set_scope(&v6.ipi6_addr, 0);
		}
		add_control(msg, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof(v6));
	}
}

ssize_t hostsock_send_from(int fd, const struct endpoint *to,
			   const struct in6_addr *local,
			   const struct hostsock_opts *want,
			   struct hostsock_opts *set, const void *buf,
			   size_t len)
{
	union hostsock_control control = {.room = {0}};
	union hostsock_sockaddr sa;
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = hostsock_to_sockaddr(&to->addr, to->port, &sa),
		.msg_iov = &iov,
		.msg_iovlen = 1};

	apply(fd, addr_is_v4(&to->addr), want, set);
	/* nothing answers from an address that many have */
	if (!addr_is_unspecified(local) && !addr_is_multicast(local)) {
		msg.msg_control = control.room;
		hostsock_write_source(&msg, local);
	}
	return hostsock_send_message(fd, &msg);
}

uint32_t hostsock_mtu(const struct endpoint *to)
{
	bool v4 = addr_is_v4(&to->addr);
	int fd = hostsock_open(&to->addr, SOCK_DGRAM, 0);
	union hostsock_sockaddr sa;
	socklen_t len = hostsock_to_sockaddr(&to->addr, to->port, &sa);
	int mtu = 0;

	if (fd < 0)
		return 0;
	/* sends nothing, but looks the route up */
	if (connect(fd, &sa.any, len) == 0) {
		len = sizeof(mtu);
		getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
			   v4 ? IP_MTU : IPV6_MTU, &mtu, &len);
	}
	hostsock_close(fd);
	return mtu > 0 ? (uint32_t)mtu : 0;
}
