/* Messages as the kernel makes them, and as it never would. */
#include "tapdev/nlroute.h"

#include "stack/container_of.h"
#include "tests/test.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

struct rig {
	_Alignas(struct nlmsghdr) char buf[512];
	struct nlmsghdr *h;
	struct nlroute_sink sink;
	struct nlroute_hop hops[8];
	unsigned n;
	int err; /* of put() */
};

static int put(struct nlroute_sink *sink, const struct nlroute_hop *hop)
{
	struct rig *rig = container_of(sink, struct rig, sink);

	assert_true(rig->n < 8);
	rig->hops[rig->n++] = *hop;
	return rig->err;
}

static int setup(void **state)
{
	static struct rig rig;

	rig = (struct rig){.sink.put = put};
	*state = &rig;
	return 0;
}

static void *begin(struct rig *rig, uint16_t type, size_t len)
{
	rig->h = mnl_nlmsg_put_header(rig->buf);
	rig->h->nlmsg_type = type;
	return mnl_nlmsg_put_extra_header(rig->h, len);
}

static void begin_link(struct rig *rig)
{
	struct ifinfomsg *m = begin(rig, RTM_NEWLINK, sizeof(*m));

	m->ifi_index = 7;
}

static void test_a_link_has_index_and_name(void **state)
{
	struct rig *rig = *state;
	struct nlroute_link l;

	begin_link(rig);
	mnl_attr_put_strz(rig->h, IFLA_IFNAME, "eth0");
	assert_true(nlroute_link(rig->h, &l));
	assert_int_equal(l.index, 7);
	assert_string_equal(l.name, "eth0");
}

static void test_a_link_without_a_name_that_fits_is_none(void **state)
{
	struct rig *rig = *state;
	struct nlroute_link l;

	begin_link(rig);
	assert_false(nlroute_link(rig->h, &l));
	mnl_attr_put_strz(rig->h, IFLA_IFNAME, "a123456789012345");
	assert_false(nlroute_link(rig->h, &l));
	begin_link(rig);
	mnl_attr_put(rig->h, IFLA_IFNAME, 4, "eth0"); /* without its end */
	assert_false(nlroute_link(rig->h, &l));
	begin(rig, RTM_NEWLINK, 4);
	assert_false(nlroute_link(rig->h, &l));
}

static void begin_addr(struct rig *rig, uint8_t family)
{
	struct ifaddrmsg *m = begin(rig, RTM_NEWADDR, sizeof(*m));

	m->ifa_family = family;
	m->ifa_prefixlen = 24;
	m->ifa_index = 7;
	m->ifa_scope = RT_SCOPE_LINK;
	m->ifa_flags = IFA_F_DEPRECATED;
}

static void test_an_address_is_our_end_of_the_link(void **state)
{
	struct in6_addr want = addr_from_v4(0xc0000205);
	struct rig *rig = *state;
	struct nlroute_addr a;

	begin_addr(rig, AF_INET);
	mnl_attr_put(rig->h, IFA_ADDRESS, 4, "\xc0\0\2\1");
	assert_true(nlroute_addr(rig->h, &a));
	mnl_attr_put(rig->h, IFA_LOCAL, 4, "\xc0\0\2\5");
	assert_true(nlroute_addr(rig->h, &a));
	assert_true(addr_equal(&a.addr, &want));
	assert_int_equal(a.bits, 24);
	assert_int_equal(a.index, 7);
	assert_int_equal(a.scope, RT_SCOPE_LINK);
	assert_int_equal(a.flags, IFA_F_DEPRECATED);
	mnl_attr_put_u32(rig->h, IFA_FLAGS, IFA_F_NOPREFIXROUTE);
	assert_true(nlroute_addr(rig->h, &a));
	assert_int_equal(a.flags, IFA_F_NOPREFIXROUTE);
}

static void test_an_address_is_as_long_as_its_family_has_it(void **state)
{
	struct rig *rig = *state;
	struct nlroute_addr a;

	begin_addr(rig, AF_INET6);
	assert_false(nlroute_addr(rig->h, &a));
	mnl_attr_put(rig->h, IFA_ADDRESS, 4, "1234");
	assert_false(nlroute_addr(rig->h, &a));
	begin_addr(rig, AF_INET6);
	mnl_attr_put(rig->h, IFA_ADDRESS, 16, "1234567890123456");
	assert_true(nlroute_addr(rig->h, &a));
	begin_addr(rig, AF_BRIDGE);
	mnl_attr_put(rig->h, IFA_ADDRESS, 4, "1234");
	assert_false(nlroute_addr(rig->h, &a));
	begin(rig, RTM_NEWADDR, 4);
	assert_false(nlroute_addr(rig->h, &a));
}

static struct rtmsg *begin_route(struct rig *rig, uint8_t family)
{
	struct rtmsg *m = begin(rig, RTM_NEWROUTE, sizeof(*m));

	m->rtm_family = family;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_type = RTN_UNICAST;
	rig->n = 0;
	return m;
}

static void expect_hops(struct rig *rig, unsigned n)
{
	assert_int_equal(nlroute_hops(rig->h, &rig->sink), 0);
	assert_int_equal(rig->n, n);
}

static void expect_addr(const struct in6_addr *got, const char *want)
{
	char text[ADDR_STRLEN];

	assert_string_equal(addr_format(got, text), want);
}

static void test_a_route_has_one_hop(void **state)
{
	struct rig *rig = *state;
	struct rtmsg *m = begin_route(rig, AF_INET);

	m->rtm_dst_len = 8;
	mnl_attr_put(rig->h, RTA_DST, 4, "\x0a\0\0\0");
	mnl_attr_put(rig->h, RTA_GATEWAY, 4, "\xc0\0\2\1");
	mnl_attr_put(rig->h, RTA_PREFSRC, 4, "\xc0\0\2\5");
	mnl_attr_put_u32(rig->h, RTA_OIF, 7);
	mnl_attr_put_u32(rig->h, RTA_PRIORITY, 100);
	expect_hops(rig, 1);
	assert_int_equal(rig->hops[0].index, 7);
	assert_int_equal(rig->hops[0].route.bits, 8);
	assert_int_equal(rig->hops[0].route.metric, 100);
	expect_addr(&rig->hops[0].route.dst, "10.0.0.0");
	expect_addr(&rig->hops[0].route.gateway, "192.0.2.1");
}

static void test_a_default_route_names_no_destination(void **state)
{
	struct rig *rig = *state;
	struct rtmsg *m = begin_route(rig, AF_INET);

	mnl_attr_put_u32(rig->h, RTA_OIF, 7);
	expect_hops(rig, 1);
	expect_addr(&rig->hops[0].route.dst, "0.0.0.0");
	assert_true(addr_is_unspecified(&rig->hops[0].route.gateway));
	m->rtm_family = AF_INET6;
	rig->n = 0;
	expect_hops(rig, 1);
	expect_addr(&rig->hops[0].route.dst, "::");
	m->rtm_dst_len = 64; /* without RTA_DST */
	rig->n = 0;
	expect_hops(rig, 0);
}

static void test_only_main_leads_to_hosts(void **state)
{
	struct rig *rig = *state;
	struct rtmsg *m = begin_route(rig, AF_INET);
	struct rtmsg good;

	mnl_attr_put_u32(rig->h, RTA_OIF, 7);
	good = *m;
	m->rtm_type = RTN_BLACKHOLE;
	expect_hops(rig, 0);
	*m = good;
	m->rtm_tos = 4;
	expect_hops(rig, 0);
	*m = good;
	m->rtm_flags = RTM_F_CLONED;
	expect_hops(rig, 0);
	*m = good;
	m->rtm_flags = RTNH_F_DEAD;
	expect_hops(rig, 0);
	*m = good;
	m->rtm_family = RTNL_FAMILY_IPMR;
	expect_hops(rig, 0);
	*m = good;
	m->rtm_table = RT_TABLE_LOCAL;
	expect_hops(rig, 0);
	*m = good;
	mnl_attr_put_u32(rig->h, RTA_TABLE, 1000);
	expect_hops(rig, 0);
	begin_route(rig, AF_INET); /* by no link */
	expect_hops(rig, 0);
}

static void add_hop(struct rig *rig, int index, uint8_t flags,
		    const char *gateway)
{
	struct rtnexthop n = {.rtnh_len = sizeof(n),
			      .rtnh_flags = flags,
			      .rtnh_ifindex = index};
	char *at = mnl_nlmsg_get_payload_tail(rig->h);
	struct nlattr a = {4 + 4, RTA_GATEWAY};

	if (gateway)
		n.rtnh_len += 8;
	memcpy(at, &n, sizeof(n));
	rig->h->nlmsg_len += n.rtnh_len;
	if (!gateway)
		return;
	memcpy(at + sizeof(n), &a, sizeof(a));
	memcpy(at + sizeof(n) + sizeof(a), gateway, 4);
}

static struct nlattr *begin_hops(struct rig *rig)
{
	begin_route(rig, AF_INET);
	return mnl_attr_nest_start(rig->h, RTA_MULTIPATH);
}

static void test_each_of_several_hops_is_told(void **state)
{
	struct rig *rig = *state;
	struct nlattr *nest = begin_hops(rig);

	add_hop(rig, 7, 0, "\xc0\0\2\1");
	add_hop(rig, 8, RTNH_F_DEAD, "\xc0\0\2\2");
	add_hop(rig, 9, RTNH_F_LINKDOWN, NULL);
	mnl_attr_nest_end(rig->h, nest);
	expect_hops(rig, 2);
	assert_int_equal(rig->hops[0].index, 7);
	expect_addr(&rig->hops[0].route.gateway, "192.0.2.1");
	assert_int_equal(rig->hops[1].index, 9);
	assert_true(addr_is_unspecified(&rig->hops[1].route.gateway));
	rig->n = 0;
	rig->err = -ENOMEM;
	assert_int_equal(nlroute_hops(rig->h, &rig->sink), -ENOMEM);
	assert_int_equal(rig->n, 1);
}

static void test_a_hop_that_lies_about_its_length_is_the_end(void **state)
{
	struct rig *rig = *state;

	for (unsigned len = 0; len < 64; len++) {
		struct nlattr *nest = begin_hops(rig);
		char *at;

		add_hop(rig, 7, 0, NULL);
		at = mnl_nlmsg_get_payload_tail(rig->h);
		add_hop(rig, 8, 0, "\xc0\0\2\2");
		mnl_attr_nest_end(rig->h, nest);
		*(unsigned short *)(void *)at = (unsigned short)len;
		expect_hops(rig, len < 8 || len > 16 ? 1 : 2);
	}
}

static void test_a_gateway_of_ipv6_serves_ipv4(void **state)
{
	static const char via[] = "\x0a\0"
				  "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
	struct rig *rig = *state;
	struct nlattr *attr;

	begin_route(rig, AF_INET);
	mnl_attr_put_u32(rig->h, RTA_OIF, 7);
	attr = mnl_nlmsg_get_payload_tail(rig->h);
	mnl_attr_put(rig->h, RTA_VIA, 18, via);
	expect_hops(rig, 1);
	expect_addr(&rig->hops[0].route.gateway, "fe80::1");
	/* A hop that cannot be gone is none. */
	attr->nla_len -= 4;
	rig->n = 0;
	expect_hops(rig, 0);
}

/* Whatever the bytes are, nothing beyond the message is looked at: the copy ends
 * where its memory does. */
static void test_any_bytes_do_no_harm(void **state)
{
	struct nlroute_link l;
	struct nlroute_addr a;
	struct rig *rig = *state;
	struct nlattr *nest;

	srand(1);
	for (int i = 0; i < 100000; i++) {
		struct nlmsghdr *h;
		size_t len;

		nest = begin_hops(rig);
		add_hop(rig, 7, 0, "\xc0\0\2\1");
		add_hop(rig, 8, 0, NULL);
		mnl_attr_nest_end(rig->h, nest);
		mnl_attr_put(rig->h, RTA_DST, 4, "\x0a\0\0\0");
		mnl_attr_put_strz(rig->h, IFLA_IFNAME, "eth0");
		/* As all of netlink, it is padded. */
		len = (rig->h->nlmsg_len - (unsigned)rand() % 32) & ~3u;
		h = malloc(len);
		assert_non_null(h);
		memcpy(h, rig->buf, len);
		for (int j = rand() % 4; j > 0; j--)
			((char *)h)[16 + (unsigned)rand() % (len - 16)] =
				(char)rand();
		h->nlmsg_len = (uint32_t)len;
		nlroute_hops(h, &rig->sink);
		h->nlmsg_type = RTM_NEWLINK;
		nlroute_link(h, &l);
		h->nlmsg_type = RTM_NEWADDR;
		nlroute_addr(h, &a);
		free(h);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_a_link_has_index_and_name),
		TEST(test_a_link_without_a_name_that_fits_is_none),
		TEST(test_an_address_is_our_end_of_the_link),
		TEST(test_an_address_is_as_long_as_its_family_has_it),
		TEST(test_a_route_has_one_hop),
		TEST(test_a_default_route_names_no_destination),
		TEST(test_only_main_leads_to_hosts),
		TEST(test_each_of_several_hops_is_told),
		TEST(test_a_hop_that_lies_about_its_length_is_the_end),
		TEST(test_a_gateway_of_ipv6_serves_ipv4),
		TEST(test_any_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
