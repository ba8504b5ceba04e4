#include "port/hostsock_burst.h"

#include "port/hostsock_impl.h"

#include <errno.h>

int hostsock_burst_socket(const struct endpoint *to)
{
	int fd = hostsock_open(&to->addr, SOCK_DGRAM, 0);
	union hostsock_sockaddr sa;
	socklen_t len = hostsock_to_sockaddr(&to->addr, to->port, &sa);

	if (fd < 0)
		return fd;
	if (connect(fd, &sa.any, len) == 0)
		return fd;
	len = (socklen_t)errno;
	hostsock_close(fd);
	return -(int)len;
}

int hostsock_burst_recv(int fd, struct hostsock_burst *b)
{
	struct mmsghdr msgs[HOSTSOCK_BURST];
	struct iovec iov[HOSTSOCK_BURST];
	int n;

	for (int i = 0; i < HOSTSOCK_BURST; i++) {
		iov[i] = (struct iovec){b->bytes[i], sizeof(b->bytes[i])};
		msgs[i] = (struct mmsghdr){
			.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	do {
		n = recvmmsg(fd, msgs, HOSTSOCK_BURST, MSG_DONTWAIT, NULL);
	} while (n < 0 && errno == EINTR);
	b->n = n < 0 ? 0 : (unsigned)n;
	for (unsigned i = 0; i < b->n; i++)
		b->len[i] = msgs[i].msg_len;
	return n < 0 && errno != EAGAIN ? -errno : (int)b->n;
}

unsigned hostsock_burst_send(int fd, const struct endpoint *to,
			     const struct in6_addr *local,
			     struct hostsock_burst *b)
{
	union hostsock_control control = {.room = {0}};
	struct mmsghdr msgs[HOSTSOCK_BURST];
	struct iovec iov[HOSTSOCK_BURST];
	union hostsock_sockaddr sa;
	struct msghdr each = {
		.msg_name = &sa,
		.msg_namelen = hostsock_to_sockaddr(&to->addr, to->port, &sa),
		.msg_iovlen = 1};
	unsigned sent = 0, at = 0;

	if (!addr_is_unspecified(local) && !addr_is_multicast(local)) {
		each.msg_control = control.room;
		hostsock_write_source(&each, local);
	}
	for (unsigned i = 0; i < b->n; i++) {
		iov[i] = (struct iovec){b->bytes[i], b->len[i]};
		msgs[i].msg_hdr = each;
		msgs[i].msg_hdr.msg_iov = &iov[i];
	}
	/* It stops at one that is not taken, which may be too large, say. */
	while (at < b->n) {
		int n = sendmmsg(fd, msgs + at, b->n - at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		sent += n > 0 ? (unsigned)n : 0;
		at += n > 0 ? (unsigned)n : 1;
	}
	return sent;
}
