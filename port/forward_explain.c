#include "port/forward_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* So many ports are rather opened in vain than counted beforehand. */
#define FEW 64

static int too_many(const struct forward *f, size_t in_use, struct fail *why)
{
	struct rlimit limit = {0};

	getrlimit(RLIMIT_NOFILE, &limit);
	return fail_set(why, -EMFILE,
			"too many open files: the rule needs %zu descriptors, "
			"RLIMIT_NOFILE (ulimit -n) allows %llu, %zu are in use "
			"and %d are kept for everything else",
			f->n, (unsigned long long)limit.rlim_cur, in_use,
			HOSTSOCK_RESERVE);
}

/* How many descriptors are in use but for those of @f: the kernel hands out the
 * lowest number, and has no other than those of the reserve. */
static size_t used_by_others(const struct forward *f)
{
	struct rlimit limit = {0};
	size_t used = HOSTSOCK_RESERVE;

	for (size_t i = 0; f->ports && i < f->n; i++)
		used += f->ports[i].listener.fd >= 0;
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

/* The first port that needs privilege; 1024 unless the kernel tells another. */
static int first_free_for_all(void)
{
	FILE *file =
		fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	char text[16] = "";
	long start = 0;

	if (!file)
		return 1024;
	if (fgets(text, sizeof(text), file))
		start = strtol(text, NULL, 10);
	fclose(file);
	return start > 0 && start <= UINT16_MAX + 1 ? (int)start : 1024;
}

static int not_allowed(const char *at, const char *proto, uint16_t port,
		       struct fail *why)
{
	int start = first_free_for_all();

	if (port >= start)
		return fail_set(why, -EACCES, "not allowed: %s (%s)", at,
				proto);
	return fail_set(why, -EACCES,
			"not allowed: %s (%s): ports below %d need privilege; "
			"take a higher one, or let root say sysctl "
			"net.ipv4.ip_unprivileged_port_start=%u",
			at, proto, start, (unsigned)port);
}

int forward_explain(const struct forward *f, const struct endpoint *e, int err,
		    struct fail *why)
{
	const char *proto = forward_is_udp(f) ? "udp" : "tcp";
	char addr[HOSTSOCK_STRLEN], at[HOSTSOCK_STRLEN + 8];

	hostsock_format(&e->addr, addr);
	snprintf(at, sizeof(at), addr_is_v4(&e->addr) ? "%s:%u" : "[%s]:%u",
		 addr, (unsigned)e->port);
	switch (err) {
	case -EADDRINUSE:
		return fail_set(why, err, "address in use: %s (%s)", at, proto);
	case -EADDRNOTAVAIL:
	case -ENODEV:
		return fail_set(why, err,
				"no such address on this host: %s (%s)", at,
				proto);
	case -EACCES:
		return not_allowed(at, proto, e->port, why);
	case -EAFNOSUPPORT:
		return fail_set(why, err, "the kernel has no IPv%d: %s (%s)",
				addr_is_v4(&e->addr) ? 4 : 6, at, proto);
	case -EMFILE:
		return too_many(f, used_by_others(f), why);
	default:
		return fail_set(why, err, "%s (%s): %s", at, proto,
				strerror(-err));
	}
}

int forward_explain_room(const struct forward *f, const struct in6_addr *addr,
			 struct fail *why)
{
	struct endpoint any = {.port = 0};
	struct rlimit limit;
	size_t used;
	int fd;

	if (f->n <= FEW || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	any.addr = addr_is_v4(addr) ? addr_from_v4(INADDR_ANY) : in6addr_any;
	fd = hostsock_bind(&any, true);
	hostsock_close(fd);
	if (fd == -EMFILE)
		return too_many(f, used_by_others(f), why);
	used = fd < 0 ? 0 : (size_t)fd;
	if (used + f->n + HOSTSOCK_RESERVE <= limit.rlim_cur)
		return 0;
	return too_many(f, used, why);
}
