#include "port/rule.h"

#include "port/hostsock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BOTH (RULE_IPV4 | RULE_IPV6)

struct proto_word {
	const char *word;
	enum rule_proto proto;
	unsigned families;
};

static const struct proto_word proto_words[] = {
	{"tcp", RULE_TCP, BOTH},       {"tcp4", RULE_TCP, RULE_IPV4},
	{"tcp6", RULE_TCP, RULE_IPV6}, {"udp", RULE_UDP, BOTH},
	{"udp4", RULE_UDP, RULE_IPV4}, {"udp6", RULE_UDP, RULE_IPV6},
};

#define PROTO_WORDS (sizeof(proto_words) / sizeof(proto_words[0]))

struct rule rule_default(enum rule_proto proto)
{
	return (struct rule){.proto = proto,
			     .families = BOTH,
			     .host_addr = in6addr_any,
			     .guest_addr = in6addr_any};
}

unsigned rule_ports(const struct rule *r)
{
	return r->host_port ? (unsigned)r->host_port_end - r->host_port + 1 : 1;
}

static unsigned family_of(const struct in6_addr *a)
{
	return addr_is_v4(a) ? RULE_IPV4 : RULE_IPV6;
}

static bool is_broadcast(const struct in6_addr *a)
{
	return addr_is_v4(a) && addr_v4(a) == INADDR_BROADCAST;
}

static int check_ports(const struct rule *r, struct fail *why)
{
	if (r->host_port == 0 && r->host_port_end != 0)
		return fail_set(why, -EINVAL,
				"a range needs host ports: no free one is "
				"picked for it");
	if (r->host_port_end < r->host_port)
		return fail_set(why, -EINVAL,
				"host ports %u-%u: the range ends before it "
				"starts",
				(unsigned)r->host_port,
				(unsigned)r->host_port_end);
	if (r->guest_port == 0)
		return fail_set(why, -EINVAL,
				"no container port: expected 1 to 65535");
	if (r->guest_port + rule_ports(r) - 1 > UINT16_MAX)
		return fail_set(why, -EINVAL,
				"%u ports from container port %u on: they go "
				"beyond 65535",
				rule_ports(r), (unsigned)r->guest_port);
	return 0;
}

static int check_host_addr(const struct rule *r, struct fail *why)
{
	const struct in6_addr *a = &r->host_addr;
	char text[ADDR_STRLEN];

	addr_format(a, text);
	if (addr_is_multicast(a) || is_broadcast(a))
		return fail_set(why, -EINVAL,
				"host address %s: nobody can listen there",
				text);
	/* of no address at all :: is the sign, which says no family */
	if (IN6_IS_ADDR_UNSPECIFIED(a))
		return 0;
	if (!(r->families & family_of(a)))
		return fail_set(why, -EINVAL,
				"host address %s: the rule is for IPv%c alone",
				text, addr_is_v4(a) ? '6' : '4');
	if (!addr_is_v4(a) && addr_is_linklocal(a) &&
	    memcmp(a->s6_addr + 4, in6addr_any.s6_addr, 4) == 0)
		return fail_set(why, -EINVAL,
				"host address %s: a link-local address needs "
				"its interface, as in [%s%%eth0]",
				text, text);
	if (!addr_is_unspecified(a) && r->families != family_of(a))
		return fail_set(why, -EINVAL,
				"host address %s: it is of one family, the "
				"rule of two",
				text);
	return 0;
}

static int check_guest_addr(const struct in6_addr *a, struct fail *why)
{
	char text[ADDR_STRLEN];

	addr_format(a, text);
	if (addr_is_loopback(a))
		return fail_set(why, -EINVAL,
				"container address %s: no tap leads to the "
				"container's loopback; let the service listen "
				"on 0.0.0.0 or [::], and leave the address out",
				text);
	if (addr_is_multicast(a) || is_broadcast(a))
		return fail_set(why, -EINVAL,
				"container address %s: no service has it",
				text);
	return 0;
}

int rule_check(const struct rule *r, struct fail *why)
{
	int err = check_ports(r, why);

	if (err)
		return err;
	if (r->families == 0 || (r->families & ~BOTH))
		return fail_set(why, -EINVAL,
				"neither IPv4 nor IPv6 is left for the rule");
	if (r->best_effort && (r->follow || r->host_port == 0))
		return fail_set(why, -EINVAL,
				"what is published as far as can be had can "
				"neither follow nor pick a free port");
	err = check_host_addr(r, why);
	return err ? err : check_guest_addr(&r->guest_addr, why);
}

bool rule_overlaps(const struct rule *a, const struct rule *b)
{
	bool same = addr_equal(&a->host_addr, &b->host_addr);
	bool any = addr_is_unspecified(&a->host_addr) ||
		   addr_is_unspecified(&b->host_addr);

	if (a->proto != b->proto || !(a->families & b->families))
		return false;
	if (a->ifname[0] && b->ifname[0] && strcmp(a->ifname, b->ifname) != 0)
		return false;
	return (same || any) && a->host_port <= b->host_port_end &&
	       b->host_port <= a->host_port_end;
}

int rule_parse_proto(const char *text, struct rule *r)
{
	for (size_t i = 0; i < PROTO_WORDS; i++) {
		if (strcmp(proto_words[i].word, text) == 0) {
			r->proto = proto_words[i].proto;
			r->families = proto_words[i].families;
			return 0;
		}
	}
	return -EINVAL;
}

const char *rule_proto_name(const struct rule *r)
{
	bool told = !addr_is_unspecified(&r->host_addr);
	unsigned families = told ? BOTH : r->families;

	for (size_t i = 0; i < PROTO_WORDS; i++) {
		if (proto_words[i].proto == r->proto &&
		    proto_words[i].families == families)
			return proto_words[i].word;
	}
	return "?";
}

/* "8080" or "8080-8082" */
static const char *format_ports(uint16_t first, unsigned count,
				char buf[static 16])
{
	if (count == 1)
		snprintf(buf, 16, "%u", (unsigned)first);
	else
		snprintf(buf, 16, "%u-%u", (unsigned)first, first + count - 1);
	return buf;
}

static void format_host(const struct rule *r, const char *ports, char *buf,
			size_t size)
{
	bool v4 = r->families & RULE_IPV4, v6 = r->families & RULE_IPV6;
	char addr[HOSTSOCK_STRLEN];

	if (r->ifname[0] && addr_is_unspecified(&r->host_addr)) {
		snprintf(buf, size, "%s:%s", r->ifname, ports);
	} else if (r->ifname[0]) {
		addr_format(&r->host_addr, addr);
		snprintf(buf, size, v4 ? "%s%%%s:%s" : "[%s%%%s]:%s", addr,
			 r->ifname, ports);
	} else if (addr_is_unspecified(&r->host_addr)) {
		snprintf(buf, size, "%s%s%s%s%s", v4 ? "0.0.0.0:" : "",
			 v4 ? ports : "", v4 && v6 ? " and " : "",
			 v6 ? "[::]:" : "", v6 ? ports : "");
	} else {
		hostsock_format(&r->host_addr, addr);
		snprintf(buf, size, v4 ? "%s:%s" : "[%s]:%s", addr, ports);
	}
}

const char *rule_format(const struct rule *r, char buf[RULE_STRLEN])
{
	unsigned count = rule_ports(r);
	const char *proto = r->proto == RULE_TCP ? "tcp" : "udp";
	char ports[16], host[96], addr[HOSTSOCK_STRLEN];

	/* the addresses of an interface are not named, so cannot tell */
	if (r->ifname[0] && addr_is_unspecified(&r->host_addr))
		proto = rule_proto_name(r);
	format_host(r, format_ports(r->host_port, count, ports), host,
		    sizeof(host));
	format_ports(r->guest_port, count, ports);
	if (addr_is_unspecified(&r->guest_addr)) {
		snprintf(buf, RULE_STRLEN, "%s %s -> port%s %s", proto, host,
			 count > 1 ? "s" : "", ports);
	} else {
		hostsock_format(&r->guest_addr, addr);
		snprintf(buf, RULE_STRLEN,
			 addr_is_v4(&r->guest_addr) ? "%s %s -> %s:%s"
						    : "%s %s -> [%s]:%s",
			 proto, host, addr, ports);
	}
	return buf;
}

/* The grammar, taken apart in a copy of the text. */
struct parts {
	const char *text; /* as the user wrote it, for messages */
	char *addr;       /* NULL: none */
	bool brackets;    /* around addr */
	char *host;       /* NULL: none */
	char *container;
	const char *proto; /* NULL: none */
	struct fail *why;
};

static int bad(const struct parts *p, const char *what, const char *part,
	       const char *expected)
{
	return fail_set(p->why, -EINVAL, "\"%s\": %s \"%s\": %s", p->text, what,
			part, expected);
}

/* Ends @s at the first @c in it and returns what is behind, or NULL. */
static char *cut(char *s, char c)
{
	char *at = strchr(s, c);

	if (!at)
		return NULL;
	*at = '\0';
	return at + 1;
}

static int take_apart_brackets(struct parts *p, char *copy)
{
	char *rest = cut(copy + 1, ']');

	if (!rest)
		return bad(p, "address", copy, "its bracket is not closed");
	p->addr = copy + 1;
	p->brackets = true;
	p->host = rest + 1;
	if (*rest == ':')
		p->container = cut(p->host, ':');
	if (*rest != ':' || !p->container)
		return bad(p, "behind the address", rest,
			   "expected [ADDR]:HOST:CONTAINER, where HOST may be "
			   "empty");
	return 0;
}

static int take_apart(struct parts *p, char *copy)
{
	char *second, *third;

	p->proto = cut(copy, '/');
	if (*copy == '[')
		return take_apart_brackets(p, copy);
	p->container = copy;
	second = cut(copy, ':');
	if (!second)
		return 0;
	p->host = copy;
	p->container = second;
	third = cut(second, ':');
	if (!third)
		return 0;
	p->addr = copy;
	p->host = second;
	p->container = third;
	if (strchr(third, ':'))
		return bad(p, "address", p->text,
			   "an IPv6 address goes in brackets, as in "
			   "[::1]:8080:80");
	return 0;
}

static int parse_port(const char *text, unsigned *ret)
{
	unsigned value = 0;
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 5 || text[n])
		return -EINVAL;
	for (; *text; text++)
		value = value * 10 + (unsigned)(*text - '0');
	if (value > UINT16_MAX)
		return -EINVAL;
	*ret = value;
	return 0;
}

/* PORT[-END]; *ret_last is the first if there is no END. */
static int parse_range(const struct parts *p, const char *what, char *text,
		       unsigned *ret_first, unsigned *ret_last)
{
	char whole[RULE_STRLEN];
	char *end;

	snprintf(whole, sizeof(whole), "%s", text);
	end = cut(text, '-');
	if (parse_port(text, ret_first))
		return bad(p, what, whole,
			   "expected a port from 1 to 65535, or FIRST-LAST");
	*ret_last = *ret_first;
	if (end && parse_port(end, ret_last))
		return bad(p, what, whole,
			   "expected a port from 1 to 65535 as the last");
	if (*ret_last < *ret_first)
		return bad(p, what, whole, "the range ends before it starts");
	return 0;
}

static int parse_ports(const struct parts *p, struct rule *r)
{
	unsigned host = 0, host_end = 0, guest = 0, guest_end = 0;
	bool ranged = strchr(p->container, '-');
	int err = 0;

	if (p->host && *p->host)
		err = parse_range(p, "host port", p->host, &host, &host_end);
	if (!err)
		err = parse_range(p, "container port", p->container, &guest,
				  &guest_end);
	if (err)
		return err;
	if (host == 0 && (host_end > 0 || guest_end > guest))
		return fail_set(p->why, -EINVAL,
				"\"%s\": a range needs host ports: no free one "
				"is picked for it",
				p->text);
	if (ranged && guest_end - guest != host_end - host)
		return fail_set(p->why, -EINVAL,
				"\"%s\": %u host ports and %u container ports: "
				"expected as many, or one container port to "
				"count from",
				p->text, host_end - host + 1,
				guest_end - guest + 1);
	r->host_port = (uint16_t)host;
	r->host_port_end = (uint16_t)host_end;
	r->guest_port = (uint16_t)guest;
	return 0;
}

static int parse_ipv6(const struct parts *p, struct in6_addr *ret)
{
	char *zone = cut(p->addr, '%');
	struct in6_addr a;

	if (addr_parse(p->addr, &a) || addr_is_v4(&a))
		return bad(p, "address", p->addr,
			   "expected an IPv6 address in the brackets");
	if (!zone) {
		*ret = a;
		return 0;
	}
	if (!addr_is_linklocal(&a))
		return bad(p, "interface", zone,
			   "only a link-local address has one");
	if (hostsock_scoped(&a, zone, ret))
		return bad(p, "interface", zone, "there is none of that name");
	return 0;
}

static bool is_ifname(const char *text)
{
	/* what is made of digits and dots is meant as an address */
	if (text[strspn(text, "0123456789.")] == '\0')
		return false;
	for (const char *c = text; *c; c++) {
		if (isspace((unsigned char)*c) || !isprint((unsigned char)*c))
			return false;
	}
	return strlen(text) < IFNAMSIZ;
}

static int parse_addr(const struct parts *p, struct rule *r)
{
	unsigned own;

	if (!p->addr)
		return 0;
	if (p->brackets) {
		if (parse_ipv6(p, &r->host_addr))
			return -EINVAL;
	} else if (addr_parse(p->addr, &r->host_addr)) {
		/* an empty one is refused: a shell's unset variable must not
		 * publish the port on every address */
		if (!is_ifname(p->addr))
			return bad(p, "address", p->addr,
				   "expected an IPv4 address, an IPv6 address "
				   "in brackets or an interface");
		memcpy(r->ifname, p->addr, strlen(p->addr) + 1);
		return 0;
	}
	own = family_of(&r->host_addr);
	if (!(r->families & own))
		return bad(p, "protocol", p->proto,
			   "the address is of the other family");
	r->families = own;
	return 0;
}

int rule_parse(const char *text, struct rule *ret, struct fail *why)
{
	char copy[RULE_STRLEN];
	struct parts p = {.text = text, .why = why};
	struct rule r = rule_default(RULE_TCP);
	struct fail reason;
	int err;

	if (strlen(text) >= sizeof(copy))
		return fail_set(why, -EINVAL, "\"%.40s...\": too long", text);
	memcpy(copy, text, strlen(text) + 1);
	err = take_apart(&p, copy);
	if (!err && p.proto && rule_parse_proto(p.proto, &r))
		err = bad(&p, "protocol", p.proto,
			  "expected tcp, udp, tcp4, tcp6, udp4 or udp6");
	if (!err)
		err = parse_addr(&p, &r);
	if (!err)
		err = parse_ports(&p, &r);
	if (err)
		return err;
	err = rule_check(&r, &reason);
	if (err)
		return fail_set(why, err, "\"%s\": %s", text, reason.text);
	*ret = r;
	return 0;
}
