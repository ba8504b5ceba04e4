#include "stack/addr.h"
#include "stack/reass.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

struct rig {
	struct reass reass;
	struct chunk_pool pool;
	struct counters count;
	nsec_t now;
	uint8_t bytes[65536 + 8]; /* of every datagram */
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	chunk_pool_init(&r->pool, (size_t)(REASS_DATAGRAMS + 1) * CHUNK_ROOM);
	reass_init(&r->reass, &r->pool, &r->count);
	for (size_t i = 0; i < sizeof(r->bytes); i++)
		r->bytes[i] = (uint8_t)(i * 7 + i / 256);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	reass_fini(&r->reass);
	chunk_pool_fini(&r->pool);
	free(r);
	return 0;
}

static struct reass_frag fragment(const struct rig *r, size_t from, size_t to,
				  bool more)
{
	return (struct reass_frag){
		.src = addr_from_v4(0x0a000264),
		.dst = addr_from_v4(0xc0000201),
		.id = 7,
		.proto = 17,
		.next = 17,
		.ttl = 64,
		.offset = from,
		.more = more,
		.data = r->bytes + from,
		.len = to - from,
	};
}

/* Adds bytes @from to @to - 1. */
static bool add(struct rig *r, size_t from, size_t to, bool more,
		struct reass_whole *ret)
{
	struct reass_frag f = fragment(r, from, to, more);

	return reass_add(&r->reass, &f, r->now, ret);
}

static void add_part(struct rig *r, size_t from, size_t to, bool more)
{
	struct reass_whole w;

	assert_false(add(r, from, to, more, &w));
}

static void assert_whole(struct rig *r, const struct reass_whole *w, size_t len)
{
	assert_int_equal(w->len, len);
	assert_memory_equal(w->chunk->data, r->bytes, len);
	chunk_put(w->chunk);
	assert_int_equal(reass_deadline(&r->reass), NSEC_NEVER);
	assert_int_equal(r->pool.in_use, 0);
}

static void test_order_does_not_matter(void **state)
{
	static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0},
					{1, 3, 0, 2}, {2, 0, 3, 1},
					{3, 0, 2, 1}, {0, 3, 1, 2}};
	struct rig *r = *state;
	struct reass_whole w;

	for (size_t o = 0; o < 6; o++)
		for (int i = 0; i < 4; i++) {
			size_t from = (size_t)orders[o][i] * 1480;
			bool last = orders[o][i] == 3;
			bool done = add(r, from, from + (last ? 5 : 1480),
					!last, &w);

			assert_int_equal(done, i == 3);
			if (done)
				assert_whole(r, &w, 3 * 1480 + 5);
		}
}

static void test_the_largest_datagram_passes_at_a_small_mtu(void **state)
{
	struct rig *r = *state;
	struct reass_whole w;
	size_t n = 65535 / 552;

	/* Every second one first, which needs the most spans. */
	for (size_t i = 1; i <= n; i += 2)
		add_part(r, i * 552, i == n ? 65535 : (i + 1) * 552, i < n);
	for (size_t i = 0; i <= n; i += 2)
		if (add(r, i * 552, i == n ? 65535 : (i + 1) * 552, i < n, &w))
			assert_whole(r, &w, 65535);
	assert_int_equal(r->pool.in_use, 0);
}

static void test_the_first_fragment_s_header_is_told(void **state)
{
	struct rig *r = *state;
	struct reass_frag last = fragment(r, 8, 16, false);
	struct reass_frag first = fragment(r, 0, 8, true);
	struct reass_whole w;

	last.ttl = 1;
	last.tos = 1;
	last.next = 1;
	first.tos = 0x2e;
	first.ttl = 77;
	assert_false(reass_add(&r->reass, &last, 0, &w));
	assert_true(reass_add(&r->reass, &first, 0, &w));
	assert_int_equal(w.ttl, 77);
	assert_int_equal(w.tos, 0x2e);
	assert_int_equal(w.next, 17);
	assert_whole(r, &w, 16);
}

static void test_each_part_of_the_key_keeps_datagrams_apart(void **state)
{
	struct rig *r = *state;
	struct reass_frag f[5];
	struct reass_whole w;

	for (int i = 0; i < 5; i++)
		f[i] = fragment(r, 8, 16, false);
	f[1].src = addr_from_v4(0x0a000265);
	f[2].dst = addr_from_v4(0xc0000202);
	f[3].id = 8;
	f[4].proto = 1;
	add_part(r, 0, 8, true);
	for (int i = 1; i < 5; i++)
		assert_false(reass_add(&r->reass, &f[i], 0, &w));
	assert_true(reass_add(&r->reass, &f[0], 0, &w));
	chunk_put(w.chunk);
}

static void test_a_repeated_fragment_is_tolerated(void **state)
{
	struct rig *r = *state;
	struct reass_whole w;

	add_part(r, 0, 800, true);
	add_part(r, 0, 800, true);
	add_part(r, 1600, 2000, false);
	add_part(r, 1600, 2000, false);
	assert_true(add(r, 800, 1600, true, &w));
	assert_whole(r, &w, 2000);
}

struct overlap {
	size_t from, to;
	bool more;
};

static void test_any_overlap_kills_the_datagram(void **state)
{
	static const struct overlap rows[] = {
		{0, 16, true},    {64, 88, true},    {72, 88, true},
		{88, 104, true},  {80, 200, true},   {0, 400, true},
		{160, 176, true}, {152, 168, true},  {200, 304, false},
		{312, 320, true}, {0, 8, false},     {296, 303, false},
		{200, 312, true}, {200, 320, false},
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = r->count.v[COUNT_DROP_FRAG_OVERLAP];
		struct reass_whole w;

		/* 8-72, 80-96, 160-168 and the end at 304 are there. */
		add_part(r, 8, 72, true);
		add_part(r, 80, 96, true);
		add_part(r, 160, 168, true);
		add_part(r, 296, 304, false);
		/* Other bytes where the same range would pass for repeated. */
		r->bytes[rows[i].from] ^= 1;
		add_part(r, rows[i].from, rows[i].to, rows[i].more);
		r->bytes[rows[i].from] ^= 1;
		assert_int_equal(r->count.v[COUNT_DROP_FRAG_OVERLAP],
				 before + 1);
		assert_int_equal(r->pool.in_use, 0);
		/* And keeps it dead, whatever else comes. */
		assert_false(add(r, 0, 304, false, &w));
		reass_tick(&r->reass, REASS_TIMEOUT);
	}
	assert_int_equal(r->count.v[COUNT_DROP_FRAG_TIMEOUT], 0);
}

static void test_fragments_of_impossible_lengths_are_dropped(void **state)
{
	struct rig *r = *state;

	for (size_t len = 0; len < 64; len++)
		if (len % 8)
			add_part(r, 0, len, true);
	add_part(r, 8, 8, false);
	add_part(r, 0, 0, true);
	add_part(r, 65528, 65536, true);
	add_part(r, 65528, 65536, false);
	assert_int_equal(r->count.v[COUNT_DROP_FRAG_BAD], 56 + 4);
	assert_int_equal(r->pool.in_use, 0);
}

static void test_what_never_ends_is_given_up(void **state)
{
	struct rig *r = *state;

	add_part(r, 0, 800, true);
	assert_int_equal(reass_deadline(&r->reass), REASS_TIMEOUT);
	r->now = REASS_TIMEOUT - 1;
	/* More of it does not make it live longer. */
	add_part(r, 800, 1600, true);
	reass_tick(&r->reass, r->now);
	assert_int_equal(r->count.v[COUNT_DROP_FRAG_TIMEOUT], 0);
	reass_tick(&r->reass, REASS_TIMEOUT);
	assert_int_equal(r->count.v[COUNT_DROP_FRAG_TIMEOUT], 1);
	assert_int_equal(r->pool.in_use, 0);
	assert_int_equal(reass_deadline(&r->reass), NSEC_NEVER);
}

static void test_the_oldest_datagram_gives_way(void **state)
{
	struct rig *r = *state;
	struct reass_whole w;

	for (uint32_t id = 0; id <= REASS_DATAGRAMS; id++) {
		struct reass_frag f = fragment(r, 0, 8, true);

		f.id = id;
		assert_false(reass_add(&r->reass, &f, id, &w));
	}
	assert_int_equal(r->count.v[COUNT_DROP_FRAG_LIMIT], 1);
	assert_int_equal(r->pool.in_use, REASS_DATAGRAMS * CHUNK_ROOM);
	for (uint32_t id = 1; id <= REASS_DATAGRAMS; id++) {
		struct reass_frag f = fragment(r, 8, 9, false);

		f.id = id;
		assert_true(reass_add(&r->reass, &f, 99, &w));
		chunk_put(w.chunk);
	}
}

static void test_tiny_fragments_cost_one_chunk_and_end(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < REASS_SPANS; i++)
		add_part(r, i * 16, i * 16 + 8, true);
	assert_int_equal(r->pool.in_use, CHUNK_ROOM);
	add_part(r, REASS_SPANS * 16, REASS_SPANS * 16 + 8, true);
	assert_int_equal(r->count.v[COUNT_DROP_FRAG_LIMIT], 1);
	assert_int_equal(r->pool.in_use, 0);
}

static void test_without_memory_a_fragment_is_dropped(void **state)
{
	struct rig *r = *state;

	r->pool.limit = CHUNK_ROOM - 1;
	add_part(r, 0, 8, true);
	assert_int_equal(r->count.v[COUNT_DROP_MEMORY], 1);
	assert_int_equal(reass_deadline(&r->reass), NSEC_NEVER);
}

/* Random cuts in random order, against what a plain map of bytes says. */
static void test_random_datagrams_agree_with_a_map_of_bytes(void **state)
{
	struct rig *r = *state;
	uint32_t seed = 1;

	for (int round = 0; round < 2000; round++) {
		bool have[64] = {false};
		bool dead = false, done = false;
		struct reass_whole w;

		for (int n = 0; n < 60 && !dead && !done; n++) {
			size_t from, to, seen = 0;
			bool last;

			seed = seed * 1664525 + 1013904223;
			from = seed >> 26;
			to = from + 1 + (seed >> 20 & 7);
			if (to > 64)
				to = 64;
			last = to == 64;
			for (size_t i = from; i < to; i++)
				seen += have[i];
			/* Pieces of a span count as repeated, as their bytes
			 * are the same. */
			if (seen != 0 && seen != to - from)
				dead = true;
			memset(have + from, true, to - from);
			done = !dead;
			for (int i = 0; i < 64; i++)
				done = done && have[i];
			assert_int_equal(add(r, from * 8, to * 8, !last, &w),
					 done);
		}
		if (done)
			assert_whole(r, &w, 512);
		else
			reass_tick(&r->reass, REASS_TIMEOUT);
	}
	assert_true(r->count.v[COUNT_DROP_FRAG_OVERLAP] > 0);
}

#define REASS_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REASS_TEST(test_order_does_not_matter),
		REASS_TEST(test_the_largest_datagram_passes_at_a_small_mtu),
		REASS_TEST(test_the_first_fragment_s_header_is_told),
		REASS_TEST(test_each_part_of_the_key_keeps_datagrams_apart),
		REASS_TEST(test_a_repeated_fragment_is_tolerated),
		REASS_TEST(test_any_overlap_kills_the_datagram),
		REASS_TEST(test_fragments_of_impossible_lengths_are_dropped),
		REASS_TEST(test_what_never_ends_is_given_up),
		REASS_TEST(test_the_oldest_datagram_gives_way),
		REASS_TEST(test_tiny_fragments_cost_one_chunk_and_end),
		REASS_TEST(test_without_memory_a_fragment_is_dropped),
		REASS_TEST(test_random_datagrams_agree_with_a_map_of_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
