/* Host sockets. The only file that makes inet sockets and moves bytes through
 * them, so that tests can put a scripted host in its place at link time. All
 * descriptors are non-blocking and close-on-exec. Every call returns a value
 * >= 0 or -errno; EINTR is handled here. IPv6 sockets are v6-only.
 *
 * Link-local IPv6 addresses carry the index of their interface in bytes 4 to 7,
 * which are zero in every such address on a wire (RFC 4291 2.5.6): see
 * hostsock_scoped(). */
#ifndef PORT_HOSTSOCK_H
#define PORT_HOSTSOCK_H

#include "stack/addr.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Where outgoing sockets start from (--outbound-addr, --outbound-addr6);
 * unspecified: the kernel chooses. */
struct hostsock_source {
	struct in6_addr v4; /* addr_from_v4(0) when not set */
	struct in6_addr v6; /* :: when not set */
	/* The interface to use, --outbound-if4, --outbound-if6; NULL: any. */
	const char *ifname4, *ifname6;
};

/* @a on the interface called @name; *@ret only if 0 is returned, else -errno
 * (-ENODEV: no such interface). For an address that is not link-local, @a. */
int hostsock_scoped(const struct in6_addr *a, const char *name,
		    struct in6_addr *ret);
/* As addr_format(), and "%eth0" behind an address that is on an interface. */
#define HOSTSOCK_STRLEN (ADDR_STRLEN + 17)
const char *hostsock_format(const struct in6_addr *a,
			    char buf[HOSTSOCK_STRLEN]);

/* A TCP socket whose connect() to @to is under way (or done: it polls writable
 * either way; hostsock_error() then tells). The descriptor or -errno of the
 * step that failed at once. TCP_NODELAY and SO_KEEPALIVE are set. */
int hostsock_connect(const struct endpoint *to,
		     const struct hostsock_source *source);
/* Pending SO_ERROR as -errno, 0 if none. */
int hostsock_error(int fd);
ssize_t hostsock_send(int fd, const struct iovec *iov, int iovcnt);
ssize_t hostsock_recv(int fd, const struct iovec *iov, int iovcnt);
/* SHUT_WR. */
int hostsock_shutdown(int fd);
/* Plain close: what the kernel has queued still goes out. */
void hostsock_close(int fd);
/* Close with a zero linger time: the peer gets RST. */
void hostsock_reset(int fd);

/* An unconnected UDP socket of the family of @family_of, bound to @port if that
 * is free and allowed, else to any. Error queue (IP_RECVERR) on. */
int hostsock_udp(const struct in6_addr *family_of, uint16_t port,
		 const struct hostsock_source *source);
/* A ping socket: SOCK_DGRAM with IPPROTO_ICMP/ICMPV6, error queue on. -EACCES
 * if net.ipv4.ping_group_range excludes us. */
int hostsock_ping(const struct in6_addr *family_of,
		  const struct hostsock_source *source);

/* What a datagram carries besides its bytes; set on the socket only when it
 * differs from what was last set there. Zero-initialise with the socket. */
struct hostsock_opts {
	uint8_t ttl; /* 0: the system's default */
	uint8_t tos;
	bool dont_fragment; /* fail with -EMSGSIZE beyond the path MTU */
};

ssize_t hostsock_sendto(int fd, const struct endpoint *to,
			const struct hostsock_opts *want,
			struct hostsock_opts *set, const void *buf, size_t len);
ssize_t hostsock_recvfrom(int fd, struct endpoint *ret_from, void *buf,
			  size_t len);

/* Sockets of published ports leave as many descriptors as this for everything
 * else: one with a number that is not lower than RLIMIT_NOFILE less the reserve
 * is given back, and the call fails with -EMFILE. */
#define HOSTSOCK_RESERVE 64
bool hostsock_in_reserve(int fd); /* is @fd such a number? */

/* A socket bound to @local (port 0: any that is free), of TCP not yet listening,
 * of UDP telling the address that a datagram was sent to. While it is bound
 * nobody else gets the port; lingering connections of an earlier owner do not
 * hold it. The descriptor or -errno. */
int hostsock_bind(const struct endpoint *local, bool udp);
/* The address and port that @fd is bound to. 0 or -errno. */
int hostsock_local(int fd, struct endpoint *ret);
/* Lets clients in, backlog SOMAXCONN; lets none in any more, the port staying
 * bound. Clients that wait to be accepted are reset. 0 or -errno. */
int hostsock_listen(int fd);
int hostsock_unlisten(int fd);
/* The next client, TCP_NODELAY and SO_KEEPALIVE set: a descriptor, -EAGAIN if there is none,
 * -EMFILE if it would have to come out of the reserve, and then the client
 * waits on; or another -errno. */
int hostsock_accept(int fd, struct endpoint *ret_client);
/* A datagram of a hostsock_bind() socket, and the address that it was sent to
 * (of a broadcast, the one to answer from). */
ssize_t hostsock_recv_at(int fd, struct endpoint *ret_client,
			 struct in6_addr *ret_local, void *buf, size_t len);
/* As hostsock_sendto(), from address @local, if one can send from that: not
 * from multicast or unspecified, then the kernel chooses. */
ssize_t hostsock_send_from(int fd, const struct endpoint *to,
			   const struct in6_addr *local,
			   const struct hostsock_opts *want,
			   struct hostsock_opts *set, const void *buf,
			   size_t len);

/* The MTU of the path to @to as far as the kernel knows; 0 if it cannot tell. For
 * datagrams that met -EMSGSIZE on a socket without error queue. */
uint32_t hostsock_mtu(const struct endpoint *to);

/* One entry of the error queue. */
struct hostsock_err {
	int err;              /* positive errno */
	uint32_t mtu;         /* with EMSGSIZE; else 0 */
	bool time_exceeded;   /* err is EHOSTUNREACH: a hop limit ran out */
	bool local;           /* found by this host, not told by ICMP */
	struct endpoint to;   /* where the datagram was going; of a local entry
			       * the port may be missing (0), and the payload
			       * is */
	struct in6_addr from; /* who reported it; unspecified if local */
	size_t len;           /* bytes of the datagram put into @buf */
};
/* 0, or -EAGAIN when the queue is empty. */
int hostsock_recverr(int fd, struct hostsock_err *ret, void *buf, size_t len);

#endif
