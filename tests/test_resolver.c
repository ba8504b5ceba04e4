#include "port/resolver.h"
#include "tests/fake_hostsock.h"
#include "tests/fake_stack.h"
#include "tests/relay_rig.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct relay_host *host;
static struct resolver *resolver;
static char conf[] = "/tmp/test_resolver.XXXXXX";
static char other[sizeof(conf) + 4];

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int setup(void **state)
{
	strcpy(strrchr(conf, '.'), ".XXXXXX");
	close(mkstemp(conf));
	snprintf(other, sizeof(other), "%s.new", conf);
	put(conf, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
	host = relay_rig_start();
	resolver = resolver_new(host, conf);
	assert_non_null(resolver);
	return 0;
}

static int teardown(void **state)
{
	resolver_free(resolver);
	relay_rig_finish();
	unlink(conf);
	unlink(other);
	return 0;
}

static struct endpoint at(const char *addr)
{
	return relay_rig_endpoint(addr, 53);
}

/* A message of @id, a query or an answer by @flags, with @text behind its
 * header. Returns its length. */
static size_t message(uint8_t buf[64], uint8_t id, uint8_t flags,
		      const char *text)
{
	memset(buf, 0, 64);
	buf[1] = id;
	buf[2] = flags;
	strcpy((char *)buf + 12, text);
	return 12 + strlen(text);
}

static void ask_from(uint16_t port, uint8_t id, const char *text)
{
	uint8_t buf[64];
	struct dgram d = {
		.src = relay_rig_endpoint("10.0.2.100", port),
		.dst = at("10.0.2.3"),
		.payload = buf,
		.len = message(buf, id, 1, text),
	};

	resolver_input(resolver, &d);
}

static void ask(uint8_t id)
{
	ask_from(5000, id, "name");
}

static void answer(struct fake_sock *s, const char *from, uint8_t id,
		   const char *text)
{
	struct endpoint e = at(from);
	uint8_t buf[64];

	fake_deliver(s, &e, buf, message(buf, id, 0x81, text));
	relay_rig_settle();
}

static void assert_asked(const struct fake_sock *s, size_t n, const char *addr)
{
	struct endpoint to = at(addr);

	assert_true(n < s->sent_count);
	assert_true(endpoint_equal(&s->sent[n].to, &to));
	assert_memory_equal(s->sent[n].buf + 12, "name", 4);
}

static void test_the_answer_comes_from_the_alias(void **state)
{
	struct endpoint alias = at("10.0.2.3");
	const struct fake_out *o;

	ask(7);
	assert_int_equal(fake_last()->to.port, 0);
	assert_asked(fake_last(), 0, "192.0.2.1");
	answer(fake_last(), "192.0.2.1", 7, "yes");
	o = fake_stack_out(0, FAKE_OUT_UDP);
	assert_true(endpoint_equal(&o->dgram.src, &alias));
	assert_int_equal(o->dgram.dst.port, 5000);
	assert_memory_equal(o->dgram.payload + 12, "yes", 3);
	assert_int_equal(fake_open(), 0);
	assert_int_equal(flow_count(host->flows, FLOW_DNS), 0);
}

static void test_only_an_answer_to_the_query_counts(void **state)
{
	struct endpoint e = at("192.0.2.1");

	ask(7);
	answer(fake_last(), "203.0.113.1", 7, "forged");
	answer(fake_last(), "192.0.2.2", 7, "not asked yet");
	answer(fake_last(), "192.0.2.1", 8, "other id");
	fake_deliver(fake_last(), &e, "\0\x07", 2);
	fake_deliver(fake_last(), &e, fake_last()->sent[0].buf,
		     fake_last()->sent[0].len);
	relay_rig_settle();
	assert_int_equal(fake_stack_count(), 0);
	assert_int_equal(host->count[RELAY_COUNT_DROP_FOREIGN], 5);
	answer(fake_last(), "192.0.2.1", 7, "true");
	assert_int_equal(fake_stack_count(), 1);
}

static void test_a_silent_resolver_costs_two_seconds(void **state)
{
	ask(7);
	relay_rig_advance(2 * NSEC_PER_SEC - 1);
	assert_int_equal(fake_last()->sent_count, 1);
	relay_rig_advance(1);
	assert_asked(fake_last(), 1, "192.0.2.2");
	assert_int_equal(host->count[RELAY_COUNT_DNS_FAILOVERS], 1);
	answer(fake_last(), "192.0.2.2", 7, "late but true");
	assert_int_equal(fake_stack_count(), 1);
}

static void test_the_first_may_still_answer_after_failover(void **state)
{
	ask(7);
	relay_rig_advance(2 * NSEC_PER_SEC);
	answer(fake_last(), "192.0.2.1", 7, "slow");
	assert_int_equal(fake_stack_count(), 1);
	assert_int_equal(fake_open(), 0);
}

static void test_a_silent_resolver_is_asked_last_for_a_while(void **state)
{
	ask(7);
	relay_rig_advance(2 * NSEC_PER_SEC);
	answer(fake_last(), "192.0.2.2", 7, "x");
	ask(8);
	assert_asked(fake_last(), 0, "192.0.2.2");
	answer(fake_last(), "192.0.2.2", 8, "x");
	relay_rig_advance(30 * NSEC_PER_SEC);
	ask(9);
	assert_asked(fake_last(), 0, "192.0.2.1");
}

static void test_a_refusal_moves_on_at_once(void **state)
{
	struct endpoint first = at("192.0.2.1");

	fake_script(&first, FAKE_FAIL_LATER, ECONNREFUSED);
	ask(7);
	relay_rig_settle();
	assert_asked(fake_last(), 1, "192.0.2.2");
	ask(8);
	assert_asked(fake_last(), 0, "192.0.2.2");
}

static void test_an_unreachable_network_moves_on_at_once(void **state)
{
	struct endpoint first = at("192.0.2.1");

	fake_script(&first, FAKE_FAIL_NOW, ENETUNREACH);
	ask(7);
	assert_int_equal(fake_last()->sent_count, 1);
	assert_asked(fake_last(), 0, "192.0.2.2");
}

static void test_the_other_family_gets_another_socket(void **state)
{
	put(conf, "nameserver 2001:db8::53\nnameserver 192.0.2.22\n");
	ask(7);
	assert_asked(fake_last(), 0, "2001:db8::53");
	relay_rig_advance(2 * NSEC_PER_SEC);
	assert_int_equal(fake_made(), 2);
	assert_int_equal(fake_open(), 1);
	assert_asked(fake_last(), 0, "192.0.2.22");
}

/* One on loopback refuses what comes from an address of the outside. */
static void test_the_outgoing_address_is_not_for_loopback(void **state)
{
	put(conf, "nameserver 127.0.0.53\nnameserver 192.0.2.2\n");
	assert_int_equal(addr_parse("192.0.2.77", &host->source.v4), 0);
	ask(1);
	assert_true(addr_is_unspecified(&fake_get(0)->from.v4));
	put(conf, "nameserver 192.0.2.2\n");
	ask(2);
	assert_true(addr_equal(&fake_last()->from.v4, &host->source.v4));
	host->source.v4 = addr_from_v4(0);
}

static void test_resolvers_that_all_refuse_are_not_hammered(void **state)
{
	struct endpoint a = at("192.0.2.1"), b = at("192.0.2.2");

	fake_script(&a, FAKE_FAIL_LATER, ECONNREFUSED);
	fake_script(&b, FAKE_FAIL_LATER, ECONNREFUSED);
	ask(7);
	relay_rig_settle();
	assert_int_equal(fake_last()->sent_count, 2);
	relay_rig_advance(NSEC_PER_SEC);
	assert_int_equal(fake_last()->sent_count, 2);
	relay_rig_advance(NSEC_PER_SEC);
	assert_int_equal(fake_last()->sent_count, 4);
}

static void test_after_ten_seconds_it_is_given_up(void **state)
{
	ask(7);
	for (int i = 0; i < 9; i++)
		relay_rig_advance(NSEC_PER_SEC);
	assert_int_equal(fake_last()->sent_count, 5);
	assert_int_equal(fake_open(), 1);
	relay_rig_advance(NSEC_PER_SEC);
	assert_int_equal(fake_open(), 0);
	assert_int_equal(fake_stack_count(), 0);
	assert_int_equal(host->count[RELAY_COUNT_DNS_UNANSWERED], 1);
}

static void test_a_repeated_query_joins_the_first(void **state)
{
	ask(7);
	ask(7);
	assert_int_equal(fake_made(), 1);
	assert_int_equal(fake_last()->sent_count, 1);
	ask(8);
	ask_from(5001, 7, "name");
	assert_int_equal(fake_made(), 3);
	assert_int_equal(flow_count(host->flows, FLOW_DNS), 3);
	/* the same number for another question: the old one is void */
	ask_from(5000, 7, "name2");
	assert_int_equal(fake_made(), 4);
	assert_int_equal(flow_count(host->flows, FLOW_DNS), 3);
}

static void test_queries_under_way_are_bounded(void **state)
{
	for (uint8_t id = 0; id < 30; id++)
		ask(id);
	assert_int_equal(fake_open(), 20);
	assert_int_equal(host->count[RELAY_COUNT_DROP_LIMIT], 10);
}

static void test_what_is_no_query_is_dropped(void **state)
{
	static uint8_t big[5000];
	struct dgram d = {.dst = at("10.0.2.3"), .payload = big, .len = 11};

	resolver_input(resolver, &d);
	d.len = sizeof(big);
	resolver_input(resolver, &d);
	assert_int_equal(fake_made(), 0);
	assert_int_equal(host->count[RELAY_COUNT_DROP_POLICY], 2);
}

static void test_a_rename_over_resolv_conf_is_followed(void **state)
{
	ask(7);
	put(other, "nameserver 192.0.2.77\n");
	assert_int_equal(rename(other, conf), 0);
	ask(8);
	assert_asked(fake_get(0), 0, "192.0.2.1");
	assert_asked(fake_get(1), 0, "192.0.2.77");
}

static void test_without_descriptors_the_container_hears_of_it(void **state)
{
	fake_no_sockets(EMFILE);
	ask(7);
	assert_int_equal(fake_stack_out(0, FAKE_OUT_UDP_ERROR)->why,
			 ICMPMSG_HOST_UNREACH);
	assert_int_equal(flow_count(host->flows, FLOW_DNS), 0);
	fake_no_sockets(0);
	ask(8);
	assert_int_equal(fake_open(), 1);
}

static void test_a_busy_host_is_like_a_lost_datagram(void **state)
{
	fake_no_sends(EAGAIN);
	ask(7);
	assert_int_equal(fake_last()->sent_count, 0);
	fake_no_sends(0);
	relay_rig_advance(2 * NSEC_PER_SEC);
	assert_asked(fake_last(), 0, "192.0.2.2");
}

static void test_tcp_gets_the_good_ones_first(void **state)
{
	struct endpoint list[RESOLVER_MAX], a = at("192.0.2.1"),
					    b = at("192.0.2.2");
	nsec_t now = loop_now(host->loop);

	assert_int_equal(resolver_list(resolver, list, RESOLVER_MAX, now), 2);
	assert_true(endpoint_equal(&list[0], &a));
	resolver_report(resolver, &a, false, now);
	assert_int_equal(resolver_list(resolver, list, RESOLVER_MAX, now), 2);
	assert_true(endpoint_equal(&list[0], &b));
	assert_true(endpoint_equal(&list[1], &a));
	assert_int_equal(resolver_list(resolver, list, 1, now), 1);
	assert_true(endpoint_equal(&list[0], &b));
	resolver_report(resolver, &a, true, now);
	resolver_list(resolver, list, RESOLVER_MAX, now);
	assert_true(endpoint_equal(&list[0], &a));
	resolver_report(resolver, &a, false, now);
	resolver_list(resolver, list, RESOLVER_MAX, now + 30 * NSEC_PER_SEC);
	assert_true(endpoint_equal(&list[0], &a));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_answer_comes_from_the_alias),
		T(test_only_an_answer_to_the_query_counts),
		T(test_a_silent_resolver_costs_two_seconds),
		T(test_the_first_may_still_answer_after_failover),
		T(test_a_silent_resolver_is_asked_last_for_a_while),
		T(test_a_refusal_moves_on_at_once),
		T(test_an_unreachable_network_moves_on_at_once),
		T(test_the_other_family_gets_another_socket),
		T(test_the_outgoing_address_is_not_for_loopback),
		T(test_resolvers_that_all_refuse_are_not_hammered),
		T(test_after_ten_seconds_it_is_given_up),
		T(test_a_repeated_query_joins_the_first),
		T(test_queries_under_way_are_bounded),
		T(test_what_is_no_query_is_dropped),
		T(test_a_rename_over_resolv_conf_is_followed),
		T(test_without_descriptors_the_container_hears_of_it),
		T(test_a_busy_host_is_like_a_lost_datagram),
		T(test_tcp_gets_the_good_ones_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
