/* Rules that ask for thousands of ports and mean as many as can be had. */
#include "port/forward_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

/* The first number that a descriptor of such a rule may not have: the kernel hands
 * out the lowest, so that what is behind is left to connections. */
static int first_of_others(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    limit.rlim_cur / 2 > INT32_MAX)
		return INT32_MAX;
	return (int)(limit.rlim_cur / 2);
}

/* 0: open, or done without. */
static int open_one(struct forward_port *p, int limit)
{
	int err = forward_open_port(p);

	if (err == 0 && p->listener.fd >= limit)
		err = -EMFILE;
	if (err == 0 && !p->listener.udp)
		err = listener_start(&p->listener);
	if (err < 0)
		forward_close_port(p);
	return err == -EADDRINUSE || err == -EACCES ? 0 : err;
}

static size_t count_open(const struct forward *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->ports[i].listener.fd >= 0;
	return n;
}

/* Was something of this process or machine used up? */
static bool is_short(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOSPC ||
	       err == -ENOMEM || err == -ENOBUFS;
}

static void tell_short(const struct forward *f, int err)
{
	char text[RULE_STRLEN];

	fprintf(f->owner->deps.log, "tapir: %s: only %zu of %zu ports: %s\n",
		rule_format(&f->rule, text), count_open(f), f->n,
		err == -EMFILE ? "they take no more than half of the open "
				 "files that RLIMIT_NOFILE (ulimit -n) allows"
			       : strerror(-err));
}

/* One port number at all addresses, so that each gets as many. */
static int open_number(struct forward *f, size_t offset, int limit,
		       struct forward_port **ret_failed)
{
	size_t at = 0;

	while (at < f->n) {
		struct forward_port *p = &f->ports[at + offset];
		bool behind = offset > 0 && at + f->per_addr < f->n;
		int err = open_one(p, limit);

		if (forward_family_is_absent(err) && !behind &&
		    forward_can_do_without(f, at)) {
			forward_drop_addr(f, at);
			continue;
		}
		if (err < 0) {
			*ret_failed = p;
			return err;
		}
		at += f->per_addr;
	}
	return 0;
}

int forward_open_some(struct forward *f, struct fail *why)
{
	int limit = first_of_others(), err = 0;
	struct forward_port *failed = f->ports;

	for (size_t i = 0; i < f->per_addr && err == 0; i++)
		err = open_number(f, i, limit, &failed);
	if (is_short(err)) {
		tell_short(f, err);
		return 0;
	}
	if (err < 0) {
		forward_explain(f, &failed->local, err, why);
		for (size_t i = 0; i < f->n; i++)
			forward_close_port(&f->ports[i]);
	}
	return err;
}
