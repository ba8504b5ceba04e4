#include "stack/dhcp4.h"
#include "tests/front.h"
#include "tests/test.h"

#include <string.h>

enum {
	DISCOVER = 1,
	OFFER,
	REQUEST,
	DECLINE,
	ACK,
	NAK,
	RELEASE,
	INFORM
};

/* A client's message; what is NULL is left out. */
struct ask {
	uint8_t type;
	const char *server, *requested, *ciaddr;
	bool broadcast;
	const uint8_t *more; /* options as they are */
	size_t more_len;
	const char *src, *dst; /* of the packet; NULL: 0.0.0.0 to broadcast */
};

struct message {
	uint8_t data[576];
	size_t len;
};

static void put_option(struct message *m, uint8_t code, const void *data,
		       uint8_t len)
{
	assert_true(m->len + 2 + len <= sizeof(m->data));
	m->data[m->len++] = code;
	m->data[m->len++] = len;
	memcpy(m->data + m->len, data, len);
	m->len += len;
}

static void put_addr_option(struct message *m, uint8_t code, const char *text)
{
	struct in6_addr a;

	if (!text)
		return;
	a = frames_addr(text);
	put_option(m, code, a.s6_addr + 12, 4);
}

static struct message message(const struct ask *a)
{
	struct message m = {.data = {1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef}};

	if (a->broadcast)
		m.data[10] = 0x80;
	if (a->ciaddr) {
		struct in6_addr c = frames_addr(a->ciaddr);

		memcpy(m.data + 12, c.s6_addr + 12, 4);
	}
	memcpy(m.data + 28, frames_guest_mac, WIRE_MAC_LEN);
	put32(m.data + 236, 0x63825363);
	m.len = 240;
	if (a->type)
		put_option(&m, 53, &a->type, 1);
	put_addr_option(&m, 54, a->server);
	put_addr_option(&m, 50, a->requested);
	if (a->more_len)
		memcpy(m.data + m.len, a->more, a->more_len);
	m.len += a->more_len;
	m.data[m.len++] = 255;
	return m;
}

static void send_message(struct front *f, const struct ask *a,
			 const struct message *m)
{
	struct frames_buf b;

	frames_sink_clear(&f->sink);
	frames_udp(&b, a->src ? a->src : "0.0.0.0", 68,
		   a->dst ? a->dst : "255.255.255.255", 67, m->data, m->len);
	front_give(f, &b);
}

static void ask(struct front *f, const struct ask *a)
{
	struct message m = message(a);

	send_message(f, a, &m);
}

/* The value of option @code in the DHCP message @d, or NULL. */
static const uint8_t *option(const uint8_t *d, size_t len, uint8_t code,
			     uint8_t want_len)
{
	size_t at = 240;

	while (at < len && d[at] != 255) {
		if (d[at] == 0) {
			at++;
			continue;
		}
		assert_true(at + 2 + d[at + 1] <= len);
		if (d[at] == code) {
			assert_int_equal(d[at + 1], want_len);
			return d + at + 2;
		}
		at += 2 + (size_t)d[at + 1];
	}
	assert_true(at < len);
	return NULL;
}

static void assert_option32(const uint8_t *d, size_t len, uint8_t code,
			    uint32_t want)
{
	const uint8_t *v = option(d, len, code, 4);

	assert_non_null(v);
	assert_int_equal(get32(v), want);
}

/* The one answer: of @type to @dst. Its message is *@ret_len bytes long. */
static const uint8_t *answer(struct front *f, uint8_t type, const char *dst,
			     size_t *ret_len)
{
	const struct frames_got *got = frames_only(&f->sink);
	struct frames_seen s = frames_read(got);
	struct in6_addr gateway = frames_addr("10.0.2.2");
	struct in6_addr d = frames_addr(dst);
	const uint8_t *m = s.l4 + 8;
	const uint8_t *v;

	assert_true(addr_equal(&s.src, &gateway));
	assert_true(addr_equal(&s.dst, &d));
	if (strcmp(dst, "255.255.255.255") == 0)
		assert_memory_equal(got->data, "\xff\xff\xff\xff\xff\xff", 6);
	else
		assert_memory_equal(got->data, frames_guest_mac, 6);
	assert_int_equal(s.proto, WIRE_PROTO_UDP);
	assert_int_equal(get16(s.l4), 67);
	assert_int_equal(get16(s.l4 + 2), 68);
	*ret_len = s.l4_len - 8;
	assert_true(*ret_len >= 300);
	assert_memory_equal(m, "\2\1\6\0\xde\xad\xbe\xef", 8);
	assert_memory_equal(m + 28, frames_guest_mac, WIRE_MAC_LEN);
	assert_int_equal(get32(m + 236), 0x63825363);
	v = option(m, *ret_len, 53, 1);
	assert_non_null(v);
	assert_int_equal(*v, type);
	assert_option32(m, *ret_len, 54, 0x0a000202);
	return m;
}

/* An OFFER or ACK with everything that belongs to a lease. */
static void assert_lease(struct front *f, uint8_t type, const char *dst)
{
	size_t len;
	const uint8_t *m = answer(f, type, dst, &len);
	const uint8_t *mtu = option(m, len, 26, 2);

	assert_int_equal(get32(m + 16), 0x0a00020f);
	assert_option32(m, len, 51, 86400);
	assert_option32(m, len, 58, 43200);
	assert_option32(m, len, 59, 75600);
	assert_option32(m, len, 1, 0xffffff00);
	assert_option32(m, len, 3, 0x0a000202);
	assert_option32(m, len, 6, 0x0a000203);
	assert_non_null(mtu);
	assert_int_equal(get16(mtu), 1500);
}

static void assert_nak(struct front *f)
{
	size_t len;
	const uint8_t *m = answer(f, NAK, "255.255.255.255", &len);

	assert_int_equal(get32(m + 16), 0);
	assert_null(option(m, len, 51, 4));
}

static void test_discover_gets_an_offer(void **state)
{
	struct front *f = *state;

	ask(f, &(struct ask){.type = DISCOVER});
	assert_lease(f, OFFER, "10.0.2.15");
	ask(f, &(struct ask){.type = DISCOVER, .broadcast = true});
	assert_lease(f, OFFER, "255.255.255.255");
	/* What it would like makes no difference. */
	ask(f, &(struct ask){.type = DISCOVER, .requested = "10.0.2.77"});
	assert_lease(f, OFFER, "10.0.2.15");
	assert_int_equal(front_drops(f), 0);
}

static void test_a_selecting_client_gets_its_lease(void **state)
{
	struct front *f = *state;
	struct ask a = {.type = REQUEST,
			.server = "10.0.2.2",
			.requested = "10.0.2.15"};

	ask(f, &a);
	assert_lease(f, ACK, "10.0.2.15");
	a.requested = "10.0.2.16";
	ask(f, &a);
	assert_nak(f);
	a.server = "10.0.2.9";
	ask(f, &a);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(front_drops(f), 0);
}

static void test_a_rebooting_client_keeps_or_loses_its_address(void **state)
{
	struct front *f = *state;

	ask(f, &(struct ask){.type = REQUEST, .requested = "10.0.2.15"});
	assert_lease(f, ACK, "10.0.2.15");
	ask(f, &(struct ask){.type = REQUEST, .requested = "192.168.1.7"});
	assert_nak(f);
}

static void test_a_renewing_client_is_answered_where_it_is(void **state)
{
	struct front *f = *state;
	struct ask a = {.type = REQUEST,
			.ciaddr = "10.0.2.15",
			.src = "10.0.2.15",
			.dst = "10.0.2.2"};

	ask(f, &a);
	assert_lease(f, ACK, "10.0.2.15");
	/* Rebinding is the same, to everybody. */
	a.dst = NULL;
	a.broadcast = true;
	ask(f, &a);
	assert_lease(f, ACK, "10.0.2.15");
	a.ciaddr = a.src = "10.0.2.100";
	ask(f, &a);
	assert_nak(f);
}

static void test_a_request_for_nothing_is_dropped(void **state)
{
	struct front *f = *state;

	ask(f, &(struct ask){.type = REQUEST});
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_DHCP], 1);
}

static void test_inform_gets_options_and_no_lease(void **state)
{
	struct front *f = *state;
	struct ask a = {
		.type = INFORM, .ciaddr = "10.0.2.100", .src = "10.0.2.100"};
	const uint8_t *m;
	size_t len;

	ask(f, &a);
	m = answer(f, ACK, "10.0.2.100", &len);
	assert_int_equal(get32(m + 16), 0);
	assert_null(option(m, len, 51, 4));
	assert_option32(m, len, 3, 0x0a000202);
	/* An answer must not be sent to where nobody can have asked from. */
	a.ciaddr = "127.0.0.1";
	ask(f, &a);
	a.ciaddr = "10.0.2.2";
	ask(f, &a);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_DHCP], 2);
}

static void test_decline_and_release_are_heard_in_silence(void **state)
{
	struct front *f = *state;

	ask(f, &(struct ask){.type = DECLINE, .requested = "10.0.2.15"});
	assert_int_equal(f->sink.n, 0);
	ask(f, &(struct ask){.type = RELEASE, .ciaddr = "10.0.2.15"});
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(front_drops(f), 0);
}

static void test_the_client_identifier_comes_back(void **state)
{
	struct front *f = *state;
	uint8_t more[2 + 255] = {61, 255};
	struct ask a = {.type = DISCOVER, .more = more, .more_len = 257};
	const uint8_t *m, *id;
	size_t len;

	for (size_t i = 0; i < 255; i++)
		more[2 + i] = (uint8_t)i;
	ask(f, &a);
	m = answer(f, OFFER, "10.0.2.15", &len);
	id = option(m, len, 61, 255);
	assert_non_null(id);
	assert_memory_equal(id, more + 2, 255);
	assert_true(len <= 548);
}

static void test_without_dns_no_resolver_is_named(void **state)
{
	struct front *f = *state;
	const uint8_t *m;
	size_t len;

	f->plan.offer.dns_count = 0;
	ask(f, &(struct ask){.type = DISCOVER});
	m = answer(f, OFFER, "10.0.2.15", &len);
	assert_null(option(m, len, 6, 4));
}

static void test_overloaded_fields_are_read(void **state)
{
	static const uint8_t overload[] = {52, 1, 3};
	struct front *f = *state;
	struct ask a = {.more = overload, .more_len = sizeof(overload)};
	struct message m = message(&a);

	/* The type in one field, the address in the other. */
	memcpy(m.data + 108, "\x35\1\3\xff", 4);
	memcpy(m.data + 44, "\x32\4\x0a\0\2\x0f\xff", 7);
	send_message(f, &a, &m);
	assert_lease(f, ACK, "10.0.2.15");
	/* Not without option 52. */
	m.data[240] = 0;
	m.data[241] = 0;
	m.data[242] = 0;
	send_message(f, &a, &m);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_DHCP], 1);
}

static void test_options_of_hostile_lengths_are_dropped(void **state)
{
	static const struct {
		uint8_t bytes[4];
		size_t len;
	} bad[] = {
		{{61}, 1},          {{61, 255}, 2},     {{61, 2, 0}, 3},
		{{12, 4, 0, 0}, 4}, {{0, 0, 0, 50}, 4},
	};
	struct front *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ask a = {.type = DISCOVER,
				.more = bad[i].bytes,
				.more_len = bad[i].len};
		struct message m = message(&a);

		m.len--; /* nothing after it, not even the end mark */
		send_message(f, &a, &m);
		assert_int_equal(f->sink.n, 0);
		assert_int_equal(f->count.v[COUNT_DROP_DHCP], i + 1);
	}
}

static void test_an_overloaded_field_does_not_leak_into_the_next(void **state)
{
	static const uint8_t overload[] = {52, 1, 1};
	struct front *f = *state;
	struct ask a = {.type = DISCOVER,
			.more = overload,
			.more_len = sizeof(overload)};
	struct message m = message(&a);

	/* The last option of the file field claims a byte too many. */
	memset(m.data + 108, 0, 128);
	m.data[108 + 126] = 61;
	m.data[108 + 127] = 1;
	send_message(f, &a, &m);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_DHCP], 1);
}

static void test_options_of_wrong_size_do_not_count(void **state)
{
	static const uint8_t more[] = {50, 3, 10, 0, 2, 54, 5, 1, 2, 3, 4, 5};
	struct front *f = *state;

	ask(f, &(struct ask){.type = REQUEST,
			     .requested = "10.0.2.15",
			     .more = more,
			     .more_len = sizeof(more)});
	assert_lease(f, ACK, "10.0.2.15");
	ask(f, &(struct ask){.more = (const uint8_t[]){53, 2, 1, 1},
			     .more_len = 4});
	assert_int_equal(f->sink.n, 0);
}

static void test_a_cut_message_is_never_answered(void **state)
{
	struct front *f = *state;
	struct ask a = {.type = DISCOVER};
	struct message m = message(&a);

	/* 240 bytes and option 53; without the end mark it is still whole. */
	for (m.len = 0; m.len < 243; m.len++) {
		send_message(f, &a, &m);
		assert_int_equal(f->sink.n, 0);
	}
	assert_int_equal(f->count.v[COUNT_DROP_DHCP], 243);
}

static void test_a_head_that_is_not_ours_is_dropped(void **state)
{
	/* op, htype, hlen, giaddr, chaddr, magic */
	static const size_t bytes[] = {0, 1, 2, 24, 27, 28, 33, 236, 239};
	struct front *f = *state;
	struct ask a = {.type = DISCOVER};

	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		struct message m = message(&a);

		m.data[bytes[i]] ^= 0x13;
		send_message(f, &a, &m);
		assert_int_equal(f->sink.n, 0);
		assert_int_equal(f->count.v[COUNT_DROP_DHCP], i + 1);
	}
	for (uint8_t type = 0; type < 20; type++)
		if (type != DISCOVER && type != REQUEST && type != INFORM) {
			ask(f, &(struct ask){.type = type});
			assert_int_equal(f->sink.n, 0);
		}
}

#define DHCP_TEST(t)                                                           \
	cmocka_unit_test_setup_teardown(t, front_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DHCP_TEST(test_discover_gets_an_offer),
		DHCP_TEST(test_a_selecting_client_gets_its_lease),
		DHCP_TEST(test_a_rebooting_client_keeps_or_loses_its_address),
		DHCP_TEST(test_a_renewing_client_is_answered_where_it_is),
		DHCP_TEST(test_a_request_for_nothing_is_dropped),
		DHCP_TEST(test_inform_gets_options_and_no_lease),
		DHCP_TEST(test_decline_and_release_are_heard_in_silence),
		DHCP_TEST(test_the_client_identifier_comes_back),
		DHCP_TEST(test_without_dns_no_resolver_is_named),
		DHCP_TEST(test_overloaded_fields_are_read),
		DHCP_TEST(test_options_of_hostile_lengths_are_dropped),
		DHCP_TEST(test_an_overloaded_field_does_not_leak_into_the_next),
		DHCP_TEST(test_options_of_wrong_size_do_not_count),
		DHCP_TEST(test_a_cut_message_is_never_answered),
		DHCP_TEST(test_a_head_that_is_not_ours_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
