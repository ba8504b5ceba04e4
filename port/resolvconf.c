#include "port/resolvconf.h"

#include "port/hostsock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DNS_PORT 53

/* More than any resolv.conf that is meant; what lies beyond is not read. */
#define FILE_MAX 65536

void resolvconf_init(struct resolvconf *c, const char *path)
{
	*c = (struct resolvconf){.path = path};
}

/* @word is changed. */
static bool parse_server(char *word, struct endpoint *ret)
{
	char *scope = strchr(word, '%');
	struct in6_addr a;

	if (scope)
		*scope++ = '\0';
	if (addr_parse(word, &a) < 0)
		return false;
	/* libc sends to 0.0.0.0 and ::, and the kernel takes them for this */
	if (addr_is_unspecified(&a))
		a = addr_is_v4(&a) ? addr_from_v4(INADDR_LOOPBACK)
				   : in6addr_loopback;
	if (scope && hostsock_scoped(&a, scope, &a) < 0)
		return false;
	*ret = (struct endpoint){a, DNS_PORT};
	return true;
}

static bool parse_line(const char *line, size_t len, struct endpoint *ret)
{
	static const char keyword[] = "nameserver";
	char word[ADDR_STRLEN + 16];
	size_t at = sizeof(keyword) - 1, n;

	if (len <= at || memcmp(line, keyword, at) != 0 ||
	    !strchr(" \t", line[at]))
		return false;
	while (at < len && strchr(" \t", line[at]))
		at++;
	n = strcspn(line + at, " \t\r\n;#");
	if (n > len - at)
		n = len - at;
	if (n == 0 || n >= sizeof(word))
		return false;
	memcpy(word, line + at, n);
	word[n] = '\0';
	return parse_server(word, ret);
}

void resolvconf_init_fixed(struct resolvconf *c, const struct in6_addr *servers,
			   size_t n)
{
	*c = (struct resolvconf){.count = n};
	assert(n >= 1 && n <= RESOLVCONF_MAX);
	for (size_t i = 0; i < n; i++)
		c->servers[i] = (struct endpoint){servers[i], DNS_PORT};
}

static bool is_among(const struct endpoint *e, const struct endpoint *list,
		     size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (endpoint_equal(e, &list[i]))
			return true;
	}
	return false;
}

size_t resolvconf_parse(const char *text, struct endpoint *ret, size_t max)
{
	size_t count = 0;

	while (*text && count < max) {
		size_t len = strcspn(text, "\n");
		struct endpoint e;

		if (parse_line(text, len, &e) && !is_among(&e, ret, count))
			ret[count++] = e;
		text += len + (text[len] == '\n');
	}
	return count;
}

static ssize_t read_all(int fd, char *buf, size_t room)
{
	size_t got = 0;

	while (got < room) {
		ssize_t n = read(fd, buf + got, room - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* The text of the file (to free()) and what fstat(2) says of it, or NULL. */
static char *read_file(const char *path, struct stat *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = fd < 0 ? NULL : malloc(FILE_MAX + 1);
	ssize_t n = -1;

	if (text && fstat(fd, ret) == 0)
		n = read_all(fd, text, FILE_MAX);
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

char *resolvconf_text(const char *path)
{
	struct stat st;

	return read_file(path, &st);
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size && same_time(a->st_mtim, b->st_mtim) &&
	       same_time(a->st_ctim, b->st_ctim);
}

static void set_default(struct resolvconf *c)
{
	c->servers[0] =
		(struct endpoint){addr_from_v4(INADDR_LOOPBACK), DNS_PORT};
	c->count = 1;
}

bool resolvconf_refresh(struct resolvconf *c)
{
	struct stat st = {0};
	bool there;
	char *text;

	if (!c->path)
		return false;
	there = stat(c->path, &st) == 0;
	if (c->count > 0 && same_file(&st, &c->seen))
		return false;
	text = there ? read_file(c->path, &st) : NULL;
	if (there && !text && c->count > 0)
		return false;
	c->count =
		text ? resolvconf_parse(text, c->servers, RESOLVCONF_MAX) : 0;
	/* unreadable at the first look: look again next time */
	c->seen = there && !text ? (struct stat){0} : st;
	if (c->count == 0)
		set_default(c);
	free(text);
	return true;
}
