/* For the helper processes of netns.c and lane.c. */
#ifndef TAPDEV_NETNS_JOIN_H
#define TAPDEV_NETNS_JOIN_H

#include "tapdev/netns.h"

/* Moves this process, which has forked for it, into the namespaces of @t, and
 * makes it one that nobody there can trace. 0, or -errno with @why in words. */
int netns_join(const struct netns_target *t, struct fail *why);

#endif
