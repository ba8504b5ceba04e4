/* UDP through lwIP, both ways, up to the largest datagram. */
#include "stack/wire.h"
#include "tests/frames.h"
#include "tests/rig.h"

#include <errno.h>
#include <string.h>

static uint8_t bytes[65536];

static struct endpoint at(const char *addr, uint16_t port)
{
	struct endpoint e = {.port = port};

	assert_int_equal(addr_parse(addr, &e.addr), 0);
	return e;
}

static void fill(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 13 + i / 255);
}

/* One frame of @len payload bytes from the container, v4 or v6. */
static void inject_to(struct rig *r, bool v4, size_t len, uint16_t port)
{
	static uint8_t frame[14 + 40 + 65535];
	size_t ip = v4 ? 20 : 40;
	struct offload off = {.csum_partial = true,
			      .csum_start = (uint16_t)(14 + ip),
			      .csum_offset = 6};
	uint8_t *h = frame + 14;

	memset(frame, 0, 14 + 40 + 8);
	memcpy(frame, r->plan.mac, 6);
	frame[6] = 2;
	put16(frame + 12, v4 ? WIRE_ETH_IPV4 : WIRE_ETH_IPV6);
	if (v4) {
		h[0] = 0x45;
		put16(h + 2, (uint16_t)(ip + 8 + len));
		h[8] = 33;
		h[9] = WIRE_PROTO_UDP;
		put32(h + 12, 0x0a000264);
		put32(h + 16, 0xc0000201);
		put16(h + 10, csum_fold(csum_add(0, h, 20)));
	} else {
		struct endpoint dst = at("2001:db8::1", 0);

		h[0] = 0x60;
		put16(h + 4, (uint16_t)(8 + len));
		h[6] = WIRE_PROTO_UDP;
		h[7] = 33;
		memcpy(h + 8, &r->plan.guest6, 16);
		memcpy(h + 24, &dst.addr, 16);
	}
	put16(h + ip, 5000);
	put16(h + ip + 2, port);
	put16(h + ip + 4, (uint16_t)(8 + len));
	memcpy(h + ip + 8, bytes, len);
	rig_inject(r, frame, 14 + ip + 8 + len, &off);
}

static void inject(struct rig *r, bool v4, size_t len)
{
	inject_to(r, v4, len, 7);
}

static void test_a_dhcp_server_elsewhere_is_the_hosts_affair(void **state)
{
	struct rig *r = *state;

	inject_to(r, true, 300, 67);
	assert_int_equal(r->dgrams, 1);
	assert_int_equal(r->last_dgram.dst.port, 67);
}

/* The IP version and source port of the last frame that was sent. */
static void assert_answered(const struct rig *r, uint8_t version, uint16_t port)
{
	const uint8_t *ip = r->other + WIRE_ETH_LEN;

	assert_true(r->other_len > WIRE_ETH_LEN + 40 + 8);
	assert_int_equal(ip[0] >> 4, version);
	assert_int_equal(get16(ip + (version == 4 ? 20 : 40)), port);
}

/* Asks both kinds of DHCP in a network with the services of @plan. */
static struct rig *ask_dhcp(const struct plan *plan)
{
	struct rig_options o = {.mtu = RIG_MTU,
				.flow_limit = 65536,
				.memory_limit = 1 << 20,
				.plan = plan};
	uint8_t m[244] = {1, 1, 6, [28] = 2, 0x11, 0x22, 0x33, 0x44, 0x55};
	struct rig *r = rig_new_with(&o);
	struct frames_buf b;

	put32(m + 236, 0x63825363);
	put32(m + 240, 0x350101ff);
	frames_udp(&b, "0.0.0.0", 68, "255.255.255.255", 67, m, sizeof(m));
	rig_inject(r, b.data, b.len, NULL);
	return r;
}

static void ask_dhcp6(struct rig *r)
{
	struct frames_buf b;

	frames_udp(&b, "fe80::11", 546, "ff02::1:2", 547, "\1abc\0\1\0\3idu",
		   11);
	rig_inject(r, b.data, b.len, NULL);
}

static void test_dhcp_of_both_kinds_ends_here(void **state)
{
	struct plan plan = frames_shared_plan();
	struct rig *r = ask_dhcp(&plan);

	assert_answered(r, 4, 67);
	ask_dhcp6(r);
	assert_answered(r, 6, 547);
	assert_int_equal(r->dgrams, 0);
	rig_free(r);
}

static void test_dhcp_that_is_not_offered_is_not_heard(void **state)
{
	struct plan plan = frames_shared_plan();
	struct frames_buf b;
	struct rig *r;
	size_t before;

	plan.offer = (struct plan_offer){.dhcp4 = false};
	r = ask_dhcp(&plan);
	before = r->other_len;
	ask_dhcp6(r);
	assert_int_equal(r->other_len, before);
	assert_int_equal(stack_counters(r->st)->v[COUNT_DROP_IP_SOURCE], 1);
	assert_int_equal(stack_counters(r->st)->v[COUNT_DROP_IP_DEST], 1);
	/* What is for the gateway is for the gateway. */
	frames_udp(&b, "192.0.2.5", 68, "192.0.2.1", 67, "x", 1);
	rig_inject(r, b.data, b.len, NULL);
	assert_int_equal(r->dgrams, 1);
	rig_free(r);
}

static void test_a_datagram_reaches_the_host_as_it_was_sent(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 1472, 65507};
	struct rig *r = *state;
	unsigned seen = 0;

	for (int v4 = 0; v4 < 2; v4++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			inject(r, v4, sizes[i]);
			assert_int_equal(r->dgrams, ++seen);
			assert_int_equal(r->last_dgram.len, sizes[i]);
			assert_int_equal(r->last_dgram.src.port, 5000);
			assert_int_equal(r->last_dgram.dst.port, 7);
			assert_int_equal(r->last_dgram.ttl, 33);
			assert_int_equal(addr_is_v4(&r->last_dgram.src.addr),
					 v4);
		}
	}
}

/* The checksum over pseudo-header, UDP header and payload comes to zero. */
static void check_whole(const struct rig *r, bool v4, size_t len, bool partial)
{
	size_t ip = v4 ? 20 : 40;
	const uint8_t *h = r->other + 14;
	uint32_t sum;

	assert_int_equal(r->other_len, 14 + ip + 8 + len);
	assert_memory_equal(h + ip + 8, bytes, len);
	sum = csum_add(0, v4 ? h + 12 : h + 8, v4 ? 8 : 32);
	sum += WIRE_PROTO_UDP + (uint32_t)(8 + len);
	if (partial) {
		assert_int_equal(get16(h + ip + 6), (uint16_t)~csum_fold(sum));
		return;
	}
	sum = csum_add(sum, h + ip, 8 + len);
	assert_int_equal(csum_fold(sum), 0);
}

static void deliver(struct rig *r, bool v4, size_t len)
{
	struct dgram d = {.src = at(v4 ? "192.0.2.1" : "2001:db8::1", 7),
			  .dst = at(v4 ? "10.0.2.100" : "fd00::64", 5000),
			  .payload = bytes,
			  .len = len};

	assert_int_equal(stack_udp_send(r->st, &d), 0);
}

static void test_a_datagram_reaches_the_container(void **state)
{
	struct rig *r = *state;

	fill();
	for (int v4 = 0; v4 < 2; v4++) {
		deliver(r, v4, 1000);
		check_whole(r, v4, 1000, true);
		deliver(r, v4, 0);
		check_whole(r, v4, 0, true);
	}
}

static void test_without_offload_checksums_are_complete(void **state)
{
	struct rig *r =
		rig_new_with(&(struct rig_options){.offload = false,
						   .mtu = RIG_MTU,
						   .flow_limit = 1u << 20,
						   .memory_limit = 64u << 20});

	fill();
	for (int v4 = 0; v4 < 2; v4++) {
		deliver(r, v4, 1001);
		check_whole(r, v4, 1001, false);
	}
	*state = r;
	rig_teardown(state);
}

static void test_the_largest_datagrams_pass_in_fragments(void **state)
{
	struct rig *r = *state;

	fill();
	for (int v4 = 0; v4 < 2; v4++) {
		uint64_t before = r->put_count;

		deliver(r, v4, 65507);
		assert_in_range(r->put_count - before, 45, 46);
		assert_true(r->other_len <= 14 + RIG_MTU);
	}
}

static void test_a_datagram_that_cannot_be_is_refused(void **state)
{
	struct rig *r = *state;
	struct dgram d = {.src = at("192.0.2.1", 7),
			  .dst = at("10.0.2.100", 5000),
			  .payload = bytes,
			  .len = 65508};

	assert_int_equal(stack_udp_send(r->st, &d), -EMSGSIZE);
	d.src.port = 0;
	d.len = 1;
	assert_int_equal(stack_udp_send(r->st, &d), -EINVAL);
	d.src = at("2001:db8::1", 7);
	d.dst = at("fd00::64", 5000);
	d.len = 65528;
	assert_int_equal(stack_udp_send(r->st, &d), -EMSGSIZE);
}

/* Not the length of the quote, which is cut off. */
static void test_an_error_says_how_long_the_datagram_was(void **state)
{
	struct rig *r = *state;
	struct icmpmsg_error e = {.why = ICMPMSG_TOO_BIG, .mtu = 1500};
	struct dgram d = {.src = at("10.0.2.100", 5000),
			  .dst = at("192.0.2.1", 7),
			  .payload = bytes,
			  .len = 9000};
	const uint8_t *quote;

	fill();
	stack_udp_error(r->st, &e, &d);
	quote = r->other + 14 + 20 + 8;
	assert_int_equal(r->other_len, 14 + 576);
	assert_int_equal(get16(quote + 2), 20 + 8 + 9000);
	assert_int_equal(get16(quote + 20 + 4), 8 + 9000);
	assert_memory_equal(quote + 20 + 8, bytes, 576 - 20 - 8 - 20 - 8);

	d.src = at("fd00::64", 5000);
	d.dst = at("2001:db8::1", 7);
	stack_udp_error(r->st, &e, &d);
	quote = r->other + 14 + 40 + 8;
	assert_int_equal(r->other_len, 14 + 1280);
	assert_int_equal(get16(quote + 4), 8 + 9000);
	assert_memory_equal(quote + 40 + 8, bytes, 1280 - 40 - 8 - 40 - 8);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_datagram_reaches_the_host_as_it_was_sent),
		CASE(test_a_dhcp_server_elsewhere_is_the_hosts_affair),
		cmocka_unit_test(test_dhcp_of_both_kinds_ends_here),
		cmocka_unit_test(test_dhcp_that_is_not_offered_is_not_heard),
		CASE(test_a_datagram_reaches_the_container),
		cmocka_unit_test(test_without_offload_checksums_are_complete),
		CASE(test_the_largest_datagrams_pass_in_fragments),
		CASE(test_a_datagram_that_cannot_be_is_refused),
		CASE(test_an_error_says_how_long_the_datagram_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
