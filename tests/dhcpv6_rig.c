#include "tests/dhcpv6_rig.h"

#include <string.h>

const uint8_t dhcpv6_our_duid[] = {0, 3, 0, 1, 0x52, 0x55, 10, 0, 2, 2};
const uint8_t dhcpv6_client_duid[] = {0,    3,    0,    1,    2,
				      0x11, 0x22, 0x33, 0x44, 0x55};
static const uint8_t iaid[] = {0xca, 0xfe, 0, 1};

void dhcpv6_put(struct dhcpv6_ask *a, uint16_t code, const void *data,
		size_t len)
{
	assert_true(a->len + 4 + len <= sizeof(a->data));
	put16(a->data + a->len, code);
	put16(a->data + a->len + 2, (uint16_t)len);
	if (len)
		memcpy(a->data + a->len + 4, data, len);
	a->len += 4 + len;
}

void dhcpv6_start(struct dhcpv6_ask *a, uint8_t type, bool client, bool server)
{
	*a = (struct dhcpv6_ask){.data = {type, 0xab, 0xcd, 0xef}, .len = 4};
	if (client)
		dhcpv6_put(a, 1, dhcpv6_client_duid,
			   sizeof(dhcpv6_client_duid));
	if (server)
		dhcpv6_put(a, 2, dhcpv6_our_duid, sizeof(dhcpv6_our_duid));
}

void dhcpv6_put_ia(struct dhcpv6_ask *a, uint16_t code, uint8_t id,
		   const char *addr, const char *other)
{
	const char *const addrs[] = {addr, other};
	struct dhcpv6_ask ia = {.len = code == 4 ? 4 : 12};

	memcpy(ia.data, iaid, 4);
	ia.data[3] = id;
	for (size_t i = 0; i < 2; i++) {
		uint8_t body[24] = {0};
		struct in6_addr v;

		if (!addrs[i])
			continue;
		v = frames_addr(addrs[i]);
		memcpy(body, &v, sizeof(v));
		dhcpv6_put(&ia, 5, body, sizeof(body));
	}
	dhcpv6_put(a, code, ia.data, ia.len);
}

void dhcpv6_put_wanted(struct dhcpv6_ask *a, uint16_t code)
{
	uint8_t body[2];

	put16(body, code);
	dhcpv6_put(a, 6, body, sizeof(body));
}

void dhcpv6_send(struct front *f, const struct dhcpv6_ask *a)
{
	struct frames_buf b;

	frames_sink_clear(&f->sink);
	frames_udp(&b, DHCPV6_CLIENT, 546, DHCPV6_SERVERS, 547, a->data,
		   a->len);
	front_give(f, &b);
}

struct view dhcpv6_nth(struct view v, uint16_t code, unsigned nth)
{
	while (v.left > 0) {
		const uint8_t *head = view_take(&v, 4);
		struct view data;

		assert_non_null(head);
		data = (struct view){v.at, get16(head + 2)};
		assert_non_null(view_take(&v, data.left));
		if (get16(head) == code && nth-- == 0)
			return data;
	}
	return (struct view){NULL, 0};
}

struct view dhcpv6_option(struct view v, uint16_t code)
{
	return dhcpv6_nth(v, code, 0);
}

struct view dhcpv6_answer(struct front *f, uint8_t type)
{
	const struct frames_got *got = frames_only(&f->sink);
	struct frames_seen s = frames_read(got);
	struct in6_addr src = f->plan.router6, dst = frames_addr(DHCPV6_CLIENT);
	struct view v = {s.l4, s.l4_len}, id;
	const uint8_t *udp = view_take(&v, 8), *head = view_take(&v, 4);

	assert_memory_equal(got->data, frames_guest_mac, 6);
	assert_true(addr_equal(&s.src, &src));
	assert_true(addr_equal(&s.dst, &dst));
	assert_int_equal(s.proto, WIRE_PROTO_UDP);
	assert_true(s.l4_len <= 1240);
	assert_int_equal(get16(udp), 547);
	assert_int_equal(get16(udp + 2), 546);
	assert_int_equal(head[0], type);
	assert_memory_equal(head + 1, "\xab\xcd\xef", 3);
	id = dhcpv6_option(v, 2);
	assert_int_equal(id.left, sizeof(dhcpv6_our_duid));
	assert_memory_equal(id.at, dhcpv6_our_duid, sizeof(dhcpv6_our_duid));
	return v;
}

void dhcpv6_assert_client(struct view v)
{
	struct view id = dhcpv6_option(v, 1);

	assert_int_equal(id.left, sizeof(dhcpv6_client_duid));
	assert_memory_equal(id.at, dhcpv6_client_duid,
			    sizeof(dhcpv6_client_duid));
}

void dhcpv6_assert_status(struct view v, uint16_t want)
{
	struct view status = dhcpv6_option(v, 13);

	assert_int_equal(status.left, 2);
	if (status.at)
		assert_int_equal(get16(status.at), want);
}

void dhcpv6_assert_addr(struct view ia, unsigned nth, const char *text,
			uint32_t lifetime)
{
	struct in6_addr want = frames_addr(text);
	struct view options = {ia.at + 12, ia.left - 12};
	struct view a = dhcpv6_nth(options, 5, nth);

	assert_int_equal(a.left, 24);
	assert_memory_equal(a.at, &want, 16);
	assert_int_equal(get32(a.at + 16), lifetime);
	assert_int_equal(get32(a.at + 20), lifetime);
}

void dhcpv6_assert_lease(struct view v)
{
	struct view ia = dhcpv6_option(v, 3);

	dhcpv6_assert_client(v);
	assert_int_equal(ia.left, 12 + 28);
	assert_memory_equal(ia.at, iaid, 4);
	assert_int_equal(get32(ia.at + 4), UINT32_MAX);
	assert_int_equal(get32(ia.at + 8), UINT32_MAX);
	dhcpv6_assert_addr(ia, 0, "2001:db8::5", UINT32_MAX);
	assert_null(dhcpv6_option(v, 13).at);
}

void dhcpv6_assert_refused(struct view v, uint16_t code, unsigned nth,
			   uint16_t status)
{
	struct view ia = dhcpv6_nth(v, code, nth);
	size_t head = code == 4 ? 4 : 12;

	assert_int_equal(ia.left, head + 6);
	assert_memory_equal(ia.at, iaid, 3);
	dhcpv6_assert_status((struct view){ia.at + head, ia.left - head},
			     status);
}

void dhcpv6_assert_silence(struct front *f)
{
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(front_drops(f), 0);
}

void dhcpv6_assert_dropped(struct front *f, const struct dhcpv6_ask *a)
{
	uint64_t before = f->count.v[COUNT_DROP_DHCP6];

	dhcpv6_send(f, a);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_DHCP6], before + 1);
}

int dhcpv6_setup(void **state)
{
	struct front *f = front_new(1500);

	f->plan = frames_shared_plan();
	*state = f;
	return 0;
}
