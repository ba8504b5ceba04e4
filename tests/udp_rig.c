#include "tests/udp_rig.h"

#include "tests/test.h"

#include <string.h>

static struct udp_rig rig;

/* In place of port/listener.c. */
int listener_send(struct listener *l, const struct endpoint *client,
		  const struct endpoint *local,
		  const struct hostsock_opts *opts, const void *buf, size_t len)
{
	struct udp_rig_answer *a = &rig.answers[rig.answer_count % 8];

	if (rig.send_err)
		return -rig.send_err;
	*a = (struct udp_rig_answer){l, *client, *local, *opts, "", len};
	if (len > 0)
		memcpy(a->text, buf, len < 15 ? len : 15);
	rig.answer_count++;
	return 0;
}

static void unanswered(struct target *t, uint16_t port)
{
	assert_ptr_equal(t, rig.target);
	assert_int_equal(port, 53);
	rig.unanswered++;
}

struct udp_rig *udp_rig_start(void)
{
	struct in6_addr any = in6addr_any;

	memset(&rig, 0, sizeof(rig));
	rig.host = relay_rig_start();
	fake_guestaddr_init(&rig.guest, &rig.host->policy->plan);
	rig.inbound = inbound_udp_new(rig.host, &rig.guest);
	assert_non_null(rig.inbound);
	rig.target = target_new(&any, &rig.guest);
	assert_non_null(rig.target);
	rig.target->unanswered = unanswered;
	return &rig;
}

void udp_rig_finish(void)
{
	inbound_udp_free(rig.inbound);
	relay_rig_settle();
	assert_true(LIST_EMPTY(&rig.listener.flows));
	assert_int_equal(rig.target->refs, 1);
	target_put(rig.target);
	relay_rig_finish();
}

void udp_rig_ask_at(struct endpoint client, struct endpoint local,
		    const void *buf, size_t len)
{
	inbound_udp_client(rig.inbound, &rig.listener, &client, &local,
			   rig.target, 53, buf, len);
}

void udp_rig_ask(struct endpoint client, const char *text)
{
	bool v4 = addr_is_v4(&client.addr);

	udp_rig_ask_at(client, at(v4 ? "127.0.0.1" : "::1", 5353), text,
		       strlen(text));
}

bool udp_rig_answer(struct endpoint container, struct endpoint remote,
		    const char *text)
{
	struct dgram d = {
		.src = container,
		.dst = remote,
		.ttl = 63,
		.tos = 0x28,
		.dont_fragment = true,
		.payload = (const uint8_t *)text,
		.len = strlen(text),
	};

	return inbound_udp_input(rig.inbound, &d);
}

void udp_rig_refuse(struct endpoint container, struct endpoint remote)
{
	inbound_udp_unreachable(rig.inbound, &container, &remote);
}

unsigned udp_rig_clients(void)
{
	unsigned n = flow_count(rig.host->flows, FLOW_CLIENT);

	assert_int_equal(flow_count(rig.host->flows, FLOW_PUBLISHED), n);
	return n;
}

void udp_rig_assert_same(struct endpoint a, struct endpoint b)
{
	char x[ENDPOINT_STRLEN], y[ENDPOINT_STRLEN];

	assert_string_equal(endpoint_format(&a, x), endpoint_format(&b, y));
}

void udp_rig_assert_asked(size_t n, struct endpoint remote,
			  struct endpoint container, const char *text)
{
	const struct fake_out *o = fake_stack_out(n, FAKE_OUT_UDP);

	udp_rig_assert_same(o->dgram.src, remote);
	udp_rig_assert_same(o->dgram.dst, container);
	assert_int_equal(o->dgram.len, strlen(text));
	assert_memory_equal(o->dgram.payload, text, strlen(text));
}
