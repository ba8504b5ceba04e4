#include "tapdev/netns_join.h"

#include "tapdev/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

struct ns_paths {
	char net[64], user[64];
};

static int open_ns(const struct netns_target *t, const char *path,
		   struct fail *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT && t->pid > 0)
		return fail_errno(why, "process %d is not there: %s",
				  (int)t->pid, path);
	return fail_errno(why, "%s", path);
}

/* Both are opened before either is joined: in the user namespace /proc/PID/ns
 * may not be readable any more. */
int netns_join(const struct netns_target *t, struct fail *why)
{
	struct ns_paths proc;
	const char *net = t->netns_path, *user = t->userns_path;
	scoped_fd int netfd = -1;
	scoped_fd int userfd = -1;
	int user_err = 0;

	/* Whoever is root in that user namespace could trace us otherwise. */
	prctl(PR_SET_DUMPABLE, 0);
	if (t->pid > 0) {
		snprintf(proc.net, sizeof(proc.net), "/proc/%d/ns/net",
			 (int)t->pid);
		snprintf(proc.user, sizeof(proc.user), "/proc/%d/ns/user",
			 (int)t->pid);
		net = proc.net;
		user = user ? user : proc.user;
	}
	netfd = open_ns(t, net, why);
	if (netfd < 0)
		return netfd;
	if (user) {
		userfd = open_ns(t, user, why);
		if (userfd < 0)
			return userfd;
		if (setns(userfd, CLONE_NEWUSER) < 0)
			user_err = errno;
	}
	if (setns(netfd, CLONE_NEWNET) == 0)
		return 0;
	if (errno == EINVAL)
		return fail_set(why, -EINVAL, "%s is not a network namespace",
				net);
	/* We are in it already (EINVAL), or that is the reason. */
	if (user_err && user_err != EINVAL)
		return fail_errno(why, "cannot join %s (%s: %s)", net, user,
				  strerror(user_err));
	return fail_errno(why, "cannot join %s", net);
}
