#include "tapdev/netns.h"

#include "tapdev/netaddr.h"
#include "tapdev/netns_join.h"
#include "tapdev/scoped.h"
#include "tapdev/sockdiag.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define TUN_PATH "/dev/net/tun"

/* What lies in the tap before we read it. A full queue drops, and the default
 * of 1000 packets is one burst of a fast sender. */
#define TUN_QUEUE 4096

/* Descriptors that the helper may send. */
#define FDS_MAX 3

/* What the helper says when it is done. */
struct report {
	int err;              /* 0 or -errno */
	struct netns_fds fds; /* by its own numbers; those that are not
			       * negative come along, in this order */
	struct fail why;
};

/* Room for the descriptors that come along. */
union control {
	struct cmsghdr h;
	char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static int open_tun(struct fail *why)
{
	int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		return fail_errno(why, "cannot open " TUN_PATH
				       " (every user needs to read and write "
				       "it: chmod 666 " TUN_PATH ")");
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return fail_errno(why, "cannot open " TUN_PATH
				       " (the kernel module is missing: "
				       "modprobe tun; inside a container, "
				       "hand the device in)");
	return fail_errno(why, "cannot open " TUN_PATH);
}

static int attach(int fd, const struct netns_target *t, struct ifreq *ifr)
{
	static const unsigned flags[] = {IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
					 IFF_TAP | IFF_NO_PI};
	unsigned excl = t->fresh ? IFF_TUN_EXCL : 0;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		*ifr = (struct ifreq){.ifr_flags = (short)(flags[i] | excl)};
		memcpy(ifr->ifr_name, t->ifname, strlen(t->ifname));
		if (ioctl(fd, TUNSETIFF, ifr) == 0)
			return 0;
	}
	return -errno;
}

/* In the namespaces: the tap, or -errno. */
static int open_tap(const struct netns_target *t, const struct netcfg *cfg,
		    struct fail *why)
{
	const char *ifname = t->ifname;
	scoped_fd int fd = open_tun(why);
	struct ifreq ifr;
	int err;

	if (fd < 0)
		return fd;
	err = attach(fd, t, &ifr);
	if (err == -EBUSY && t->fresh)
		return fail_set(why, -EEXIST,
				"cannot make tap %s: there is an interface of "
				"that name already",
				ifname);
	if (err == -EBUSY)
		return fail_set(why, err, "tap %s is in use", ifname);
	if (err == -EINVAL)
		return fail_set(why, err,
				"cannot open tap %s: there is an interface of "
				"that name that is no tap, or it has several "
				"queues",
				ifname);
	if (err < 0)
		return fail_set(why, err, "cannot open tap %s: %s", ifname,
				strerror(-err));
	/* Without it more is dropped under load, and that is all. */
	netcfg_set_queue(ifr.ifr_name, TUN_QUEUE);
	err = cfg ? netcfg_apply(ifr.ifr_name, cfg, why) : 0;
	return err < 0 ? err : steal_fd(&fd);
}

/* Those of @fds that are there, packed; how many. */
static unsigned pack(const struct netns_fds *fds, int ret[FDS_MAX])
{
	const int all[FDS_MAX] = {fds->tap, fds->diag, fds->route};
	unsigned n = 0;

	for (unsigned i = 0; i < FDS_MAX; i++) {
		if (all[i] >= 0)
			ret[n++] = all[i];
	}
	return n;
}

static bool send_report(int sock, const struct report *r)
{
	struct iovec iov = {(void *)(uintptr_t)r, sizeof(*r)};
	union control control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[FDS_MAX];
	size_t len = pack(&r->fds, fds) * sizeof(int);

	if (len > 0) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(len);
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(len);
		memcpy(CMSG_DATA(&control.h), fds, len);
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(*r);
}

static _Noreturn void help(const struct netns_target *t,
			   const struct netcfg *cfg, int sock)
{
	struct report r = {.fds = {.tap = -1, .diag = -1, .route = -1}};

	/* Nobody is left to take the descriptors then. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r.err = netns_join(t, &r.why);
	if (r.err == 0)
		r.fds.tap = open_tap(t, cfg, &r.why);
	if (r.fds.tap >= 0) {
		r.fds.diag = sockdiag_socket();
		r.fds.route = netaddr_socket();
	} else if (r.err == 0) {
		r.err = r.fds.tap;
	}
	_exit(send_report(sock, &r) && r.err == 0 ? 0 : 1);
}

static ssize_t receive(int sock, struct msghdr *m)
{
	ssize_t n;

	do
		n = recvmsg(sock, m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	return n;
}

/* The descriptors in @m into @fds; how many. */
static unsigned unpack(struct msghdr *m, int fds[FDS_MAX])
{
	const struct cmsghdr *h = CMSG_FIRSTHDR(m);
	size_t len;

	if (!h || h->cmsg_type != SCM_RIGHTS)
		return 0;
	len = h->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(h), len);
	return (unsigned)(len / sizeof(int));
}

/* Replaces the helper's numbers in @r by those of @fds. False if there are not
 * as many: they are closed then. */
static bool renumber(struct netns_fds *r, const int fds[FDS_MAX], unsigned n)
{
	int *all[FDS_MAX] = {&r->tap, &r->diag, &r->route};
	int theirs[FDS_MAX];
	unsigned at = 0;

	if (n != pack(r, theirs)) {
		while (n > 0)
			close(fds[--n]);
		return false;
	}
	for (unsigned i = 0; i < FDS_MAX; i++)
		*all[i] = *all[i] < 0 ? -1 : fds[at++];
	return true;
}

static int receive_report(int sock, struct netns_fds *ret, struct fail *why)
{
	struct report r;
	struct iovec iov = {&r, sizeof(r)};
	union control control;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = receive(sock, &m);
	int fds[FDS_MAX];

	if (n < 0)
		return fail_errno(why, "namespace helper");
	if (n != (ssize_t)sizeof(r))
		return fail_set(why, -ECHILD,
				"the namespace helper ended before its time");
	if (r.err < 0) {
		*why = r.why;
		return r.err;
	}
	if (!renumber(&r.fds, fds, unpack(&m, fds)))
		return fail_set(why, -EMFILE,
				"cannot receive the tap: too many open files");
	*ret = r.fds;
	return 0;
}

int netns_open(const struct netns_target *t, const struct netcfg *cfg,
	       struct netns_fds *ret, struct fail *why)
{
	size_t len = strlen(t->ifname);
	scoped_fd int ours = -1;
	int sock[2], err;
	pid_t pid;

	if (len == 0 || len >= IFNAMSIZ)
		return fail_set(why, -EINVAL,
				"interface name '%s': want 1 to %d characters",
				t->ifname, IFNAMSIZ - 1);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return fail_errno(why, "socketpair");
	ours = sock[0];
	pid = fork();
	if (pid == 0)
		help(t, cfg, sock[1]);
	close(sock[1]);
	if (pid < 0)
		return fail_errno(why, "fork");
	err = receive_report(ours, ret, why);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return err;
}
