#include "pcap/names.h"

#include "stack/frame.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A DNS message being written. */
struct message {
	uint8_t bytes[4096];
	size_t len;
};

static struct names *the_names;

static void add(struct message *m, const void *data, size_t len)
{
	memcpy(m->bytes + m->len, data, len);
	m->len += len;
}

static void add16(struct message *m, unsigned v)
{
	put16(m->bytes + m->len, (uint16_t)v);
	m->len += 2;
}

/* "www.example.org" in labels. */
static void add_name(struct message *m, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");

		m->bytes[m->len++] = (uint8_t)len;
		add(m, name, len);
		name += len + (name[len] == '.');
	}
	m->bytes[m->len++] = 0;
}

/* An answer to a question for @name, with @count records to follow. */
static void begin(struct message *m, const char *name, unsigned count)
{
	m->len = 0;
	add16(m, 4711);
	add16(m, 0x8180);
	add16(m, 1);
	add16(m, count);
	add16(m, 0);
	add16(m, 0);
	add_name(m, name);
	add16(m, 1);
	add16(m, 1);
}

/* A record but for its data, of @len bytes. */
static void add_record(struct message *m, const char *owner, unsigned type,
		       unsigned len)
{
	if (owner)
		add_name(m, owner);
	else
		add16(m, 0xc00c); /* the question's */
	add16(m, type);
	add16(m, 1);
	add16(m, 0);
	add16(m, 60);
	add16(m, len);
}

static void add_address(struct message *m, const char *owner, const char *text)
{
	struct in6_addr a;
	bool v4;

	assert_int_equal(addr_parse(text, &a), 0);
	v4 = addr_is_v4(&a);
	add_record(m, owner, v4 ? 1 : 28, v4 ? 4 : 16);
	add(m, a.s6_addr + (v4 ? 12 : 0), v4 ? 4 : 16);
}

static void add_alias(struct message *m, const char *owner, const char *target)
{
	add_record(m, owner, 5, (unsigned)strlen(target) + 2);
	add_name(m, target);
}

/* A copy of its own size, so that a sanitizer sees whoever reads too far. */
static void learn(const struct message *m)
{
	uint8_t *copy = malloc(m->len ? m->len : 1);

	assert_non_null(copy);
	memcpy(copy, m->bytes, m->len);
	names_learn(the_names, copy, m->len);
	free(copy);
}

static const char *find(const char *text)
{
	struct in6_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return names_find(the_names, &a);
}

static int set_up(void **state)
{
	the_names = names_new(7);
	return the_names ? 0 : -1;
}

static int tear_down(void **state)
{
	names_free(the_names);
	return 0;
}

static void test_addresses_of_both_families_get_the_name(void **state)
{
	struct message m;

	begin(&m, "www.example.org", 3);
	add_address(&m, NULL, "192.0.2.1");
	add_address(&m, NULL, "2001:db8::1");
	add_address(&m, "www.example.org", "192.0.2.2");
	learn(&m);
	assert_string_equal(find("192.0.2.1"), "www.example.org");
	assert_string_equal(find("192.0.2.2"), "www.example.org");
	assert_string_equal(find("2001:db8::1"), "www.example.org");
	assert_null(find("192.0.2.3"));
}

static void test_aliases_lead_to_the_name_that_was_asked_for(void **state)
{
	struct message m;

	begin(&m, "deb.example.org", 4);
	add_address(&m, "edge7.cdn.example", "192.0.2.1"); /* out of order */
	add_alias(&m, "cdn.example", "edge7.cdn.example");
	add_alias(&m, "deb.example.org", "cdn.example");
	add_address(&m, "elsewhere.example", "192.0.2.9"); /* not asked for */
	learn(&m);
	assert_string_equal(find("192.0.2.1"), "deb.example.org");
	assert_null(find("192.0.2.9"));
}

static void test_aliases_in_a_circle_come_to_an_end(void **state)
{
	struct message m;

	begin(&m, "a.example", 2);
	add_alias(&m, "a.example", "b.example");
	add_alias(&m, "b.example", "a.example");
	learn(&m);
}

static void test_the_last_answer_counts(void **state)
{
	struct message m;
	const char *first;

	begin(&m, "one.example", 1);
	add_address(&m, NULL, "192.0.2.1");
	learn(&m);
	first = find("192.0.2.1");
	begin(&m, "two.example", 1);
	add_address(&m, NULL, "192.0.2.1");
	learn(&m);
	assert_string_equal(find("192.0.2.1"), "two.example");
	assert_string_equal(first, "one.example"); /* lives on */
}

/* Case means nothing in a name, and resolvers shuffle it. */
static void test_names_are_printable_and_in_lower_case(void **state)
{
	static const char wild[] = "A\n\xff \\b";
	struct message m;

	begin(&m, "wWw.eXample", 1);
	add_address(&m, "WWW.EXAMPLE", "192.0.2.1");
	learn(&m);
	assert_string_equal(find("192.0.2.1"), "www.example");
	begin(&m, wild, 1);
	add_address(&m, NULL, "192.0.2.2");
	m.bytes[12 + 2] = '.'; /* a dot within a label */
	learn(&m);
	assert_string_equal(find("192.0.2.2"), "a\\.\\255\\032\\\\b");
}

static void test_the_longest_name_fits(void **state)
{
	struct message m;
	char name[255];

	memset(name, 1, sizeof(name));
	for (int i = 0; i < 3; i++)
		name[i * 64 + 63] = '.';
	name[253] = '\0'; /* 4 labels, 254 bytes and the root */
	begin(&m, name, 1);
	add_address(&m, NULL, "192.0.2.1");
	learn(&m);
	assert_int_equal(strlen(find("192.0.2.1")), 250 * 4 + 3);
	memset(name + 253, 1, 1);
	name[254] = '\0';
	begin(&m, name, 1);
	add_address(&m, NULL, "192.0.2.2");
	learn(&m);
	assert_null(find("192.0.2.2"));
}

static void test_what_is_no_good_answer_teaches_nothing(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
	} faults[] = {
		{2, 0x01},  /* a question */
		{2, 0xa0},  /* another opcode */
		{3, 0x83},  /* no such name */
		{5, 2},     /* two questions */
		{7, 0},     /* no answer */
		{12, 64},   /* no such label */
		{12, 0xc0}, /* a pointer to itself, see below */
		{32, 28},   /* 4 bytes of IPv6 address */
		{34, 3},    /* Chaos */
	};
	struct message m;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		begin(&m, "www.example", 1);
		add_address(&m, NULL, "192.0.2.1");
		m.bytes[faults[i].at] = faults[i].byte;
		if (faults[i].byte == 0xc0)
			m.bytes[faults[i].at + 1] = (uint8_t)faults[i].at;
		learn(&m);
		if (find("192.0.2.1"))
			fail_msg("fault %zu was believed", i);
	}
	begin(&m, "www.example", 1);
	add_address(&m, NULL, "192.0.2.1");
	for (; m.len > 0; m.len--) {
		m.len--;
		learn(&m);
		m.len++;
		assert_null(find("192.0.2.1"));
	}
}

static void test_memory_is_bounded(void **state)
{
	struct message m;
	char name[80], text[64];
	unsigned known = 0;

	memset(name, 'x', 60);
	for (unsigned i = 0; i < NAMES_MAX + 1000; i++) {
		snprintf(name + 60, sizeof(name) - 60, "%u", i % 1000);
		name[60] = '.';
		snprintf(text, sizeof(text), "2001:db8::%x:%x", i >> 16,
			 i & 0xffff);
		begin(&m, name, 1);
		add_address(&m, NULL, text);
		names_learn(the_names, m.bytes, m.len);
	}
	for (unsigned i = 0; i < NAMES_MAX + 1000; i++) {
		snprintf(text, sizeof(text), "2001:db8::%x:%x", i >> 16,
			 i & 0xffff);
		known += find(text) != NULL;
	}
	assert_int_equal(known, NAMES_MAX);
}

/* Or a long capture would have no room for new names in the end. */
static void test_a_name_that_is_known_takes_no_room_again(void **state)
{
	struct message m;
	char name[61];

	memset(name, 'x', 60);
	name[60] = '\0';
	begin(&m, name, 1);
	add_address(&m, NULL, "192.0.2.1");
	for (size_t i = 0; i < NAMES_BYTES_MAX / sizeof(name) + 10; i++)
		names_learn(the_names, m.bytes, m.len);
	begin(&m, "two.example", 1);
	add_address(&m, NULL, "192.0.2.2");
	learn(&m);
	assert_string_equal(find("192.0.2.2"), "two.example");
}

/* An alias, @count records of a long name that stands there once, and what the
 * alias leads to. */
static void make_knotted(struct message *m, unsigned count)
{
	char name[255];

	memset(name, 'x', sizeof(name));
	for (int i = 0; i < 3; i++)
		name[i * 64 + 63] = '.';
	name[253] = '\0';
	begin(m, "www.example", count + 2);
	add_alias(m, NULL, "b.example");
	for (unsigned i = 0, first = 0; i < count; i++) {
		if (i == 0) {
			first = (unsigned)m->len;
			add_name(m, name);
		} else {
			add16(m, 0xc000 | first);
		}
		add16(m, 16);
		add16(m, 1);
		add16(m, 0);
		add16(m, 60);
		add16(m, 0);
	}
	add_address(m, "b.example", "192.0.2.1");
}

static void test_a_knotted_message_is_not_read_for_ever(void **state)
{
	struct message m;

	make_knotted(&m, 62);
	learn(&m);
	assert_null(find("192.0.2.1"));
	make_knotted(&m, 20);
	learn(&m);
	assert_string_equal(find("192.0.2.1"), "www.example");
}

static void test_a_name_that_reads_like_an_address_is_none(void **state)
{
	struct message m;

	begin(&m, "10.0.2.2", 1);
	add_address(&m, NULL, "192.0.2.1");
	learn(&m);
	assert_null(find("192.0.2.1"));
	begin(&m, "fd00::2", 1);
	add_address(&m, NULL, "192.0.2.1");
	learn(&m);
	assert_null(find("192.0.2.1"));
}

static void test_random_messages_do_no_harm(void **state)
{
	uint32_t seed = 1;
	struct message m;

	for (int round = 0; round < 20000; round++) {
		begin(&m, "www.example.org", 3);
		add_alias(&m, NULL, "cdn.example.org");
		add_address(&m, "cdn.example.org", "192.0.2.1");
		add_address(&m, NULL, "2001:db8::1");
		for (int i = 0; i < 4; i++) {
			seed = seed * 1664525 + 1013904223;
			m.bytes[2 + (seed >> 8) % (m.len - 2)] =
				(uint8_t)(seed >> 24);
		}
		seed = seed * 1664525 + 1013904223;
		m.len -= (seed >> 8) % 4;
		learn(&m);
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_addresses_of_both_families_get_the_name),
		TEST(test_aliases_lead_to_the_name_that_was_asked_for),
		TEST(test_aliases_in_a_circle_come_to_an_end),
		TEST(test_the_last_answer_counts),
		TEST(test_names_are_printable_and_in_lower_case),
		TEST(test_the_longest_name_fits),
		TEST(test_what_is_no_good_answer_teaches_nothing),
		TEST(test_memory_is_bounded),
		TEST(test_a_name_that_is_known_takes_no_room_again),
		TEST(test_a_knotted_message_is_not_read_for_ever),
		TEST(test_a_name_that_reads_like_an_address_is_none),
		TEST(test_random_messages_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
