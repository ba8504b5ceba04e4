#include "tests/fake_sockdiag.h"

#include "tests/test.h"

#include <string.h>

#define SERVICES                                                               \
	(sizeof(((struct sockdiag *)0)->is) / sizeof(struct fake_service))

void fake_sockdiag_set(struct sockdiag *d, enum sockdiag_proto proto, bool v4,
		       uint16_t port, enum sockdiag_reach reach)
{
	struct fake_service *s = d->is;

	while (s < d->is + SERVICES && s->port != 0 &&
	       !(s->proto == proto && s->v4 == v4 && s->port == port))
		s++;
	assert_true(s < d->is + SERVICES);
	*s = (struct fake_service){proto, v4, port, reach};
}

int sockdiag_look(struct sockdiag *d, enum sockdiag_proto proto)
{
	d->looks[proto]++;
	if (d->err == 0)
		memcpy(d->seen[proto], d->is, sizeof(d->is));
	return -d->err;
}

enum sockdiag_reach sockdiag_reach(const struct sockdiag *d,
				   enum sockdiag_proto proto,
				   const struct in6_addr *addr, uint16_t port)
{
	for (size_t i = 0; i < SERVICES; i++) {
		const struct fake_service *s = &d->seen[proto][i];

		if (s->port == port && s->proto == proto &&
		    s->v4 == addr_is_v4(addr))
			return s->reach;
	}
	return SOCKDIAG_NOBODY;
}

uint16_t sockdiag_next(const struct sockdiag *d, enum sockdiag_proto proto,
		       uint16_t after)
{
	uint16_t next = 0;

	for (size_t i = 0; i < SERVICES; i++) {
		const struct fake_service *s = &d->seen[proto][i];

		if (s->proto == proto && s->port > after &&
		    s->reach != SOCKDIAG_NOBODY &&
		    (next == 0 || s->port < next))
			next = s->port;
	}
	return next;
}

size_t sockdiag_count(const struct sockdiag *d, enum sockdiag_proto proto)
{
	return SERVICES;
}

const char *sockdiag_explain(enum sockdiag_proto proto, int err)
{
	return "the fake said so";
}
