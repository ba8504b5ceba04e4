#include "tests/forward_rig.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

/* As forward_rig_rule(), with @port in place of host port 1, and so on. */
static struct rule rule_of(const char *text, uint16_t port)
{
	struct rule r = forward_rig_rule(text);

	if (r.host_port > 0) {
		r.host_port = (uint16_t)(r.host_port + port - 1);
		r.host_port_end = (uint16_t)(r.host_port_end + port - 1);
	}
	return r;
}

static struct in6_addr addr(const char *text)
{
	struct in6_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static int bind_at(const char *text, uint16_t port, bool udp)
{
	struct endpoint at = {addr(text), port};

	return hostsock_bind(&at, udp);
}

static void test_without_an_address_both_families_lead_in(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = rule_of("1:80", port);
	const struct forward *f = forward_rig_add(rig, &r);
	struct endpoint bound[4];

	for (int v4 = 0; v4 < 2; v4++) {
		struct endpoint own;
		int client = forward_rig_connect(v4, port);

		assert_true(client >= 0);
		forward_rig_settle(rig);
		assert_int_equal(hostsock_local(client, &own), 0);
		assert_true(endpoint_equal(&own, &rig->tcp.client));
		assert_int_equal(rig->tcp.port, 80);
		assert_true(addr_is_unspecified(&rig->tcp.target->addr));
		hostsock_close(client);
	}
	assert_int_equal(rig->tcp.opened, 2);
	assert_int_equal(forward_bound(f, bound, 4), 2);
	assert_true(addr_is_v4(&bound[0].addr));
	assert_true(addr_is_unspecified(&bound[1].addr));
	assert_int_equal(bound[1].port, port);
	assert_int_equal(forward_bound(f, bound, 1), 2);
	assert_int_equal(forward_rule(f)->families, RULE_IPV4 | RULE_IPV6);
}

/* The API's 0.0.0.0 with proto tcp: the address of the rule does not matter. */
static void test_either_unspecified_address_is_every_one(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = rule_of("1:80", port);

	r.host_addr = addr_from_v4(0);
	forward_rig_add(rig, &r);
	assert_int_equal(forward_rig_try(true, port), 0);
	assert_int_equal(forward_rig_try(false, port), 0);
}

static void test_one_family_or_address_leaves_the_others_refused(void **state)
{
	static const struct {
		const char *form;
		int v4, v6;
	} rules[] = {
		{"1:80/tcp4", 0, -ECONNREFUSED},
		{"1:80/tcp6", -ECONNREFUSED, 0},
		{"0.0.0.0:1:80", 0, -ECONNREFUSED},
		{"[::]:1:80", -ECONNREFUSED, 0},
		{"127.0.0.1:1:80", 0, -ECONNREFUSED},
		{"127.0.0.2:1:80", -ECONNREFUSED, -ECONNREFUSED},
		{"[::1]:1:80", -ECONNREFUSED, 0},
		{"lo:1:80", 0, 0},
		{"lo:1:80/tcp4", 0, -ECONNREFUSED},
		{"lo:1:80/tcp6", -ECONNREFUSED, 0},
	};
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct rule r = rule_of(rules[i].form, port);
		const struct forward *f = forward_rig_add(rig, &r);

		assert_int_equal(forward_rig_try(true, port), rules[i].v4);
		assert_int_equal(forward_rig_try(false, port), rules[i].v6);
		assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);
		assert_int_equal(forward_rig_try(true, port), -ECONNREFUSED);
		assert_int_equal(forward_rig_try(false, port), -ECONNREFUSED);
	}
}

static void test_a_range_leads_port_by_port(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = rule_of("127.0.0.1:1-3:5000", port);
	unsigned opened = 0;

	forward_rig_add(rig, &r);
	for (int i = 2; i >= 0; i--) {
		assert_int_equal(forward_rig_try(true, (uint16_t)(port + i)),
				 0);
		forward_rig_settle(rig);
		assert_int_equal(rig->tcp.opened, ++opened);
		assert_int_equal(rig->tcp.port, 5000 + i);
	}
	assert_int_equal(forward_rig_try(true, (uint16_t)(port + 3)),
			 -ECONNREFUSED);
}

static void test_port_0_picks_one_for_both_families_and_tells_it(void **state)
{
	struct forward_rig *rig = *state;

	for (int i = 0; i < 50; i++) {
		struct rule r = forward_rig_rule(i % 2 ? "0:80" : "0:80/udp");
		const struct forward *f = forward_rig_add(rig, &r);
		const struct rule *as_is = forward_rule(f);
		struct endpoint bound[2];

		assert_int_not_equal(as_is->host_port, 0);
		assert_int_equal(as_is->host_port_end, as_is->host_port);
		assert_int_equal(forward_bound(f, bound, 2), 2);
		assert_int_equal(bound[0].port, as_is->host_port);
		assert_int_equal(bound[1].port, as_is->host_port);
		if (i % 2 == 0)
			continue;
		assert_int_equal(forward_rig_try(true, as_is->host_port), 0);
		assert_int_equal(forward_rig_try(false, as_is->host_port), 0);
	}
}

static void test_all_is_bound_or_nothing_and_the_obstacle_is_named(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	static const char *const obstacles[] = {"0.0.0.0", "::", "127.0.0.5",
						"::1"};
	char text[128];

	for (int i = 0; i < 8; i++) {
		bool udp = i / 4;
		struct rule r = rule_of(udp ? "1:80/udp" : "1:80", port);
		int fd = bind_at(obstacles[i % 4], port, udp);

		assert_true(fd >= 0);
		forward_rig_refused(rig, &r, -EADDRINUSE);
		snprintf(text, sizeof(text), "address in use: %s:%u (%s)",
			 i % 2 ? "[::]" : "0.0.0.0", (unsigned)port,
			 udp ? "udp" : "tcp");
		assert_string_equal(rig->why.text, text);
		hostsock_close(fd);
		forward_rig_free_port();
	}
	assert_null(forward_next(rig->fs, NULL));
}

static void test_a_range_with_a_taken_port_is_not_bound_at_all(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = rule_of("1-3:5000", port);
	char text[128];
	int fd = bind_at("::", (uint16_t)(port + 1), false);

	forward_rig_refused(rig, &r, -EADDRINUSE);
	snprintf(text, sizeof(text), "address in use: [::]:%u (tcp)", port + 1);
	assert_string_equal(rig->why.text, text);
	hostsock_close(fd);
	for (int i = 0; i < 3; i++)
		assert_int_equal(forward_rig_try(i % 2, (uint16_t)(port + i)),
				 -ECONNREFUSED);
	forward_rig_add(rig, &r);
}

static void test_two_rules_for_one_port_are_a_conflict(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule tcp = rule_of("1:80", port);
	struct rule udp = rule_of("1:80/udp", port);
	const struct forward *f = forward_rig_add(rig, &tcp);

	forward_rig_refused(rig, &tcp, -EADDRINUSE);
	forward_rig_add(rig, &udp);
	forward_rig_refused(rig, &udp, -EADDRINUSE);
	assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);
	forward_rig_add(rig, &tcp);
}

static void test_what_the_container_sends_from_gives_way(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule tcp = rule_of("1:80/tcp4", port);
	struct rule udp = rule_of("1:80/udp4", port);
	struct endpoint local = {addr_from_v4(INADDR_ANY), port};

	rig->udp.held_fd = hostsock_bind(&local, false);
	assert_true(rig->udp.held_fd >= 0);
	forward_rig_refused(rig, &tcp, -EADDRINUSE);
	hostsock_close(rig->udp.held_fd);
	rig->udp.held_fd = hostsock_bind(&local, true);
	assert_true(rig->udp.held_fd >= 0);
	forward_rig_add(rig, &udp);
	assert_int_equal(rig->udp.held_fd, -1);
	forward_rig_refused(rig, &udp, -EADDRINUSE);
}

static void test_what_the_host_has_not_is_said(void **state)
{
	struct forward_rig *rig = *state;
	struct rule r = forward_rig_rule("192.0.2.7:4711:80");

	forward_rig_refused(rig, &r, -EADDRNOTAVAIL);
	assert_string_equal(
		rig->why.text,
		"no such address on this host: 192.0.2.7:4711 (tcp)");
	r = forward_rig_rule("[2001:db8::7]:4711:80/udp");
	forward_rig_refused(rig, &r, -EADDRNOTAVAIL);
	assert_string_equal(
		rig->why.text,
		"no such address on this host: [2001:db8::7]:4711 (udp)");
	r = forward_rig_rule("no-such-link:4711:80");
	forward_rig_refused(rig, &r, -ENODEV);
	assert_non_null(strstr(rig->why.text, "'no-such-link'"));
	r.host_port = 0;
	forward_rig_refused(rig, &r, -EINVAL);
}

/* From now on this process has no such address family. */
static int take_family(int family)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)family, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* On a kernel without IPv6, or without IPv4, resp. */
static int publish_with_one_family(struct forward_rig *rig, bool v4)
{
	static const char *const forms[] = {"1:80", "1:80/udp", "0:80",
					    "0:80/udp", "1-3:5000"};
	uint16_t port = forward_rig_free_port();
	struct endpoint bound[2];
	const struct forward *f;
	struct rule r;

	if (take_family(v4 ? AF_INET6 : AF_INET) < 0)
		return 77;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		r = rule_of(forms[i], port);
		r.best_effort = i == 4;
		if (forward_add(rig->fs, &r, &f, &rig->why) < 0)
			return 1;
		if (forward_rule(f)->families != (v4 ? RULE_IPV4 : RULE_IPV6) ||
		    forward_bound(f, bound, 2) != 1 ||
		    addr_is_v4(&bound[0].addr) != v4)
			return 2;
		if (i == 0 && forward_rig_try(v4, port) != 0)
			return 3;
		if (forward_remove(rig->fs, forward_id(f)) != 0)
			return 4;
	}
	/* it is missed if it was asked for */
	r = rule_of(v4 ? "1:80/tcp6" : "1:80/tcp4", port);
	if (forward_add(rig->fs, &r, &f, &rig->why) != -EAFNOSUPPORT ||
	    !strstr(rig->why.text, "the kernel has no IPv"))
		return 5;
	r = rule_of(v4 ? "[::1]:1:80" : "127.0.0.1:1:80", port);
	return forward_add(rig->fs, &r, &f, &rig->why) == -EAFNOSUPPORT ? 0 : 6;
}

static int publish_without_ipv6(struct forward_rig *rig)
{
	return publish_with_one_family(rig, true);
}

static int publish_without_ipv4(struct forward_rig *rig)
{
	return publish_with_one_family(rig, false);
}

static void test_a_family_that_the_kernel_lacks_is_left_out(void **state)
{
	forward_rig_apart(*state, publish_without_ipv6);
	forward_rig_apart(*state, publish_without_ipv4);
}

static int publish_unprivileged(struct forward_rig *rig)
{
	struct rule r = forward_rig_rule("127.0.0.1:9:80");
	const struct forward *f;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 77;
	if (forward_add(rig->fs, &r, &f, &rig->why) == 0)
		return 77;
	return strncmp(rig->why.text, "not allowed: 127.0.0.1:9 (tcp): ports",
		       37) == 0 &&
			       strstr(rig->why.text,
				      "net.ipv4.ip_unprivileged_port_start=9")
		       ? 0
		       : 1;
}

static void test_a_low_port_is_refused_with_what_helps(void **state)
{
	forward_rig_apart(*state, publish_unprivileged);
}

static nsec_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static int publish_at_the_limit(struct forward_rig *rig)
{
	struct rlimit limit = {1024, 1024};
	struct rule r = rule_of("1-3:5000", forward_rig_free_port());
	const struct forward *f;
	unsigned fds = forward_rig_fds();
	int taken = bind_at("0.0.0.0", r.host_port, false);

	setrlimit(RLIMIT_NOFILE, &limit);
	r.host_port_end = (uint16_t)(r.host_port + 9999);
	/* else it would meet that its first port is in use */
	if (taken < 0 || forward_add(rig->fs, &r, &f, &rig->why) != -EMFILE)
		return 1;
	hostsock_close(taken);
	if (forward_rig_fds() != fds)
		return 2;
	if (!strstr(rig->why.text, "needs 20000 descriptors") ||
	    !strstr(rig->why.text, "RLIMIT_NOFILE (ulimit -n) allows 1024") ||
	    !strstr(rig->why.text, "are in use and 64 are kept"))
		return 3;
	/* a rule for what there is room for, then one too many */
	r.host_port_end = (uint16_t)(r.host_port + 399);
	if (forward_add(rig->fs, &r, &f, &rig->why) != 0)
		return 4;
	r.host_port = (uint16_t)(r.host_port + 1000);
	r.host_port_end = (uint16_t)(r.host_port + 99);
	if (forward_add(rig->fs, &r, &f, &rig->why) != -EMFILE)
		return 5;
	if (!strstr(rig->why.text, "needs 200 descriptors"))
		return 6;
	return forward_rig_fds() == fds + 800 ? 0 : 7;
}

static void
test_what_exceeds_the_descriptors_fails_before_a_port_is_opened(void **state)
{
	forward_rig_apart(*state, publish_at_the_limit);
}

static void test_ten_thousand_ports_are_one_rule(void **state)
{
	struct forward_rig *rig = *state;
	struct rlimit before, limit;
	struct rule r = forward_rig_rule("127.0.0.1:20001-30000:1");
	const struct forward *f;
	nsec_t start, middle, end;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	if (before.rlim_max < 10200)
		skip();
	limit = (struct rlimit){before.rlim_max, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	start = clock_now();
	if (forward_add(rig->fs, &r, &f, &rig->why) == -EADDRINUSE) {
		setrlimit(RLIMIT_NOFILE, &before);
		skip();
	}
	middle = clock_now();
	assert_int_equal(forward_rig_try(true, 20001), 0);
	forward_rig_settle(rig);
	assert_int_equal(rig->tcp.port, 1);
	assert_int_equal(forward_rig_try(true, 30000), 0);
	forward_rig_settle(rig);
	assert_int_equal(rig->tcp.port, 10000);
	end = clock_now();
	assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);
	print_message("10,000 ports: %lld us to add, %lld us to remove\n",
		      (long long)(middle - start) / 1000,
		      (long long)(clock_now() - end) / 1000);
	setrlimit(RLIMIT_NOFILE, &before);
}

static void test_ten_thousand_rules_come_and_go(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = rule_of("1:80", port);
	unsigned fds = forward_rig_fds(), id = 0;
	nsec_t start = clock_now();

	for (int i = 0; i < 10000; i++) {
		const struct forward *f = forward_rig_add(rig, &r);

		assert_true(forward_id(f) > id);
		id = forward_id(f);
		assert_int_equal(forward_remove(rig->fs, id), 0);
	}
	print_message("one rule: %lld ns to add and remove\n",
		      (long long)(clock_now() - start) / 10000);
	assert_int_equal(forward_rig_fds(), fds);
	assert_int_equal(forward_remove(rig->fs, id), -ENOENT);
	assert_null(forward_next(rig->fs, NULL));
}

static void test_rules_are_listed_by_id_and_found_by_it(void **state)
{
	struct forward_rig *rig = *state;
	struct rule r = forward_rig_rule("127.0.0.1:0:80");
	const struct forward *f = NULL;
	unsigned ids[100], seen = 0;

	for (int i = 0; i < 100; i++) {
		ids[i] = forward_id(forward_rig_add(rig, &r));
		assert_int_equal(ids[i], i + 1);
	}
	for (int i = 0; i < 100; i += 3)
		assert_int_equal(forward_remove(rig->fs, ids[i]), 0);
	assert_int_equal(forward_remove(rig->fs, ids[3]), -ENOENT);
	assert_int_equal(forward_remove(rig->fs, 0), -ENOENT);
	assert_int_equal(forward_remove(rig->fs, 101), -ENOENT);
	for (unsigned i = 1; (f = forward_next(rig->fs, f)); seen++, i++) {
		i += (i - 1) % 3 == 0;
		assert_int_equal(forward_id(f), i);
	}
	assert_int_equal(seen, 66);
	assert_int_equal(forward_id(forward_rig_add(rig, &r)), 101);
}

static void test_removing_a_rule_keeps_its_connections(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = rule_of("1:80", port);
	const struct forward *f = forward_rig_add(rig, &r);
	int client = forward_rig_connect(true, port);
	struct iovec iov = {(char[]){'x'}, 1};
	struct target *t;
	char byte = 0;

	forward_rig_settle(rig);
	t = target_ref(rig->tcp.target);
	assert_non_null(t->unanswered);
	assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);
	assert_null(t->unanswered);
	target_failed(t, true, 80);
	target_put(t);
	assert_int_equal(hostsock_send(rig->tcp.fd, &iov, 1), 1);
	iov.iov_base = &byte;
	assert_int_equal(hostsock_recv(client, &iov, 1), 1);
	assert_int_equal(byte, 'x');
	/* and the port can be had again, while it stands */
	forward_rig_add(rig, &r);
	hostsock_close(client);
}

static void
test_datagrams_go_in_and_answers_come_from_where_they_went(void **state)
{
	struct forward_rig *rig = *state;
	struct hostsock_source source = {.v4 = addr_from_v4(0)};
	uint16_t port = forward_rig_free_port();
	struct rule r = rule_of("1:53/udp", port);
	const struct forward *f = forward_rig_add(rig, &r);

	for (int v4 = 0; v4 < 2; v4++) {
		struct endpoint to = {addr(v4 ? "127.0.0.9" : "::1"), port};
		struct hostsock_opts want = {0}, set = {0};
		struct endpoint from;
		char buf[8];
		int client = hostsock_udp(&to.addr, 0, &source);

		assert_int_equal(
			hostsock_sendto(client, &to, &want, &set, "abc", 3), 3);
		forward_rig_settle(rig);
		assert_true(endpoint_equal(&rig->udp.local, &to));
		assert_int_equal(rig->udp.port, 53);
		assert_int_equal(rig->udp.len, 3);
		assert_int_equal(
			hostsock_recvfrom(client, &from, buf, sizeof(buf)), 3);
		assert_true(endpoint_equal(&from, &to));
		hostsock_close(client);
	}
	assert_int_equal(rig->udp.forgotten, 0);
	assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);
	assert_int_equal(rig->udp.forgotten, 2);
}

static void test_where_a_rule_leads_is_told(void **state)
{
	struct forward_rig *rig = *state;
	struct rule r = forward_rig_rule("127.0.0.1:0:80");
	const struct forward *f = forward_rig_add(rig, &r);
	struct in6_addr a = forward_guest(f);

	assert_true(addr_equal(&a, &rig->guest.plan.guest4));
	rig->guest.has4 = false;
	a = forward_guest(f);
	assert_true(addr_equal(&a, &rig->guest.plan.guest6));
	rig->guest.has6 = false;
	a = forward_guest(f);
	assert_true(addr_is_unspecified(&a));
	r.guest_addr = addr("10.0.2.77");
	a = forward_guest(forward_rig_add(rig, &r));
	assert_true(addr_equal(&a, &r.guest_addr));
	r.guest_addr = addr("127.0.0.1");
	forward_rig_refused(rig, &r, -EINVAL);
	/* where the stack could not lead it */
	r.guest_addr = addr("192.0.2.7");
	forward_rig_refused(rig, &r, -EINVAL);
	assert_non_null(strstr(rig->why.text, "192.0.2.7"));
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, forward_rig_setup,               \
					forward_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_an_address_both_families_lead_in),
		TEST(test_either_unspecified_address_is_every_one),
		TEST(test_one_family_or_address_leaves_the_others_refused),
		TEST(test_a_range_leads_port_by_port),
		TEST(test_port_0_picks_one_for_both_families_and_tells_it),
		TEST(test_all_is_bound_or_nothing_and_the_obstacle_is_named),
		TEST(test_a_range_with_a_taken_port_is_not_bound_at_all),
		TEST(test_two_rules_for_one_port_are_a_conflict),
		TEST(test_what_the_container_sends_from_gives_way),
		TEST(test_what_the_host_has_not_is_said),
		TEST(test_a_family_that_the_kernel_lacks_is_left_out),
		TEST(test_a_low_port_is_refused_with_what_helps),
		TEST(test_what_exceeds_the_descriptors_fails_before_a_port_is_opened),
		TEST(test_ten_thousand_ports_are_one_rule),
		TEST(test_ten_thousand_rules_come_and_go),
		TEST(test_rules_are_listed_by_id_and_found_by_it),
		TEST(test_removing_a_rule_keeps_its_connections),
		TEST(test_datagrams_go_in_and_answers_come_from_where_they_went),
		TEST(test_where_a_rule_leads_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
