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

const char *sockdiag_explain(enum sockdiag_proto proto, int err)
{
	return "the fake said so";
}
