/* What becomes of the process of `tapir run` before it is the command:
 * namespaces of its own, and a resolv.conf that names our resolver. */
#ifndef PORT_RUNNS_H
#define PORT_RUNNS_H

#include "stack/fail.h"
#include "stack/plan.h"

/* Moves the caller, which has one thread, into new user, network and mount
 * namespaces, where its user and group are root, mounts are private and ping
 * works. 0 or -errno. */
int runns_enter(struct fail *why);

/* The host's resolv.conf @host as the command shall see it: our resolvers in
 * place of its nameservers, everything else (search, options) kept. At most
 * @room bytes with NUL into @buf; returns the length. */
size_t runns_resolv_text(const char *host, const struct plan *plan, char *buf,
			 size_t room);
/* Puts that over the file which @path leads to, for this mount namespace alone;
 * nothing is left behind elsewhere. 0 or -errno. */
int runns_cover_resolv(const char *path, const struct plan *plan,
		       struct fail *why);

#endif
