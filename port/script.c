#include "port/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTIONS_MAX 16
#define LINE_LEN    512

struct rule {
	enum script_proto proto;
	bool any_addr;
	struct endpoint to; /* port 0: any */
	struct script_action actions[ACTIONS_MAX + 1];
};

struct script {
	struct rule *rules;
	size_t n;
};

/* Which protocols know a word, as a set. */
#define TCP  (1u << SCRIPT_TCP)
#define UDP  (1u << SCRIPT_UDP)
#define PING (1u << SCRIPT_PING)

enum argument {
	NOTHING,
	MILLISECONDS,
	BYTES,
	BYTES_OR_END
};

static const struct word {
	const char *name;
	unsigned protos;
	bool only_first; /* instead of a connection */
	enum argument argument;
	enum script_verb verb;
	uint64_t n;
} words[] = {
	{"echo", TCP | UDP | PING, false, NOTHING, SCRIPT_ECHO, 0},
	{"drop", UDP | PING, true, NOTHING, SCRIPT_DROP, 0},
	{"refuse", TCP | UDP, true, NOTHING, SCRIPT_FAIL, ECONNREFUSED},
	{"net-unreachable", TCP | UDP | PING, true, NOTHING, SCRIPT_FAIL,
	 ENETUNREACH},
	{"host-unreachable", TCP | UDP | PING, true, NOTHING, SCRIPT_FAIL,
	 EHOSTUNREACH},
	{"too-big", UDP | PING, true, BYTES, SCRIPT_TOO_BIG, 0},
	{"timeout", TCP, true, NOTHING, SCRIPT_FAIL, ETIMEDOUT},
	{"after", TCP, false, MILLISECONDS, SCRIPT_AFTER, 0},
	{"send", TCP | UDP, false, BYTES, SCRIPT_SEND, 0},
	{"wait", TCP, false, BYTES_OR_END, SCRIPT_WAIT, 0},
	{"close", TCP, false, NOTHING, SCRIPT_CLOSE, 0},
	{"reset", TCP, false, NOTHING, SCRIPT_RESET, 0},
};

static const char *const protos[] = {
	[SCRIPT_TCP] = "tcp", [SCRIPT_UDP] = "udp", [SCRIPT_PING] = "ping"};

/* Cuts the next word off @at, which ends at blanks or at one of @ends. */
static char *next_word(char **at, const char *ends)
{
	char *word = *at + strspn(*at, " \t");
	size_t len = strcspn(word, ends);

	*at = word + len;
	if (word[len])
		*(*at)++ = '\0';
	return word;
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long v;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end || v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

/* Splits ADDR:PORT, [ADDR]:PORT and ADDR in place; *@ret_port is NULL without
 * one. */
static int split(char *text, char **ret_addr, char **ret_port)
{
	char *colon = strrchr(text, ':');

	*ret_addr = text;
	*ret_port = NULL;
	if (text[0] == '[') {
		char *close = strchr(text, ']');

		if (!close || (close[1] && close[1] != ':'))
			return -EINVAL;
		*ret_addr = text + 1;
		*ret_port = close[1] ? close + 2 : NULL;
		*close = '\0';
	} else if (colon && strchr(text, ':') == colon) {
		*colon = '\0';
		*ret_port = colon + 1;
	}
	return 0;
}

static int parse_target(char *text, struct rule *r)
{
	char *addr, *port;
	uint64_t number;

	if (split(text, &addr, &port) < 0)
		return -EINVAL;
	if (port) {
		if (r->proto == SCRIPT_PING ||
		    parse_number(port, UINT16_MAX, &number) < 0 || number == 0)
			return -EINVAL;
		r->to.port = (uint16_t)number;
	}
	r->any_addr = strcmp(addr, "*") == 0;
	return r->any_addr ? 0 : addr_parse(addr, &r->to.addr);
}

static const struct word *find_word(const char *name, enum script_proto proto)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].name, name) == 0 &&
		    words[i].protos & 1u << proto)
			return &words[i];
	}
	return NULL;
}

static int parse_argument(const struct word *w, const char *text,
			  struct script_action *a)
{
	if (w->argument == NOTHING)
		return *text ? -EINVAL : 0;
	if (w->argument == BYTES_OR_END && strcmp(text, "end") == 0) {
		a->verb = SCRIPT_WAIT_END;
		return 0;
	}
	if (parse_number(text, w->argument == MILLISECONDS ? 86400000 : 1 << 30,
			 &a->n) < 0)
		return -EINVAL;
	if (w->argument == MILLISECONDS)
		a->n *= (uint64_t)NSEC_PER_MSEC;
	return 0;
}

/* Has the connection not begun after @n actions? */
static bool only_waits(const struct rule *r, unsigned n)
{
	while (n > 0 && r->actions[n - 1].verb == SCRIPT_AFTER)
		n--;
	return n == 0;
}

/* One of a rule's actions, "send 100"; it is the @n-th. */
static int parse_action(char *text, struct rule *r, unsigned n,
			struct fail *why)
{
	char *name = next_word(&text, " \t");
	char *argument = next_word(&text, " \t");
	const struct word *w = find_word(name, r->proto);
	struct script_action a;

	if (!w)
		return fail_set(why, -EINVAL, "'%s' is no action of %s", name,
				protos[r->proto]);
	if (w->only_first && !only_waits(r, n))
		return fail_set(why, -EINVAL,
				"'%s' can only stand alone, or behind 'after'",
				name);
	a = (struct script_action){w->verb, w->n};
	if (parse_argument(w, argument, &a) < 0 || *text)
		return fail_set(why, -EINVAL, "'%s %s': want %s", name,
				argument,
				w->argument == NOTHING ? "nothing behind it"
				: w->argument == MILLISECONDS
					? "milliseconds, up to a day"
					: "bytes, up to 1 GiB");
	r->actions[n] = a;
	return 0;
}

static int parse_rule(char *line, struct rule *r, struct fail *why)
{
	char *proto = next_word(&line, " \t");
	char *target = next_word(&line, " \t");
	char shown[64]; /* it is taken apart in place */
	unsigned p = 0, n = 0;

	snprintf(shown, sizeof(shown), "%s", target);
	while (p < 3 && strcmp(protos[p], proto) != 0)
		p++;
	if (p == 3)
		return fail_set(why, -EINVAL,
				"'%s': want tcp, udp or ping first", proto);
	*r = (struct rule){.proto = (enum script_proto)p};
	if (parse_target(target, r) < 0)
		return fail_set(why, -EINVAL,
				"'%s': want a target such as *, *:80, "
				"192.0.2.1:80 or [2001:db8::1]:80",
				shown);
	while (*(line += strspn(line, " \t"))) {
		char *action = next_word(&line, ",");

		if (n == ACTIONS_MAX || (n > 0 && p != SCRIPT_TCP))
			return fail_set(why, -EINVAL, "too many actions");
		if (parse_action(action, r, n++, why) < 0)
			return -EINVAL;
	}
	return n > 0 ? 0 : fail_set(why, -EINVAL, "an action is missing");
}

static int add_rule(struct script *s, const struct rule *r)
{
	struct rule *more = realloc(s->rules, (s->n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	s->rules = more;
	s->rules[s->n++] = *r;
	return 0;
}

/* Line @number of @len bytes at @text, without its newline. */
static int take_line(struct script *s, const char *text, size_t len,
		     const char *name, unsigned number, struct fail *why)
{
	char line[LINE_LEN];
	struct rule r;
	struct fail part;

	if (len >= sizeof(line))
		return fail_set(why, -EINVAL, "%s:%u: the line is too long",
				name, number);
	memcpy(line, text, len);
	line[len] = '\0';
	line[strcspn(line, "#\r")] = '\0';
	if (line[strspn(line, " \t")] == '\0')
		return 0;
	if (parse_rule(line, &r, &part) < 0)
		return fail_set(why, -EINVAL, "%s:%u: %s", name, number,
				part.text);
	return add_rule(s, &r) < 0 ? fail_set(why, -ENOMEM, "no memory") : 0;
}

struct script *script_parse(const char *text, const char *name,
			    struct fail *why)
{
	struct script *s = calloc(1, sizeof(*s));
	unsigned number = 0;

	if (!s) {
		fail_set(why, -ENOMEM, "no memory");
		return NULL;
	}
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (take_line(s, text, len, name, ++number, why) < 0) {
			script_free(s);
			return NULL;
		}
		text += len + (text[len] == '\n');
	}
	return s;
}

void script_free(struct script *s)
{
	if (!s)
		return;
	free(s->rules);
	free(s);
}

const struct script_action *script_find(const struct script *s,
					enum script_proto proto,
					const struct endpoint *to)
{
	static const struct script_action echo[] = {{SCRIPT_ECHO, 0},
						    {SCRIPT_END, 0}};

	for (size_t i = 0; s && i < s->n; i++) {
		const struct rule *r = &s->rules[i];

		if (r->proto == proto &&
		    (r->any_addr || addr_equal(&r->to.addr, &to->addr)) &&
		    (r->to.port == 0 || r->to.port == to->port))
			return r->actions;
	}
	return echo;
}
