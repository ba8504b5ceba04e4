#include "tests/fake_stack.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct fake_out *outs;
static size_t out_count, out_room;

static struct fake_out *add(enum fake_out_kind kind, const uint8_t *payload,
			    size_t len)
{
	struct fake_out *o;

	/* a sanitizer keeps what is given back: not for each */
	if (out_count == out_room) {
		out_room = out_room ? 2 * out_room : 16;
		outs = realloc(outs, out_room * sizeof(*outs));
		assert_non_null(outs);
	}
	o = &outs[out_count++];
	*o = (struct fake_out){.kind = kind, .bytes = malloc(len + 1)};
	assert_non_null(o->bytes);
	if (len > 0)
		memcpy(o->bytes, payload, len);
	return o;
}

size_t fake_stack_count(void)
{
	return out_count;
}

const struct fake_out *fake_stack_out(size_t n, enum fake_out_kind kind)
{
	assert_true(n < out_count);
	assert_int_equal(outs[n].kind, kind);
	return &outs[n];
}

void fake_stack_clear(void)
{
	for (size_t i = 0; i < out_count; i++)
		free(outs[i].bytes);
	free(outs);
	outs = NULL;
	out_count = out_room = 0;
}

static void set_error(struct fake_out *o, const struct icmpmsg_error *e)
{
	o->why = e->why;
	o->mtu = e->mtu;
	o->has_from = e->from != NULL;
	if (e->from)
		o->from = *e->from;
}

static void set_dgram(struct fake_out *o, const struct dgram *d)
{
	o->dgram = *d;
	o->dgram.payload = o->bytes;
}

static void set_echo(struct fake_out *o, const struct icmpmsg_echo *e)
{
	o->echo = *e;
	o->echo.payload = o->bytes;
}

int stack_udp_send(struct stack *st, const struct dgram *d)
{
	set_dgram(add(FAKE_OUT_UDP, d->payload, d->len), d);
	return 0;
}

void stack_udp_error(struct stack *st, const struct icmpmsg_error *e,
		     const struct dgram *d)
{
	struct fake_out *o = add(FAKE_OUT_UDP_ERROR, d->payload, d->len);

	set_dgram(o, d);
	set_error(o, e);
}

int stack_echo_reply(struct stack *st, const struct icmpmsg_echo *e)
{
	set_echo(add(FAKE_OUT_ECHO, e->payload, e->len), e);
	return 0;
}

void stack_echo_error(struct stack *st, const struct icmpmsg_error *e,
		      const struct icmpmsg_echo *echo)
{
	struct fake_out *o = add(FAKE_OUT_ECHO_ERROR, echo->payload, echo->len);

	set_echo(o, echo);
	set_error(o, e);
}

bool stack_guest(const struct stack *st, bool v4, struct in6_addr *ret)
{
	return false;
}

int stack_tcp_connect(struct stack *st, const struct endpoint *container,
		      const struct endpoint *remote, struct stream_user *u,
		      struct stream **ret)
{
	return -EHOSTUNREACH;
}
