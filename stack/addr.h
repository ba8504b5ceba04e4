/* One address type for both families: IPv4 lives in struct in6_addr as
 * ::ffff:a.b.c.d. Inside tapir that form always means "IPv4"; a v4-mapped
 * address in an IPv6 header is refused by packet_input(). */
#ifndef STACK_ADDR_H
#define STACK_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Port in host byte order. */
struct endpoint {
	struct in6_addr addr;
	uint16_t port;
};

/* Longest text of addr_format() and endpoint_format(), with NUL. */
#define ADDR_STRLEN     46
#define ENDPOINT_STRLEN (ADDR_STRLEN + 8)

/* @host is in host byte order. */
struct in6_addr addr_from_v4(uint32_t host);
bool addr_is_v4(const struct in6_addr *a);
/* The IPv4 address in host byte order; only for addr_is_v4(). */
uint32_t addr_v4(const struct in6_addr *a);

bool addr_equal(const struct in6_addr *a, const struct in6_addr *b);
/* Both families: 0.0.0.0 and ::, 127/8 and ::1, 224/4 and ff00::/8,
 * 169.254/16 and fe80::/10. */
bool addr_is_unspecified(const struct in6_addr *a);
bool addr_is_loopback(const struct in6_addr *a);
bool addr_is_multicast(const struct in6_addr *a);
bool addr_is_linklocal(const struct in6_addr *a);
/* Are the first @bits equal? @bits counts within the family (v4: 0-32). */
bool addr_in_prefix(const struct in6_addr *a, const struct in6_addr *net,
		    unsigned bits);

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* Text of an address ("10.0.2.2", "fd00::2") into @buf; returns @buf. */
const char *addr_format(const struct in6_addr *a, char buf[ADDR_STRLEN]);
/* "10.0.2.2:80", "[fd00::2]:80"; returns @buf. */
const char *endpoint_format(const struct endpoint *e,
			    char buf[ENDPOINT_STRLEN]);
/* A literal of either family; 0 or -EINVAL, @ret untouched then. */
int addr_parse(const char *text, struct in6_addr *ret);

#endif
