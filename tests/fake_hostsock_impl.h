/* What the files behind fake_hostsock.h share. */
#ifndef TESTS_FAKE_HOSTSOCK_IMPL_H
#define TESTS_FAKE_HOSTSOCK_IMPL_H

#include "tests/fake_hostsock.h"

/* A datagram socket on loopback. */
int fake_loopback_udp(void);
/* From now on @fd is a socket of the code under test. */
struct fake_sock *fake_add(enum fake_kind kind, int fd);
/* The one that has @fd; fails the test if there is none. */
struct fake_sock *fake_by_fd(int fd);
/* The errno that every new socket fails with, 0 if none. */
int fake_socket_error(void);
/* The errno that every send fails with, 0 if none. */
int fake_send_error(void);
void fake_record(struct fake_sock *s, const struct endpoint *to,
		 const struct in6_addr *from, const struct hostsock_opts *opts,
		 const void *buf, size_t len);
/* Sends what is in @iov to @s, so that it can be read there as one datagram. */
void fake_feed(struct fake_sock *s, struct iovec *iov, size_t iovcnt);

#endif
