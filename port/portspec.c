/* portspec_add() reads the items of an argument twice: first what is left out,
 * as it may stand behind what it is left out of, then what is asked for. Rules
 * go where they belong as they are made; what an argument that fails has made
 * is taken back, see struct mark. */
#include "port/portspec.h"

#include "port/hostsock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX UINT16_MAX

/* An argument that is being read. */
struct spec {
	struct portspec *to;
	const char *text;  /* as the user wrote it, for messages */
	struct rule where; /* what all its rules have in common */
	struct portset but;
	bool excludes, asks; /* has "~", has anything else */
	struct fail *why;
};

/* How much there was before it: what is behind is to be taken back. */
struct mark {
	size_t named, best, autos;
};

struct range {
	unsigned first, last;
};

static int bad(const struct spec *s, const char *word, const char *expected)
{
	return fail_set(s->why, -EINVAL, "%s %.120s: \"%.80s\": %s",
			s->to->option, s->text, word, expected);
}

static int no_memory(const struct spec *s)
{
	return fail_set(s->why, -ENOMEM, "%s %.120s: no memory", s->to->option,
			s->text);
}

void portspec_init(struct portspec *s, const char *option)
{
	*s = (struct portspec){.option = option};
	portset_add_ephemeral(&s->ephemeral);
}

void portspec_fini(struct portspec *s)
{
	free(s->rules);
	free(s->autos);
	s->rules = NULL;
	s->autos = NULL;
	s->rule_count = s->rule_room = s->auto_count = 0;
}

/* Rules. */

/* Where those with best_effort begin. */
static size_t named_count(const struct portspec *s)
{
	size_t low = 0, high = s->rule_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->rules[middle].best_effort)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static int insert(const struct spec *s, const struct rule *r)
{
	struct portspec *to = s->to;
	size_t room = to->rule_room ? 2 * to->rule_room : 16;
	size_t at = r->best_effort ? to->rule_count : named_count(to);
	struct rule *more;

	if (to->rule_count == to->rule_room) {
		more = realloc(to->rules, room * sizeof(*more));
		if (!more)
			return no_memory(s);
		to->rules = more;
		to->rule_room = room;
	}
	memmove(&to->rules[at + 1], &to->rules[at],
		(to->rule_count - at) * sizeof(to->rules[0]));
	to->rules[at] = *r;
	to->rule_count++;
	return 0;
}

static bool overlap(const struct rule *a, const struct rule *b)
{
	return a->best_effort == b->best_effort && rule_overlaps(a, b);
}

static int check_overlap(const struct spec *s, const char *word,
			 const struct rule *r)
{
	char text[RULE_STRLEN], said[RULE_STRLEN + 64];

	for (size_t i = 0; i < s->to->rule_count; i++) {
		if (!overlap(&s->to->rules[i], r))
			continue;
		snprintf(said, sizeof(said),
			 "asked for already by \"%s\"; expected each port once",
			 rule_format(&s->to->rules[i], text));
		return bad(s, word, said);
	}
	return 0;
}

/* @r without the ports of @but, in as many rules as that takes. */
static int add_rules(const struct spec *s, const char *word,
		     const struct rule *r, const struct portset *but)
{
	struct rule part = *r;
	struct fail reason;
	uint32_t from = r->host_port;
	int err = rule_check(r, &reason);

	if (err)
		return bad(s, word, reason.text);
	err = check_overlap(s, word, r);
	while (!err && from <= r->host_port_end &&
	       portset_gap(but, (uint16_t)from, r->host_port_end,
			   &part.host_port, &part.host_port_end)) {
		unsigned offset = (unsigned)part.host_port - r->host_port;

		part.guest_port = (uint16_t)(r->guest_port + offset);
		from = (uint32_t)part.host_port_end + 1;
		err = insert(s, &part);
	}
	return err;
}

/* Words. */

/* Ends @word at the first @c in it and returns what is behind, or NULL. */
static char *cut(char *word, char c)
{
	char *at = strchr(word, c);

	if (!at)
		return NULL;
	*at = '\0';
	return at + 1;
}

static int parse_port(const char *text, size_t len, unsigned *ret)
{
	unsigned value = 0;

	if (len == 0 || len > 5 || strspn(text, "0123456789") < len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		value = value * 10 + (unsigned)(text[i] - '0');
	if (value == 0 || value > PORT_MAX)
		return -EINVAL;
	*ret = value;
	return 0;
}

/* PORT[-LAST] */
static int parse_range(const struct spec *s, const char *word,
		       struct range *ret)
{
	size_t len = strcspn(word, "-");
	int err = parse_port(word, len, &ret->first);

	ret->last = ret->first;
	if (!err && word[len] == '-')
		err = parse_port(word + len + 1, strlen(word + len + 1),
				 &ret->last);
	if (err)
		return bad(s, word,
			   "expected a port from 1 to 65535, PORT-PORT, "
			   "\"all\", \"auto\" or \"none\"");
	if (ret->last < ret->first)
		return bad(s, word, "the range ends before it starts");
	return 0;
}

/* A literal of IPv4, or of IPv6 with or without brackets. */
static int parse_literal(char *word, struct in6_addr *ret)
{
	size_t len = strlen(word);
	struct in6_addr a;

	if (word[0] != '[')
		return addr_parse(word, ret);
	if (word[len - 1] != ']')
		return -EINVAL;
	word[len - 1] = '\0';
	if (addr_parse(word + 1, &a) || addr_is_v4(&a))
		return -EINVAL;
	*ret = a;
	return 0;
}

static bool is_ifname(const char *text)
{
	size_t len = strlen(text);

	for (const char *c = text; *c; c++) {
		if (isspace((unsigned char)*c) || !isprint((unsigned char)*c))
			return false;
	}
	return len > 0 && len < IFNAMSIZ;
}

static int set_interface(struct spec *s, const char *name)
{
	struct in6_addr *a = &s->where.host_addr;

	if (!is_ifname(name))
		return bad(s, name, "expected the name of an interface");
	if (!addr_is_v4(a) && addr_is_linklocal(a))
		return hostsock_scoped(a, name, a)
			       ? bad(s, name, "the host has no such interface")
			       : 0;
	memcpy(s->where.ifname, name, strlen(name) + 1);
	return 0;
}

/* ADDR[%IF] or %IF */
static int parse_where(struct spec *s, char *head)
{
	char *zone = cut(head, '%');
	size_t end = zone ? strlen(zone) : 0;
	struct in6_addr a;

	/* [fe80::1%eth0] */
	if (end > 0 && head[0] == '[' && zone[end - 1] == ']') {
		zone[end - 1] = '\0';
		head++;
	}
	if (!zone || *head) {
		if (parse_literal(head, &a))
			return bad(s, head,
				   "expected an address, ADDRESS%INTERFACE or "
				   "%INTERFACE before the /");
		s->where.host_addr = a;
		s->where.families = addr_is_v4(&a) ? RULE_IPV4 : RULE_IPV6;
	}
	return zone ? set_interface(s, zone) : 0;
}

static int parse_to(const struct spec *s, char *word, struct rule *r)
{
	char whole[ADDR_STRLEN + 4];

	snprintf(whole, sizeof(whole), "%s", word);
	if (parse_literal(word, &r->guest_addr))
		return bad(s, whole,
			   "expected an address inside the container, of IPv6 "
			   "in brackets");
	return 0;
}

/* Items. */

/* PORT[-LAST][:[TO/]PORT[-LAST]] */
static int add_range(const struct spec *s, char *item)
{
	struct rule r = s->where;
	char *to = cut(item, ':'), *slash = to ? strrchr(to, '/') : NULL;
	struct range host, guest;
	int err = parse_range(s, item, &host);

	guest = host;
	if (!err && slash) {
		*slash = '\0';
		err = parse_to(s, to, &r);
		to = slash + 1;
	}
	if (!err && to)
		err = parse_range(s, to, &guest);
	if (err)
		return err;
	if (guest.last - guest.first != host.last - host.first)
		return bad(s, to,
			   "expected as many ports as stand before the colon");
	r.host_port = (uint16_t)host.first;
	r.host_port_end = (uint16_t)host.last;
	r.guest_port = (uint16_t)guest.first;
	return add_rules(s, item, &r, &s->but);
}

/* all[:TO]; @to is NULL without. */
static int add_all(const struct spec *s, const char *word, char *to)
{
	struct rule r = s->where;
	struct portset but = s->but;
	int err = to ? parse_to(s, to, &r) : 0;

	if (err)
		return err;
	for (size_t i = 0; i < sizeof(but.bits) / sizeof(but.bits[0]); i++)
		but.bits[i] |= s->to->ephemeral.bits[i];
	r.best_effort = true;
	r.host_port = r.guest_port = 1;
	r.host_port_end = PORT_MAX;
	return add_rules(s, word, &r, &but);
}

static int add_auto(const struct spec *s, const char *word)
{
	struct portspec *to = s->to;
	struct portspec_auto *more;

	for (size_t i = 0; i < to->auto_count; i++) {
		if (rule_overlaps(&to->autos[i].where, &s->where))
			return bad(s, word,
				   "asked for already, at an address "
				   "that is the same");
	}
	more = realloc(to->autos, (to->auto_count + 1) * sizeof(*more));
	if (!more)
		return no_memory(s);
	to->autos = more;
	more += to->auto_count;
	more->where = s->where;
	more->but = s->but;
	for (size_t i = 0; i < sizeof(more->but.bits) / sizeof(uint64_t); i++)
		more->but.bits[i] |= to->ephemeral.bits[i];
	to->auto_count++;
	return 0;
}

static int add_item(const struct spec *s, char *item)
{
	if (item[0] == '~')
		return 0;
	if (strcmp(item, "auto") == 0)
		return add_auto(s, item);
	if (strcmp(item, "all") == 0)
		return add_all(s, item, NULL);
	if (strncmp(item, "all:", 4) == 0)
		return add_all(s, "all", item + 4);
	return add_range(s, item);
}

static int exclude_item(struct spec *s, const char *item)
{
	struct range range;
	int err;

	if (item[0] != '~') {
		s->asks = true;
		return 0;
	}
	err = parse_range(s, item + 1, &range);
	if (err)
		return err;
	portset_add(&s->but, (uint16_t)range.first, (uint16_t)range.last);
	s->excludes = true;
	return 0;
}

/* @rest is taken apart in place, but its commas are put back. */
static int each_item(struct spec *s, char *rest, bool excluding)
{
	int err = 0;

	while (rest && !err) {
		char *next = cut(rest, ',');

		if (*rest == '\0')
			return bad(
				s, "",
				"expected a port from 1 to 65535, PORT-PORT, "
				"\"all\", \"auto\" or \"none\"");
		err = excluding ? exclude_item(s, rest) : add_item(s, rest);
		if (next)
			next[-1] = ',';
		rest = next;
	}
	return err;
}

/* Is what stands before the first slash part of an item, as in 80:10.0.2.9/80? */
static bool is_item(const char *head)
{
	size_t digits = strspn(head, "0123456789-");
	struct in6_addr a;

	if (strchr(head, ','))
		return true;
	return digits > 0 && head[digits] == ':' && addr_parse(head, &a) != 0;
}

static int read_where(struct spec *s, char *copy, char **ret_items)
{
	char *items = cut(copy, '/');

	*ret_items = copy;
	if (!items)
		return 0;
	if (is_item(copy)) {
		items[-1] = '/';
		return 0;
	}
	*ret_items = items;
	return parse_where(s, copy);
}

static int read_all(struct spec *s, char *copy)
{
	char all[] = "all";
	char *items;
	int err = read_where(s, copy, &items);

	if (err || strcmp(items, "none") == 0)
		return err;
	err = each_item(s, items, true);
	if (!err && s->excludes && !s->asks)
		return add_all(s, all, NULL);
	return err ? err : each_item(s, items, false);
}

static struct mark mark(const struct portspec *s)
{
	size_t named = named_count(s);

	return (struct mark){named, s->rule_count - named, s->auto_count};
}

static void take_back(struct portspec *s, struct mark m)
{
	size_t named = named_count(s);

	if (s->rule_count > 0)
		memmove(&s->rules[m.named], &s->rules[named],
			m.best * sizeof(s->rules[0]));
	s->rule_count = m.named + m.best;
	s->auto_count = m.autos;
}

int portspec_add(struct portspec *s, const char *text, enum rule_proto proto,
		 struct fail *why)
{
	struct spec spec = {.to = s,
			    .text = text,
			    .where = rule_default(proto),
			    .why = why};
	struct mark before = mark(s);
	char *copy = strdup(text);
	int err = copy ? read_all(&spec, copy) : no_memory(&spec);

	free(copy);
	if (err)
		take_back(s, before);
	else
		s->given = true;
	return err;
}

static int limit(const struct portspec *s, struct rule *r, unsigned families,
		 struct fail *why)
{
	char addr[HOSTSOCK_STRLEN];

	if (r->families & families) {
		r->families &= families;
		return 0;
	}
	return fail_set(why, -EINVAL,
			"%s: address %s: the container has only IPv%c",
			s->option, hostsock_format(&r->host_addr, addr),
			families == RULE_IPV4 ? '4' : '6');
}

int portspec_limit(struct portspec *s, unsigned families, struct fail *why)
{
	int err = 0;

	for (size_t i = 0; i < s->rule_count && !err; i++)
		err = limit(s, &s->rules[i], families, why);
	for (size_t i = 0; i < s->auto_count && !err; i++)
		err = limit(s, &s->autos[i].where, families, why);
	return err;
}
