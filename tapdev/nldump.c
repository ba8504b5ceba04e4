#include "tapdev/nldump.h"

#include "tapdev/scoped.h"

#include <errno.h>
#include <sys/socket.h>

/* News before or amidst one list. Whoever makes more within such a time means
 * to keep us busy. */
#define NEWS_MAX 4096

int nldump_socket(int protocol, unsigned groups)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK,
				   .nl_groups = groups};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int type = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
	scoped_fd int fd = socket(AF_NETLINK, type, protocol);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	/* Connected, it refuses what others send to it. */
	if (connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return steal_fd(&fd);
}

void nldump_init(struct nldump *n, int fd)
{
	struct sockaddr_nl self = {0};
	socklen_t len = sizeof(self);

	n->fd = fd;
	n->seq = 0;
	n->news = 0;
	getsockname(fd, (struct sockaddr *)&self, &len);
	n->portid = self.nl_pid;
}

void nldump_fini(struct nldump *n)
{
	close(n->fd);
	n->fd = -1;
}

/* One message into the buffer: its length, 0 if it is not the kernel's, or
 * -errno. */
static ssize_t receive(struct nldump *n)
{
	struct sockaddr_nl from = {0};
	socklen_t fromlen = sizeof(from);
	ssize_t len;

	do
		len = recvfrom(n->fd, n->buf, sizeof(n->buf), MSG_TRUNC,
			       (struct sockaddr *)&from, &fromlen);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	if (from.nl_pid != 0)
		return 0;
	return len > (ssize_t)sizeof(n->buf) ? -EMSGSIZE : len;
}

/* News of what another process changed carries the number of its request. */
static bool is_ours(const struct nldump *n, const struct nlmsghdr *h)
{
	return h->nlmsg_seq == n->seq && h->nlmsg_pid == n->portid;
}

int nldump_drain(struct nldump *n)
{
	/* A list goes on being made while it is read, hence no bound for it but
	 * that of its entries. */
	for (unsigned news = n->news; n->news - news < NEWS_MAX;) {
		ssize_t len = receive(n);
		const struct nlmsghdr *h = (const struct nlmsghdr *)n->buf;

		if (len == -EAGAIN)
			return 0;
		if (len < 0 && len != -ENOBUFS && len != -EMSGSIZE)
			return (int)len;
		if (len <= 0 || !is_ours(n, h))
			n->news++;
	}
	return -ENOBUFS;
}

/* What NLMSG_DONE or NLMSG_ERROR says: both begin with it. */
static int outcome(const struct nlmsghdr *h)
{
	if (mnl_nlmsg_get_payload_len(h) < sizeof(int))
		return 0;
	return *(const int *)mnl_nlmsg_get_payload(h);
}

/* What the messages of an answer have told so far. */
struct answer {
	struct nldump_sink *sink;
	bool done, interrupted;
	int err;
};

static void take_one(struct nldump *n, const struct nlmsghdr *h,
		     struct answer *a)
{
	if (!is_ours(n, h)) {
		n->news++;
		return;
	}
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		a->interrupted = true;
	if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
		a->done = true;
		if (a->err == 0)
			a->err = outcome(h);
	} else if (a->err == 0) {
		a->err = a->sink->put(a->sink, h);
	}
}

static void take(struct nldump *n, int len, struct answer *a)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)n->buf;

	for (; mnl_nlmsg_ok(h, len) && !a->done; h = mnl_nlmsg_next(h, &len))
		take_one(n, h, a);
}

int nldump_run(struct nldump *n, struct nlmsghdr *request,
	       struct nldump_sink *sink)
{
	struct answer a = {.sink = sink};
	int err = nldump_drain(n);
	unsigned news;

	if (err < 0)
		return err;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = ++n->seq;
	if (send(n->fd, request, request->nlmsg_len, 0) < 0)
		return -errno;
	for (news = n->news; !a.done && n->news - news < NEWS_MAX;) {
		ssize_t len = receive(n);

		if (len > 0)
			take(n, (int)len, &a);
		else if (len == 0 || len == -ENOBUFS)
			n->news++;
		else
			return (int)len;
	}
	if (!a.done)
		return -ENOBUFS;
	if (a.err < 0)
		return a.err;
	return a.interrupted ? -EINTR : 0;
}

const struct nlattr *nldump_attr(const struct nlmsghdr *h, size_t behind,
				 uint16_t type)
{
	const struct nlattr *a = mnl_nlmsg_get_payload_offset(h, behind);
	const char *end = mnl_nlmsg_get_payload_tail(h);

	for (; mnl_attr_ok(a, (int)(end - (const char *)a));
	     a = mnl_attr_next(a)) {
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}
