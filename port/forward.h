/* The published ports of a container: rules are added, removed and listed here;
 * each has a listener for every address and port. */
#ifndef PORT_FORWARD_H
#define PORT_FORWARD_H

#include "port/inbound_tcp.h"
#include "port/inbound_udp.h"
#include "port/rule.h"
#include "tapdev/sockdiag.h"

#include <stdio.h>

struct forward; /* one rule that is in force */
struct forwards;

/* What rules work with; all borrowed. */
struct forward_deps {
	struct loop *loop;
	struct inbound_tcp *tcp;
	struct inbound_udp *udp;
	const struct guestaddr *guest;
	struct sockdiag
		*diag;       /* NULL: the container's sockets cannot be seen */
	struct lanes *lanes; /* NULL: what is on its loopback is not reached */
	bool loopback;       /* with them: it is, ... */
	bool local_only;     /* ... but only by clients on the host's */
	FILE *log;           /* what a rule's user should know; stderr */
};

/* NULL without memory. */
struct forwards *forward_new(const struct forward_deps *deps);
/* Closes all listeners; connections stay. Accepts NULL. */
void forward_free(struct forwards *fs);

/* Binds everything that @r asks for, or nothing, unless it wants best_effort. *@ret is the rule in force,
 * with the port that was picked. 0 or -errno with the exact reason ("address in
 * use: 0.0.0.0:8080 (tcp)"); when both families were asked for by every
 * address, IPv6 absent from the kernel is not an error. A rule that follows is
 * open before this returns if the container listens already. */
int forward_add(struct forwards *fs, const struct rule *r,
		const struct forward **ret, struct fail *why);
/* Stops listening; TCP connections that stand stay, UDP flows end. 0, or -ENOENT
 * if there is no rule @id. */
int forward_remove(struct forwards *fs, unsigned id);

/* In the order of their ids: the first after NULL, NULL after the last. */
const struct forward *forward_next(const struct forwards *fs,
				   const struct forward *prev);
/* From 1, never used again. */
unsigned forward_id(const struct forward *f);
/* With the port that was picked, and the families that could be bound. */
const struct rule *forward_rule(const struct forward *f);
/* The addresses that are bound for its first port, with that port; at most
 * @max, returns how many there are. */
unsigned forward_bound(const struct forward *f, struct endpoint *ret,
		       unsigned max);
/* Where it leads as far as can be told without a client: the container's
 * address of the first family, unspecified if it has none. */
struct in6_addr forward_guest(const struct forward *f);

/* Looks at what the container listens on now, for forward_note() of all rules.
 * Once before a list is made. */
void forward_look(struct forwards *fs);
/* What its user should know, as one line with the remedy, else NULL: that the
 * service listens on the container's loopback only, say. Valid until the next
 * call. */
const char *forward_note(const struct forward *f);

#endif
