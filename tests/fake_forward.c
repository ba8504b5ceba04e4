#include "tests/fake_forward.h"

#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct forwards *forward_new(const struct forward_deps *deps)
{
	return calloc(1, sizeof(struct forwards));
}

void forward_free(struct forwards *fs)
{
	free(fs);
}

int forward_add(struct forwards *fs, const struct rule *r,
		const struct forward **ret, struct fail *why)
{
	struct forward *f = &fs->list[fs->n];

	fs->adds++;
	if (fs->refuse)
		return fail_set(why, -EADDRINUSE, "%s", fs->refuse);
	assert_true(fs->n < FAKE_FORWARDS_MAX);
	assert_int_equal(rule_check(r, why), 0);
	*f = (struct forward){++fs->last_id, *r, fs};
	if (r->host_port == 0)
		f->rule.host_port = f->rule.host_port_end = FAKE_FORWARD_PICKED;
	if (f->rule.families == (RULE_IPV4 | RULE_IPV6))
		f->rule.families &= ~fs->absent;
	fs->n++;
	*ret = f;
	return 0;
}

int forward_remove(struct forwards *fs, unsigned id)
{
	for (unsigned i = 0; i < fs->n; i++) {
		if (fs->list[i].id != id)
			continue;
		fs->n--;
		memmove(&fs->list[i], &fs->list[i + 1],
			(fs->n - i) * sizeof(fs->list[0]));
		return 0;
	}
	return -ENOENT;
}

const struct forward *forward_next(const struct forwards *fs,
				   const struct forward *prev)
{
	const struct forward *f = prev ? prev + 1 : fs->list;

	return f < fs->list + fs->n ? f : NULL;
}

unsigned forward_id(const struct forward *f)
{
	return f->id;
}

const struct rule *forward_rule(const struct forward *f)
{
	return &f->rule;
}

unsigned forward_bound(const struct forward *f, struct endpoint *ret,
		       unsigned max)
{
	const struct rule *r = &f->rule;
	struct endpoint e = {r->host_addr, r->host_port};
	unsigned n = 0;

	if (r->ifname[0]) {
		e.addr = f->owner->extra.addr;
		ret[n++] = e;
	} else if (!addr_is_unspecified(&r->host_addr)) {
		ret[n++] = e;
	} else {
		e.addr = addr_from_v4(0);
		if (r->families & RULE_IPV4)
			ret[n++] = e;
		e.addr = in6addr_any;
		if (r->families & RULE_IPV6)
			ret[n++] = e;
	}
	assert_true(n <= max);
	return n;
}

struct in6_addr forward_guest(const struct forward *f)
{
	return addr_is_unspecified(&f->rule.guest_addr) ? f->owner->guest
							: f->rule.guest_addr;
}

void forward_look(struct forwards *fs)
{
	fs->looks++;
}

const char *forward_note(const struct forward *f)
{
	return f->owner->note;
}
