#include "port/relay_icmp.h"
#include "tests/fake_hostsock.h"
#include "tests/fake_stack.h"
#include "tests/relay_rig.h"
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct relay_host *host;
static struct relay_icmp *relay;

static int setup(void **state)
{
	host = relay_rig_start();
	relay = relay_icmp_new(host);
	assert_non_null(relay);
	return 0;
}

static int teardown(void **state)
{
	relay_icmp_free(relay);
	relay_rig_finish();
	return 0;
}

static struct endpoint at(const char *addr)
{
	return relay_rig_endpoint(addr, 0);
}

static void ping(const char *dst, uint16_t id, uint16_t seq, const char *text)
{
	bool v6 = strchr(dst, ':') != NULL;
	struct icmpmsg_echo e = {
		.src = at(v6 ? "fd00::64" : "10.0.2.100").addr,
		.dst = at(dst).addr,
		.id = id,
		.seq = seq,
		.ttl = 9,
		.payload = (const uint8_t *)text,
		.len = strlen(text),
	};

	relay_icmp_input(relay, &e);
}

static void assert_request(const struct fake_sent *s, uint8_t type, uint8_t seq,
			   const char *text)
{
	assert_int_equal(s->len, 8 + strlen(text));
	assert_int_equal(s->buf[0], type);
	assert_int_equal(s->buf[1], 0);
	assert_int_equal(s->buf[7], seq);
	assert_memory_equal(s->buf + 8, text, strlen(text));
}

static void test_an_echo_goes_out_and_its_reply_comes_back(void **state)
{
	struct endpoint a = at("192.0.2.1"), b = at("192.0.2.2");
	const struct fake_out *o;

	ping("192.0.2.1", 77, 5, "abc");
	assert_int_equal(fake_last()->kind, FAKE_PING);
	assert_true(endpoint_equal(&fake_last()->sent[0].to, &a));
	assert_int_equal(fake_last()->sent[0].opts.ttl, 9);
	assert_request(&fake_last()->sent[0], 8, 5, "abc");
	ping("192.0.2.2", 77, 6, "");
	assert_int_equal(fake_made(), 1);
	/* the kernel's own identifier is in what comes back */
	fake_deliver(fake_last(), &b, "\0\0\0\0\x12\x34\0\x06", 8);
	fake_deliver(fake_last(), &a,
		     "\0\0\0\0\x12\x34\0\x05"
		     "abc",
		     11);
	relay_rig_settle();
	o = fake_stack_out(0, FAKE_OUT_ECHO);
	assert_true(addr_equal(&o->echo.src, &b.addr));
	assert_int_equal(o->echo.seq, 6);
	o = fake_stack_out(1, FAKE_OUT_ECHO);
	assert_true(addr_equal(&o->echo.src, &a.addr));
	assert_int_equal(o->echo.id, 77);
	assert_int_equal(o->echo.seq, 5);
	assert_int_equal(o->echo.len, 3);
	assert_memory_equal(o->echo.payload, "abc", 3);
}

static void test_ipv6_has_its_own_types(void **state)
{
	struct endpoint a = at("2001:db8::1");

	ping("2001:db8::1", 77, 5, "x");
	assert_request(&fake_last()->sent[0], 128, 5, "x");
	fake_deliver(fake_last(), &a, "\x81\0\0\0\x12\x34\0\x05x", 9);
	relay_rig_settle();
	assert_int_equal(fake_stack_out(0, FAKE_OUT_ECHO)->echo.id, 77);
}

static void test_identifiers_have_their_own_sockets(void **state)
{
	ping("192.0.2.1", 1, 0, "");
	ping("192.0.2.1", 2, 0, "");
	ping("192.0.2.1", 1, 1, "");
	assert_int_equal(fake_made(), 2);
	assert_int_equal(fake_get(0)->sent_count, 2);
}

static void test_the_largest_echo_passes(void **state)
{
	static uint8_t big[65507];
	struct icmpmsg_echo e = {
		.src = at("10.0.2.100").addr,
		.dst = at("192.0.2.1").addr,
		.payload = big,
		.len = sizeof(big),
	};

	relay_icmp_input(relay, &e);
	assert_int_equal(fake_last()->sent[0].len, 65515);
	assert_int_equal(fake_stack_count(), 0);
}

static void test_what_is_no_reply_is_not_passed_on(void **state)
{
	struct endpoint a = at("192.0.2.1");

	ping("192.0.2.1", 1, 0, "");
	fake_deliver(fake_last(), &a, "\0\0\0", 3);
	fake_deliver(fake_last(), &a, "\x08\0\0\0\0\0\0\0", 8);
	relay_rig_settle();
	assert_int_equal(fake_stack_count(), 0);
	assert_int_equal(host->count[RELAY_COUNT_DROP_FOREIGN], 2);
}

static void test_a_hop_that_reports_is_named_with_the_echo(void **state)
{
	struct hostsock_err e = {
		.err = EHOSTUNREACH,
		.time_exceeded = true,
		.to = at("192.0.2.1"),
		.from = at("203.0.113.1").addr,
		.len = 8,
	};
	const struct fake_out *o;

	ping("192.0.2.1", 77, 5, "abc");
	fake_deliver_error(fake_last(), &e, "\x08\0\0\0\x12\x34\0\x05");
	e.time_exceeded = false;
	fake_deliver_error(fake_last(), &e, "\x08\0\0\0\x12\x34\0\x05");
	e.len = 4; /* not enough to tell which one it was */
	fake_deliver_error(fake_last(), &e, "\x08\0\0\0");
	relay_rig_settle();
	assert_int_equal(fake_stack_count(), 2);
	o = fake_stack_out(0, FAKE_OUT_ECHO_ERROR);
	assert_int_equal(o->why, ICMPMSG_TIME_EXCEEDED);
	assert_true(addr_equal(&o->from, &e.from));
	assert_true(addr_equal(&o->echo.dst, &e.to.addr));
	assert_int_equal(o->echo.id, 77);
	assert_int_equal(o->echo.seq, 5);
	o = fake_stack_out(1, FAKE_OUT_ECHO_ERROR);
	assert_int_equal(o->why, ICMPMSG_HOST_UNREACH);
}

static void test_a_send_that_fails_says_why(void **state)
{
	struct endpoint a = at("192.0.2.1"), b = at("192.0.2.2");
	const struct fake_out *o;

	fake_script(&a, FAKE_FAIL_NOW, ENETUNREACH);
	ping("192.0.2.1", 77, 5, "abc");
	o = fake_stack_out(0, FAKE_OUT_ECHO_ERROR);
	assert_int_equal(o->why, ICMPMSG_NET_UNREACH);
	assert_int_equal(o->echo.seq, 5);
	assert_false(o->has_from);
	fake_script(&b, FAKE_FAIL_NOW, ENOBUFS);
	ping("192.0.2.2", 77, 6, "abc");
	assert_int_equal(fake_stack_count(), 1);
	assert_int_equal(host->count[RELAY_COUNT_DROP_BUSY], 1);
}

static void test_policy_is_asked(void **state)
{
	relay_rig_policy()->plan.ipv6 = false;
	ping("2001:db8::1", 1, 0, "");
	assert_int_equal(fake_stack_out(0, FAKE_OUT_ECHO_ERROR)->why,
			 ICMPMSG_NET_UNREACH);
	ping("127.0.0.1", 1, 0, "");
	assert_int_equal(fake_stack_count(), 1);
	assert_int_equal(host->count[RELAY_COUNT_DROP_POLICY], 1);
}

/* What stderr got while @act ran, as text. */
static void capture_stderr(void (*act)(void), char *buf, size_t len)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	act();
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	n = fread(buf, 1, len - 1, file);
	buf[n] = '\0';
	fclose(file);
}

static void ping_twice(void)
{
	ping("192.0.2.1", 1, 0, "");
	ping("192.0.2.1", 1, 1, "");
}

static void test_barred_pings_are_prohibited_with_one_warning(void **state)
{
	char text[512];

	fake_no_sockets(EACCES);
	capture_stderr(ping_twice, text, sizeof(text));
	assert_non_null(strstr(text, "net.ipv4.ping_group_range"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_int_equal(fake_stack_count(), 2);
	assert_int_equal(fake_stack_out(1, FAKE_OUT_ECHO_ERROR)->why,
			 ICMPMSG_ADMIN_PROHIB);
	assert_int_equal(flow_count(host->flows, FLOW_ECHO), 0);
}

static void test_without_descriptors_the_echo_fails(void **state)
{
	fake_no_sockets(EMFILE);
	ping("192.0.2.1", 1, 0, "");
	assert_int_equal(fake_stack_out(0, FAKE_OUT_ECHO_ERROR)->why,
			 ICMPMSG_HOST_UNREACH);
	fake_no_sockets(EAFNOSUPPORT);
	ping("2001:db8::1", 1, 0, "");
	assert_int_equal(fake_stack_out(1, FAKE_OUT_ECHO_ERROR)->why,
			 ICMPMSG_NET_UNREACH);
	fake_no_sockets(0);
	ping("192.0.2.1", 1, 1, "");
	assert_int_equal(fake_last()->sent_count, 1);
}

static void test_idle_pings_end_after_a_minute(void **state)
{
	ping("192.0.2.1", 1, 0, "");
	relay_rig_advance(59 * NSEC_PER_SEC);
	ping("192.0.2.1", 1, 1, "");
	relay_rig_advance(59 * NSEC_PER_SEC);
	assert_int_equal(fake_open(), 1);
	relay_rig_advance(NSEC_PER_SEC);
	assert_int_equal(fake_open(), 0);
}

static void test_many_identifiers_are_bounded(void **state)
{
	for (uint16_t id = 0; id < 30; id++)
		ping("192.0.2.1", id, 0, "");
	assert_int_equal(fake_made(), 30);
	assert_int_equal(fake_open(), 10);
	assert_int_equal(fake_stack_count(), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_an_echo_goes_out_and_its_reply_comes_back),
		T(test_ipv6_has_its_own_types),
		T(test_identifiers_have_their_own_sockets),
		T(test_the_largest_echo_passes),
		T(test_what_is_no_reply_is_not_passed_on),
		T(test_a_hop_that_reports_is_named_with_the_echo),
		T(test_a_send_that_fails_says_why),
		T(test_policy_is_asked),
		T(test_barred_pings_are_prohibited_with_one_warning),
		T(test_without_descriptors_the_echo_fails),
		T(test_idle_pings_end_after_a_minute),
		T(test_many_identifiers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
