#include "tests/fake_lanes.h"

#include "tests/test.h"

bool lanes_last(const struct lanes *ls, const struct target *t)
{
	return ls && ls->last;
}

bool lanes_first(const struct lanes *ls, const struct target *t, uint16_t port,
		 const struct endpoint *client)
{
	return ls && ls->first;
}

void lanes_open(struct lanes *ls, const struct lanes_client *c)
{
	ls->opened++;
	ls->client = *c;
	target_ref(c->target);
}

void fake_lanes_miss(struct lanes *ls)
{
	struct lanes_client c = ls->client;

	c.missed(&c);
	target_put(c.target);
}

void fake_lanes_serve(struct lanes *ls)
{
	hostsock_close(ls->client.fd);
	target_put(ls->client.target);
}
