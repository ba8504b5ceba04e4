#include "tapdev/lane_serve.h"

#include "tapdev/netns_join.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The descriptor of the socket pair, and the only one that is kept. */
#define SOCK 0

/* Ports below want a capability to be listened on. */
#define UNPRIVILEGED 1024

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

union control {
	struct cmsghdr h;
	char room[CMSG_SPACE(sizeof(int))];
};

/* Confinement. */

static bool wants_low_port(const struct lane_birth *b)
{
	for (unsigned port = 0; port < UNPRIVILEGED; port++) {
		for (int proto = 0; proto < LANE_PROTOS; proto++) {
			if (lane_ports_has(b->ports, LANE_LISTEN,
					   (enum lane_proto)proto,
					   (uint16_t)port))
				return true;
		}
	}
	return false;
}

static int drop_capabilities(bool keep_low_ports)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
	int bind = CAP_NET_BIND_SERVICE;

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	/* Without CAP_SETPCAP there is nothing to be had from an exec anyway,
	 * which is barred besides. */
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap) == 0; cap++)
		;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		uint32_t kept = keep_low_ports && i == CAP_TO_INDEX(bind)
					? CAP_TO_MASK(bind)
					: 0;

		data[i].effective = data[i].permitted =
			data[i].permitted & kept;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* SCMP_A0_32() and its like leave a field out. */
static struct scmp_arg_cmp argument(unsigned n, uint32_t value)
{
	return (struct scmp_arg_cmp){
		.arg = n, .op = SCMP_CMP_EQ, .datum_a = value};
}

/* Sockets of the internet, of two kinds. */
static int allow_sockets(scmp_filter_ctx filter)
{
	static const int families[] = {AF_INET, AF_INET6};
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	int err = 0;

	for (int i = 0; i < 4 && err == 0; i++)
		err = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
			argument(0, (uint32_t)families[i / 2]),
			argument(1, (uint32_t)types[i % 2] | SOCK_NONBLOCK |
					    SOCK_CLOEXEC),
			argument(2, 0));
	return err;
}

static int allow_options(scmp_filter_ctx filter)
{
	static const struct {
		int level, name;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY},
		{IPPROTO_IPV6, IPV6_V6ONLY},
		{SOL_SOCKET, SO_REUSEADDR},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && err == 0;
	     i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW,
				       SCMP_SYS(setsockopt), 2,
				       argument(1, (uint32_t)options[i].level),
				       argument(2, (uint32_t)options[i].name));
	return err;
}

static int allow_messages(scmp_filter_ctx filter)
{
	static const int calls[] = {SCMP_SYS(recvmsg), SCMP_SYS(sendmsg)};
	int err = 0;

	for (int i = 0; i < 2 && err == 0; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1,
				       argument(0, SOCK));
	return err;
}

/* Whatever else it calls ends it. */
static int filter_calls(void)
{
	static const int plain[] = {
		SCMP_SYS(bind),
		SCMP_SYS(listen),
		SCMP_SYS(connect),
		SCMP_SYS(close),
		SCMP_SYS(exit_group),
		SCMP_SYS(rt_sigreturn),
		SCMP_SYS(restart_syscall),
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]) && err == 0;
	     i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain[i], 0);
	if (err == 0)
		err = allow_sockets(filter);
	if (err == 0)
		err = allow_options(filter);
	if (err == 0)
		err = allow_messages(filter);
	/* Not released: free() might make a call. */
	return err == 0 ? seccomp_load(filter) : err;
}

static int keep_nothing(int sock)
{
	if (sock != SOCK && dup2(sock, SOCK) < 0)
		return -errno;
	return close_range(SOCK + 1, ~0u, 0) < 0 ? -errno : 0;
}

/* What the terminal or an engine sends to all of a group is not for it: it ends
 * by the end of its socket. */
static void take_no_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

static int confine(const struct lane_birth *b, struct fail *why)
{
	int err;

	take_no_signals();
	err = drop_capabilities(wants_low_port(b));
	if (err < 0)
		return fail_set(why, err,
				"the lane cannot drop its "
				"capabilities: %s",
				strerror(-err));
	/* After all changes of credentials, which clear them. */
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != b->parent)
		return fail_set(why, -ECHILD, "the lane is an orphan");
	err = keep_nothing(b->sock);
	if (err < 0)
		return fail_set(why, err, "the lane's descriptors: %s",
				strerror(-err));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail_errno(why, "no_new_privs");
	err = filter_calls();
	if (err < 0)
		return fail_set(why, err, "the lane's seccomp filter: %s",
				strerror(-err));
	return 0;
}

/* Requests. */

static socklen_t loopback(bool v4, uint16_t port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (v4) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(port);
		ret->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(port);
	ret->v6.sin6_addr = in6addr_loopback;
	return sizeof(ret->v6);
}

static void set(int fd, int level, int name)
{
	int one = 1;

	setsockopt(fd, level, name, &one, sizeof(one));
}

static int start_connect(int fd, const union address *a, socklen_t len)
{
	if (connect(fd, &a->any, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

static int start_listen(int fd, const union address *a, socklen_t len, bool tcp)
{
	if (tcp)
		set(fd, SOL_SOCKET, SO_REUSEADDR);
	if (bind(fd, &a->any, len) < 0)
		return -errno;
	return tcp && listen(fd, BACKLOG) < 0 ? -errno : 0;
}

/* The socket or -errno. */
static int make(const struct lane_request *q)
{
	bool tcp = q->proto == LANE_TCP;
	union address a;
	socklen_t len = loopback(q->v4, q->port, &a);
	int type = tcp ? SOCK_STREAM : SOCK_DGRAM;
	int fd =
		socket(a.any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (tcp)
		set(fd, IPPROTO_TCP, TCP_NODELAY);
	if (!q->v4)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	err = q->way == LANE_CONNECT ? start_connect(fd, &a, len)
				     : start_listen(fd, &a, len, tcp);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

/* The descriptor to send along, 0 for none, or -errno. */
static int act(const struct lane_request *q, struct lane_ports *ports,
	       bool grows)
{
	enum lane_way way = (enum lane_way)q->way;
	enum lane_proto proto = (enum lane_proto)q->proto;

	if (q->way >= LANE_WAYS || q->proto >= LANE_PROTOS || q->v4 > 1 ||
	    q->port == 0)
		return -EINVAL;
	if (q->act == LANE_ACT_MAKE)
		return lane_ports_has(ports, way, proto, q->port) ? make(q)
								  : -EACCES;
	if (q->act != LANE_ACT_ALLOW)
		return -EINVAL;
	if (!grows)
		return -EACCES;
	lane_ports_add(ports, way, proto, q->port);
	return 0;
}

/* @fd > 0 goes along with it. */
static bool answer(const void *buf, size_t len, int fd)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	union control control = {.room = {0}};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd > 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.room);
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	}
	return sendmsg(SOCK, &m, MSG_NOSIGNAL) == (ssize_t)len;
}

/* False: nobody will ask any more. */
static bool serve_one(struct lane_ports *ports, bool grows)
{
	struct lane_request q;
	struct iovec iov = {&q, sizeof(q)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = recvmsg(SOCK, &m, 0);
	int32_t err = -EINVAL;
	int fd;
	bool sent;

	if (n < 0)
		return errno == EINTR;
	if (n == 0)
		return false;
	fd = n == (ssize_t)sizeof(q) ? act(&q, ports, grows) : -EINVAL;
	err = fd < 0 ? fd : 0;
	sent = answer(&err, sizeof(err), fd);
	if (fd > 0)
		close(fd);
	return sent;
}

_Noreturn void lane_serve(const struct lane_birth *b)
{
	struct lane_ports ports = *b->ports;
	struct lane_hello hello = {.err = 0};

	prctl(PR_SET_NAME, "tapir-lane");
	hello.err = netns_join(b->target, &hello.why);
	if (hello.err < 0 && b->sock != SOCK)
		dup2(b->sock, SOCK);
	else if (hello.err == 0)
		hello.err = confine(b, &hello.why);
	if (!answer(&hello, sizeof(hello), -1) || hello.err < 0)
		_exit(1);
	while (serve_one(&ports, b->grows))
		;
	_exit(0);
}
