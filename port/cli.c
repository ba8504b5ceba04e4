#include "port/cli.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 96
#define HELP_COLUMN 25 /* where the descriptions start */

static size_t count_options(const struct cli *c)
{
	size_t n = 0;

	while (c->options[n].name)
		n++;
	assert(n < OPTIONS_MAX);
	return n;
}

/* What getopt_long() wants: options are named by their place in the table, plus
 * 256 so as not to be taken for a letter. */
static void make_tables(const struct cli *c, struct option *longs,
			char *letters)
{
	size_t n = count_options(c);

	if (c->stop_at_word)
		*letters++ = '+';
	*letters++ = ':'; /* tells a missing argument from an unknown option */
	for (size_t i = 0; i < n; i++) {
		const struct cli_option *o = &c->options[i];

		longs[i] = (struct option){
			.name = o->name,
			.has_arg = o->arg ? required_argument : no_argument,
			.val = 256 + (int)i,
		};
		if (!o->letter)
			continue;
		*letters++ = o->letter;
		if (o->arg)
			*letters++ = ':';
	}
	longs[n] = (struct option){0};
	*letters = '\0';
}

static const struct cli_option *find(const struct cli *c, int val)
{
	if (val >= 256)
		return &c->options[val - 256];
	for (const struct cli_option *o = c->options; o->name; o++) {
		if (o->letter && o->letter == val)
			return o;
	}
	return NULL;
}

/* How many options begin with the name in @word ("--name=...")? */
static int count_matches(const struct cli *c, const char *word)
{
	size_t len = strcspn(word + 2, "=");
	int n = 0;

	for (const struct cli_option *o = c->options; o->name; o++)
		n += strncmp(o->name, word + 2, len) == 0;
	return n;
}

/* The words are those of getopt_long(), which callers look for in the output:
 * Podman has a plan B for "unrecognized option". */
static enum cli_verdict complain(const struct cli *c, int what,
				 const char *word)
{
	const struct cli_option *o = optopt ? find(c, optopt) : NULL;
	const char *why = "unrecognized option";

	if (what == ':' && o && word[0] == '-' && word[1] == '-')
		fprintf(c->err, "%s: option '--%s' requires an argument\n",
			c->name, o->name);
	else if (what == ':')
		fprintf(c->err, "%s: option requires an argument -- '%c'\n",
			c->name, optopt);
	else if (o)
		fprintf(c->err, "%s: option '--%s' doesn't allow an argument\n",
			c->name, o->name);
	else if (optopt)
		fprintf(c->err, "%s: invalid option -- '%c'\n", c->name,
			optopt);
	else {
		if (count_matches(c, word) > 1)
			why = "ambiguous option";
		fprintf(c->err, "%s: %s '%.*s'\n", c->name, why,
			(int)strcspn(word, "="), word);
	}
	return CLI_BAD;
}

enum cli_verdict cli_parse(struct cli *c, int argc, char **argv, int *ret_words)
{
	struct option longs[OPTIONS_MAX];
	char letters[2 * OPTIONS_MAX + 3];
	enum cli_verdict verdict;
	int val;

	make_tables(c, longs, letters);
	optind = 0; /* glibc: forget an earlier parse */
	opterr = 0;
	for (;;) {
		val = getopt_long(argc, argv, letters, longs, NULL);
		if (val == -1)
			break;
		if (val == '?' || val == ':')
			return complain(c, val, argv[optind - 1]);
		c->now = find(c, val);
		verdict = c->now->apply(c, optarg);
		if (verdict != CLI_GO)
			return verdict;
	}
	*ret_words = optind;
	return CLI_GO;
}

enum cli_verdict cli_store_flag(struct cli *c, const char *arg)
{
	*(bool *)((char *)c + c->now->at) = true;
	return CLI_GO;
}

enum cli_verdict cli_store_text(struct cli *c, const char *arg)
{
	*(const char **)(void *)((char *)c + c->now->at) = arg;
	return CLI_GO;
}

/* Of several lines the others begin below the first. */
static void print_help(FILE *to, int used, const char *help)
{
	size_t len;

	for (;; help += len + 1, used = 0) {
		len = strcspn(help, "\n");
		fprintf(to, "%*s%.*s\n", HELP_COLUMN - used, "", (int)len,
			help);
		if (!help[len])
			break;
	}
}

void cli_print_options(const struct cli *c, FILE *to)
{
	for (const struct cli_option *o = c->options; o->name; o++) {
		int used = 0;

		if (!o->help)
			continue;
		if (o->letter)
			used += fprintf(to, "-%c, ", o->letter);
		used += fprintf(to, "--%s", o->name);
		if (o->arg)
			used += fprintf(to, "=%s", o->arg);
		if (used > HELP_COLUMN - 2)
			used = HELP_COLUMN - 2;
		print_help(to, used, o->help);
	}
}

int cli_number(const char *text, long min, long max, long *ret)
{
	char *end;
	long v;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || *end || v < min || v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

/* At most @max digits at *@at, then @end, which is skipped. */
static bool skip_digits(const char **at, size_t max, char end)
{
	size_t n = strspn(*at, "0123456789");

	if (n == 0 || n > max || (*at)[n] != end)
		return false;
	*at += n + (end != '\0');
	return true;
}

static bool looks_like_cidr(const char *text)
{
	for (int i = 0; i < 3; i++) {
		if (!skip_digits(&text, 3, '.'))
			return false;
	}
	return skip_digits(&text, 3, '/') && skip_digits(&text, 2, '\0');
}

static bool can_be_network(uint32_t net)
{
	return net >> 24 != 0 && net >> 24 != 127 && net >> 28 < 14;
}

int cli_cidr(const char *text, struct in6_addr *ret_net, uint8_t *ret_bits,
	     struct fail *why)
{
	size_t len = strcspn(text, "/");
	char part[INET_ADDRSTRLEN];
	struct in_addr addr;
	uint32_t net, mask;
	int bits;

	if (!looks_like_cidr(text))
		return fail_set(why, -EINVAL, "invalid CIDR: %s", text);
	memcpy(part, text, len); /* four times three digits at most */
	part[len] = '\0';
	if (inet_pton(AF_INET, part, &addr) != 1)
		return fail_set(why, -EINVAL, "invalid network address: %s",
				part);
	bits = atoi(text + len + 1);
	if (bits < 1 || bits > 25)
		return fail_set(why, -EINVAL, "prefix length needs to be 1-25");
	net = ntohl(addr.s_addr);
	mask = UINT32_MAX << (32 - bits);
	if (net & ~mask) {
		addr.s_addr = htonl(net & mask);
		return fail_set(why, -EINVAL,
				"CIDR needs to be a network address like "
				"%s/%d, not like %s",
				inet_ntoa(addr), bits, text);
	}
	if (!can_be_network(net))
		return fail_set(why, -EINVAL,
				"invalid network address: %s (hosts cannot "
				"have addresses of it)",
				part);
	*ret_net = addr_from_v4(net);
	*ret_bits = (uint8_t)bits;
	return 0;
}
