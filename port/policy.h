/* Which host address the container means, and back (DESIGN D9). Pure: no state,
 * no system call. */
#ifndef PORT_POLICY_H
#define PORT_POLICY_H

#include "stack/addr.h"
#include "stack/plan.h"

struct policy {
	struct plan plan;
	bool host_loopback; /* gateway4/gateway6 mean the host's loopback */
};

enum policy_verdict {
	POLICY_HOST,   /* dial *ret */
	POLICY_DNS,    /* the resolver alias, port 53: port/dns decides */
	POLICY_REFUSE, /* answer net unreachable */
	POLICY_DROP,   /* say nothing, count */
};

/* What the container's @dst means to the host. For echo, port 0. */
enum policy_verdict policy_out(const struct policy *p,
			       const struct endpoint *dst,
			       struct endpoint *ret);
/* How the container sees host address @from as the source of what it gets:
 * loopback is shown as the gateway of that family. */
struct in6_addr policy_in(const struct policy *p, const struct in6_addr *from);

#endif
