#include "stack/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct in6_addr addr_from_v4(uint32_t host)
{
	struct in6_addr a = {0};

	a.s6_addr[10] = a.s6_addr[11] = 0xff;
	a.s6_addr[12] = (uint8_t)(host >> 24);
	a.s6_addr[13] = (uint8_t)(host >> 16);
	a.s6_addr[14] = (uint8_t)(host >> 8);
	a.s6_addr[15] = (uint8_t)host;
	return a;
}

bool addr_is_v4(const struct in6_addr *a)
{
	return IN6_IS_ADDR_V4MAPPED(a);
}

uint32_t addr_v4(const struct in6_addr *a)
{
	return (uint32_t)a->s6_addr[12] << 24 | (uint32_t)a->s6_addr[13] << 16 |
	       (uint32_t)a->s6_addr[14] << 8 | a->s6_addr[15];
}

bool addr_equal(const struct in6_addr *a, const struct in6_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool addr_is_unspecified(const struct in6_addr *a)
{
	return addr_is_v4(a) ? addr_v4(a) == 0 : IN6_IS_ADDR_UNSPECIFIED(a);
}

bool addr_is_loopback(const struct in6_addr *a)
{
	return addr_is_v4(a) ? addr_v4(a) >> 24 == 127
			     : IN6_IS_ADDR_LOOPBACK(a);
}

bool addr_is_multicast(const struct in6_addr *a)
{
	return addr_is_v4(a) ? addr_v4(a) >> 28 == 14
			     : IN6_IS_ADDR_MULTICAST(a);
}

bool addr_is_linklocal(const struct in6_addr *a)
{
	return addr_is_v4(a) ? addr_v4(a) >> 16 == 0xa9fe
			     : IN6_IS_ADDR_LINKLOCAL(a);
}

bool addr_in_prefix(const struct in6_addr *a, const struct in6_addr *net,
		    unsigned bits)
{
	unsigned whole, rest;

	if (addr_is_v4(a) != addr_is_v4(net))
		return false;
	if (addr_is_v4(a))
		bits += 96;
	if (bits > 128)
		bits = 128;
	whole = bits / 8;
	rest = bits % 8;
	if (memcmp(a, net, whole) != 0)
		return false;
	return rest == 0 ||
	       (a->s6_addr[whole] ^ net->s6_addr[whole]) >> (8 - rest) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

const char *addr_format(const struct in6_addr *a, char buf[ADDR_STRLEN])
{
	bool v4 = addr_is_v4(a);

	inet_ntop(v4 ? AF_INET : AF_INET6, a->s6_addr + (v4 ? 12 : 0), buf,
		  ADDR_STRLEN);
	return buf;
}

const char *endpoint_format(const struct endpoint *e, char buf[ENDPOINT_STRLEN])
{
	char addr[ADDR_STRLEN];

	addr_format(&e->addr, addr);
	snprintf(buf, ENDPOINT_STRLEN,
		 addr_is_v4(&e->addr) ? "%s:%u" : "[%s]:%u", addr,
		 (unsigned)e->port);
	return buf;
}

int addr_parse(const char *text, struct in6_addr *ret)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*ret = addr_from_v4(ntohl(v4.s_addr));
		return 0;
	}
	return inet_pton(AF_INET6, text, ret) == 1 ? 0 : -EINVAL;
}
