#include "port/policy.h"
#include "tests/test.h"

#include <string.h>

static const uint8_t mac[WIRE_MAC_LEN] = {0x52, 0x55, 10, 0, 2, 2};

enum {
	ALL = 0,
	NO_LOOPBACK = 1,
	NO_DNS = 2,
	NO_V4 = 4,
	NO_V6 = 8,
};

static struct policy policy(unsigned without)
{
	struct policy p = {
		.plan = plan_make(addr_from_v4(0x0a000200), 24, 1500, mac),
		.host_loopback = !(without & NO_LOOPBACK),
	};

	p.plan.dns = !(without & NO_DNS);
	p.plan.ipv4 = !(without & NO_V4);
	p.plan.ipv6 = !(without & NO_V6);
	return p;
}

struct row {
	unsigned without;
	const char *to;
	uint16_t port;
	enum policy_verdict want;
	const char *dial; /* with POLICY_HOST */
};

static const struct row rows[] = {
	/* the gateway is the host's loopback, unless that is barred */
	{ALL, "10.0.2.2", 80, POLICY_HOST, "127.0.0.1"},
	{ALL, "10.0.2.2", 53, POLICY_HOST, "127.0.0.1"},
	{ALL, "10.0.2.2", 0, POLICY_HOST, "127.0.0.1"},
	{ALL, "fd00::2", 80, POLICY_HOST, "::1"},
	{ALL, "fd00::2", 53, POLICY_HOST, "::1"},
	{NO_LOOPBACK, "10.0.2.2", 80, POLICY_REFUSE, NULL},
	{NO_LOOPBACK, "10.0.2.2", 53, POLICY_REFUSE, NULL},
	{NO_LOOPBACK, "fd00::2", 80, POLICY_REFUSE, NULL},
	/* the alias is the resolver at port 53 and nothing else */
	{ALL, "10.0.2.3", 53, POLICY_DNS, NULL},
	{ALL, "fd00::3", 53, POLICY_DNS, NULL},
	{ALL, "10.0.2.3", 80, POLICY_REFUSE, NULL},
	{ALL, "fd00::3", 853, POLICY_REFUSE, NULL},
	{ALL, "10.0.2.3", 0, POLICY_REFUSE, NULL},
	{NO_LOOPBACK, "10.0.2.3", 53, POLICY_DNS, NULL},
	{NO_LOOPBACK, "fd00::3", 53, POLICY_DNS, NULL},
	/* without dns it is an address like any other */
	{NO_DNS, "10.0.2.3", 53, POLICY_HOST, "10.0.2.3"},
	{NO_DNS, "10.0.2.3", 80, POLICY_HOST, "10.0.2.3"},
	{NO_DNS, "fd00::3", 53, POLICY_HOST, "fd00::3"},
	/* so are the others of the subnet */
	{ALL, "10.0.2.50", 80, POLICY_HOST, "10.0.2.50"},
	{NO_LOOPBACK, "10.0.2.4", 80, POLICY_HOST, "10.0.2.4"},
	{ALL, "fd00::50", 80, POLICY_HOST, "fd00::50"},
	{NO_LOOPBACK, "fd00::50", 80, POLICY_HOST, "fd00::50"},
	/* the outside */
	{ALL, "192.0.2.1", 80, POLICY_HOST, "192.0.2.1"},
	{ALL, "192.168.1.1", 53, POLICY_HOST, "192.168.1.1"},
	{ALL, "169.254.169.254", 80, POLICY_HOST, "169.254.169.254"},
	{ALL, "2001:db8::1", 443, POLICY_HOST, "2001:db8::1"},
	{NO_LOOPBACK, "2001:db8::1", 443, POLICY_HOST, "2001:db8::1"},
	/* what never leaves the stack */
	{ALL, "127.0.0.1", 80, POLICY_DROP, NULL},
	{ALL, "127.0.0.53", 53, POLICY_DROP, NULL},
	{ALL, "127.255.255.254", 1, POLICY_DROP, NULL},
	{ALL, "0.0.0.0", 80, POLICY_DROP, NULL},
	{ALL, "255.255.255.255", 80, POLICY_DROP, NULL},
	{ALL, "10.0.2.255", 80, POLICY_DROP, NULL},
	{ALL, "10.0.2.0", 80, POLICY_DROP, NULL},
	{ALL, "224.0.0.251", 5353, POLICY_DROP, NULL},
	{ALL, "239.255.255.250", 1900, POLICY_DROP, NULL},
	{ALL, "::", 80, POLICY_DROP, NULL},
	{ALL, "::1", 80, POLICY_DROP, NULL},
	{ALL, "ff02::1", 80, POLICY_DROP, NULL},
	{ALL, "ff0e::1", 80, POLICY_DROP, NULL},
	{ALL, "::ffff:127.0.0.1", 80, POLICY_DROP, NULL},
	{ALL, "::ffff:0.0.0.0", 80, POLICY_DROP, NULL},
	{NO_LOOPBACK, "127.0.0.1", 80, POLICY_DROP, NULL},
	{NO_LOOPBACK, "::1", 80, POLICY_DROP, NULL},
	{NO_V4, "127.0.0.1", 80, POLICY_DROP, NULL},
	{NO_V6, "::1", 80, POLICY_DROP, NULL},
	/* link-local is a link of the host's that the container is not on */
	{ALL, "fe80::1", 80, POLICY_REFUSE, NULL},
	{ALL, "fe80::2", 80, POLICY_REFUSE, NULL},
	{ALL, "febf::1", 53, POLICY_REFUSE, NULL},
	/* a family that is off */
	{NO_V4, "192.0.2.1", 80, POLICY_REFUSE, NULL},
	{NO_V4, "10.0.2.2", 80, POLICY_REFUSE, NULL},
	{NO_V4, "10.0.2.3", 53, POLICY_REFUSE, NULL},
	{NO_V4, "fd00::2", 80, POLICY_HOST, "::1"},
	{NO_V6, "2001:db8::1", 80, POLICY_REFUSE, NULL},
	{NO_V6, "fd00::2", 80, POLICY_REFUSE, NULL},
	{NO_V6, "fd00::3", 53, POLICY_REFUSE, NULL},
	{NO_V6, "10.0.2.2", 80, POLICY_HOST, "127.0.0.1"},
};

static void test_every_target_has_its_verdict(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct policy p = policy(r->without);
		struct endpoint to = {.port = r->port}, got;
		enum policy_verdict verdict;
		char text[ADDR_STRLEN];

		assert_int_equal(addr_parse(r->to, &to.addr), 0);
		verdict = policy_out(&p, &to, &got);
		if (verdict != r->want)
			fail_msg("%s port %u, without %u: verdict %d", r->to,
				 r->port, r->without, (int)verdict);
		if (r->want != POLICY_HOST) {
			continue;
		}
		assert_string_equal(addr_format(&got.addr, text), r->dial);
		assert_int_equal(got.port, r->port);
	}
}

static void test_loopback_is_shown_as_the_gateway_and_back(void **state)
{
	static const char *const shown[][2] = {
		{"127.0.0.1", "10.0.2.2"},
		{"127.0.0.53", "10.0.2.2"},
		{"::1", "fd00::2"},
		{"192.0.2.1", "192.0.2.1"},
		{"10.0.2.3", "10.0.2.3"},
		{"fe80::9", "fe80::9"},
		{"2001:db8::1", "2001:db8::1"},
	};
	struct policy p = policy(ALL);

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		struct in6_addr from, seen;
		char text[ADDR_STRLEN];

		addr_parse(shown[i][0], &from);
		seen = policy_in(&p, &from);
		assert_string_equal(addr_format(&seen, text), shown[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_target_has_its_verdict),
		cmocka_unit_test(
			test_loopback_is_shown_as_the_gateway_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
