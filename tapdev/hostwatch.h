/* News of the network namespace: what hostnet_read() has told may be different
 * now. rtnetlink(7). */
#ifndef TAPDEV_HOSTWATCH_H
#define TAPDEV_HOSTWATCH_H

#include <stdbool.h>

struct nlmsghdr;

/* A socket that is readable when addresses, links or routes of the caller's
 * namespace changed: hostwatch_drain(). The descriptor, the caller's to close,
 * or -errno. */
int hostwatch_open(void);
/* Reads the news away; nothing here waits. Was there anything that matters, or
 * something that was lost? There may be more: @fd is readable then. */
bool hostwatch_drain(int fd);

/* Does this message matter? News of a bridge's ports, of a radio's reception and
 * of routes in other tables than main do not. */
bool hostwatch_matters(const struct nlmsghdr *h);

#endif
