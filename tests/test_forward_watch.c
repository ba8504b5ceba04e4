#include "tests/forward_rig.h"

#include "port/follow.h"

#include <stdio.h>

static struct rule following(const char *text, uint16_t port)
{
	struct rule r = forward_rig_rule(text);

	r.host_port = r.host_port_end = port;
	r.follow = true;
	return r;
}

static void listens(struct forward_rig *rig, enum sockdiag_proto proto, bool v4,
		    uint16_t port, bool does)
{
	fake_sockdiag_set(&rig->diag, proto, v4, port,
			  does ? SOCKDIAG_LISTENS : SOCKDIAG_NOBODY);
}

static void on_loopback(struct forward_rig *rig, enum sockdiag_proto proto,
			bool v4, uint16_t port)
{
	fake_sockdiag_set(&rig->diag, proto, v4, port, SOCKDIAG_LOOPBACK);
}

static void look(struct forward_rig *rig)
{
	forward_rig_pass(rig, FOLLOW_PERIOD);
}

/* Which host families let TCP clients in? */
static void assert_open(uint16_t port, bool v4, bool v6)
{
	assert_int_equal(forward_rig_try(true, port), v4 ? 0 : -ECONNREFUSED);
	assert_int_equal(forward_rig_try(false, port), v6 ? 0 : -ECONNREFUSED);
}

static bool is_taken(bool v4, uint16_t port, bool udp)
{
	struct endpoint at = {v4 ? addr_from_v4(0) : in6addr_any, port};
	int fd = hostsock_bind(&at, udp);

	hostsock_close(fd);
	return fd == -EADDRINUSE;
}

static void
test_tcp_is_open_family_by_family_while_the_container_listens(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);

	forward_rig_add(rig, &r);
	assert_open(port, false, false);
	listens(rig, SOCKDIAG_TCP, true, 80, true);
	assert_open(port, false, false);
	look(rig);
	assert_open(port, true, false);
	listens(rig, SOCKDIAG_TCP, false, 80, true);
	look(rig);
	assert_open(port, true, true);
	listens(rig, SOCKDIAG_TCP, true, 80, false);
	look(rig);
	assert_open(port, false, true);
	listens(rig, SOCKDIAG_TCP, false, 80, false);
	look(rig);
	assert_open(port, false, false);
	/* what the container does for UDP, or on another port, is no matter */
	listens(rig, SOCKDIAG_UDP, true, 80, true);
	listens(rig, SOCKDIAG_TCP, true, 81, true);
	look(rig);
	assert_open(port, false, false);
	assert_string_equal(forward_rig_log(rig), "");
}

static void test_a_port_that_is_closed_for_clients_is_held(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);

	forward_rig_add(rig, &r);
	for (int i = 0; i < 3; i++) {
		assert_true(is_taken(true, port, false));
		assert_true(is_taken(false, port, false));
		forward_rig_refused(rig, &r, -EADDRINUSE);
		listens(rig, SOCKDIAG_TCP, true, 80, i == 0);
		look(rig);
	}
}

static void test_who_listens_before_the_rule_is_found_with_it(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);

	listens(rig, SOCKDIAG_TCP, false, 80, true);
	forward_rig_add(rig, &r);
	assert_open(port, false, true);
	r = following("1:53/udp", port);
	listens(rig, SOCKDIAG_UDP, true, 53, true);
	forward_rig_add(rig, &r);
	assert_true(is_taken(true, port, true));
	assert_false(is_taken(false, port, true));
}

static void test_each_port_of_a_range_follows_its_own(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:8000", port);

	r.host_port_end = (uint16_t)(port + 2);
	forward_rig_add(rig, &r);
	listens(rig, SOCKDIAG_TCP, true, 8001, true);
	look(rig);
	assert_open(port, false, false);
	assert_open((uint16_t)(port + 1), true, false);
	assert_open((uint16_t)(port + 2), false, false);
}

static void test_udp_is_closed_and_opened_and_its_flows_end(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:53/udp", port);

	forward_rig_add(rig, &r);
	for (int i = 0; i < 3; i++) {
		unsigned forgotten = rig->udp.forgotten;

		assert_false(is_taken(true, port, true));
		assert_false(is_taken(false, port, true));
		listens(rig, SOCKDIAG_UDP, true, 53, true);
		look(rig);
		assert_true(is_taken(true, port, true));
		assert_false(is_taken(false, port, true));
		listens(rig, SOCKDIAG_UDP, true, 53, false);
		look(rig);
		assert_int_equal(rig->udp.forgotten, forgotten + 1);
	}
}

/* As nc(1) does it: its first client gets all of its attention. */
static void test_a_service_that_connects_to_its_client_keeps_it(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:53/udp", port);
	const struct forward *f = forward_rig_add(rig, &r);
	unsigned forgotten = rig->udp.forgotten;

	fake_sockdiag_set(&rig->diag, SOCKDIAG_UDP, true, 53, SOCKDIAG_TALKS);
	look(rig);
	assert_false(is_taken(true, port, true));
	listens(rig, SOCKDIAG_UDP, true, 53, true);
	look(rig);
	fake_sockdiag_set(&rig->diag, SOCKDIAG_UDP, true, 53, SOCKDIAG_TALKS);
	look(rig);
	assert_true(is_taken(true, port, true));
	assert_int_equal(rig->udp.forgotten, forgotten);
	forward_look(rig->fs);
	assert_null(forward_note(f));
	listens(rig, SOCKDIAG_UDP, true, 53, false);
	look(rig);
	assert_false(is_taken(true, port, true));
}

static void test_a_conflict_is_told_when_the_rule_is_added(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct endpoint at = {in6addr_any, port};

	for (int udp = 0; udp < 2; udp++) {
		struct rule r = following(udp ? "1:80/udp" : "1:80", port);
		int fd = hostsock_bind(&at, udp);

		forward_rig_refused(rig, &r, -EADDRINUSE);
		assert_non_null(strstr(rig->why.text, "address in use: [::]:"));
		hostsock_close(fd);
		assert_int_equal(loop_timers(rig->loop), 0);
	}
}

static void test_a_port_that_somebody_took_meanwhile_is_told_once(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:53/udp", port);
	struct endpoint at = {addr_from_v4(0), port};
	char text[128];
	int fd;

	snprintf(text, sizeof(text),
		 "tapir: cannot follow the container: address in use: "
		 "0.0.0.0:%u (udp)\n",
		 (unsigned)port);
	forward_rig_add(rig, &r);
	for (int i = 0; i < 2; i++) {
		fd = hostsock_bind(&at, true);
		assert_true(fd >= 0);
		listens(rig, SOCKDIAG_UDP, true, 53, true);
		look(rig);
		assert_string_equal(forward_rig_log(rig), text);
		look(rig);
		look(rig);
		assert_string_equal(forward_rig_log(rig), "");
		hostsock_close(fd);
		look(rig);
		assert_true(is_taken(true, port, true));
		listens(rig, SOCKDIAG_UDP, true, 53, false);
		look(rig);
		assert_string_equal(forward_rig_log(rig), "");
	}
}

/* Clients of that family are led to the address of the other. */
static void test_without_an_address_of_the_family_the_other_counts(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);
	const struct forward *f;

	rig->guest.has6 = false;
	f = forward_rig_add(rig, &r);
	listens(rig, SOCKDIAG_TCP, false, 80, true);
	look(rig);
	assert_open(port, false, false);
	listens(rig, SOCKDIAG_TCP, true, 80, true);
	look(rig);
	assert_open(port, true, true);
	rig->guest.has4 = false;
	look(rig);
	assert_open(port, false, false);
	assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);

	addr_parse("fd00::77", &r.guest_addr);
	listens(rig, SOCKDIAG_TCP, true, 80, false);
	forward_rig_add(rig, &r);
	assert_open(port, true, true);
	listens(rig, SOCKDIAG_TCP, false, 80, false);
	listens(rig, SOCKDIAG_TCP, true, 80, true);
	look(rig);
	assert_open(port, false, false);
}

static void test_nobody_looks_unless_a_rule_follows(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);
	const struct forward *f;

	r.follow = false;
	f = forward_rig_add(rig, &r);
	assert_open(port, true, true);
	forward_rig_pass(rig, 10 * NSEC_PER_SEC);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 0);
	assert_int_equal(loop_timers(rig->loop), 0);
	assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);
	r.follow = true;
	f = forward_rig_add(rig, &r);
	assert_int_equal(loop_timers(rig->loop), 1);
	look(rig);
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 2);
	assert_int_equal(rig->diag.looks[SOCKDIAG_UDP], 0);
	assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);
	assert_int_equal(loop_timers(rig->loop), 0);
}

static void test_a_look_that_fails_changes_nothing(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);

	listens(rig, SOCKDIAG_TCP, true, 80, true);
	rig->diag.err = ENOENT;
	forward_rig_refused(rig, &r, -ENOENT);
	assert_string_equal(rig->why.text,
			    "following is not possible: the fake said so");
	assert_int_equal(loop_timers(rig->loop), 0);
	rig->diag.err = 0;
	/* what was refused has had no id */
	assert_int_equal(forward_id(forward_rig_add(rig, &r)), 1);
	rig->diag.err = EIO;
	listens(rig, SOCKDIAG_TCP, true, 80, false);
	look(rig);
	assert_open(port, true, false);
	rig->diag.err = 0;
	look(rig);
	assert_open(port, false, false);
}

static void test_without_sock_diag_a_rule_that_follows_is_refused(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);
	const struct forward *f;

	rig->deps.diag = NULL;
	forward_rig_restart(rig);
	forward_rig_refused(rig, &r, -EOPNOTSUPP);
	assert_non_null(strstr(rig->why.text, "following is not possible"));
	r = following("1:80/udp", port);
	forward_rig_refused(rig, &r, -EOPNOTSUPP);
	r = following("1:80", port);
	r.follow = false;
	f = forward_rig_add(rig, &r);
	forward_look(rig->fs);
	assert_null(forward_note(f));
	rig->tcp.unanswered = true;
	assert_open(port, true, true);
	forward_rig_settle(rig);
	assert_int_equal(rig->tcp.opened, 2);
	assert_string_equal(forward_rig_log(rig), "");
}

static const char remedy[] =
	", inside the container, where a tap cannot reach it: let it listen on "
	"0.0.0.0 or [::]";

static void
test_a_service_on_loopback_is_said_once_with_the_remedy(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);
	char text[512];

	r.follow = false;
	rig->tcp.unanswered = true;
	forward_rig_add(rig, &r);
	on_loopback(rig, SOCKDIAG_TCP, true, 80);
	assert_open(port, true, true);
	forward_rig_settle(rig);
	snprintf(text, sizeof(text),
		 "tapir: tcp 0.0.0.0:%u and [::]:%u -> port 80: the service on "
		 "port 80 listens on 127.0.0.1 only%s\n",
		 (unsigned)port, (unsigned)port, remedy);
	assert_string_equal(forward_rig_log(rig), text);
	for (int i = 0; i < 3; i++) {
		forward_rig_pass(rig, 10 * NSEC_PER_SEC);
		assert_open(port, true, true);
		forward_rig_settle(rig);
		assert_string_equal(forward_rig_log(rig), "");
	}
	assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], 1);
}

static void
test_for_clients_that_nobody_answers_a_look_a_second_will_do(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);

	r.follow = false;
	rig->tcp.unanswered = true;
	forward_rig_add(rig, &r);
	for (unsigned i = 1; i < 4; i++) {
		for (int n = 0; n < 10; n++)
			assert_open(port, true, true);
		forward_rig_settle(rig);
		assert_int_equal(rig->tcp.opened, i * 20);
		assert_int_equal(rig->diag.looks[SOCKDIAG_TCP], i);
		forward_rig_pass(rig, NSEC_PER_SEC);
	}
	/* that nothing listens at all is no news for a log */
	assert_string_equal(forward_rig_log(rig), "");
}

static void test_a_closed_port_of_a_rule_that_follows_is_explained(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);

	forward_rig_add(rig, &r);
	on_loopback(rig, SOCKDIAG_TCP, false, 80);
	listens(rig, SOCKDIAG_TCP, true, 80, true);
	look(rig);
	assert_open(port, true, false);
	assert_string_equal(forward_rig_log(rig), "");
	listens(rig, SOCKDIAG_TCP, true, 80, false);
	look(rig);
	assert_open(port, false, false);
	assert_non_null(strstr(forward_rig_log(rig), "listens on ::1 only"));
	look(rig);
	assert_string_equal(forward_rig_log(rig), "");
}

static const char *note(struct forward_rig *rig, const struct forward *f)
{
	forward_look(rig->fs);
	return forward_note(f);
}

static void test_notes_tell_what_keeps_clients_out(void **state)
{
	struct forward_rig *rig = *state;
	struct rule r = forward_rig_rule("127.0.0.1:0:80");
	const struct forward *f = forward_rig_add(rig, &r);
	char text[256];

	assert_string_equal(note(rig, f),
			    "nothing listens on port 80 inside the container");
	on_loopback(rig, SOCKDIAG_TCP, true, 80);
	on_loopback(rig, SOCKDIAG_TCP, false, 80);
	snprintf(text, sizeof(text),
		 "the service on port 80 listens on 127.0.0.1 and ::1 only%s",
		 remedy);
	assert_string_equal(note(rig, f), text);
	rig->guest.has6 = false;
	assert_string_equal(note(rig, f), text);
	listens(rig, SOCKDIAG_TCP, false, 80, true);
	assert_non_null(strstr(note(rig, f), "on 127.0.0.1 only"));
	rig->guest.has6 = true;
	assert_null(note(rig, f));
	listens(rig, SOCKDIAG_TCP, true, 80, true);
	assert_null(note(rig, f));
	assert_int_equal(rig->diag.looks[SOCKDIAG_UDP], 0);
}

static void test_nothing_is_noted_that_could_not_be_seen(void **state)
{
	struct forward_rig *rig = *state;
	struct rule r = forward_rig_rule("127.0.0.1:0:53/udp");
	const struct forward *f = forward_rig_add(rig, &r);

	rig->diag.err = ENOENT;
	assert_null(note(rig, f));
	rig->diag.err = 0;
	assert_non_null(note(rig, f));
	rig->diag.err = ENOENT;
	assert_null(note(rig, f));
}

static void test_a_container_without_an_address_is_noted(void **state)
{
	struct forward_rig *rig = *state;
	struct rule r = forward_rig_rule("127.0.0.1:0:80");
	const struct forward *f = forward_rig_add(rig, &r);

	listens(rig, SOCKDIAG_TCP, true, 80, true);
	rig->guest.has4 = rig->guest.has6 = false;
	assert_non_null(strstr(note(rig, f), "has no address"));
	rig->guest.has4 = true;
	assert_null(note(rig, f));
}

static void test_a_range_is_noted_for_its_first_obstacle(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:8000/udp", port);
	const struct forward *f;

	r.follow = false;
	r.host_port_end = (uint16_t)(port + 2);
	f = forward_rig_add(rig, &r);
	assert_string_equal(note(rig, f),
			    "nothing listens on any of the ports 8000-8002 "
			    "inside the container");
	listens(rig, SOCKDIAG_UDP, true, 8001, true);
	assert_null(note(rig, f));
	on_loopback(rig, SOCKDIAG_UDP, true, 8002);
	assert_non_null(strstr(note(rig, f), "port 8002 listens on 127.0.0.1"));
}

static void test_many_rules_come_and_go_while_one_follows(void **state)
{
	struct forward_rig *rig = *state;
	uint16_t port = forward_rig_free_port();
	struct rule r = following("1:80", port);
	unsigned fds;

	forward_rig_add(rig, &r);
	listens(rig, SOCKDIAG_TCP, true, 80, true);
	r = forward_rig_rule("0:80");
	r.follow = true;
	fds = forward_rig_fds();
	for (int i = 0; i < 1000; i++) {
		const struct forward *f = forward_rig_add(rig, &r);

		if (i % 10 == 0)
			assert_open(forward_rule(f)->host_port, true, false);
		assert_int_equal(forward_remove(rig->fs, forward_id(f)), 0);
	}
	assert_int_equal(forward_rig_fds(), fds);
	assert_int_equal(loop_timers(rig->loop), 1);
	assert_open(port, true, false);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, forward_rig_setup,               \
					forward_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tcp_is_open_family_by_family_while_the_container_listens),
		TEST(test_a_port_that_is_closed_for_clients_is_held),
		TEST(test_who_listens_before_the_rule_is_found_with_it),
		TEST(test_each_port_of_a_range_follows_its_own),
		TEST(test_udp_is_closed_and_opened_and_its_flows_end),
		TEST(test_a_service_that_connects_to_its_client_keeps_it),
		TEST(test_a_conflict_is_told_when_the_rule_is_added),
		TEST(test_a_port_that_somebody_took_meanwhile_is_told_once),
		TEST(test_without_an_address_of_the_family_the_other_counts),
		TEST(test_nobody_looks_unless_a_rule_follows),
		TEST(test_a_look_that_fails_changes_nothing),
		TEST(test_without_sock_diag_a_rule_that_follows_is_refused),
		TEST(test_a_service_on_loopback_is_said_once_with_the_remedy),
		TEST(test_for_clients_that_nobody_answers_a_look_a_second_will_do),
		TEST(test_a_closed_port_of_a_rule_that_follows_is_explained),
		TEST(test_notes_tell_what_keeps_clients_out),
		TEST(test_nothing_is_noted_that_could_not_be_seen),
		TEST(test_a_container_without_an_address_is_noted),
		TEST(test_a_range_is_noted_for_its_first_obstacle),
		TEST(test_many_rules_come_and_go_while_one_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
