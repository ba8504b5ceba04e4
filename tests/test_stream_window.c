/* Windows, segment sizes and queues of one connection. */
#include "stack/wire.h"
#include "tests/rig.h"

#include <errno.h>
#include <string.h>

#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN

static uint8_t pattern[65536];

static const char *const hosts[] = {"192.0.2.1", "2001:db8::1"};

static void
test_a_stalled_host_shuts_the_window_and_opens_it_again(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {.keep_bytes = true};
	uint32_t window = 0xffff;
	size_t sent = 0;

	rig_open(r, &p, &o);
	while (window >= 1000) {
		size_t n = window < 60000 ? window : 60000;

		rig_send(r, &p, ACK, pattern, n);
		p.seq += (uint32_t)n;
		sent += n;
		window = r->sent[r->sent_count - 1].wnd << 7;
		rig_drain(r);
		assert_true(sent <= 1u << 20);
	}
	assert_true(sent >= 64u << 10);
	/* A probe is answered, and what does not fit is not taken. */
	rig_advance(r, 30 * NSEC_PER_SEC);
	rig_send(r, &p, ACK, pattern, 60000);
	assert_true(r->sent_count > 0);
	rig_drain(r);
	o.keep_bytes = false;
	o.user.events->readable(&o.user);
	stack_flush(r->st);
	assert_true(o.got >= sent);
	assert_int_equal(r->sent_count, 1);
	assert_true(r->sent[0].wnd << 7 >= 64u << 10);
	p.seq = r->sent[0].ack;
	rig_close(r, &p, &o);
}

static void test_the_window_grows_with_what_is_consumed(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};
	uint32_t first, last;

	rig_open(r, &p, &o);
	rig_send(r, &p, ACK, pattern, 60000);
	p.seq += 60000;
	first = r->sent[r->sent_count - 1].wnd << 7;
	for (int i = 0; i < 100; i++) {
		rig_send(r, &p, ACK, pattern, 60000);
		p.seq += 60000;
	}
	last = r->sent[r->sent_count - 1].wnd << 7;
	assert_in_range(first, 128u << 10, 256u << 10);
	assert_in_range(last, 896u << 10, 1u << 20);
	rig_close(r, &p, &o);
}

static void test_a_shut_window_is_probed_and_bytes_go_on(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	rig_shut_window(r, &p);
	assert_true(stream_room(o.stream) > 0);
	rig_write(r, &o, 3000);
	assert_int_equal(stream_room(o.stream), 0);
	assert_null(rig_take(r));
	for (int i = 0; i < 30; i++) {
		rig_advance(r, NSEC_PER_SEC);
		while (rig_take(r))
			rig_send(r, &p, ACK, NULL, 0);
	}
	assert_int_equal(o.closed, 0);
	rig_drain(r);
	/* The update that opens it is lost: the answer to the next probe
	 * tells. */
	p.wnd = 1000;
	rig_advance(r, 15 * NSEC_PER_SEC);
	assert_non_null(rig_take(r));
	rig_send(r, &p, ACK, NULL, 0);
	for (int i = 0; i < 20; i++) {
		rig_ack_all(r, &p);
		rig_advance(r, NSEC_PER_SEC / 10);
	}
	assert_int_equal(p.ack - r->sent[0].seq, 3000);
	rig_close(r, &p, &o);
}

static void test_the_owner_hears_when_there_is_room_again(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	p.wnd = 64;
	rig_open(r, &p, &o);
	rig_write(r, &o, 64 << RIG_WSCALE);
	assert_int_equal(stream_room(o.stream), 0);
	assert_int_equal(o.writable, 0);
	rig_ack_all(r, &p);
	assert_int_equal(o.writable, 1);
	assert_true(stream_room(o.stream) > 0);
	rig_close(r, &p, &o);
}

static void test_many_small_writes_make_few_large_segments(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};
	size_t before;

	rig_open(r, &p, &o);
	before = stack_pool(r->st)->in_use;
	rig_shut_window(r, &p); /* nothing leaves: all is queued */
	for (int i = 0; i < 3000; i++) {
		struct chunk *c = chunk_new_beyond(stack_pool(r->st), 1);

		c->data[0] = 'x';
		assert_int_equal(stream_write(o.stream, c, 0, 1), 0);
		stream_flush(o.stream);
	}
	assert_true(stack_pool(r->st)->in_use - before < 4 * CHUNK_ROOM_SMALL);
	p.wnd = 0xffff;
	rig_send(r, &p, ACK, NULL, 0);
	assert_int_equal(rig_ack_all(r, &p), 3000);
	assert_true(r->sent_count < 10);
	rig_close(r, &p, &o);
}

static void test_memory_that_is_short_tightens_windows(void **state)
{
	struct rig *r =
		rig_new_with(&(struct rig_options){.offload = true,
						   .mtu = RIG_MTU,
						   .flow_limit = 1u << 20,
						   .memory_limit = 2u << 20});
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};
	struct chunk *hoard[30];

	rig_open(r, &p, &o);
	for (int i = 0; i < 30; i++)
		hoard[i] = chunk_new(stack_pool(r->st), CHUNK_ROOM);
	assert_true(chunk_pool_pressed(stack_pool(r->st)));
	for (int i = 0; i < 10; i++) {
		rig_send(r, &p, ACK, pattern, 30000);
		p.seq += 30000;
	}
	assert_int_equal(o.got, 300000);
	assert_true(r->sent[r->sent_count - 1].wnd << 7 <= 64u << 10);
	assert_int_equal(stream_room(o.stream), CHUNK_ROOM_SMALL);
	for (int i = 0; i < 30; i++)
		chunk_put(hoard[i]);
	rig_close(r, &p, &o);
	*state = r;
	rig_teardown(state);
}

static void test_without_offload_segments_fit_the_mtu(void **state)
{
	struct rig *r =
		rig_new_with(&(struct rig_options){.offload = false,
						   .mtu = RIG_MTU,
						   .flow_limit = 1u << 20,
						   .memory_limit = 64u << 20});
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	rig_write(r, &o, 5000);
	for (size_t i = 0; i < r->sent_count; i++) {
		struct rig_segment *s = &r->sent[i];
		uint8_t *ip = s->frame + WIRE_ETH_LEN;
		uint8_t pseudo[12] = {0};

		assert_true(s->frame_len <= WIRE_ETH_LEN + RIG_MTU);
		assert_false(s->off.csum_partial);
		memcpy(pseudo, ip + 12, 8);
		pseudo[9] = WIRE_PROTO_TCP;
		put16(pseudo + 10, (uint16_t)(s->len + 20));
		assert_int_equal(csum_fold(csum_add(csum_add(0, pseudo, 12),
						    ip + 20, s->len + 20)),
				 0);
	}
	assert_int_equal(rig_ack_all(r, &p), 5000);
	rig_close(r, &p, &o);
	*state = r;
	rig_teardown(state);
}

static void test_bytes_leave_in_super_frames_of_the_peers_mss(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};

	rig_open(r, &p, &o);
	assert_int_equal(stream_unit(o.stream), 65480 / 1460 * 1460);
	rig_write(r, &o, 32000);
	assert_int_equal(r->sent_count, 1);
	assert_int_equal(r->sent[0].len, 32000);
	assert_int_equal(r->sent[0].off.gso, GSO_TCP4);
	assert_int_equal(r->sent[0].off.gso_size, 1460);
	assert_int_equal(r->sent[0].off.hdr_len, 14 + 20 + 20);
	rig_ack_all(r, &p);
	rig_close(r, &p, &o);
}

/* With memory short the whole window is hardly more than a unit: it must open
 * in smaller steps, or the container waits for a probe with nothing to wait
 * for. */
static void test_a_small_window_opens_in_small_steps(void **state)
{
	struct rig *r =
		rig_new_with(&(struct rig_options){.offload = true,
						   .mtu = 65520,
						   .flow_limit = 64u << 10,
						   .memory_limit = 64u << 20});
	struct rig_peer p = rig_peer(hosts[0], 80, 40000);
	struct rig_owner o = {0};
	uint32_t window = 0xffff;

	p.mss = 65480;
	rig_open(r, &p, &o);
	for (int i = 0; i < 20; i++) {
		assert_true(window >= 32768);
		rig_send(r, &p, ACK, pattern, 20000 + 500 * (size_t)i);
		p.seq += 20000 + 500 * (uint32_t)i;
		window = r->sent[r->sent_count - 1].wnd << RIG_WSCALE;
	}
	rig_close(r, &p, &o);
	*state = r;
	rig_teardown(state);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_stalled_host_shuts_the_window_and_opens_it_again),
		CASE(test_the_window_grows_with_what_is_consumed),
		CASE(test_a_shut_window_is_probed_and_bytes_go_on),
		CASE(test_the_owner_hears_when_there_is_room_again),
		CASE(test_many_small_writes_make_few_large_segments),
		cmocka_unit_test(test_memory_that_is_short_tightens_windows),
		cmocka_unit_test(test_without_offload_segments_fit_the_mtu),
		cmocka_unit_test(test_a_small_window_opens_in_small_steps),
		CASE(test_bytes_leave_in_super_frames_of_the_peers_mss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
