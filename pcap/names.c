#include "pcap/names.h"

#include "stack/frame.h"
#include "stack/siphash.h"

#include <stdlib.h>
#include <string.h>

#define HEADER      12
#define FLAG_ANSWER 0x8000
#define FLAGS_BAD   0x780f /* opcode and response code */
#define CLASS_IN    1
#define TYPE_A      1
#define TYPE_CNAME  5
#define TYPE_AAAA   28
#define JUMPS_MAX   32  /* of compressed names */
#define NAME_WIRE   255 /* RFC 1035 2.3.4 */
/* Of one message. Each alias may need a pass over all. */
#define ANSWERS_MAX 64
#define ALIASES_MAX 8
/* Bytes of names that are read of one message, be it as knotted as it likes. */
#define READ_MAX    16384
#define SLOTS_FIRST 256

/* A name that addresses point to. */
struct text {
	struct text *next;
	char s[];
};

struct slot {
	struct in6_addr addr;
	const char *name; /* NULL: free */
};

struct names {
	uint64_t key[2];
	struct slot *slots; /* at most half full */
	size_t mask, used;
	struct text *texts;
	size_t bytes;
};

struct names *names_new(uint64_t seed)
{
	struct names *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->key[0] = seed;
	n->mask = SLOTS_FIRST - 1;
	n->slots = calloc(SLOTS_FIRST, sizeof(*n->slots));
	if (n->slots)
		return n;
	free(n);
	return NULL;
}

void names_free(struct names *n)
{
	struct text *t;

	if (!n)
		return;
	while ((t = n->texts) != NULL) {
		n->texts = t->next;
		free(t);
	}
	free(n->slots);
	free(n);
}

static struct slot *slot_of(const struct names *n, const struct in6_addr *addr)
{
	size_t i = siphash(n->key, addr, sizeof(*addr)) & n->mask;

	while (n->slots[i].name && !addr_equal(&n->slots[i].addr, addr))
		i = (i + 1) & n->mask;
	return &n->slots[i];
}

const char *names_find(const struct names *n, const struct in6_addr *addr)
{
	return slot_of(n, addr)->name;
}

/* Without memory the table stays as it is: names are a nicety. */
static void grow(struct names *n)
{
	struct names bigger = *n;

	bigger.mask = n->mask * 2 + 1;
	bigger.slots = calloc(bigger.mask + 1, sizeof(*n->slots));
	if (!bigger.slots)
		return;
	for (size_t i = 0; i <= n->mask; i++) {
		if (n->slots[i].name)
			*slot_of(&bigger, &n->slots[i].addr) = n->slots[i];
	}
	free(n->slots);
	*n = bigger;
}

static void put(struct names *n, const struct in6_addr *addr, const char *name)
{
	struct slot *s = slot_of(n, addr);

	if (!s->name) {
		if (n->used >= NAMES_MAX || n->used * 2 > n->mask)
			return;
		n->used++;
		s->addr = *addr;
	}
	s->name = name;
	if (n->used * 2 > n->mask)
		grow(n);
}

static const char *keep_text(struct names *n, const char *s)
{
	size_t size = strlen(s) + 1;
	struct text *t;

	if (n->bytes + size > NAMES_BYTES_MAX)
		return NULL;
	t = malloc(sizeof(*t) + size);
	if (!t)
		return NULL;
	memcpy(t->s, s, size);
	t->next = n->texts;
	n->texts = t;
	n->bytes += size;
	return t->s;
}

/* @s to be kept; @addr may have it already, as it is asked for again and again. */
static const char *name_of(struct names *n, const struct in6_addr *addr,
			   const char *s)
{
	const char *old = names_find(n, addr);

	return old && strcmp(old, s) == 0 ? old : keep_text(n, s);
}

struct message {
	const uint8_t *bytes;
	size_t len;
	size_t read; /* bytes of names so far, as often as they were */
};

/* Of ASCII alone, whatever the locale: RFC 4343 3. */
static char lower(unsigned char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* A label as text at @to, whose end is returned: RFC 4343 2.1. */
static char *add_label(char *to, const uint8_t *label, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = label[i];

		if (c == '.' || c == '\\') {
			*to++ = '\\';
			*to++ = (char)c;
		} else if (c > ' ' && c < 0x7f) {
			*to++ = lower(c);
		} else {
			*to++ = '\\';
			*to++ = (char)('0' + c / 100);
			*to++ = (char)('0' + c / 10 % 10);
			*to++ = (char)('0' + c % 10);
		}
	}
	return to;
}

/* The name at @at, whose end in place is *@ret_end. */
static bool take_name(struct message *m, size_t at, char text[NAMES_TEXT],
		      size_t *ret_end)
{
	size_t wire = 0, end = 0;
	unsigned jumps = 0;
	char *to = text;

	while (at < m->len && m->bytes[at] != 0) {
		size_t len = m->bytes[at];

		if (len >= 0xc0) {
			if (m->len - at < 2 || jumps++ == JUMPS_MAX)
				return false;
			end = end ? end : at + 2;
			at = get16(m->bytes + at) & 0x3fff;
			continue;
		}
		wire += len + 1;
		m->read += len + 1;
		if (m->read > READ_MAX)
			return false;
		if (len > 63 || m->len - at <= len || wire >= NAME_WIRE)
			return false;
		if (to > text)
			*to++ = '.';
		to = add_label(to, m->bytes + at + 1, len);
		at += len + 1;
	}
	if (at >= m->len)
		return false;
	*to = '\0';
	*ret_end = end ? end : at + 1;
	return true;
}

struct answer {
	uint16_t type;
	size_t data, len; /* of its data */
	size_t end;
	char owner[NAMES_TEXT];
};

static bool take_answer(struct message *m, size_t at, struct answer *ret)
{
	const uint8_t *fixed;

	if (!take_name(m, at, ret->owner, &at) || m->len - at < 10)
		return false;
	fixed = m->bytes + at;
	ret->type = get16(fixed + 2) == CLASS_IN ? get16(fixed) : 0;
	ret->data = at + 10;
	ret->len = get16(fixed + 8);
	if (m->len - ret->data < ret->len)
		return false;
	ret->end = ret->data + ret->len;
	return true;
}

static bool take_address(const struct message *m, const struct answer *a,
			 struct in6_addr *ret)
{
	if (a->type == TYPE_A && a->len == 4)
		*ret = addr_from_v4(get32(m->bytes + a->data));
	else if (a->type == TYPE_AAAA && a->len == sizeof(*ret))
		memcpy(ret, m->bytes + a->data, sizeof(*ret));
	else
		return false;
	return true;
}

/* One pass over the answers of @name: their addresses are called *@called, which
 * is kept when the first is found. True with the alias in @alias, if it is one. */
static bool take_answers(struct names *n, struct message *m, size_t at,
			 const char *name, const char *asked,
			 const char **called, char alias[NAMES_TEXT])
{
	unsigned count = get16(m->bytes + 6);
	bool found = false;
	struct in6_addr addr;
	struct answer a;
	size_t end;

	for (unsigned i = 0; i < count && i < ANSWERS_MAX; i++) {
		if (!take_answer(m, at, &a))
			break;
		at = a.end;
		if (strcmp(a.owner, name) != 0)
			continue;
		if (a.type == TYPE_CNAME)
			found = take_name(m, a.data, alias, &end);
		if (!take_address(m, &a, &addr))
			continue;
		if (!*called)
			*called = name_of(n, &addr, asked);
		if (*called)
			put(n, &addr, *called);
	}
	return found;
}

void names_learn(struct names *n, const uint8_t *msg, size_t len)
{
	struct message m = {msg, len, 0};
	struct in6_addr addr;
	char asked[NAMES_TEXT], name[NAMES_TEXT], alias[NAMES_TEXT];
	const char *called = NULL;
	size_t at;

	if (len < HEADER || !(get16(msg + 2) & FLAG_ANSWER) ||
	    get16(msg + 2) & FLAGS_BAD || get16(msg + 4) != 1)
		return;
	if (!take_name(&m, HEADER, asked, &at) || len - at < 4 || !asked[0])
		return;
	/* Nobody asks for that; it would pass for the address itself. */
	if (addr_parse(asked, &addr) == 0)
		return;
	at += 4;
	memcpy(name, asked, strlen(asked) + 1);
	for (int i = 0; i < ALIASES_MAX; i++) {
		if (!take_answers(n, &m, at, name, asked, &called, alias))
			break;
		memcpy(name, alias, strlen(alias) + 1);
	}
}
