/* The nameserver lines of resolv.conf(5), read again whenever the file is
 * another one or was written to. */
#ifndef PORT_RESOLVCONF_H
#define PORT_RESOLVCONF_H

#include "stack/addr.h"

#include <sys/stat.h>

/* As many nameserver lines count; the rest is ignored. */
#define RESOLVCONF_MAX 8

struct resolvconf {
	const char *path; /* borrowed; NULL: servers[] stay as they are */
	struct endpoint servers[RESOLVCONF_MAX];
	size_t count;     /* at least 1 once it was refreshed */
	struct stat seen; /* the file that servers[] comes from */
};

void resolvconf_init(struct resolvconf *c, const char *path);
/* Without a file: port 53 of the first @n addresses of @servers, 1 to
 * RESOLVCONF_MAX of them. */
void resolvconf_init_fixed(struct resolvconf *c, const struct in6_addr *servers,
			   size_t n);
/* Looks at the file with one stat(2), following symlinks, and reads it if that
 * tells of a change. True if servers[] may be different now. No file, or none
 * with a nameserver: 127.0.0.1, as libc has it. A file that cannot be read just
 * now (no descriptor free) leaves what was there. */
bool resolvconf_refresh(struct resolvconf *c);

/* The file's text, to free(); NULL if it cannot be read. */
char *resolvconf_text(const char *path);
/* The nameservers in @text, port 53, in order and without duplicates; how
 * many. Link-local ones carry their scope (port/hostsock.h). */
size_t resolvconf_parse(const char *text, struct endpoint *ret, size_t max);

#endif
