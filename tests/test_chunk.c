#include "stack/chunk.h"
#include "tests/test.h"

static void test_the_last_freed_is_the_next_used(void **state)
{
	struct chunk_pool pool;
	struct chunk *a, *b;

	chunk_pool_init(&pool, 1 << 20);
	a = chunk_new(&pool, CHUNK_ROOM);
	b = chunk_new(&pool, CHUNK_ROOM);
	chunk_put(b);
	chunk_put(a);
	assert_ptr_equal(chunk_new(&pool, CHUNK_ROOM), a);
	assert_ptr_equal(chunk_new(&pool, CHUNK_ROOM_SMALL + 1), b);
	chunk_put(a);
	chunk_put(b);
	chunk_pool_fini(&pool);
}

static void test_a_referenced_chunk_is_not_reused(void **state)
{
	struct chunk_pool pool;
	struct chunk *a, *b;

	chunk_pool_init(&pool, 1 << 20);
	a = chunk_new(&pool, 1);
	chunk_ref(a);
	chunk_put(a);
	b = chunk_new(&pool, 1);
	assert_ptr_not_equal(a, b);
	chunk_put(a);
	chunk_put(b);
	chunk_put(NULL);
	chunk_pool_fini(&pool);
}

static void test_the_limit_holds_and_is_given_back(void **state)
{
	struct chunk_pool pool;
	struct chunk *a;

	chunk_pool_init(&pool, CHUNK_ROOM + CHUNK_ROOM_SMALL);
	a = chunk_new(&pool, CHUNK_ROOM);
	assert_null(chunk_new(&pool, CHUNK_ROOM));
	chunk_put(chunk_new(&pool, CHUNK_ROOM_SMALL));
	assert_int_equal(pool.in_use, CHUNK_ROOM);
	chunk_put(a);
	assert_int_equal(pool.in_use, 0);
	chunk_pool_fini(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_freed_is_the_next_used),
		cmocka_unit_test(test_a_referenced_chunk_is_not_reused),
		cmocka_unit_test(test_the_limit_holds_and_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
