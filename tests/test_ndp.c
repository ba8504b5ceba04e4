#include "stack/ndp.h"
#include "tests/front.h"
#include "tests/test.h"

#include <string.h>

#define RS 133
#define RA 134
#define NS 135
#define NA 136

static const uint8_t lla[] = {1, 1, 2, 0x11, 0x22, 0x33, 0x44, 0x55};

/* An NS or NA: flags word, target, then options. */
static void neighbour(struct frames_buf *b, uint8_t type, const char *src,
		      const char *dst, const char *target, const void *options,
		      size_t len)
{
	struct in6_addr t = frames_addr(target);
	uint8_t body[4 + 16 + 64] = {0};

	assert_true(len <= 64);
	memcpy(body + 4, &t, sizeof(t));
	if (len)
		memcpy(body + 20, options, len);
	frames_icmp(b, src, dst, type, 0, body, 20 + len);
}

/* ff02::1:ffXX:XXXX for @target */
static const char *group_of(const char *target, char buf[ADDR_STRLEN])
{
	struct in6_addr a = frames_addr("ff02::1:ff00:0");
	struct in6_addr t = frames_addr(target);

	memcpy(a.s6_addr + 13, t.s6_addr + 13, 3);
	addr_format(&a, buf);
	return buf;
}

static void solicit(struct front *f, const char *src, const char *target)
{
	bool probe = strcmp(src, "::") == 0;
	char group[ADDR_STRLEN];
	struct frames_buf b;

	frames_sink_clear(&f->sink);
	neighbour(&b, NS, src, group_of(target, group), target, lla,
		  probe ? 0 : sizeof(lla));
	front_give(f, &b);
}

static void assert_na(struct front *f, const char *target, const char *dst,
		      uint8_t flags)
{
	const struct frames_got *got = frames_only(&f->sink);
	struct frames_seen s = frames_read(got);
	struct in6_addr t = frames_addr(target);
	struct in6_addr d = frames_addr(dst);

	assert_int_equal(s.proto, WIRE_PROTO_ICMPV6);
	assert_int_equal(s.ttl, 255);
	assert_true(addr_equal(&s.src, &t));
	assert_true(addr_equal(&s.dst, &d));
	assert_int_equal(s.l4_len, 32);
	assert_int_equal(s.l4[0], NA);
	assert_int_equal(s.l4[4], flags);
	assert_memory_equal(s.l4 + 8, &t, 16);
	assert_int_equal(s.l4[24], 2);
	assert_int_equal(s.l4[25], 1);
	assert_memory_equal(s.l4 + 26, frames_gateway_mac, WIRE_MAC_LEN);
	if (addr_is_multicast(&d))
		assert_memory_equal(got->data, "\x33\x33\0\0\0\1", 6);
	else
		assert_memory_equal(got->data, frames_guest_mac, 6);
}

static void test_our_addresses_are_answered_as_a_router(void **state)
{
	static const char *const ours[] = {"fd00::2", "fd00::3", "fe80::2"};
	struct front *f = *state;

	for (size_t i = 0; i < 3; i++) {
		solicit(f, "fd00::64", ours[i]);
		assert_na(f, ours[i], "fd00::64", 0xe0);
	}
	assert_int_equal(front_drops(f), 0);
}

static void test_a_unicast_solicitation_is_answered(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	neighbour(&b, NS, "fe80::11", "fe80::2", "fe80::2", NULL, 0);
	front_give(f, &b);
	assert_na(f, "fe80::2", "fe80::11", 0xe0);
}

static void test_every_other_neighbour_is_answered_for(void **state)
{
	struct front *f = *state;

	solicit(f, "fd00::64", "fd00::50");
	assert_na(f, "fd00::50", "fd00::64", 0x40);
	solicit(f, "fd00::64", "2001:db8::1");
	assert_int_equal(f->sink.n, 0);
}

static void test_the_containers_own_addresses_are_not(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	solicit(f, "fd00::99", "fd00::64");
	assert_int_equal(f->sink.n, 0);
	solicit(f, "fd00::64", "fd00::99");
	assert_int_equal(f->sink.n, 0);
	/* Announced, without being asked. */
	neighbour(&b, NA, "fd00::98", "ff02::1", "fd00::98", NULL, 0);
	front_give(f, &b);
	solicit(f, "fd00::64", "fd00::98");
	assert_int_equal(f->sink.n, 0);
	/* Any other packet will do as well. */
	frames_udp(&b, "fd00::97", 1, "2001:db8::1", 2, "", 0);
	assert_true(front_accepts(f, &b));
	solicit(f, "fd00::64", "fd00::97");
	assert_int_equal(f->sink.n, 0);
}

static void test_a_duplicate_probe_is_answered_only_for_our_own(void **state)
{
	struct front *f = *state;

	solicit(f, "::", "fd00::1234");
	assert_int_equal(f->sink.n, 0);
	solicit(f, "::", "fe80::1234");
	assert_int_equal(f->sink.n, 0);
	solicit(f, "::", "fd00::64");
	assert_int_equal(f->sink.n, 0);
	solicit(f, "::", "fd00::2");
	assert_na(f, "fd00::2", "ff02::1", 0xa0);
	solicit(f, "::", "fe80::2");
	assert_na(f, "fe80::2", "ff02::1", 0xa0);
	/* What was probed is the container's from now on. */
	solicit(f, "fd00::64", "fd00::1234");
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(front_drops(f), 0);
}

static void test_our_addresses_cannot_be_taken(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	neighbour(&b, NA, "fd00::64", "ff02::1", "fd00::2", NULL, 0);
	front_give(f, &b);
	solicit(f, "fd00::64", "fd00::2");
	assert_na(f, "fd00::2", "fd00::64", 0xe0);
}

static void assert_ra(struct front *f, const char *dst)
{
	struct frames_seen s = frames_read(frames_only(&f->sink));
	struct in6_addr d = frames_addr(dst);
	struct in6_addr router = frames_addr("fe80::2");
	const uint8_t *o = s.l4 + 16;
	size_t rdnss = f->plan.offer.dns_count ? 24 : 0;

	assert_true(addr_equal(&s.src, &router));
	assert_true(addr_equal(&s.dst, &d));
	assert_int_equal(s.ttl, 255);
	assert_int_equal(s.l4_len, 16 + 8 + 8 + 32 + rdnss);
	assert_int_equal(s.l4[0], RA);
	assert_int_equal(s.l4[5], 0);
	assert_int_equal(get16(s.l4 + 6), 65535);
	assert_int_equal(get32(s.l4 + 8) | get32(s.l4 + 12), 0);

	assert_memory_equal(o, "\1\1", 2);
	assert_memory_equal(o + 2, frames_gateway_mac, WIRE_MAC_LEN);
	o += 8;
	assert_memory_equal(o, "\5\1\0\0", 4);
	assert_int_equal(get32(o + 4), 1500);
	o += 8;
	assert_memory_equal(o, "\3\4\x40\xc0", 4);
	assert_int_equal(get32(o + 4), UINT32_MAX);
	assert_int_equal(get32(o + 8), UINT32_MAX);
	assert_memory_equal(o + 16, &f->plan.net6, 16);
	o += 32;
	if (!rdnss)
		return;
	assert_memory_equal(o, "\x19\3\0\0", 4);
	assert_memory_equal(o + 8, &f->plan.dns6, 16);
}

static void test_a_router_solicitation_is_answered_at_once(void **state)
{
	static const uint8_t body[4 + sizeof(lla)] = {0, 0, 0, 0, 1, 1,
						      2, 0, 0, 0, 0, 1};
	struct front *f = *state;
	struct frames_buf b;

	frames_icmp(&b, "fe80::11", "ff02::2", RS, 0, body, sizeof(body));
	front_give(f, &b);
	assert_ra(f, "fe80::11");
	frames_sink_clear(&f->sink);
	frames_icmp(&b, "::", "ff02::2", RS, 0, body, 4);
	front_give(f, &b);
	assert_ra(f, "ff02::1");
	assert_int_equal(front_drops(f), 0);
	/* RFC 4861 6.1.1: without an address there is none to tell. */
	frames_icmp(&b, "::", "ff02::2", RS, 0, body, sizeof(body));
	front_give(f, &b);
	assert_int_equal(f->sink.n, 1);
	assert_int_equal(f->count.v[COUNT_DROP_NDP], 1);
}

static void test_advertisements_come_at_start_and_then_rarely(void **state)
{
	struct front *f = *state;
	nsec_t next;

	f->plan.offer.dns_count = 0;
	assert_int_equal(ndp_deadline(&f->ndp), f->now);
	ndp_tick(&f->ndp, f->now);
	assert_ra(f, "ff02::1");
	next = ndp_deadline(&f->ndp);
	assert_true(next >= f->now + 3600 * NSEC_PER_SEC);
	assert_true(next < f->now + 65535 * NSEC_PER_SEC);
	ndp_tick(&f->ndp, next - 1);
	assert_int_equal(f->sink.n, 1);
	ndp_tick(&f->ndp, next);
	assert_int_equal(f->sink.n, 2);
}

static void test_without_a_router_nothing_is_advertised(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	f->plan.offer.ra = false;
	ndp_init(&f->ndp, &f->pl, f->now);
	assert_int_equal(ndp_deadline(&f->ndp), NSEC_NEVER);
	frames_icmp(&b, "fe80::11", "ff02::2", RS, 0, "\0\0\0\0", 4);
	front_give(f, &b);
	assert_int_equal(f->sink.n, 0);
	/* Neighbours are answered for as ever. */
	solicit(f, "fd00::64", "fd00::2");
	assert_na(f, "fd00::2", "fd00::64", 0xe0);
	assert_int_equal(front_drops(f), 0);
}

static void test_without_ndp_all_is_heard_in_silence(void **state)
{
	struct in6_addr a = frames_addr("fd00::1234");
	struct front *f = *state;
	struct frames_buf b;

	f->plan.offer.no_ndp = true;
	ndp_init(&f->ndp, &f->pl, f->now);
	assert_int_equal(ndp_deadline(&f->ndp), NSEC_NEVER);
	frames_icmp(&b, "fe80::11", "ff02::2", RS, 0, "\0\0\0\0", 4);
	front_give(f, &b);
	solicit(f, "fd00::64", "fd00::2");
	assert_int_equal(f->sink.n, 0);
	solicit(f, "::", "fd00::2");
	assert_int_equal(f->sink.n, 0);
	solicit(f, "::", "fd00::1234");
	assert_int_equal(f->sink.n, 0);
	assert_true(link_is_guest(&f->link, &a));
	assert_int_equal(front_drops(f), 0);
}

static void test_the_hosts_network_is_advertised_with_all_it_has(void **state)
{
	static const uint8_t want[] =
		/* Two resolvers, 40 bytes; three units of search list. */
		"\x19\5\0\0\xff\xff\xff\xff"
		"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x53"
		"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x53"
		"\x1f\4\0\0\xff\xff\xff\xff"
		"\3lan\0\7example\3net\0\0\0\0\0\0\0";
	struct front *f = *state;
	struct in6_addr router = frames_addr("fe80::1");
	struct in6_addr net = frames_addr("2001:db8::");
	const uint8_t *o;
	struct frames_seen s;

	f->plan = frames_shared_plan();
	ndp_tick(&f->ndp, f->now);
	s = frames_read(frames_only(&f->sink));
	o = s.l4 + 16 + 8 + 8 + 32;
	assert_true(addr_equal(&s.src, &router));
	/* Addresses come from DHCPv6; they may be made as well. */
	assert_int_equal(s.l4[5], 0x80);
	assert_memory_equal(o - 32, "\3\4\x40\xc0", 4);
	assert_memory_equal(o - 16, &net, 16);
	assert_int_equal(s.l4_len, 16 + 8 + 8 + 32 + sizeof(want) - 1);
	assert_memory_equal(o, want, sizeof(want) - 1);
}

static void test_the_longest_advertisement_fits_the_smallest_link(void **state)
{
	struct front *f = *state;
	struct plan_offer *offer = &f->plan.offer;
	struct frames_seen s;

	offer->dns_count = 0;
	while (offer->dns_count < PLAN_DNS_MAX)
		offer->dns[offer->dns_count++] = f->plan.dns6;
	offer->search_len = PLAN_SEARCH_MAX;
	f->plan.mtu = 1280;
	ndp_tick(&f->ndp, f->now);
	s = frames_read(frames_only(&f->sink));
	assert_int_equal(s.l4_len, 16 + 8 + 8 + 32 + 8 + 128 + 8 + 256);
}

static void test_gateway_and_aliases_need_not_be_on_the_link(void **state)
{
	static const char *const all[] = {"fe80::1", "fd00::53", "fe80::77",
					  "2001:db8::1", "2001:db8:1::1"};
	struct front *f = *state;

	f->plan = frames_shared_plan();
	f->plan.dns6 = frames_addr("fd00::53");
	for (size_t i = 0; i < 5; i++) {
		solicit(f, "2001:db8::5", all[i]);
		assert_na(f, all[i], "2001:db8::5", i < 2 ? 0xe0 : 0x40);
	}
	solicit(f, "::", "fe80::1");
	assert_na(f, "fe80::1", "ff02::1", 0xa0);
	solicit(f, "fe80::11", "2001:db8::5");
	assert_int_equal(f->sink.n, 0);
	/* A gateway that is nobody else's alias cannot be taken either. */
	f->plan.gateway6 = frames_addr("2001:db8::1");
	solicit(f, "::", "2001:db8::1");
	assert_na(f, "2001:db8::1", "ff02::1", 0xa0);
	solicit(f, "2001:db8::5", "2001:db8::1");
	assert_na(f, "2001:db8::1", "2001:db8::5", 0xe0);
	assert_int_equal(front_drops(f), 0);
}

static void test_without_ipv6_nothing_is_said_or_heard(void **state)
{
	struct front *f = *state;

	f->plan.ipv6 = false;
	ndp_init(&f->ndp, &f->pl, f->now);
	assert_int_equal(ndp_deadline(&f->ndp), NSEC_NEVER);
	solicit(f, "fd00::64", "fd00::2");
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_ETHERTYPE], 1);
}

static void test_small_links_get_no_mtu_option(void **state)
{
	struct front *f = *state;
	struct frames_seen s;

	f->plan.mtu = 1279;
	ndp_tick(&f->ndp, f->now);
	s = frames_read(frames_only(&f->sink));
	assert_int_equal(s.l4_len, 16 + 8 + 32 + 24);
	assert_memory_equal(s.l4 + 24, "\3\4\x40\xc0", 4);
}

static void test_a_hop_limit_below_255_is_dropped(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	for (uint8_t type = RS; type <= 137; type++) {
		neighbour(&b, type, "fd00::64", "fd00::2", "fd00::2", NULL, 0);
		b.data[WIRE_ETH_LEN + 7] = 254;
		front_give(f, &b);
	}
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_NDP], 5);
}

static void test_a_code_other_than_zero_is_dropped(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	neighbour(&b, NS, "fd00::64", "fd00::2", "fd00::2", NULL, 0);
	b.data[WIRE_ETH_LEN + 40 + 1] = 1;
	frames_seal(&b);
	front_give(f, &b);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_NDP], 1);
}

static void test_options_of_hostile_lengths_are_dropped(void **state)
{
	static const struct {
		uint8_t bytes[24];
		size_t len;
	} bad[] = {
		{{1}, 1},         {{1, 0}, 2},
		{{1, 0, 0}, 8},   {{1, 2}, 8},
		{{1, 255}, 8},    {{9, 1, 0, 0, 0, 0, 0, 0, 9, 0}, 16},
		{{0, 0}, 8},      {{14, 3}, 23},
		{{200, 1, 0}, 7},
	};
	struct front *f = *state;
	struct frames_buf b;
	size_t n = sizeof(bad) / sizeof(bad[0]);

	for (size_t i = 0; i < n; i++) {
		neighbour(&b, NS, "fd00::64", "fd00::2", "fd00::2",
			  bad[i].bytes, bad[i].len);
		front_give(f, &b);
		neighbour(&b, NA, "fd00::64", "fd00::2", "fd00::77",
			  bad[i].bytes, bad[i].len);
		front_give(f, &b);
	}
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_NDP], 2 * n);
	/* An unknown option of good length is skipped. */
	neighbour(&b, NS, "fd00::64", "fd00::2", "fd00::2",
		  "\x0e\1\1\2\3\4\5\6", 8);
	front_give(f, &b);
	assert_int_equal(f->sink.n, 1);
}

static void test_a_probe_that_breaks_the_rules_is_dropped(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	/* To a unicast address; with a link-layer address; to another group;
	 * for a group. */
	neighbour(&b, NS, "::", "fd00::2", "fd00::2", NULL, 0);
	front_give(f, &b);
	neighbour(&b, NS, "::", "ff02::1:ff00:2", "fd00::2", lla, sizeof(lla));
	front_give(f, &b);
	neighbour(&b, NS, "::", "ff02::1:ff00:3", "fd00::2", NULL, 0);
	front_give(f, &b);
	neighbour(&b, NS, "fd00::64", "ff02::1:ff00:2", "ff02::2", NULL, 0);
	front_give(f, &b);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_NDP], 4);
}

static void test_a_cut_solicitation_is_never_answered(void **state)
{
	struct front *f = *state;
	struct frames_buf b;
	size_t whole;

	neighbour(&b, NS, "fd00::64", "fd00::2", "fd00::2", NULL, 0);
	whole = b.len;
	for (size_t len = WIRE_ETH_LEN + 40; len < whole; len++) {
		b.len = len;
		put16(b.data + WIRE_ETH_LEN + 4,
		      (uint16_t)(len - WIRE_ETH_LEN - 40));
		if (len >= WIRE_ETH_LEN + 40 + 4)
			frames_seal(&b);
		front_give(f, &b);
	}
	assert_int_equal(f->sink.n, 0);
}

static void
test_a_solicitation_behind_a_fragment_header_is_dropped(void **state)
{
	struct front *f = *state;
	struct frames_buf b, out;
	uint8_t l4[8 + 24] = {WIRE_PROTO_ICMPV6, 0, 0, 0, 0, 0, 0, 7};
	struct frames_ip ip = {
		.src = "fd00::64", .dst = "fd00::2", .proto = 44, .ttl = 255};

	neighbour(&b, NS, "fd00::64", "fd00::2", "fd00::2", NULL, 0);
	memcpy(l4 + 8, b.data + WIRE_ETH_LEN + 40, 24);
	frames_packet(&out, &ip, l4, sizeof(l4));
	front_give(f, &out);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_NDP], 1);
}

static void test_group_reports_and_other_routers_are_ignored(void **state)
{
	/* Hop-by-hop with router alert, as MLD comes; then the report. */
	static const uint8_t report[] = {
		58, 0, 5,    2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0,    1, 4, 0,
		0,  0, 0xff, 2, 0, 0, 0, 0, 0,   0, 0, 0, 0, 1, 0xff, 0, 0, 2};
	struct front *f = *state;
	struct frames_ip ip = {.src = "::", .dst = "ff02::16", .ttl = 1};
	uint8_t l4[sizeof(report)];
	struct frames_buf b;

	/* The sum is made on the packet without the extension header. */
	ip.proto = 58;
	frames_packet(&b, &ip, report + 8, sizeof(report) - 8);
	frames_seal(&b);
	memcpy(l4, report, 8);
	memcpy(l4 + 8, b.data + WIRE_ETH_LEN + 40, sizeof(report) - 8);
	ip.proto = 0;
	frames_packet(&b, &ip, l4, sizeof(l4));
	front_give(f, &b);
	frames_icmp(&b, "fe80::9", "ff02::1", RA, 0, l4, 12);
	front_give(f, &b);
	frames_icmp(&b, "fe80::9", "fe80::2", 137, 0, l4, 36);
	front_give(f, &b);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(front_drops(f), 0);
}

#define NDP_TEST(t)                                                            \
	cmocka_unit_test_setup_teardown(t, front_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NDP_TEST(test_our_addresses_are_answered_as_a_router),
		NDP_TEST(test_a_unicast_solicitation_is_answered),
		NDP_TEST(test_every_other_neighbour_is_answered_for),
		NDP_TEST(test_the_containers_own_addresses_are_not),
		NDP_TEST(test_a_duplicate_probe_is_answered_only_for_our_own),
		NDP_TEST(test_our_addresses_cannot_be_taken),
		NDP_TEST(test_a_router_solicitation_is_answered_at_once),
		NDP_TEST(test_advertisements_come_at_start_and_then_rarely),
		NDP_TEST(test_without_a_router_nothing_is_advertised),
		NDP_TEST(test_without_ndp_all_is_heard_in_silence),
		NDP_TEST(test_the_hosts_network_is_advertised_with_all_it_has),
		NDP_TEST(test_the_longest_advertisement_fits_the_smallest_link),
		NDP_TEST(test_gateway_and_aliases_need_not_be_on_the_link),
		NDP_TEST(test_without_ipv6_nothing_is_said_or_heard),
		NDP_TEST(test_small_links_get_no_mtu_option),
		NDP_TEST(test_a_hop_limit_below_255_is_dropped),
		NDP_TEST(test_a_code_other_than_zero_is_dropped),
		NDP_TEST(test_options_of_hostile_lengths_are_dropped),
		NDP_TEST(test_a_probe_that_breaks_the_rules_is_dropped),
		NDP_TEST(test_a_cut_solicitation_is_never_answered),
		NDP_TEST(
			test_a_solicitation_behind_a_fragment_header_is_dropped),
		NDP_TEST(test_group_reports_and_other_routers_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
