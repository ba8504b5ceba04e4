/* Which host address the container means, and back (DESIGN D9). Pure: no state,
 * no system call. */
#ifndef PORT_POLICY_H
#define PORT_POLICY_H

#include "stack/addr.h"
#include "stack/plan.h"

struct policy {
	struct plan plan;
	/* Do loop4 and loop6 lead there? Else they are unreachable. */
	bool host_loopback;
	/* The host's own addresses, which self4 and self6 stand for; :: where
	 * there is none. */
	struct in6_addr own4, own6;
};

enum policy_verdict {
	POLICY_HOST,   /* dial *ret */
	POLICY_DNS,    /* the resolver, port 53: port/resolver decides */
	POLICY_REFUSE, /* answer net unreachable */
	POLICY_DROP,   /* say nothing, count */
};

/* What the container's @dst means to the host. For echo, port 0. */
enum policy_verdict policy_out(const struct policy *p,
			       const struct endpoint *dst,
			       struct endpoint *ret);
/* How the container sees host address @from as the source of what it gets:
 * loopback and the host's own address by the names that it has for them, without
 * any as the gateway of that family. */
struct in6_addr policy_in(const struct policy *p, const struct in6_addr *from);

#endif
