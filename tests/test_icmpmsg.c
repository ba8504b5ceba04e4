#include "stack/icmpmsg.h"
#include "tests/front.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAYLOAD 65507

/* An echo request of @len bytes, cut to fragments of at most 1480 bytes. */
static void ping(struct front *f, const char *src, const char *dst,
		 const uint8_t *payload, size_t len)
{
	bool v4 = strchr(src, ':') == NULL;
	uint8_t *body = malloc(4 + len);
	struct frames_buf *b = malloc(sizeof(*b));
	struct frames_buf *out = malloc(sizeof(*out));
	size_t hlen = v4 ? 20 : 40;
	const uint8_t *l4;

	assert_true(body && b && out);
	memcpy(body, "\x12\x34\0\7", 4);
	memcpy(body + 4, payload, len);
	frames_icmp(b, src, dst, v4 ? 8 : 128, 0, body, 4 + len);
	l4 = b->data + WIRE_ETH_LEN + hlen;
	if (len + 8 + hlen <= 1500) {
		front_give(f, b);
		goto out;
	}
	for (size_t at = 0; at < 8 + len; at += 1440) {
		bool more = 8 + len - at > 1440;
		size_t n = more ? 1440 : 8 + len - at;
		struct frames_ip ip = {.src = src, .dst = dst, .id = 9};
		uint8_t data[8 + 1440] = {58, 0, 0, 0, 0, 0, 0, 9};

		put16(data + 2, (uint16_t)(at | more));
		memcpy(data + 8, l4 + at, n);
		ip.proto = v4 ? 1 : 44;
		ip.frag = (uint16_t)(at / 8 | (more ? WIRE_IP4_MF : 0));
		frames_packet(out, &ip, v4 ? data + 8 : data, v4 ? n : 8 + n);
		front_give(f, out);
	}
out:
	free(out);
	free(b);
	free(body);
}

static void assert_pong(struct front *f, const char *src, const char *dst,
			const uint8_t *payload, size_t len)
{
	struct frames_buf *b = malloc(sizeof(*b));
	struct in6_addr from = frames_addr(src), to = frames_addr(dst);
	struct frames_seen s;

	assert_non_null(b);
	s = f->sink.n == 1 ? frames_read(&f->sink.got[0])
			   : frames_join(&f->sink, 0, b);
	assert_true(addr_equal(&s.src, &from));
	assert_true(addr_equal(&s.dst, &to));
	assert_int_equal(s.l4[0], addr_is_v4(&from) ? 0 : 129);
	assert_int_equal(s.l4[1], 0);
	assert_int_equal(s.l4_len, 8 + len);
	assert_memory_equal(s.l4 + 4, "\x12\x34\0\7", 4);
	assert_memory_equal(s.l4 + 8, payload, len);
	for (size_t i = 0; i < f->sink.n; i++)
		assert_true(f->sink.got[i].len <= WIRE_ETH_LEN + 1500);
	frames_sink_clear(&f->sink);
	free(b);
}

static void test_our_addresses_answer_pings_of_every_size(void **state)
{
	static const size_t sizes[] = {0,    1,    56,   1452,  1453,
				       1472, 1473, 9001, 65506, MAX_PAYLOAD};
	static const char *const ours[] = {"10.0.2.2", "10.0.2.3"};
	static const char *const ours6[] = {"fd00::2", "fd00::3", "fe80::2"};
	struct front *f = *state;
	uint8_t *payload = malloc(MAX_PAYLOAD);

	assert_non_null(payload);
	for (size_t i = 0; i < MAX_PAYLOAD; i++)
		payload[i] = (uint8_t)(i * 31);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const char *dst = ours[i % 2], *dst6 = ours6[i % 3];

		ping(f, "10.0.2.100", dst, payload, sizes[i]);
		assert_pong(f, dst, "10.0.2.100", payload, sizes[i]);
		ping(f, "fd00::64", dst6, payload, sizes[i]);
		assert_pong(f, dst6, "fd00::64", payload, sizes[i]);
	}
	assert_int_equal(front_drops(f), 0);
	free(payload);
}

static void test_pings_of_others_are_handed_to_the_host(void **state)
{
	static const char *const dsts[] = {"192.0.2.1", "2001:db8::1",
					   "10.0.2.50"};
	static const char *const srcs[] = {"10.0.2.100", "fd00::64",
					   "10.0.2.100"};
	struct front *f = *state;

	for (size_t i = 0; i < 3; i++) {
		struct in6_addr src = frames_addr(srcs[i]);
		struct in6_addr dst = frames_addr(dsts[i]);
		struct icmpmsg_echo e = {.len = 0};
		struct frames_buf b;

		frames_icmp(&b, srcs[i], dsts[i], i == 1 ? 128 : 8, 0,
			    "\x12\x34\0\7payload", 11);
		assert_true(front_frame(f, b.data, b.len, &e));
		assert_true(addr_equal(&e.src, &src));
		assert_true(addr_equal(&e.dst, &dst));
		assert_int_equal(e.id, 0x1234);
		assert_int_equal(e.seq, 7);
		assert_int_equal(e.ttl, i == 1 ? 255 : 64);
		assert_int_equal(e.dont_fragment, i == 1);
		assert_int_equal(e.len, 7);
	}
	assert_int_equal(f->sink.n, 0);
}

static void test_a_reply_is_what_the_host_heard(void **state)
{
	static const uint8_t huge[65535];
	struct front *f = *state;
	struct icmpmsg_echo e = {
		.src = frames_addr("192.0.2.1"),
		.dst = frames_addr("10.0.2.100"),
		.id = 0x1234,
		.seq = 7,
		.payload = (const uint8_t *)"abc",
		.len = 3,
	};

	memcpy(f->link.peer, frames_guest_mac, WIRE_MAC_LEN);
	assert_int_equal(icmpmsg_send_reply(&f->pl, &e), 0);
	assert_pong(f, "192.0.2.1", "10.0.2.100", e.payload, 3);
	e.src = frames_addr("2001:db8::1");
	e.dst = frames_addr("fd00::64");
	assert_int_equal(icmpmsg_send_reply(&f->pl, &e), 0);
	assert_pong(f, "2001:db8::1", "fd00::64", e.payload, 3);
	e.payload = huge;
	e.len = sizeof(huge);
	assert_int_equal(icmpmsg_send_reply(&f->pl, &e), -EMSGSIZE);
	assert_int_equal(f->sink.n, 0);
}

static void test_replies_and_errors_of_the_container_end_here(void **state)
{
	static const uint8_t quiet4[] = {0, 3, 4, 5, 11, 12};
	static const uint8_t quiet6[] = {1, 2, 3, 4, 129};
	static const uint8_t body[40];
	struct front *f = *state;
	struct frames_buf b;

	for (size_t i = 0; i < sizeof(quiet4); i++) {
		frames_icmp(&b, "10.0.2.100", "192.0.2.1", quiet4[i], 0, body,
			    40);
		front_give(f, &b);
	}
	for (size_t i = 0; i < sizeof(quiet6); i++) {
		frames_icmp(&b, "fd00::64", "2001:db8::1", quiet6[i], 0, body,
			    40);
		front_give(f, &b);
	}
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(front_drops(f), 0);
}

static void test_other_messages_are_dropped(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	/* Timestamp, echo with a code, echo to all nodes. */
	frames_icmp(&b, "10.0.2.100", "10.0.2.2", 13, 0, "12345678", 8);
	front_give(f, &b);
	frames_icmp(&b, "10.0.2.100", "10.0.2.2", 8, 1, "12345678", 8);
	front_give(f, &b);
	frames_icmp(&b, "fd00::64", "ff02::1", 128, 0, "12345678", 8);
	front_give(f, &b);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_ICMP], 3);
}

static void test_a_cut_echo_is_never_answered(void **state)
{
	static const char *const src[] = {"10.0.2.100", "fd00::64"};
	static const char *const dst[] = {"10.0.2.2", "fd00::2"};
	struct front *f = *state;

	for (int i = 0; i < 2; i++)
		for (size_t len = 0; len < 8; len++) {
			struct frames_ip ip = {.src = src[i],
					       .dst = dst[i],
					       .proto = i ? 58 : 1};
			uint8_t l4[8] = {i ? 128 : 8};
			struct frames_buf b;

			frames_packet(&b, &ip, l4, len);
			front_give(f, &b);
		}
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_L4_LENGTH], 16);
}

struct row {
	enum icmpmsg_why why;
	int err;
	uint8_t type4, code4, type6, code6;
};

static const struct row rows[] = {
	{ICMPMSG_NET_UNREACH, ENETUNREACH, 3, 0, 1, 0},
	{ICMPMSG_HOST_UNREACH, EHOSTUNREACH, 3, 1, 1, 3},
	{ICMPMSG_HOST_UNREACH, EIO, 3, 1, 1, 3},
	{ICMPMSG_PORT_UNREACH, ECONNREFUSED, 3, 3, 1, 4},
	{ICMPMSG_ADMIN_PROHIB, EACCES, 3, 13, 1, 1},
	{ICMPMSG_ADMIN_PROHIB, EPERM, 3, 13, 1, 1},
	{ICMPMSG_TOO_BIG, EMSGSIZE, 3, 4, 2, 0},
	{ICMPMSG_TIME_EXCEEDED, 0, 11, 0, 3, 0},
};

static void test_each_errno_becomes_its_message(void **state)
{
	struct front *f = *state;
	struct in6_addr src4 = frames_addr("10.0.2.100");
	struct in6_addr dst4 = frames_addr("192.0.2.1");
	struct in6_addr src6 = frames_addr("fd00::64");
	struct in6_addr dst6 = frames_addr("2001:db8::1");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct icmpmsg_error e = {.why = rows[i].why};
		uint32_t rest = 0;
		struct frames_seen s;

		if (rows[i].err)
			assert_int_equal(icmpmsg_why_from_errno(rows[i].err),
					 rows[i].why);
		if (e.why == ICMPMSG_TOO_BIG)
			rest = e.mtu = 1400;
		icmpmsg_send_error(&f->pl, &e, &src4, &dst4, 17, "12345678", 8);
		s = frames_read(frames_only(&f->sink));
		assert_int_equal(s.l4[0], rows[i].type4);
		assert_int_equal(s.l4[1], rows[i].code4);
		assert_int_equal(get32(s.l4 + 4), rest);
		assert_true(addr_equal(&s.src, &f->plan.gateway4));
		assert_true(addr_equal(&s.dst, &src4));
		frames_sink_clear(&f->sink);

		icmpmsg_send_error(&f->pl, &e, &src6, &dst6, 17, "12345678", 8);
		s = frames_read(frames_only(&f->sink));
		assert_int_equal(s.l4[0], rows[i].type6);
		assert_int_equal(s.l4[1], rows[i].code6);
		assert_int_equal(get32(s.l4 + 4), rest);
		assert_true(addr_equal(&s.src, &f->plan.gateway6));
		frames_sink_clear(&f->sink);
	}
}

static void test_the_quote_is_a_packet_and_fits(void **state)
{
	static const size_t sizes[] = {8, 20, 528, 529, 1192, 1193, 65507};
	struct front *f = *state;
	struct icmpmsg_error e = {.why = ICMPMSG_PORT_UNREACH};
	struct in6_addr src4 = frames_addr("10.0.2.100");
	struct in6_addr dst4 = frames_addr("192.0.2.1");
	struct in6_addr src6 = frames_addr("fd00::64");
	struct in6_addr dst6 = frames_addr("2001:db8::1");
	uint8_t *l4 = calloc(1, 65507);

	assert_non_null(l4);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = sizes[i];
		struct frames_seen s;
		const struct wire_ip4 *ip4;
		const struct wire_ip6 *ip6;

		icmpmsg_send_error(&f->pl, &e, &src4, &dst4, 6, l4, len);
		s = frames_read(frames_only(&f->sink));
		ip4 = (const struct wire_ip4 *)(s.l4 + 8);
		assert_int_equal(s.l4_len, 8 + 20 + (len < 528 ? len : 528));
		assert_int_equal(get16(ip4->tot_len), 20 + len);
		assert_int_equal(ip4->proto, 6);
		assert_int_equal(get32(ip4->src), addr_v4(&src4));
		assert_int_equal(get32(ip4->dst), addr_v4(&dst4));
		assert_int_equal(csum_fold(csum_add(0, ip4, 20)), 0);
		frames_sink_clear(&f->sink);

		icmpmsg_send_error(&f->pl, &e, &src6, &dst6, 6, l4, len);
		s = frames_read(frames_only(&f->sink));
		ip6 = (const struct wire_ip6 *)(s.l4 + 8);
		assert_int_equal(s.l4_len, 8 + 40 + (len < 1192 ? len : 1192));
		assert_int_equal(get16(ip6->payload_len), len);
		assert_int_equal(ip6->next, 6);
		assert_memory_equal(ip6->src, &src6, 16);
		assert_memory_equal(ip6->dst, &dst6, 16);
		frames_sink_clear(&f->sink);
	}
	free(l4);
}

static void test_who_reports_may_be_named(void **state)
{
	struct front *f = *state;
	struct in6_addr src = frames_addr("10.0.2.100");
	struct in6_addr dst = frames_addr("192.0.2.1");
	struct in6_addr hop = frames_addr("198.51.100.7");
	struct icmpmsg_error e = {.why = ICMPMSG_TIME_EXCEEDED, .from = &hop};
	struct frames_seen s;

	icmpmsg_send_error(&f->pl, &e, &src, &dst, 17, "12345678", 8);
	s = frames_read(frames_only(&f->sink));
	assert_true(addr_equal(&s.src, &hop));
}

/* 192.0.2.5/32 and its gateway outside; then without one. */
static void test_the_gateway_reports_wherever_it_is(void **state)
{
	struct front *f = *state;
	struct icmpmsg_error e = {.why = ICMPMSG_HOST_UNREACH};
	struct in6_addr none = {0}, none4 = addr_from_v4(0);

	f->plan = frames_shared_plan();
	for (int i = 0; i < 4; i++) {
		bool v4 = i % 2 == 0;
		struct in6_addr src = v4 ? f->plan.guest4 : f->plan.guest6;
		struct in6_addr dst =
			frames_addr(v4 ? "198.51.100.1" : "2001:db8:1::1");
		struct in6_addr want = v4 ? f->plan.gateway4 : f->plan.router6;
		struct frames_seen s;

		if (v4 && i > 1)
			want = dst;
		frames_sink_clear(&f->sink);
		icmpmsg_send_error(&f->pl, &e, &src, &dst, 17, "12345678", 8);
		s = frames_read(frames_only(&f->sink));
		assert_true(addr_equal(&s.src, &want));
		assert_true(addr_equal(&s.dst, &src));
		if (i == 1) {
			f->plan.gateway4 = none4;
			f->plan.gateway6 = none;
		}
	}
}

struct silence {
	const char *src, *dst;
	uint8_t proto, type;
};

static void test_some_packets_are_never_complained_about(void **state)
{
	static const struct silence none[] = {
		{"10.0.2.100", "192.0.2.1", 1, 3},  /* an error */
		{"10.0.2.100", "192.0.2.1", 1, 0},  /* a reply */
		{"10.0.2.100", "224.0.0.1", 17, 0}, /* a group */
		{"10.0.2.100", "10.0.2.255", 17, 0},
		{"10.0.2.100", "255.255.255.255", 17, 0},
		{"0.0.0.0", "192.0.2.1", 17, 0},
		{"192.0.2.9", "192.0.2.1", 17, 0},
		{"fd00::64", "2001:db8::1", 58, 1},
		{"fd00::64", "2001:db8::1", 58, 136},
		{"fd00::64", "ff02::1", 17, 0},
		{"::", "2001:db8::1", 17, 0},
	};
	struct front *f = *state;
	struct icmpmsg_error e = {.why = ICMPMSG_NET_UNREACH};
	struct in6_addr src, dst;
	uint8_t l4[8] = {0};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		src = frames_addr(none[i].src);
		dst = frames_addr(none[i].dst);
		l4[0] = none[i].type;
		icmpmsg_send_error(&f->pl, &e, &src, &dst, none[i].proto, l4,
				   8);
	}
	assert_int_equal(f->sink.n, 0);
	/* But a ping may be. */
	src = frames_addr("fd00::64");
	dst = frames_addr("2001:db8::1");
	l4[0] = 128;
	icmpmsg_send_error(&f->pl, &e, &src, &dst, 58, l4, 8);
	assert_int_equal(f->sink.n, 1);
}

#define ICMP_TEST(t)                                                           \
	cmocka_unit_test_setup_teardown(t, front_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ICMP_TEST(test_our_addresses_answer_pings_of_every_size),
		ICMP_TEST(test_pings_of_others_are_handed_to_the_host),
		ICMP_TEST(test_a_reply_is_what_the_host_heard),
		ICMP_TEST(test_replies_and_errors_of_the_container_end_here),
		ICMP_TEST(test_other_messages_are_dropped),
		ICMP_TEST(test_a_cut_echo_is_never_answered),
		ICMP_TEST(test_each_errno_becomes_its_message),
		ICMP_TEST(test_the_quote_is_a_packet_and_fits),
		ICMP_TEST(test_who_reports_may_be_named),
		ICMP_TEST(test_the_gateway_reports_wherever_it_is),
		ICMP_TEST(test_some_packets_are_never_complained_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
