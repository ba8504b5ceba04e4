/* The stack on the event loop, with a socket pair for a tap. */
#include "port/tapio.h"
#include "stack/wire.h"
#include "tests/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct bench {
	struct rig *r;
	struct loop *loop;
	struct tapdev tap;
	struct tapio io;
	int far; /* the container's end of the tap */
};

static nsec_t test_now;

static nsec_t test_clock(void)
{
	return test_now;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct fail why;
	int ends[2];

	b->r = rig_new();
	test_now = b->r->now;
	b->loop = loop_new(test_clock);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(tapdev_open_packets(&b->tap, ends[0], false, &why), 0);
	b->far = ends[1];
	assert_int_equal(tapio_init(&b->io, b->loop, b->r->st, &b->tap, NULL),
			 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	tapio_fini(&b->io);
	tapdev_close(&b->tap);
	close(b->far);
	loop_free(b->loop);
	assert_int_equal(stack_pool(b->r->st)->in_use, 0);
	rig_free(b->r);
	free(b);
	return 0;
}

/* Turns of the loop alone; nobody else ticks or flushes the stack. */
static void pass(struct bench *b, nsec_t span)
{
	for (nsec_t end = test_now + span; test_now < end;
	     test_now += NSEC_PER_SEC / 10)
		assert_int_equal(loop_turn(b->loop, 0), 0);
	b->r->now = test_now;
}

static void test_what_a_timer_ended_is_told_without_a_frame(void **state)
{
	struct bench *b = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {0};

	b->r->next_owner = &o;
	rig_send(b->r, &p, WIRE_TCP_SYN, NULL, 0);
	stream_accept(o.stream);
	pass(b, 30 * NSEC_PER_SEC);
	assert_int_equal(o.closed, 1);
	assert_int_equal(o.err, -ETIMEDOUT);
	assert_int_equal(stack_streams(b->r->st), 0);
}

/* An ARP request for the gateway. */
static void send_arp(struct bench *b)
{
	uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,
			   1,    8,    6,    0,    1,    8,    0, 6, 4, 0, 1};

	memcpy(arp + 22, arp + 6, 6);
	put32(arp + 28, 0x0a000264);
	put32(arp + 38, 0x0a000202);
	assert_int_equal(send(b->far, arp, sizeof(arp), 0), sizeof(arp));
}

static uint64_t frames_in(const struct bench *b)
{
	return stack_counters(b->r->st)->v[COUNT_FRAMES_IN];
}

static void turn(struct bench *b)
{
	assert_int_equal(loop_turn(b->loop, 0), 0);
}

static void test_a_frame_on_the_tap_reaches_the_stack(void **state)
{
	struct bench *b = *state;

	send_arp(b);
	pass(b, NSEC_PER_SEC / 10);
	assert_non_null(b->r->other);
	assert_int_equal(get16(b->r->other + 20), 2); /* an ARP reply */
}

static void test_a_burst_is_bounded_and_nothing_is_lost(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 100; i++)
		send_arp(b);
	turn(b);
	assert_in_range(frames_in(b), 1, 64);
	turn(b);
	assert_int_equal(frames_in(b), 100);
}

/* Among them are the ACKs that give memory back. */
static void test_frames_are_read_when_the_pool_is_at_its_limit(void **state)
{
	struct bench *b = *state;
	struct chunk_pool *pool = stack_pool(b->r->st);

	pool->limit = pool->in_use;
	send_arp(b);
	turn(b);
	assert_int_equal(frames_in(b), 1);
	assert_int_equal(pool->in_use, 0);
}

static void test_what_is_no_frame_is_counted(void **state)
{
	struct bench *b = *state;

	b->tap.hdr_len = 10; /* as if the tap had a header */
	assert_int_equal(send(b->far, "too short", 9, 0), 9);
	turn(b);
	assert_int_equal(b->io.bad, 1);
	b->tap.hdr_len = 0;
	send_arp(b);
	turn(b);
	assert_int_equal(frames_in(b), 1);
}

static void test_a_tap_that_is_gone_is_left_alone(void **state)
{
	struct bench *b = *state;

	close(b->far);
	b->far = -1;
	pass(b, NSEC_PER_SEC);
	assert_int_equal(b->io.fd.fd, -1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_what_a_timer_ended_is_told_without_a_frame),
		CASE(test_a_frame_on_the_tap_reaches_the_stack),
		CASE(test_a_burst_is_bounded_and_nothing_is_lost),
		CASE(test_frames_are_read_when_the_pool_is_at_its_limit),
		CASE(test_what_is_no_frame_is_counted),
		CASE(test_a_tap_that_is_gone_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
