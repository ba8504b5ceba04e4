#include "port/runns.h"

#include "tapdev/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define RESOLV_MAX 65536 /* of the host's file; the rest is cut off */

/* Where a tmpfs is mounted for a moment. It is our mount namespace, so nobody
 * else sees it; all that counts is that the folder is there. */
#define SCRATCH "/tmp"

static int write_file(const char *path, const char *text)
{
	scoped_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static int map_to_root(uid_t uid, gid_t gid, struct fail *why)
{
	char uids[64], gids[64];
	int err;

	snprintf(uids, sizeof(uids), "0 %u 1", (unsigned)uid);
	snprintf(gids, sizeof(gids), "0 %u 1", (unsigned)gid);
	/* A group map of one's own is allowed only without setgroups(2). */
	err = write_file("/proc/self/setgroups", "deny");
	if (err == 0 || err == -ENOENT)
		err = write_file("/proc/self/uid_map", uids);
	if (err == 0)
		err = write_file("/proc/self/gid_map", gids);
	if (err < 0)
		return fail_set(why, err,
				"cannot map user %u and group %u to root: %s",
				(unsigned)uid, (unsigned)gid, strerror(-err));
	return 0;
}

int runns_enter(struct fail *why)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int err;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) < 0) {
		if (errno == EPERM || errno == ENOSPC)
			return fail_errno(why,
					  "cannot make namespaces (are user "
					  "namespaces allowed here? see sysctl "
					  "user.max_user_namespaces, "
					  "kernel.unprivileged_userns_clone)");
		return fail_errno(why, "cannot make namespaces");
	}
	err = map_to_root(uid, gid, why);
	if (err < 0)
		return err;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail_errno(why, "cannot make mounts private");
	/* Without it ping needs a capability that the command may drop; not
	 * there, or not writable: then ping does without. */
	write_file("/proc/sys/net/ipv4/ping_group_range", "0 0");
	return 0;
}

/* The first word of @line is @word. */
static bool starts_with_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	return strncmp(line, word, n) == 0 &&
	       (line[n] == ' ' || line[n] == '\t');
}

static size_t add(char *buf, size_t room, size_t used, const char *text,
		  size_t len)
{
	if (len > room - 1 - used)
		return used;
	memcpy(buf + used, text, len);
	buf[used + len] = '\0';
	return used + len;
}

static size_t add_nameserver(char *buf, size_t room, size_t used,
			     const struct in6_addr *a)
{
	char addr[ADDR_STRLEN], line[ADDR_STRLEN + 16];
	int n = snprintf(line, sizeof(line), "nameserver %s\n",
			 addr_format(a, addr));

	return add(buf, room, used, line, (size_t)n);
}

size_t runns_resolv_text(const char *host, const struct plan *plan, char *buf,
			 size_t room)
{
	size_t used = 0;

	buf[0] = '\0';
	if (plan->ipv4 && !addr_is_unspecified(&plan->dns4))
		used = add_nameserver(buf, room, used, &plan->dns4);
	if (plan->ipv6 && !addr_is_unspecified(&plan->dns6))
		used = add_nameserver(buf, room, used, &plan->dns6);
	while (*host) {
		size_t len = strcspn(host, "\n");

		if (len > 0 && host[0] != '#' && host[0] != ';' &&
		    !starts_with_word(host, "nameserver")) {
			used = add(buf, room, used, host, len);
			used = add(buf, room, used, "\n", 1);
		}
		host += len + (host[len] == '\n');
	}
	return used;
}

/* The file's text, of which there may be none, with NUL. */
static void read_text(const char *path, char *buf, size_t room)
{
	scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t used = 0;

	while (fd >= 0 && used < room - 1) {
		ssize_t n = read(fd, buf + used, room - 1 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	buf[used] = '\0';
}

static int write_scratch(const char *path, const char *text, size_t len)
{
	scoped_fd int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		return -errno;
	return fchmod(fd, 0644) < 0 ? -errno : 0;
}

/* A file on a tmpfs that has no mount any more but that over @target: it lives
 * and dies with the mount namespace. (A memfd would need no mount at all, but
 * cannot be bound.) */
static int cover(int target, const char *text, size_t len)
{
	static const char file[] = SCRATCH "/resolv.conf";
	char path[32];
	int err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	if (mount("tapir", SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=256k,mode=0755") < 0)
		return -errno;
	err = write_scratch(file, text, len);
	if (err == 0 && mount(file, path, NULL, MS_BIND, NULL) < 0)
		err = -errno;
	umount2(SCRATCH, MNT_DETACH);
	return err;
}

int runns_cover_resolv(const char *path, const struct plan *plan,
		       struct fail *why)
{
	char host[RESOLV_MAX], ours[RESOLV_MAX + 256];
	scoped_fd int target = open(path, O_PATH | O_CLOEXEC);
	size_t len;
	int err;

	if (target < 0)
		return fail_errno(why, "%s", path);
	read_text(path, host, sizeof(host));
	len = runns_resolv_text(host, plan, ours, sizeof(ours));
	err = cover(target, ours, len);
	if (err < 0)
		return fail_set(why, err, "cannot cover %s: %s", path,
				strerror(-err));
	return 0;
}
