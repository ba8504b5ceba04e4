/* A published port: what the host listens on and where in the container that
 * leads. Plain data, and its forms in text. */
#ifndef PORT_RULE_H
#define PORT_RULE_H

#include "stack/addr.h"
#include "stack/fail.h"

#include <net/if.h>

enum rule_proto {
	RULE_TCP,
	RULE_UDP
};

/* Host families; a set. */
#define RULE_IPV4 1u
#define RULE_IPV6 2u

/* Longest text of rule_format(), with NUL. */
#define RULE_STRLEN 192

struct rule {
	enum rule_proto proto;
	unsigned
		families; /* which the host listens in; of an address, its own */
	struct in6_addr host_addr;  /* :: or 0.0.0.0: every address of the
				     * families; link-local IPv6 as
				     * hostsock_scoped() makes it */
	char ifname[IFNAMSIZ];      /* not empty: the addresses that this host
				    * interface has, of a host_addr other than
				    * :: and 0.0.0.0 only that one */
	uint16_t host_port;         /* 0: one that is free; then no range */
	uint16_t host_port_end;     /* last of a range; == host_port if there is
				     * none */
	struct in6_addr guest_addr; /* ::: the container's own, either family */
	uint16_t guest_port; /* of host_port; of the next port the next, and so
			      * on */
	bool follow;      /* the host listens only while the container does */
	bool best_effort; /* ports that cannot be had are done without, and all
			   * of them take no more than half of the descriptors;
			   * neither follows nor picks */
};

/* Both families, every address, no follow, ports 0: to be filled in. */
struct rule rule_default(enum rule_proto proto);

/* The grammar of `tapir run -p`:
 *   [[ADDR:][HOST[-END]]:]CONTAINER[-END][/PROTO]
 * ADDR is an IPv4 literal, an IPv6 literal in brackets (of a link-local one with
 * %INTERFACE) or the name of a host interface; HOST empty or 0 picks a free
 * port; PROTO is tcp (the default), udp, tcp4, tcp6, udp4 or udp6. Without ADDR
 * every address of the families of PROTO, with it the family that it has. Both
 * ranges, if given, have one length. 0 or -EINVAL with the reason. */
int rule_parse(const char *text, struct rule *ret, struct fail *why);
/* "tcp", "tcp4", ... into protocol and families. 0 or -EINVAL. */
int rule_parse_proto(const char *text, struct rule *r);
/* "tcp", "udp4", ...; a family is named only if there is but one and the
 * address does not tell, as 0.0.0.0, :: and interfaces do not. */
const char *rule_proto_name(const struct rule *r);

/* Are ports, range, addresses and families possible and at one with each other?
 * 0 or -EINVAL with the reason. Whoever fills in a rule by hand asks this. */
int rule_check(const struct rule *r, struct fail *why);
/* Do both ask for one port at one address of the host, as far as names tell: which
 * addresses an interface has is not looked up. */
bool rule_overlaps(const struct rule *a, const struct rule *b);
/* How many ports it has. */
unsigned rule_ports(const struct rule *r);
/* "tcp 0.0.0.0:8080 and [::]:8080 -> port 80", for log and messages; returns
 * @buf. */
const char *rule_format(const struct rule *r, char buf[RULE_STRLEN]);

#endif
