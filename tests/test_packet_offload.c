/* What the kernel says beside a frame: who made which checksum, super-frames. */
#include "stack/packet.h"
#include "tests/front.h"
#include "tests/test.h"

#include <stdlib.h>

#define L3 WIRE_ETH_LEN

/* Gives the frame and asserts that it was dropped for @why. */
static void assert_drop(struct front *f, const struct frames_buf *b,
			enum count_reason why)
{
	uint64_t before = f->count.v[why];

	assert_false(front_accepts(f, b));
	assert_int_equal(f->count.v[why], before + 1);
}

static void test_a_vouched_sum_is_not_verified(void **state)
{
	struct front *f = *state;
	struct frames_buf b;

	front_tcp4(&b);
	b.data[b.len - 1] ^= 1;
	assert_drop(f, &b, COUNT_DROP_L4_CSUM);
	f->off.csum_valid = true;
	assert_true(front_accepts(f, &b));
	f->off = (struct offload){
		.csum_partial = true, .csum_start = 34, .csum_offset = 16};
	assert_true(front_accepts(f, &b));
	front_udp6(&b);
	b.data[b.len - 1] ^= 1;
	f->off.csum_start = 54;
	f->off.csum_offset = 6;
	assert_true(front_accepts(f, &b));
	/* The header's own is always there. */
	front_udp4(&b);
	b.data[L3 + 10] ^= 1;
	f->off.csum_start = 34;
	assert_drop(f, &b, COUNT_DROP_IP_CSUM);
}

static void test_offload_that_lies_is_dropped(void **state)
{
	static const struct offload lies[] = {
		{.csum_partial = true, .csum_start = 33, .csum_offset = 16},
		{.csum_partial = true, .csum_start = 34, .csum_offset = 6},
		{.csum_partial = true, .csum_start = 0, .csum_offset = 50},
		{.csum_partial = true, .csum_start = 65535, .csum_offset = 16},
		{.gso = GSO_TCP4, .gso_size = 1460},
		{.csum_partial = true,
		 .csum_start = 34,
		 .csum_offset = 16,
		 .gso = GSO_TCP6,
		 .gso_size = 1460},
		{.csum_partial = true,
		 .csum_start = 34,
		 .csum_offset = 16,
		 .gso = GSO_TCP4},
	};
	struct front *f = *state;
	struct frames_buf b;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		front_tcp4(&b);
		f->off = lies[i];
		assert_drop(f, &b, COUNT_DROP_OFFLOAD);
	}
	/* Only TCP comes as a super-frame, and ICMP has no partial sum. */
	f->off = (struct offload){.csum_partial = true,
				  .csum_start = 34,
				  .csum_offset = 6,
				  .gso = GSO_TCP4,
				  .gso_size = 1460};
	front_udp4(&b);
	assert_drop(f, &b, COUNT_DROP_OFFLOAD);
	f->off = (struct offload){
		.csum_partial = true, .csum_start = 34, .csum_offset = 2};
	front_icmp4(&b);
	assert_drop(f, &b, COUNT_DROP_OFFLOAD);
}

static void test_super_frames_pass(void **state)
{
	struct front *f = *state;
	uint8_t *payload = calloc(1, 65535);
	struct frames_buf b;
	struct packet p;

	assert_non_null(payload);
	frames_tcp(&b, &(struct frames_tcp){.src = GUEST4,
					    .dst = REMOTE4,
					    .payload = payload,
					    .len = 65535 - 40});
	f->off = (struct offload){.csum_partial = true,
				  .csum_start = 34,
				  .csum_offset = 16,
				  .gso = GSO_TCP4,
				  .gso_size = 1460,
				  .hdr_len = 54};
	assert_true(front_packet(f, b.data, b.len, &p));
	assert_int_equal(p.l4_len, 65535 - 20);
	chunk_put(p.chunk);
	frames_tcp(&b, &(struct frames_tcp){.src = GUEST6,
					    .dst = REMOTE6,
					    .payload = payload,
					    .len = 65535 - 20});
	f->off.csum_start = 54;
	f->off.gso = GSO_TCP6;
	assert_true(front_packet(f, b.data, b.len, &p));
	assert_int_equal(p.l4_len, 65535);
	chunk_put(p.chunk);
	free(payload);
}

#define PACKET_TEST(t)                                                         \
	cmocka_unit_test_setup_teardown(t, front_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PACKET_TEST(test_a_vouched_sum_is_not_verified),
		PACKET_TEST(test_offload_that_lies_is_dropped),
		PACKET_TEST(test_super_frames_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
