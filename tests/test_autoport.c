#include "port/autoport.h"

#include "port/follow.h"
#include "tests/fake_forward.h"
#include "tests/fake_guestaddr.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORTS (UINT16_MAX + 1)

#define V4 RULE_IPV4
#define V6 RULE_IPV6

static nsec_t test_time;

static nsec_t test_clock(void)
{
	return test_time;
}

/* In place of tapdev/sockdiag.c: seen at the next look. */
struct sockdiag {
	uint8_t is[SOCKDIAG_PROTOS][2][PORTS]; /* IPv4, IPv6 */
	uint8_t seen[SOCKDIAG_PROTOS][2][PORTS];
	unsigned looks;
	int err;
};

int sockdiag_look(struct sockdiag *d, enum sockdiag_proto proto)
{
	d->looks++;
	if (d->err == 0)
		memcpy(d->seen[proto], d->is[proto], sizeof(d->is[proto]));
	return -d->err;
}

enum sockdiag_reach sockdiag_reach(const struct sockdiag *d,
				   enum sockdiag_proto proto,
				   const struct in6_addr *addr, uint16_t port)
{
	return d->seen[proto][addr_is_v4(addr) ? 0 : 1][port];
}

uint16_t sockdiag_next(const struct sockdiag *d, enum sockdiag_proto proto,
		       uint16_t after)
{
	for (uint32_t p = after + 1u; p < PORTS; p++) {
		if (d->seen[proto][0][p] || d->seen[proto][1][p])
			return (uint16_t)p;
	}
	return 0;
}

size_t sockdiag_count(const struct sockdiag *d, enum sockdiag_proto proto)
{
	return 0;
}

const char *sockdiag_explain(enum sockdiag_proto proto, int err)
{
	return "the fake said so";
}

struct rig {
	struct autoport_deps deps;
	struct guestaddr guest;
	struct sockdiag diag;
	struct portspec_auto autos[2];
	size_t n;
	struct autoport *a;
	struct fail why;
	char *log;
	size_t log_len;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct plan plan;

	assert_non_null(rig);
	memset(&plan, 0, sizeof(plan));
	addr_parse("10.0.2.100", &plan.guest4);
	addr_parse("fd00::64", &plan.guest6);
	fake_guestaddr_init(&rig->guest, &plan);
	test_time = 1000 * NSEC_PER_SEC;
	rig->deps = (struct autoport_deps){
		.loop = loop_new(test_clock),
		.forwards = forward_new(NULL),
		.guest = &rig->guest,
		.diag = &rig->diag,
		.log = open_memstream(&rig->log, &rig->log_len),
	};
	rig->autos[0].where = rule_default(RULE_TCP);
	rig->autos[1].where = rule_default(RULE_UDP);
	rig->n = 2;
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	autoport_free(rig->a);
	assert_int_equal(loop_timers(rig->deps.loop), 0);
	loop_free(rig->deps.loop);
	forward_free(rig->deps.forwards);
	fclose(rig->deps.log);
	free(rig->log);
	free(rig);
	return 0;
}

static void begin(struct rig *rig)
{
	rig->a = autoport_new(&rig->deps, rig->autos, rig->n, &rig->why);
	if (!rig->a)
		fail_msg("%s", rig->why.text);
}

static void pass(struct rig *rig, nsec_t time)
{
	test_time += time;
	loop_turn(rig->deps.loop, 0);
}

/* How long a change may take, in turns as the loop makes them. */
static void react(struct rig *rig)
{
	pass(rig, 125 * NSEC_PER_MSEC);
	pass(rig, 125 * NSEC_PER_MSEC);
}

/* The container has a socket on @port of each of @families. */
static void set(struct rig *rig, enum sockdiag_proto proto, unsigned families,
		uint16_t port, enum sockdiag_reach reach)
{
	for (int i = 0; i < 2; i++) {
		if (families & (i == 0 ? V4 : V6))
			rig->diag.is[proto][i][port] = (uint8_t)reach;
	}
}

/* In which families the host listens on @port, and nowhere else than as the
 * container does. */
static unsigned open_on(const struct rig *rig, enum rule_proto proto,
			uint16_t port)
{
	const struct forward *f = NULL;
	unsigned families = 0;

	while ((f = forward_next(rig->deps.forwards, f)) != NULL) {
		const struct rule *r = forward_rule(f);

		if (r->proto != proto || r->host_port != port)
			continue;
		assert_int_equal(r->host_port_end, port);
		assert_int_equal(r->guest_port, port);
		assert_int_equal(families & r->families, 0);
		families |= r->families;
	}
	return families;
}

static unsigned rules(const struct rig *rig)
{
	return rig->deps.forwards->n;
}

static void test_the_host_listens_as_the_container_does(void **state)
{
	struct rig *rig = *state;

	set(rig, SOCKDIAG_TCP, V4, 80, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_TCP, V6, 81, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_TCP, V4 | V6, 82, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_TCP, V4 | V6, 83, SOCKDIAG_LOOPBACK);
	set(rig, SOCKDIAG_UDP, V4 | V6, 53, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_UDP, V4 | V6, 54, SOCKDIAG_TALKS);
	set(rig, SOCKDIAG_TCP, V4, 65535, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_TCP, V4, 1, SOCKDIAG_LISTENS);
	begin(rig);
	assert_int_equal(open_on(rig, RULE_TCP, 80), V4);
	assert_int_equal(open_on(rig, RULE_TCP, 81), V6);
	assert_int_equal(open_on(rig, RULE_TCP, 82), V4 | V6);
	assert_int_equal(open_on(rig, RULE_UDP, 53), V4 | V6);
	assert_int_equal(open_on(rig, RULE_TCP, 65535), V4);
	assert_int_equal(open_on(rig, RULE_TCP, 1), V4);
	assert_int_equal(rules(rig), 8);
}

static void test_it_opens_and_closes_within_a_quarter_second(void **state)
{
	struct rig *rig = *state;

	set(rig, SOCKDIAG_TCP, V4, 90, SOCKDIAG_LISTENS);
	begin(rig);
	assert_int_equal(rules(rig), 1);
	set(rig, SOCKDIAG_TCP, V4, 80, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_UDP, V6, 80, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_TCP, V4, 100, SOCKDIAG_LISTENS);
	react(rig);
	assert_int_equal(open_on(rig, RULE_TCP, 80), V4);
	assert_int_equal(open_on(rig, RULE_UDP, 80), V6);
	assert_int_equal(open_on(rig, RULE_TCP, 100), V4);
	assert_int_equal(open_on(rig, RULE_TCP, 90), V4);
	set(rig, SOCKDIAG_TCP, V4, 80, SOCKDIAG_NOBODY);
	set(rig, SOCKDIAG_TCP, V4, 90, SOCKDIAG_LOOPBACK);
	set(rig, SOCKDIAG_TCP, V6, 90, SOCKDIAG_LISTENS);
	react(rig);
	assert_int_equal(open_on(rig, RULE_TCP, 80), 0);
	assert_int_equal(open_on(rig, RULE_UDP, 80), V6);
	assert_int_equal(open_on(rig, RULE_TCP, 90), V6);
	assert_int_equal(open_on(rig, RULE_TCP, 100), V4);
	set(rig, SOCKDIAG_TCP, V4 | V6, 90, SOCKDIAG_NOBODY);
	set(rig, SOCKDIAG_TCP, V4, 100, SOCKDIAG_NOBODY);
	set(rig, SOCKDIAG_UDP, V6, 80, SOCKDIAG_NOBODY);
	react(rig);
	assert_int_equal(rules(rig), 0);
}

static void test_what_stays_is_not_touched(void **state)
{
	struct rig *rig = *state;
	unsigned id;

	set(rig, SOCKDIAG_TCP, V4 | V6, 80, SOCKDIAG_LISTENS);
	begin(rig);
	id = forward_id(forward_next(rig->deps.forwards, NULL));
	for (uint16_t port = 70; port < 90; port++) {
		set(rig, SOCKDIAG_TCP, V4, port, SOCKDIAG_LISTENS);
		react(rig);
		if (port != 80)
			set(rig, SOCKDIAG_TCP, V4, port, SOCKDIAG_NOBODY);
		react(rig);
	}
	assert_int_equal(rules(rig), 2);
	assert_int_equal(rig->deps.forwards->adds, 2 + 19);
	assert_int_equal(forward_id(forward_next(rig->deps.forwards, NULL)),
			 id);
}

static void test_loopback_counts_if_it_can_be_reached(void **state)
{
	struct rig *rig = *state;

	rig->deps.loopback = true;
	set(rig, SOCKDIAG_TCP, V4, 80, SOCKDIAG_LOOPBACK);
	set(rig, SOCKDIAG_UDP, V6, 53, SOCKDIAG_LOOPBACK);
	/* even without an address that a tap leads to */
	rig->guest.has6 = false;
	begin(rig);
	assert_int_equal(open_on(rig, RULE_TCP, 80), V4);
	assert_int_equal(open_on(rig, RULE_UDP, 53), V6);
	assert_int_equal(rules(rig), 2);
}

static void test_only_families_that_the_container_has_are_opened(void **state)
{
	struct rig *rig = *state;

	rig->guest.has6 = false;
	set(rig, SOCKDIAG_TCP, V4 | V6, 80, SOCKDIAG_LISTENS);
	begin(rig);
	assert_int_equal(open_on(rig, RULE_TCP, 80), V4);
	rig->guest.has6 = true;
	rig->guest.has4 = false;
	react(rig);
	assert_int_equal(open_on(rig, RULE_TCP, 80), V6);
}

static void test_what_is_left_out_stays_closed(void **state)
{
	struct rig *rig = *state;

	portset_add(&rig->autos[0].but, 22, 22);
	portset_add(&rig->autos[0].but, 32768, 60999);
	for (uint32_t port = 22; port < PORTS; port += 97)
		set(rig, SOCKDIAG_TCP, V4, (uint16_t)port, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_UDP, V4, 22, SOCKDIAG_LISTENS);
	begin(rig);
	for (int i = 0; i < 100; i++)
		react(rig);
	assert_int_equal(open_on(rig, RULE_TCP, 22), 0);
	assert_int_equal(open_on(rig, RULE_UDP, 22), V4);
	assert_int_equal(open_on(rig, RULE_TCP, 119), V4);
	for (uint32_t port = 32768; port <= 60999; port++)
		assert_int_equal(open_on(rig, RULE_TCP, (uint16_t)port), 0);
}

static void test_an_address_limits_where_the_host_listens(void **state)
{
	struct rig *rig = *state;
	struct rule *first = &rig->autos[0].where;
	struct rule *second = &rig->autos[1].where;
	const struct forward *f = NULL;
	unsigned found = 0;

	first->host_addr = addr_from_v4(INADDR_LOOPBACK);
	first->families = V4;
	*second = rule_default(RULE_TCP);
	memcpy(second->ifname, "eth0", 5);
	second->families = V6;
	set(rig, SOCKDIAG_TCP, V4 | V6, 80, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_UDP, V4 | V6, 80, SOCKDIAG_LISTENS);
	begin(rig);
	while ((f = forward_next(rig->deps.forwards, f)) != NULL) {
		const struct rule *r = forward_rule(f);

		found |= r->families;
		assert_true(r->families == V4 ? addr_equal(&r->host_addr,
							   &first->host_addr)
					      : strcmp(r->ifname, "eth0") == 0);
	}
	assert_int_equal(found, V4 | V6);
	assert_int_equal(rules(rig), 2);
}

static void test_what_others_publish_is_left_to_them(void **state)
{
	struct rig *rig = *state;
	struct rule r = rule_default(RULE_TCP);
	const struct forward *f;

	r.families = V4;
	r.host_port = 8000;
	r.host_port_end = 8009;
	r.guest_port = 80;
	assert_int_equal(forward_add(rig->deps.forwards, &r, &f, &rig->why), 0);
	set(rig, SOCKDIAG_TCP, V4 | V6, 8005, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_UDP, V4, 8005, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_TCP, V4, 80, SOCKDIAG_LISTENS);
	begin(rig);
	assert_int_equal(open_on(rig, RULE_UDP, 8005), V4);
	assert_int_equal(open_on(rig, RULE_TCP, 8005), V6);
	assert_int_equal(open_on(rig, RULE_TCP, 80), V4);
	assert_int_equal(rules(rig), 4);
	assert_int_equal(forward_remove(rig->deps.forwards, forward_id(f)), 0);
	pass(rig, AUTOPORT_AGAIN);
	assert_int_equal(open_on(rig, RULE_TCP, 8005), V4 | V6);
	fflush(rig->deps.log);
	assert_string_equal(rig->log, "");
}

static void test_a_port_in_use_is_told_once_and_tried_again(void **state)
{
	struct rig *rig = *state;

	rig->deps.forwards->refuse = "address in use: 0.0.0.0:80 (tcp)";
	set(rig, SOCKDIAG_TCP, V4, 80, SOCKDIAG_LISTENS);
	begin(rig);
	assert_int_equal(rig->deps.forwards->adds, 1);
	react(rig);
	react(rig);
	assert_int_equal(rig->deps.forwards->adds, 1);
	react(rig);
	react(rig);
	assert_int_equal(rig->deps.forwards->adds, 2);
	fflush(rig->deps.log);
	assert_string_equal(rig->log,
			    "tapir: auto: address in use: 0.0.0.0:80 (tcp)\n");
	rig->deps.forwards->refuse = NULL;
	pass(rig, AUTOPORT_AGAIN);
	assert_int_equal(open_on(rig, RULE_TCP, 80), V4);
	pass(rig, 3 * AUTOPORT_AGAIN);
	assert_int_equal(rules(rig), 1);
}

static void test_a_service_that_talks_to_its_client_is_not_cut_off(void **state)
{
	struct rig *rig = *state;

	set(rig, SOCKDIAG_UDP, V4, 69, SOCKDIAG_LISTENS);
	begin(rig);
	set(rig, SOCKDIAG_UDP, V4, 69, SOCKDIAG_TALKS);
	set(rig, SOCKDIAG_UDP, V4, 70, SOCKDIAG_TALKS);
	react(rig);
	assert_int_equal(open_on(rig, RULE_UDP, 69), V4);
	assert_int_equal(open_on(rig, RULE_UDP, 70), 0);
	set(rig, SOCKDIAG_UDP, V4, 69, SOCKDIAG_NOBODY);
	react(rig);
	assert_int_equal(rules(rig), 0);
}

static void set_all(struct rig *rig, enum sockdiag_reach reach)
{
	for (uint32_t port = 1; port < PORTS; port++) {
		set(rig, SOCKDIAG_TCP, V4 | V6, (uint16_t)port, reach);
		set(rig, SOCKDIAG_UDP, V4 | V6, (uint16_t)port, reach);
	}
}

static void
test_a_container_that_listens_everywhere_gets_its_share(void **state)
{
	struct rig *rig = *state;
	unsigned adds = 0;

	set_all(rig, SOCKDIAG_LISTENS);
	begin(rig);
	for (int i = 0; i < 40; i++) {
		unsigned more = rig->deps.forwards->adds - adds;

		assert_true(i == 0 || more <= 64);
		adds += more;
		pass(rig, FOLLOW_PERIOD);
	}
	assert_int_equal(rules(rig), AUTOPORT_MAX);
	assert_int_equal(rig->deps.forwards->adds, AUTOPORT_MAX);
	assert_int_equal(open_on(rig, RULE_TCP, 1), V4 | V6);
	assert_int_equal(open_on(rig, RULE_TCP, AUTOPORT_MAX / 2), V4 | V6);
	/* the lowest win, and what was there before gives way */
	set(rig, SOCKDIAG_TCP, V4, 100, SOCKDIAG_NOBODY);
	react(rig);
	assert_int_equal(rules(rig), AUTOPORT_MAX);
	set(rig, SOCKDIAG_TCP, V4, 100, SOCKDIAG_LISTENS);
	react(rig);
	assert_int_equal(rules(rig), AUTOPORT_MAX);
	assert_int_equal(open_on(rig, RULE_TCP, 100), V4 | V6);
	set_all(rig, SOCKDIAG_NOBODY);
	react(rig);
	assert_int_equal(rules(rig), 0);
}

static void test_ports_that_cannot_be_had_cost_little(void **state)
{
	struct rig *rig = *state;
	unsigned lines = 0;

	rig->deps.forwards->refuse = "not allowed";
	set_all(rig, SOCKDIAG_LISTENS);
	begin(rig);
	for (int i = 0; i < 200; i++)
		pass(rig, FOLLOW_PERIOD);
	/* as many as there is room for, then 16 with each look */
	assert_true(rig->deps.forwards->adds <= AUTOPORT_MAX + 200 * 16 + 64);
	assert_true(rig->deps.forwards->adds > AUTOPORT_MAX);
	fflush(rig->deps.log);
	for (const char *c = rig->log; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 32);
}

static void test_without_sight_of_the_container_it_cannot_be(void **state)
{
	struct rig *rig = *state;

	rig->diag.err = ENOENT;
	assert_null(autoport_new(&rig->deps, rig->autos, 2, &rig->why));
	assert_string_equal(rig->why.text, "automatic ports are not possible: "
					   "the fake said so");
	rig->deps.diag = NULL;
	assert_null(autoport_new(&rig->deps, rig->autos, 2, &rig->why));
	assert_non_null(strstr(rig->why.text, "cannot be seen"));
}

static void test_a_look_that_fails_changes_nothing(void **state)
{
	struct rig *rig = *state;

	set(rig, SOCKDIAG_TCP, V4, 80, SOCKDIAG_LISTENS);
	begin(rig);
	rig->diag.err = ENOBUFS;
	set(rig, SOCKDIAG_TCP, V4, 80, SOCKDIAG_NOBODY);
	react(rig);
	assert_int_equal(rules(rig), 1);
	rig->diag.err = 0;
	react(rig);
	assert_int_equal(rules(rig), 0);
}

static void test_it_takes_its_rules_along_and_no_others(void **state)
{
	struct rig *rig = *state;
	struct rule r = rule_default(RULE_TCP);
	const struct forward *f;

	r.host_port = r.host_port_end = r.guest_port = 80;
	assert_int_equal(forward_add(rig->deps.forwards, &r, &f, &rig->why), 0);
	set(rig, SOCKDIAG_TCP, V4 | V6, 80, SOCKDIAG_LISTENS);
	set(rig, SOCKDIAG_TCP, V4 | V6, 81, SOCKDIAG_LISTENS);
	begin(rig);
	assert_int_equal(rules(rig), 3);
	autoport_free(rig->a);
	rig->a = NULL;
	assert_int_equal(rules(rig), 1);
	assert_int_equal(loop_timers(rig->deps.loop), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_host_listens_as_the_container_does),
		TEST(test_it_opens_and_closes_within_a_quarter_second),
		TEST(test_what_stays_is_not_touched),
		TEST(test_loopback_counts_if_it_can_be_reached),
		TEST(test_only_families_that_the_container_has_are_opened),
		TEST(test_what_is_left_out_stays_closed),
		TEST(test_an_address_limits_where_the_host_listens),
		TEST(test_what_others_publish_is_left_to_them),
		TEST(test_a_port_in_use_is_told_once_and_tried_again),
		TEST(test_a_service_that_talks_to_its_client_is_not_cut_off),
		TEST(test_a_container_that_listens_everywhere_gets_its_share),
		TEST(test_ports_that_cannot_be_had_cost_little),
		TEST(test_without_sight_of_the_container_it_cannot_be),
		TEST(test_a_look_that_fails_changes_nothing),
		TEST(test_it_takes_its_rules_along_and_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
