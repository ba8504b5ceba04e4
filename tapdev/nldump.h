/* Asking the kernel for lists over a netlink socket that belongs to another
 * network namespace: netlink(7). The kernel makes the answer while it is read,
 * so that nothing here ever waits. */
#ifndef TAPDEV_NLDUMP_H
#define TAPDEV_NLDUMP_H

#include <libmnl/libmnl.h>
#include <stdbool.h>

/* The kernel fills messages of up to 32 KiB if it sees that much room. */
#define NLDUMP_ROOM 32768

/* Takes the entries of a list; embedded in its owner. */
struct nldump_sink {
	/* 0, or -errno: the rest is thrown away then. */
	int (*put)(struct nldump_sink *s, const struct nlmsghdr *h);
};

struct nldump {
	int fd;               /* owned */
	uint32_t seq, portid; /* what an answer to us carries */
	/* Messages met that were no answer: news of multicast groups. */
	unsigned news;
	_Alignas(struct nlmsghdr) char buf[NLDUMP_ROOM];
};

/* A socket of @protocol that hears of multicast groups @groups (bits as in
 * RTMGRP_*), non-blocking, and of unicast only what the kernel says: a process
 * in the namespace that is root there could send to it otherwise. The
 * descriptor or -errno. */
int nldump_socket(int protocol, unsigned groups);

/* Takes over @fd of nldump_socket(). */
void nldump_init(struct nldump *n, int fd);
void nldump_fini(struct nldump *n);

/* Reads away what lies there, news or the rest of a list. 0; -ENOBUFS if there
 * comes ever more. */
int nldump_drain(struct nldump *n);
/* Asks @request (type, payload and attributes are set) and gives every entry of
 * the answer to @sink. 0; -EINTR if the list changed while it was made and so
 * may lack entries; -errno of @sink, of the kernel's answer, or of the socket. */
int nldump_run(struct nldump *n, struct nlmsghdr *request,
	       struct nldump_sink *sink);

/* The first attribute of @type in @h, after a header of @behind bytes; NULL if
 * there is none. */
const struct nlattr *nldump_attr(const struct nlmsghdr *h, size_t behind,
				 uint16_t type);

#endif
