/* The resolver alias: port 53 of the alias is the host's resolvers, all of them
 * in the order of resolv.conf(5). The file is looked at with every query, so
 * that an edit in place, a rename over it and a symlink turned elsewhere are all
 * seen, and nothing is polled. One that does not answer is put last for a
 * while. Messages pass as they are. */
#ifndef PORT_RESOLVER_H
#define PORT_RESOLVER_H

#include "port/relay.h"
#include "port/resolvconf.h"

/* At most as many are returned by resolver_list(). */
#define RESOLVER_MAX RESOLVCONF_MAX

struct resolver;

/* @path is that of resolv.conf, borrowed like @host. NULL without memory. A
 * file that is not there or names none means 127.0.0.1, as for libc. */
struct resolver *resolver_new(struct relay_host *host, const char *path);
/* Asks the first @n addresses of @servers instead, at most RESOLVER_MAX; 0: no
 * change. */
void resolver_ask(struct resolver *r, const struct in6_addr *servers, size_t n);
/* Drops the queries under way; accepts NULL. */
void resolver_free(struct resolver *r);

/* A query over UDP, as relay_udp_input() got it: d->dst is the alias. */
void resolver_input(struct resolver *r, const struct dgram *d);

/* For TCP: up to @max endpoints to try in this order. Returns how many, at
 * least one. */
size_t resolver_list(struct resolver *r, struct endpoint *ret, size_t max,
		     nsec_t now);
/* Where a socket to server @a starts from: as all others, but a resolver on
 * loopback refuses what comes from an address of the outside (systemd-resolved
 * does). */
const struct hostsock_source *resolver_source(const struct resolver *r,
					      const struct in6_addr *a);
/* What came of trying @e: connected, or not (in time). */
void resolver_report(struct resolver *r, const struct endpoint *e, bool ok,
		     nsec_t now);

#endif
