/* The container's namespaces, entered by a forked helper so that this process
 * stays where it is. setns(2), unix(7) for SCM_RIGHTS. */
#ifndef TAPDEV_NETNS_H
#define TAPDEV_NETNS_H

#include "stack/fail.h"
#include "tapdev/netcfg.h"

#include <sys/types.h>

struct netns_target {
	pid_t pid;               /* > 0: /proc/PID/ns/net, and its user
				  * namespace unless userns_path is set */
	const char *netns_path;  /* used if pid is 0 */
	const char *userns_path; /* NULL: none with netns_path */
	const char *ifname;
	bool fresh; /* an interface of that name must not be there yet */
};

/* What was opened inside the namespaces; the caller owns them. */
struct netns_fds {
	int tap;
	int diag;  /* for sockdiag_open(); -1: the kernel has no such thing */
	int route; /* for netaddr_open(); -1 likewise */
};

/* Opens the tap @t->ifname inside the namespaces (creating it unless it is
 * there and @t->fresh is not set), with a virtio-net header if the kernel and an existing device allow;
 * configures the link by @cfg if that is not NULL. A user namespace that we may
 * not join, being in it already, is fine as long as the network namespace can be
 * joined. And the sockets that look at what the container does, as far as they
 * can be had. 0, or -errno with @why in words. Call it while this process has
 * one thread. */
int netns_open(const struct netns_target *t, const struct netcfg *cfg,
	       struct netns_fds *ret, struct fail *why);

#endif
