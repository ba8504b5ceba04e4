#include "tests/forward_rig.h"

#include <sched.h>
#include <sys/resource.h>

#define RANGE 50

static int bind_at(const char *addr, uint16_t port, bool udp)
{
	struct endpoint e = {.port = port};

	if (addr_parse(addr, &e.addr))
		return -EINVAL;
	return hostsock_bind(&e, udp);
}

/* RANGE ports of both families from @port on, as far as can be had. */
static struct rule some(enum rule_proto proto, uint16_t port)
{
	struct rule r = rule_default(proto);

	r.host_port = port;
	r.host_port_end = (uint16_t)(port + RANGE - 1);
	r.guest_port = 5000;
	r.best_effort = true;
	return r;
}

static void test_ports_in_use_are_done_without(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	int first = bind_at("0.0.0.0", port, false);
	int third = bind_at("127.0.0.1", (uint16_t)(port + 2), false);
	unsigned fds = forward_rig_fds();
	struct rule r = some(RULE_TCP, port);
	const struct forward *f;

	assert_true(first >= 0 && third >= 0);
	f = forward_rig_add(rig, &r);
	assert_int_equal(forward_rig_fds(), fds + 2 * RANGE - 2);
	assert_int_equal(forward_rig_try(true, port), -ECONNREFUSED);
	assert_int_equal(forward_rig_try(false, port), 0);
	forward_rig_settle(rig);
	assert_int_equal(rig->tcp.port, 5000);
	assert_int_equal(forward_rig_try(true, (uint16_t)(port + 1)), 0);
	forward_rig_settle(rig);
	assert_int_equal(rig->tcp.port, 5001);
	assert_int_equal(forward_rig_try(true, (uint16_t)(port + 2)),
			 -ECONNREFUSED);
	assert_int_equal(forward_rig_try(false, (uint16_t)(port + 2)), 0);
	assert_int_equal(forward_rig_try(true, (uint16_t)(port + RANGE - 1)),
			 0);
	forward_rig_settle(rig);
	assert_int_equal(rig->tcp.port, 5000 + RANGE - 1);
	assert_string_equal(forward_rig_log(rig), "");
	assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);
	hostsock_close(rig->tcp.fd);
	rig->tcp.fd = -1;
	assert_int_equal(forward_rig_fds(), fds);
	hostsock_close(first);
	hostsock_close(third);
}

static void test_a_rule_that_names_its_port_comes_first(void **state)
{
	struct forward_rig *rig = *state;
	struct rule named = forward_rig_rule("127.0.0.1:1:80");
	struct rule r = some(RULE_TCP, forward_rig_free_port());

	named.host_port = named.host_port_end = r.host_port;
	forward_rig_add(rig, &named);
	forward_rig_add(rig, &r);
	assert_int_equal(forward_rig_try(true, r.host_port), 0);
	forward_rig_settle(rig);
	assert_int_equal(rig->tcp.port, 80);
	assert_int_equal(forward_rig_try(false, r.host_port), 0);
	forward_rig_settle(rig);
	assert_int_equal(rig->tcp.port, 5000);
}

static void test_datagrams_come_in_by_what_could_be_had(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	int first = bind_at("0.0.0.0", port, true);
	struct hostsock_source source = {.v4 = addr_from_v4(0)};
	struct hostsock_opts opts = {0}, set = {0};
	struct endpoint to = {addr_from_v4(INADDR_LOOPBACK),
			      (uint16_t)(port + 7)};
	unsigned fds = forward_rig_fds();
	struct rule r = some(RULE_UDP, port);
	const struct forward *f = forward_rig_add(rig, &r);
	int client;

	assert_int_equal(forward_rig_fds(), fds + 2 * RANGE - 1);
	client = hostsock_udp(&to.addr, 0, &source);
	assert_int_equal(hostsock_sendto(client, &to, &opts, &set, "x", 1), 1);
	forward_rig_settle(rig);
	assert_int_equal(rig->udp.received, 1);
	assert_int_equal(rig->udp.port, 5007);
	hostsock_close(client);
	assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);
	assert_int_equal(rig->udp.forgotten, 2 * RANGE - 1);
	hostsock_close(first);
}

static int open_unprivileged(struct forward_rig *rig)
{
	struct rule r = some(RULE_TCP, 1);
	const struct forward *f;
	unsigned fds = forward_rig_fds();

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 77;
	if (forward_rig_try(true, 1) == 0 ||
	    bind_at("127.0.0.1", 1, false) >= 0)
		return 77;
	/* that none at all could be had is no error either: "all" is several
	 * rules, and one of them may be of low ports alone */
	if (forward_add(rig->fs, &r, &f, &rig->why) != 0)
		return 1;
	return forward_rig_fds() == fds ? 0 : 2;
}

static void test_low_ports_are_done_without(void **state)
{
	forward_rig_apart(*state, open_unprivileged);
}

static int open_at_the_limit(struct forward_rig *rig)
{
	struct rlimit limit = {400, 400};
	struct rule r = some(RULE_TCP, 10000);
	const struct forward *f;
	const char *log;
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 77;
	setrlimit(RLIMIT_NOFILE, &limit);
	r.host_port_end = 20000;
	if (forward_add(rig->fs, &r, &f, &rig->why) != 0)
		return 1;
	fd = dup(0);
	if (fd != 200)
		return 2;
	log = forward_rig_log(rig);
	if (!strstr(log, " of 20002 ports: ") || !strstr(log, "ulimit -n"))
		return 3;
	/* both families have the same ports */
	if (bind_at("0.0.0.0", 10090, false) != -EADDRINUSE ||
	    bind_at("::", 10090, false) != -EADDRINUSE ||
	    bind_at("0.0.0.0", 10101, false) < 0 ||
	    bind_at("::", 10101, false) < 0)
		return 4;
	/* it can be taken back whole, and what is behind finds room */
	if (forward_remove(rig->fs, forward_id(f)) != 0)
		return 5;
	r.host_port_end = r.host_port;
	return forward_add(rig->fs, &r, &f, &rig->why) == 0 ? 0 : 6;
}

static void test_half_of_the_descriptors_stay_free(void **state)
{
	forward_rig_apart(*state, open_at_the_limit);
}

static void test_an_address_that_is_not_there_is_an_error(void **state)
{
	struct forward_rig *rig = *state;
	struct rule r = some(RULE_TCP, forward_rig_free_port());

	assert_int_equal(addr_parse("192.0.2.77", &r.host_addr), 0);
	r.families = RULE_IPV4;
	forward_rig_refused(rig, &r, -EADDRNOTAVAIL);
	assert_non_null(strstr(rig->why.text, "192.0.2.77"));
}

/* Of the addresses of lo, one. */
static void test_a_named_address_is_looked_for_on_its_interface(void **state)
{
	static const char *const there[] = {"127.0.0.1", "127.9.9.9", "::1"};
	struct forward_rig *rig = *state;
	struct rule r = forward_rig_rule("lo:1:80");
	struct endpoint bound[4];
	const struct forward *f;

	r.host_port = r.host_port_end = forward_rig_free_port();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(addr_parse(there[i], &r.host_addr), 0);
		r.families = addr_is_v4(&r.host_addr) ? RULE_IPV4 : RULE_IPV6;
		f = forward_rig_add(rig, &r);
		assert_int_equal(forward_bound(f, bound, 4), 1);
		assert_true(addr_equal(&bound[0].addr, &r.host_addr));
	}
	assert_int_equal(addr_parse("192.0.2.77", &r.host_addr), 0);
	r.families = RULE_IPV4;
	forward_rig_refused(rig, &r, -EADDRNOTAVAIL);
	assert_string_equal(rig->why.text,
			    "interface 'lo' does not have the address "
			    "192.0.2.77");
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, forward_rig_setup,               \
					forward_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ports_in_use_are_done_without),
		TEST(test_a_rule_that_names_its_port_comes_first),
		TEST(test_datagrams_come_in_by_what_could_be_had),
		TEST(test_low_ports_are_done_without),
		TEST(test_half_of_the_descriptors_stay_free),
		TEST(test_an_address_that_is_not_there_is_an_error),
		TEST(test_a_named_address_is_looked_for_on_its_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
