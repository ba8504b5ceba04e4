/* The addresses of all interfaces in a network namespace, by a route netlink
 * socket that was opened inside it. rtnetlink(7). */
#ifndef TAPDEV_NETADDR_H
#define TAPDEV_NETADDR_H

#include "stack/addr.h"

#include <net/if.h>

struct netaddr;

struct netaddr_entry {
	struct in6_addr addr;
	uint8_t bits;          /* of its subnet; within the family */
	char ifname[IFNAMSIZ]; /* empty if it could not be told */
	bool usable;           /* not tentative, not a duplicate */
};

/* For the helper inside the namespace: a socket that hears of changes. The
 * descriptor or -errno. */
int netaddr_socket(void);

/* Takes over @fd of netaddr_socket(). NULL if it is negative, or without memory
 * (@fd is closed then). */
struct netaddr *netaddr_open(int fd);
void netaddr_close(struct netaddr *na); /* accepts NULL */
/* Readable when something changed: netaddr_refresh(). */
int netaddr_fd(const struct netaddr *na);
/* Reads what changed away and asks for all addresses anew; nothing here waits. 0
 * or -errno, then the list is as before: -EAGAIN if it changed all the time, and
 * netaddr_fd() may not be readable then. */
int netaddr_refresh(struct netaddr *na);
/* As of the last refresh; *@ret_n of them, valid until the next. */
const struct netaddr_entry *netaddr_list(const struct netaddr *na,
					 size_t *ret_n);

#endif
