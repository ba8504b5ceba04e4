#include "port/target.h"
#include "tests/fake_guestaddr.h"
#include "tests/test.h"

#define NOW (1000 * NSEC_PER_SEC)

struct bench {
	struct guestaddr guest;
	struct target *t;
	unsigned told;
	uint16_t told_port;
};

static const uint8_t mac[WIRE_MAC_LEN] = {0x52, 0x55, 10, 0, 2, 2};

static struct in6_addr address(const char *text)
{
	struct in6_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void on_unanswered(struct target *t, uint16_t port)
{
	struct bench *b = t->arg;

	b->told++;
	b->told_port = port;
}

static int setup(void **state)
{
	static struct bench b;
	struct plan plan = plan_make(addr_from_v4(0x0a000200), 24, 1500, mac);

	b = (struct bench){0};
	fake_guestaddr_init(&b.guest, &plan);
	b.t = target_new(&in6addr_any, &b.guest);
	assert_non_null(b.t);
	b.t->unanswered = on_unanswered;
	b.t->arg = &b;
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	target_put(b->t);
	return 0;
}

/* The families of the list as "46", "64", "4", "6" or "". */
static const char *order(const struct bench *b, bool v4, nsec_t now)
{
	static char text[TARGET_MAX + 1];
	struct in6_addr list[TARGET_MAX];
	unsigned n = target_list(b->t, v4, 80, now, list);

	for (unsigned i = 0; i < n; i++) {
		bool is_v4 = addr_is_v4(&list[i]);

		assert_true(
			addr_equal(&list[i], is_v4 ? &b->guest.plan.guest4
						   : &b->guest.plan.guest6));
		text[i] = is_v4 ? '4' : '6';
	}
	text[n] = 0;
	return text;
}

static void test_the_family_of_the_client_is_tried_first(void **state)
{
	struct bench *b = *state;

	assert_string_equal(order(b, true, NOW), "46");
	assert_string_equal(order(b, false, NOW), "64");
}

static void test_only_families_that_the_container_has_are_tried(void **state)
{
	struct bench *b = *state;

	b->guest.has6 = false;
	assert_string_equal(order(b, true, NOW), "4");
	assert_string_equal(order(b, false, NOW), "4");
	b->guest.has4 = false;
	assert_string_equal(order(b, false, NOW), "");
	b->guest.has6 = true;
	assert_string_equal(order(b, true, NOW), "6");
}

static void test_a_given_address_is_the_only_one(void **state)
{
	struct bench *b = *state;
	struct in6_addr given = address("10.0.2.77"), list[TARGET_MAX];
	struct target *t = target_new(&given, &b->guest);

	for (int v4 = 0; v4 < 2; v4++) {
		assert_int_equal(target_list(t, v4, 80, NOW, list), 1);
		assert_true(addr_equal(&list[0], &given));
		target_answered(t, v4, 80, &given, NOW);
		assert_int_equal(target_list(t, v4, 80, NOW, list), 1);
	}
	target_put(t);
}

static void test_any_ipv4_address_is_the_container_s_own_too(void **state)
{
	struct bench *b = *state;
	struct in6_addr any4 = addr_from_v4(0), list[TARGET_MAX];
	struct target *t = target_new(&any4, &b->guest);

	assert_int_equal(target_list(t, true, 80, NOW, list), 2);
	target_put(t);
}

static void test_the_other_family_is_remembered_for_a_while(void **state)
{
	struct bench *b = *state;

	target_answered(b->t, false, 80, &b->guest.plan.guest4, NOW);
	assert_string_equal(order(b, false, NOW), "46");
	assert_string_equal(order(b, false, NOW + TARGET_MEMORY - 1), "46");
	assert_string_equal(order(b, false, NOW + TARGET_MEMORY), "64");
}

static void test_each_answer_makes_the_memory_last(void **state)
{
	struct bench *b = *state;
	nsec_t later = NOW + TARGET_MEMORY - 1;

	target_answered(b->t, true, 80, &b->guest.plan.guest6, NOW);
	target_answered(b->t, true, 80, &b->guest.plan.guest6, later);
	assert_string_equal(order(b, true, later + TARGET_MEMORY - 1), "64");
}

static void test_what_ipv6_clients_met_says_nothing_to_ipv4_ones(void **state)
{
	struct bench *b = *state;

	target_answered(b->t, false, 80, &b->guest.plan.guest4, NOW);
	assert_string_equal(order(b, true, NOW), "46");
	target_answered(b->t, true, 80, &b->guest.plan.guest6, NOW);
	assert_string_equal(order(b, true, NOW), "64");
	assert_string_equal(order(b, false, NOW), "46");
}

static void test_an_answer_of_the_own_family_ends_the_memory(void **state)
{
	struct bench *b = *state;

	target_answered(b->t, false, 80, &b->guest.plan.guest4, NOW);
	target_answered(b->t, false, 80, &b->guest.plan.guest6, NOW + 1);
	assert_string_equal(order(b, false, NOW + 2), "64");
}

/* Is the other family tried first at @port? */
static bool turned(const struct bench *b, uint16_t port)
{
	struct in6_addr list[TARGET_MAX];

	assert_int_equal(target_list(b->t, false, port, NOW, list), 2);
	return addr_is_v4(&list[0]);
}

static void test_the_ports_of_a_range_are_remembered_apart(void **state)
{
	struct bench *b = *state;
	struct in6_addr a4 = b->guest.plan.guest4, a6 = b->guest.plan.guest6;

	target_answered(b->t, false, 80, &a4, NOW);
	assert_true(turned(b, 80));
	assert_false(turned(b, 81));
	/* in the same place: */
	assert_false(turned(b, 80 + TARGET_PORTS));
	assert_false(target_prefers(b->t, false, 80 + TARGET_PORTS, NOW, &a4));
	target_answered(b->t, false, 80 + TARGET_PORTS, &a6, NOW);
	target_failed(b->t, false, 80 + TARGET_PORTS);
	assert_true(turned(b, 80));
	target_answered(b->t, false, 80 + TARGET_PORTS, &a4, NOW);
	assert_true(turned(b, 80 + TARGET_PORTS));
	assert_false(turned(b, 80));
}

static void test_a_failure_forgets_and_tells(void **state)
{
	struct bench *b = *state;

	target_answered(b->t, false, 80, &b->guest.plan.guest4, NOW);
	target_answered(b->t, true, 80, &b->guest.plan.guest6, NOW);
	target_failed(b->t, false, 80);
	assert_int_equal(b->told, 1);
	assert_int_equal(b->told_port, 80);
	assert_string_equal(order(b, false, NOW), "64");
	assert_string_equal(order(b, true, NOW), "64");
	b->t->unanswered = NULL;
	target_failed(b->t, true, 80);
	assert_int_equal(b->told, 1);
}

static void test_it_lives_until_the_last_reference(void **state)
{
	struct bench *b = *state;
	struct target *again = target_ref(b->t);

	assert_ptr_equal(again, b->t);
	target_put(b->t);
	assert_string_equal(order(b, true, NOW), "46");
	target_put(NULL);
}

static void
test_only_the_other_family_is_preferred_and_not_for_ever(void **state)
{
	struct bench *b = *state;
	struct in6_addr a4 = b->guest.plan.guest4, a6 = b->guest.plan.guest6;

	assert_false(target_prefers(b->t, false, 80, NOW, &a4));
	target_answered(b->t, false, 80, &a4, NOW);
	assert_true(
		target_prefers(b->t, false, 80, NOW + TARGET_MEMORY - 1, &a4));
	assert_false(target_prefers(b->t, false, 80, NOW, &a6));
	assert_false(target_prefers(b->t, true, 80, NOW, &a4));
	assert_false(target_prefers(b->t, false, 80, NOW + TARGET_MEMORY, &a4));
	target_answered(b->t, false, 80, &a4, NOW);
	target_answered(b->t, false, 80, &a6, NOW);
	assert_false(target_prefers(b->t, false, 80, NOW, &a6));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_family_of_the_client_is_tried_first),
		T(test_only_families_that_the_container_has_are_tried),
		T(test_a_given_address_is_the_only_one),
		T(test_any_ipv4_address_is_the_container_s_own_too),
		T(test_the_other_family_is_remembered_for_a_while),
		T(test_each_answer_makes_the_memory_last),
		T(test_what_ipv6_clients_met_says_nothing_to_ipv4_ones),
		T(test_an_answer_of_the_own_family_ends_the_memory),
		T(test_only_the_other_family_is_preferred_and_not_for_ever),
		T(test_the_ports_of_a_range_are_remembered_apart),
		T(test_a_failure_forgets_and_tells),
		T(test_it_lives_until_the_last_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
