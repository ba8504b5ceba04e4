/* "auto": the host listens on the ports that the container listens on, for as long
 * as it does, by protocol, family and address. */
#ifndef PORT_AUTOPORT_H
#define PORT_AUTOPORT_H

#include "port/forward.h"
#include "port/portspec.h"

/* Most rules at once; a port of both families is two. Of a container that
 * listens on more, the lowest. */
#define AUTOPORT_MAX 1024

/* A port that the host has in use, say, is tried again so often. */
#define AUTOPORT_AGAIN NSEC_PER_SEC

struct autoport;

/* What it works with; all borrowed. */
struct autoport_deps {
	struct loop *loop;
	struct forwards *forwards; /* its rules come and go there */
	const struct guestaddr *guest;
	struct sockdiag
		*diag; /* NULL: the container's sockets cannot be seen */
	FILE *log;     /* which ports could not be opened, and why; stderr */
	bool loopback; /* what listens on the container's loopback only can be
			* reached, too */
};

/* Opens what the container listens on already. @autos, @n of them and at most
 * UINT16_MAX, are borrowed. A port of the host is left out while a rule of
 * somebody else's publishes it; one that cannot be opened is no error. NULL with
 * the reason: the container's sockets cannot be seen, or no memory. */
struct autoport *autoport_new(const struct autoport_deps *deps,
			      const struct portspec_auto *autos, size_t n,
			      struct fail *why);
/* Removes its rules. Accepts NULL. */
void autoport_free(struct autoport *a);

#endif
