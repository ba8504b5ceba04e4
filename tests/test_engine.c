/* What lwIP sees of its surroundings, and that nothing of a flow stays in its
 * global lists. */
#include "stack/engine.h"
#include "stack/wire.h"
#include "tests/rig.h"

#include <errno.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/udp.h>

#define ACK WIRE_TCP_ACK

static void assert_lists_are_empty(void)
{
	assert_null(tcp_active_pcbs);
	assert_null(tcp_tw_pcbs);
	assert_null(tcp_bound_pcbs);
	assert_null(tcp_listen_pcbs.listen_pcbs);
	assert_null(udp_pcbs);
}

static void test_at_rest_lwips_lists_are_empty(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 80, 40000);
	struct rig_owner o = {0};

	assert_lists_are_empty();
	r->next_owner = &o;
	rig_send(r, &p, WIRE_TCP_SYN, NULL, 0);
	assert_lists_are_empty();
	stream_accept(o.stream);
	assert_lists_are_empty();
	p.seq++;
	p.ack = r->sent[r->sent_count - 1].seq + 1;
	rig_send(r, &p, ACK, "x", 1);
	p.seq++;
	assert_lists_are_empty();
	rig_write(r, &o, 1000);
	assert_lists_are_empty();
	rig_advance(r, 2 * NSEC_PER_SEC); /* a retransmission */
	assert_lists_are_empty();
	stream_shutdown(o.stream);
	assert_lists_are_empty();
	rig_ack_all(r, &p);
	rig_send(r, &p, WIRE_TCP_FIN | ACK, NULL, 0);
	p.seq++;
	stream_release(o.stream); /* TIME_WAIT now */
	assert_lists_are_empty();
	rig_advance(r, 2 * NSEC_PER_SEC);
	assert_lists_are_empty();
}

static void test_an_active_open_leaves_the_lists_empty(void **state)
{
	struct rig *r = *state;
	struct rig_peer p = rig_peer("192.0.2.1", 50000, 80);
	struct rig_owner o = {0};

	assert_int_equal(rig_connect(r, &p, &o), 0);
	assert_lists_are_empty();
	rig_advance(r, 2 * NSEC_PER_SEC); /* the SYN once more */
	assert_lists_are_empty();
	rig_take_syn(r, &p);
	rig_send(r, &p, WIRE_TCP_SYN | ACK, NULL, 0);
	assert_lists_are_empty();
	stream_abort(o.stream);
	assert_lists_are_empty();
	stack_flush(r->st);
	/* One that fails before it began. */
	assert_int_equal(addr_parse("10.0.2.2", &p.self.addr), 0);
	assert_int_equal(rig_connect(r, &p, &o), -EHOSTUNREACH);
	assert_lists_are_empty();
}

static void test_sequence_numbers_cannot_be_guessed_from_others(void **state)
{
	struct rig *r = *state;
	uint32_t isn[3];

	for (uint16_t i = 0; i < 3; i++) {
		struct rig_peer p =
			rig_peer("192.0.2.1", 80, (uint16_t)(40000 + i / 2));
		struct rig_owner o = {0};

		r->next_owner = &o;
		rig_drain(r);
		rig_send(r, &p, WIRE_TCP_SYN, NULL, 0);
		stream_accept(o.stream);
		isn[i] = r->sent[0].seq;
		stream_abort(o.stream);
		stack_flush(r->st);
		rig_advance(r, NSEC_PER_MSEC);
	}
	/* The same connection again: later, but never earlier (RFC 6528). */
	assert_in_range(isn[1] - isn[0], 1, 20000);
	/* Another connection: nowhere near. */
	assert_true(isn[2] - isn[1] > 100000 && isn[1] - isn[2] > 100000);
}

static void test_a_pbuf_over_a_chunk_holds_it_until_it_is_freed(void **state)
{
	struct chunk_pool pool;
	struct chunk *c;
	struct pbuf *p;

	chunk_pool_init(&pool, 1u << 20);
	c = chunk_new(&pool, 3000);
	p = engine_pbuf(c, c->data + 100, 50);
	assert_ptr_equal(p->payload, c->data + 100);
	assert_int_equal(p->tot_len, 50);
	assert_ptr_equal(engine_pbuf_chunk(p), c);
	chunk_put(c);
	assert_int_equal(pool.in_use, CHUNK_ROOM);
	pbuf_free(p);
	assert_int_equal(pool.in_use, 0);
	p = pbuf_alloc(PBUF_RAW, 10, PBUF_RAM);
	assert_null(engine_pbuf_chunk(p));
	pbuf_free(p);
	chunk_pool_fini(&pool);
}

static void test_addresses_survive_the_way_to_lwip_and_back(void **state)
{
	static const char *const texts[] = {"10.0.2.100", "fd00::64"};

	for (size_t i = 0; i < 2; i++) {
		struct in6_addr a, b;
		ip_addr_t ip;

		assert_int_equal(addr_parse(texts[i], &a), 0);
		ip = engine_addr(&a);
		assert_int_equal(IP_IS_V6_VAL(ip), i);
		b = engine_addr_back(&ip);
		assert_true(addr_equal(&a, &b));
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_at_rest_lwips_lists_are_empty),
		CASE(test_an_active_open_leaves_the_lists_empty),
		CASE(test_sequence_numbers_cannot_be_guessed_from_others),
		cmocka_unit_test(
			test_a_pbuf_over_a_chunk_holds_it_until_it_is_freed),
		cmocka_unit_test(
			test_addresses_survive_the_way_to_lwip_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
