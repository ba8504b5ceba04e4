#include "port/relay_udp.h"
#include "port/resolver.h"
#include "tests/fake_hostsock.h"
#include "tests/fake_stack.h"
#include "tests/relay_rig.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct relay_host *host;
static struct relay_udp *relay;
static unsigned dns_queries;

/* In place of port/resolver.c. */
void resolver_input(struct resolver *r, const struct dgram *d)
{
	dns_queries++;
}

static int setup(void **state)
{
	host = relay_rig_start();
	relay = relay_udp_new(host, NULL);
	assert_non_null(relay);
	dns_queries = 0;
	return 0;
}

static int teardown(void **state)
{
	relay_udp_free(relay);
	relay_rig_finish();
	return 0;
}

static struct endpoint at(const char *addr, uint16_t port)
{
	return relay_rig_endpoint(addr, port);
}

static void send_from(struct endpoint src, struct endpoint dst,
		      const char *text)
{
	struct dgram d = {
		.src = src,
		.dst = dst,
		.ttl = 64,
		.payload = (const uint8_t *)text,
		.len = strlen(text),
	};

	relay_udp_input(relay, &d);
}

static void send_to(const char *addr, uint16_t port, const char *text)
{
	bool v6 = strchr(addr, ':') != NULL;

	send_from(at(v6 ? "fd00::64" : "10.0.2.100", 4000), at(addr, port),
		  text);
}

static void assert_udp(size_t n, struct endpoint src, const char *text)
{
	const struct fake_out *o = fake_stack_out(n, FAKE_OUT_UDP);

	assert_true(endpoint_equal(&o->dgram.src, &src));
	assert_int_equal(o->dgram.dst.port, 4000);
	assert_int_equal(o->dgram.len, strlen(text));
	assert_memory_equal(o->dgram.payload, text, strlen(text));
}

static const struct fake_out *assert_error(size_t n, enum icmpmsg_why why,
					   struct endpoint dst)
{
	const struct fake_out *o = fake_stack_out(n, FAKE_OUT_UDP_ERROR);

	assert_int_equal(o->why, why);
	assert_true(endpoint_equal(&o->dgram.dst, &dst));
	assert_int_equal(o->dgram.src.port, 4000);
	return o;
}

static void test_one_socket_serves_all_targets_of_a_port(void **state)
{
	send_to("192.0.2.1", 7, "a");
	send_to("198.51.100.9", 8, "b");
	assert_int_equal(fake_made(), 1);
	assert_int_equal(fake_last()->to.port, 4000);
	assert_int_equal(fake_last()->sent_count, 2);
	assert_int_equal(fake_last()->sent[1].to.port, 8);
	send_from(at("10.0.2.100", 4001), at("192.0.2.1", 7), "c");
	send_to("2001:db8::1", 7, "d");
	assert_int_equal(fake_made(), 3);
	assert_int_equal(flow_count(host->flows, FLOW_UDP), 3);
}

static void test_whoever_answers_is_heard(void **state)
{
	struct endpoint asked = at("192.0.2.1", 7),
			other = at("203.0.113.5", 9);

	send_to("192.0.2.1", 7, "ping");
	fake_deliver(fake_last(), &asked, "pong", 4);
	fake_deliver(fake_last(), &other, "hole", 4);
	fake_deliver(fake_last(), &other, "", 0);
	relay_rig_settle();
	assert_int_equal(fake_stack_count(), 3);
	assert_udp(0, asked, "pong");
	assert_udp(1, other, "hole");
	assert_udp(2, other, "");
}

static void test_the_gateway_is_the_hosts_loopback_both_ways(void **state)
{
	struct endpoint lo4 = at("127.0.0.1", 7), lo6 = at("::1", 7);

	send_to("10.0.2.2", 7, "x");
	assert_true(endpoint_equal(&fake_last()->sent[0].to, &lo4));
	fake_deliver(fake_last(), &lo4, "y", 1);
	send_to("fd00::2", 7, "x");
	assert_true(endpoint_equal(&fake_last()->sent[0].to, &lo6));
	fake_deliver(fake_last(), &lo6, "z", 1);
	relay_rig_settle();
	assert_udp(0, at("10.0.2.2", 7), "y");
	assert_udp(1, at("fd00::2", 7), "z");
}

static void test_who_cannot_be_asked_is_not_heard(void **state)
{
	struct endpoint lo = at("127.0.0.1", 7), link = at("fe80::1", 7);

	relay_rig_policy()->host_loopback = false;
	send_to("192.0.2.1", 7, "x");
	fake_deliver(fake_last(), &lo, "y", 1);
	send_to("2001:db8::1", 7, "x");
	fake_deliver(fake_last(), &link, "y", 1);
	relay_rig_settle();
	assert_int_equal(fake_stack_count(), 0);
	assert_int_equal(host->count[RELAY_COUNT_DROP_FOREIGN], 2);
}

/* A stranger with our alias for a source would answer as the resolver. */
static void test_our_own_addresses_are_nobody_elses(void **state)
{
	struct endpoint dns = at("10.0.2.3", 53), gateway = at("10.0.2.2", 7);

	send_to("192.0.2.1", 7, "x");
	fake_deliver(fake_last(), &dns, "y", 1);
	fake_deliver(fake_last(), &gateway, "y", 1);
	relay_rig_settle();
	assert_int_equal(fake_stack_count(), 0);
	assert_int_equal(host->count[RELAY_COUNT_DROP_FOREIGN], 2);
}

static void test_refused_targets_are_answered_and_dropped_ones_not(void **state)
{
	relay_rig_policy()->host_loopback = false;
	send_to("10.0.2.2", 7, "x");
	assert_error(0, ICMPMSG_NET_UNREACH, at("10.0.2.2", 7));
	send_to("10.0.2.3", 7, "x");
	assert_error(1, ICMPMSG_NET_UNREACH, at("10.0.2.3", 7));
	send_to("127.0.0.1", 7, "x");
	send_to("::1", 7, "x");
	send_to("255.255.255.255", 7, "x");
	assert_int_equal(fake_stack_count(), 2);
	assert_int_equal(host->count[RELAY_COUNT_DROP_POLICY], 3);
	assert_int_equal(fake_made(), 0);
}

static void test_the_alias_goes_to_the_resolver(void **state)
{
	send_to("10.0.2.3", 53, "q");
	send_to("fd00::3", 53, "q");
	assert_int_equal(dns_queries, 2);
	assert_int_equal(fake_made(), 0);
}

static void test_ttl_tos_and_df_pass_through(void **state)
{
	struct dgram d = {
		.src = at("10.0.2.100", 4000),
		.dst = at("192.0.2.1", 33434),
		.ttl = 3,
		.tos = 0xb8,
		.dont_fragment = true,
	};

	relay_udp_input(relay, &d);
	assert_int_equal(fake_last()->sent[0].opts.ttl, 3);
	assert_int_equal(fake_last()->sent[0].opts.tos, 0xb8);
	assert_true(fake_last()->sent[0].opts.dont_fragment);
}

static void test_a_closed_port_is_told_as_the_container_named_it(void **state)
{
	struct endpoint lo = at("127.0.0.1", 9), far = at("192.0.2.1", 9);
	const struct fake_out *o;

	fake_script(&lo, FAKE_FAIL_LATER, ECONNREFUSED);
	fake_script(&far, FAKE_FAIL_LATER, ECONNREFUSED);
	send_to("10.0.2.2", 9, "near");
	relay_rig_settle();
	o = assert_error(0, ICMPMSG_PORT_UNREACH, at("10.0.2.2", 9));
	assert_true(o->has_from);
	assert_true(addr_equal(&o->from, &relay_rig_policy()->plan.gateway4));
	assert_memory_equal(o->dgram.payload, "near", 4);
	send_to("192.0.2.1", 9, "far");
	relay_rig_settle();
	o = assert_error(1, ICMPMSG_PORT_UNREACH, far);
	assert_true(addr_equal(&o->from, &far.addr));
}

static void test_a_router_that_reports_is_named(void **state)
{
	struct endpoint router = at("203.0.113.1", 0);
	struct hostsock_err e = {
		.err = EHOSTUNREACH,
		.time_exceeded = true,
		.to = at("192.0.2.1", 33434),
		.from = router.addr,
	};
	const struct fake_out *o;

	send_to("192.0.2.1", 33434, "probe");
	fake_deliver_error(fake_last(), &e, NULL);
	e.time_exceeded = false;
	fake_deliver_error(fake_last(), &e, NULL);
	e.err = EMSGSIZE;
	e.mtu = 1400;
	fake_deliver_error(fake_last(), &e, NULL);
	e.mtu = 0;
	fake_deliver_error(fake_last(), &e, NULL);
	relay_rig_settle();
	o = assert_error(0, ICMPMSG_TIME_EXCEEDED, e.to);
	assert_true(addr_equal(&o->from, &router.addr));
	assert_int_equal(o->dgram.len, 0);
	assert_error(1, ICMPMSG_HOST_UNREACH, e.to);
	assert_int_equal(assert_error(2, ICMPMSG_TOO_BIG, e.to)->mtu, 1400);
	assert_int_equal(assert_error(3, ICMPMSG_TOO_BIG, e.to)->mtu, 576);
}

static void test_a_send_that_fails_says_why(void **state)
{
	static const struct {
		int err;
		enum icmpmsg_why why;
	} rows[] = {
		{ENETUNREACH, ICMPMSG_NET_UNREACH},
		{EHOSTUNREACH, ICMPMSG_HOST_UNREACH},
		{EACCES, ICMPMSG_ADMIN_PROHIB},
		{EPERM, ICMPMSG_ADMIN_PROHIB},
		{EINVAL, ICMPMSG_HOST_UNREACH},
	};
	struct endpoint to = at("192.0.2.1", 9);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_script(&to, FAKE_FAIL_NOW, rows[i].err);
		send_to("192.0.2.1", 9, "quoted");
		assert_int_equal(assert_error(i, rows[i].why, to)->dgram.len,
				 6);
		assert_false(fake_stack_out(i, FAKE_OUT_UDP_ERROR)->has_from);
	}
	fake_script(&to, FAKE_OK, 0);
	send_to("192.0.2.1", 9, "again");
	assert_int_equal(fake_last()->sent_count, 1);
}

/* The kernel says EMSGSIZE and puts the MTU into the error queue. */
static void test_beyond_the_hosts_mtu_the_mtu_is_told(void **state)
{
	struct endpoint to = at("192.0.2.1", 9);
	struct hostsock_err e = {.err = EMSGSIZE,
				 .mtu = 1280,
				 .local = true,
				 .to.addr = to.addr};

	send_to("192.0.2.1", 9, "small");
	fake_script(&to, FAKE_FAIL_NOW, EMSGSIZE);
	fake_deliver_error(fake_last(), &e, NULL);
	send_to("192.0.2.1", 9, "large");
	assert_int_equal(fake_stack_count(), 1);
	assert_int_equal(assert_error(0, ICMPMSG_TOO_BIG, to)->mtu, 1280);
	assert_memory_equal(
		fake_stack_out(0, FAKE_OUT_UDP_ERROR)->dgram.payload, "large",
		5);
}

/* send() returns what an earlier datagram met: the one in hand must go. */
static void test_an_earlier_error_does_not_cost_the_next_datagram(void **state)
{
	struct endpoint closed = at("192.0.2.1", 9);

	fake_script(&closed, FAKE_FAIL_LATER, ECONNREFUSED);
	send_to("192.0.2.1", 9, "lost");
	send_to("192.0.2.2", 9, "kept");
	assert_int_equal(fake_last()->sent_count, 2);
	assert_memory_equal(fake_last()->sent[1].buf, "kept", 4);
	assert_int_equal(fake_stack_count(), 1);
	assert_error(0, ICMPMSG_PORT_UNREACH, closed);
}

static void test_a_full_queue_drops_without_a_word(void **state)
{
	static const int errs[] = {EAGAIN, ENOBUFS, ENOMEM};

	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		fake_no_sends(errs[i]);
		send_to("192.0.2.1", 9, "x");
		assert_int_equal(host->count[RELAY_COUNT_DROP_BUSY], i + 1);
	}
	assert_int_equal(fake_stack_count(), 0);
	fake_no_sends(0);
	send_to("192.0.2.1", 9, "y");
	assert_int_equal(fake_last()->sent_count, 1);
}

static void
test_without_descriptors_one_flow_fails_and_others_live(void **state)
{
	static const int errs[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
	size_t i;

	send_from(at("10.0.2.100", 3999), at("192.0.2.1", 9), "old");
	for (i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		fake_no_sockets(errs[i]);
		send_to("192.0.2.1", 9, "new");
		assert_error(i, ICMPMSG_HOST_UNREACH, at("192.0.2.1", 9));
		assert_int_equal(flow_count(host->flows, FLOW_UDP), 1);
	}
	fake_no_sockets(EAFNOSUPPORT);
	send_to("2001:db8::1", 9, "new");
	assert_error(i++, ICMPMSG_NET_UNREACH, at("2001:db8::1", 9));
	fake_no_sockets(EADDRNOTAVAIL);
	send_to("2001:db8::1", 9, "new");
	assert_error(i, ICMPMSG_NET_UNREACH, at("2001:db8::1", 9));
	send_from(at("10.0.2.100", 3999), at("192.0.2.1", 9), "old");
	assert_int_equal(fake_last()->sent_count, 2);
	fake_no_sockets(0);
	send_to("192.0.2.1", 9, "new");
	assert_int_equal(fake_made(), 2);
}

static void test_one_way_flows_end_after_two_minutes(void **state)
{
	send_to("192.0.2.1", 9, "x");
	relay_rig_advance(119 * NSEC_PER_SEC);
	send_to("192.0.2.1", 9, "x");
	relay_rig_advance(119 * NSEC_PER_SEC);
	assert_int_equal(fake_open(), 1);
	relay_rig_advance(NSEC_PER_SEC);
	assert_int_equal(fake_open(), 0);
	assert_int_equal(flow_count(host->flows, FLOW_UDP), 0);
}

static void test_two_way_flows_end_after_five_minutes(void **state)
{
	struct endpoint peer = at("192.0.2.1", 9);

	send_to("192.0.2.1", 9, "x");
	fake_deliver(fake_last(), &peer, "y", 1);
	relay_rig_advance(1);
	relay_rig_advance(299 * NSEC_PER_SEC);
	assert_int_equal(fake_open(), 1);
	relay_rig_advance(NSEC_PER_SEC);
	assert_int_equal(fake_open(), 0);
}

static void test_flows_that_only_ask_port_53_end_soon(void **state)
{
	struct endpoint dns = at("192.0.2.1", 53);

	send_to("192.0.2.1", 53, "q");
	fake_deliver(fake_last(), &dns, "a", 1);
	relay_rig_settle();
	relay_rig_advance(10 * NSEC_PER_SEC);
	assert_int_equal(fake_open(), 0);
	send_to("192.0.2.1", 53, "q");
	send_to("192.0.2.1", 443, "not only");
	relay_rig_advance(10 * NSEC_PER_SEC);
	assert_int_equal(fake_open(), 1);
}

static bool make_way(const char *addr, uint16_t port)
{
	struct endpoint local = at(addr, port);

	return relay_udp_make_way(host, &local);
}

static void test_a_rule_takes_the_port_of_a_flow(void **state)
{
	send_to("192.0.2.1", 7, "a");
	send_to("2001:db8::1", 7, "b");
	send_from(at("10.0.2.100", 4001), at("192.0.2.1", 7), "c");
	assert_false(make_way("0.0.0.0", 4002));
	assert_int_equal(flow_count(host->flows, FLOW_UDP), 3);
	assert_true(make_way("0.0.0.0", 4000));
	assert_int_equal(fake_get(0)->fd, -1);
	assert_int_equal(fake_open(), 2);
	assert_false(make_way("0.0.0.0", 4000));
	assert_true(make_way("::", 4000));
	assert_int_equal(fake_get(1)->fd, -1);
	relay_rig_settle();
	send_to("192.0.2.1", 7, "d");
	assert_int_equal(fake_made(), 4);
}

static void test_a_flow_of_another_port_of_the_host_stays(void **state)
{
	send_to("192.0.2.1", 7, "a");
	fake_last()->to.port = 50123; /* 4000 was not to be had */
	assert_false(make_way("0.0.0.0", 4000));
	assert_int_equal(fake_open(), 1);
}

static void test_at_the_limit_the_oldest_gives_way(void **state)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < RELAY_RIG_UDP_MAX + 100)
		skip();
	for (unsigned i = 0; i <= RELAY_RIG_UDP_MAX; i++)
		send_from(at("10.0.2.100", (uint16_t)(1000 + i)),
			  at("192.0.2.1", 9), "x");
	assert_int_equal(fake_open(), RELAY_RIG_UDP_MAX);
	assert_int_equal(fake_get(0)->fd, -1);
	assert_int_equal(flow_evicted(host->flows, FLOW_UDP), 1);
	/* few links per datagram, however many flows */
	assert_true(flow_steps(host->flows) < 3 * RELAY_RIG_UDP_MAX);
}

static void test_a_flood_from_the_host_leaves_turns_to_others(void **state)
{
	struct endpoint peer = at("192.0.2.1", 9);

	send_to("192.0.2.1", 9, "x");
	for (int i = 0; i < 100; i++)
		fake_deliver(fake_last(), &peer, "y", 1);
	loop_turn(host->loop, 0);
	assert_in_range(fake_stack_count(), 1, 99);
	relay_rig_settle();
	assert_int_equal(fake_stack_count(), 100);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_socket_serves_all_targets_of_a_port),
		T(test_whoever_answers_is_heard),
		T(test_the_gateway_is_the_hosts_loopback_both_ways),
		T(test_our_own_addresses_are_nobody_elses),
		T(test_who_cannot_be_asked_is_not_heard),
		T(test_refused_targets_are_answered_and_dropped_ones_not),
		T(test_the_alias_goes_to_the_resolver),
		T(test_ttl_tos_and_df_pass_through),
		T(test_a_closed_port_is_told_as_the_container_named_it),
		T(test_a_router_that_reports_is_named),
		T(test_a_send_that_fails_says_why),
		T(test_beyond_the_hosts_mtu_the_mtu_is_told),
		T(test_an_earlier_error_does_not_cost_the_next_datagram),
		T(test_a_full_queue_drops_without_a_word),
		T(test_without_descriptors_one_flow_fails_and_others_live),
		T(test_one_way_flows_end_after_two_minutes),
		T(test_two_way_flows_end_after_five_minutes),
		T(test_flows_that_only_ask_port_53_end_soon),
		T(test_a_rule_takes_the_port_of_a_flow),
		T(test_a_flow_of_another_port_of_the_host_stays),
		T(test_at_the_limit_the_oldest_gives_way),
		T(test_a_flood_from_the_host_leaves_turns_to_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
