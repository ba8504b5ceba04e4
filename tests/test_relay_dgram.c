#include "port/relay_dgram.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* On the real host sockets, over loopback: that errors of earlier datagrams and
 * of the one in hand are told apart depends on how the kernel mixes them. */

struct owner {
	struct relay_dgram sock;
	unsigned received, told;
	struct hostsock_err last;
	char bytes[64];
	bool close_when_called;
};

static struct loop *loop;
static struct in6_addr lo;
static struct hostsock_source anywhere;
static uint8_t buf[RELAY_DGRAM_BUF];

static void received(struct relay_dgram *s, const struct endpoint *from,
		     const uint8_t *bytes, size_t len)
{
	struct owner *o = (struct owner *)s;

	o->received++;
	memcpy(o->bytes, bytes, len);
	if (o->close_when_called)
		relay_dgram_close(s);
}

static void told(struct relay_dgram *s, const struct hostsock_err *e,
		 const uint8_t *bytes)
{
	struct owner *o = (struct owner *)s;

	o->told++;
	o->last = *e;
	memcpy(o->bytes, bytes, e->len);
	if (o->close_when_called)
		relay_dgram_close(s);
}

static const struct relay_dgram_events events = {received, told};

static int setup(void **state)
{
	loop = loop_new(NULL);
	assert_non_null(loop);
	lo = addr_from_v4(INADDR_LOOPBACK);
	anywhere.v4 = addr_from_v4(0);
	return 0;
}

static int teardown(void **state)
{
	loop_free(loop);
	return 0;
}

static struct endpoint name_of(const struct owner *o)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	assert_int_equal(
		getsockname(o->sock.watch.fd, (struct sockaddr *)&sa, &len), 0);
	return (struct endpoint){lo, ntohs(sa.sin_port)};
}

static void open_owner(struct owner *o)
{
	memset(o, 0, sizeof(*o));
	assert_int_equal(relay_dgram_open(&o->sock, loop,
					  hostsock_udp(&lo, 0, &anywhere),
					  &events, buf),
			 0);
}

/* A port that refuses as long as the test runs: who holds it is closed to all
 * but itself. */
static struct endpoint refusing_port(struct owner *holder)
{
	struct endpoint e;
	struct sockaddr_in self;
	socklen_t len = sizeof(self);

	open_owner(holder);
	e = name_of(holder);
	getsockname(holder->sock.watch.fd, (struct sockaddr *)&self, &len);
	self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(holder->sock.watch.fd,
				 (struct sockaddr *)&self, sizeof(self)),
			 0);
	return e;
}

static int send_text(struct owner *o, const struct endpoint *to,
		     const char *text)
{
	struct hostsock_opts opts = {0};
	uint32_t mtu;

	return relay_dgram_send(&o->sock, to, &opts, text, strlen(text), &mtu);
}

static void test_a_send_after_a_refused_one_goes_out(void **state)
{
	struct owner a, b, holder;
	struct endpoint closed = refusing_port(&holder), open;

	open_owner(&a);
	open_owner(&b);
	open = name_of(&b);
	assert_int_equal(send_text(&a, &closed, "first"), 0);
	assert_int_equal(send_text(&a, &closed, "second"), 0);
	assert_int_equal(a.told, 1);
	assert_int_equal(send_text(&a, &open, "third"), 0);
	assert_int_equal(a.told, 2);
	assert_int_equal(a.last.err, ECONNREFUSED);
	assert_true(endpoint_equal(&a.last.to, &closed));
	assert_memory_equal(a.bytes, "second", 6);
	loop_turn(loop, NSEC_PER_SEC);
	assert_int_equal(b.received, 1);
	assert_memory_equal(b.bytes, "third", 5);
	relay_dgram_close(&a.sock);
	relay_dgram_close(&b.sock);
	relay_dgram_close(&holder.sock);
}

static void test_an_error_is_told_by_the_loop_and_only_once(void **state)
{
	struct owner a, holder;
	struct endpoint closed = refusing_port(&holder);

	open_owner(&a);
	assert_int_equal(send_text(&a, &closed, "x"), 0);
	loop_turn(loop, NSEC_PER_SEC);
	assert_int_equal(a.told, 1);
	/* nothing is left that would wake the loop */
	loop_turn(loop, 0);
	loop_turn(loop, 0);
	assert_int_equal(a.told, 1);
	assert_int_equal(hostsock_error(a.sock.watch.fd), 0);
	relay_dgram_close(&a.sock);
	relay_dgram_close(&holder.sock);
}

static void test_a_datagram_is_received_behind_an_error(void **state)
{
	struct owner a, b, holder;
	struct endpoint closed = refusing_port(&holder), self;

	open_owner(&a);
	open_owner(&b);
	self = name_of(&a);
	assert_int_equal(send_text(&a, &closed, "x"), 0);
	assert_int_equal(send_text(&b, &self, "y"), 0);
	loop_turn(loop, NSEC_PER_SEC);
	loop_turn(loop, 0);
	assert_int_equal(a.told, 1);
	assert_int_equal(a.received, 1);
	relay_dgram_close(&a.sock);
	relay_dgram_close(&b.sock);
	relay_dgram_close(&holder.sock);
}

static void test_the_owner_may_close_from_inside(void **state)
{
	struct owner a, b, holder;
	struct endpoint closed = refusing_port(&holder), to;

	open_owner(&a);
	a.close_when_called = true;
	assert_int_equal(send_text(&a, &closed, "x"), 0);
	assert_int_equal(send_text(&a, &closed, "y"), -EBADF);
	assert_int_equal(a.told, 1);
	relay_dgram_close(&a.sock);

	open_owner(&a);
	open_owner(&b);
	a.close_when_called = true;
	to = name_of(&a);
	send_text(&b, &to, "1");
	send_text(&b, &to, "2");
	loop_turn(loop, NSEC_PER_SEC);
	assert_int_equal(a.received, 1);
	relay_dgram_close(&b.sock);
	relay_dgram_close(&holder.sock);
}

static void test_a_socket_that_was_not_made_is_an_error(void **state)
{
	struct owner a = {0};

	assert_int_equal(relay_dgram_open(&a.sock, loop, -EMFILE, &events, buf),
			 -EMFILE);
	relay_dgram_close(&a.sock);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_send_after_a_refused_one_goes_out),
		T(test_an_error_is_told_by_the_loop_and_only_once),
		T(test_a_datagram_is_received_behind_an_error),
		T(test_the_owner_may_close_from_inside),
		T(test_a_socket_that_was_not_made_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
