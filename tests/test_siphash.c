#include "stack/siphash.h"
#include "tests/test.h"

/* Vectors of the reference implementation: key 00 01 .. 0f, input 00 01 .. */
static void test_the_published_vectors_come_out(void **state)
{
	static const struct {
		size_t len;
		uint64_t want;
	} vectors[] = {
		{0, UINT64_C(0x726fdb47dd0e0e31)},
		{1, UINT64_C(0x74f839c593dc67fd)},
		{7, UINT64_C(0xab0200f58b01d137)},
		{8, UINT64_C(0x93f5f5799a932462)},
		{15, UINT64_C(0xa129ca6149be45e5)},
	};
	const uint64_t key[2] = {UINT64_C(0x0706050403020100),
				 UINT64_C(0x0f0e0d0c0b0a0908)};
	uint8_t in[16];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_true(siphash(key, in, vectors[i].len) ==
			    vectors[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_published_vectors_come_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
