/* What listens inside a network namespace, by a sock_diag netlink socket that was
 * opened inside it. sock_diag(7). */
#ifndef TAPDEV_SOCKDIAG_H
#define TAPDEV_SOCKDIAG_H

#include "stack/addr.h"

struct sockdiag;

enum sockdiag_proto {
	SOCKDIAG_TCP,
	SOCKDIAG_UDP,
	SOCKDIAG_PROTOS
};

/* How a service can be reached at an address of one family. */
enum sockdiag_reach {
	SOCKDIAG_NOBODY,   /* nothing is bound to the port there */
	SOCKDIAG_LOOPBACK, /* only on 127.0.0.0/8 or ::1: not through a tap */
	SOCKDIAG_TALKS,    /* UDP: only sockets that are connected, which answer
			    * those that they are connected to */
	SOCKDIAG_LISTENS,
};

/* For the helper inside the namespace. The descriptor or -errno. */
int sockdiag_socket(void);

/* Takes over @fd of sockdiag_socket(). NULL if it is negative, or without memory
 * (@fd is closed then). */
struct sockdiag *sockdiag_open(int fd);
void sockdiag_close(struct sockdiag *d); /* accepts NULL */

/* Asks what listens (TCP) or is bound (UDP), both families, and keeps the
 * answer. One call takes less than a millisecond with 1,000
 * listeners; nothing is sent while nobody calls, and nothing here waits. 0 or
 * -errno, then the last answer stays: -ENOENT if the kernel lacks a module,
 * -E2BIG if there are more sockets than are kept, see sockdiag_explain(). */
int sockdiag_look(struct sockdiag *d, enum sockdiag_proto proto);
/* In words why sockdiag_look() returned @err. */
const char *sockdiag_explain(enum sockdiag_proto proto, int err);
/* By the last sockdiag_look(): who is reached at @addr, port @port? A wildcard of
 * the family counts, an IPv6 wildcard that is not v6-only counts for IPv4, an
 * IPv4 address bound through an IPv6 socket is IPv4; one bound to the loopback
 * interface is on loopback. Before the first look: nobody. */
enum sockdiag_reach sockdiag_reach(const struct sockdiag *d,
				   enum sockdiag_proto proto,
				   const struct in6_addr *addr, uint16_t port);
/* By the last sockdiag_look(): the lowest port above @after that any socket is
 * bound to, wherever; 0: none. */
uint16_t sockdiag_next(const struct sockdiag *d, enum sockdiag_proto proto,
		       uint16_t after);
/* What the last sockdiag_look() had to read: how many sockets, at least. */
size_t sockdiag_count(const struct sockdiag *d, enum sockdiag_proto proto);

#endif
