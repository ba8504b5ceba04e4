/* What goes with a lease: everything that plan.offer has, in the room that the
 * client's message has. */
#include "stack/dhcp4.h"
#include "tests/front.h"
#include "tests/test.h"

#include <string.h>

#define DISCOVER 1
#define OFFER    2
#define ACK      5

/* Sends a message of type DISCOVER with @options as they are. */
static void discover(struct front *f, const void *options, size_t len)
{
	uint8_t m[800] = {1, 1, 6};
	struct frames_buf b;

	assert_true(len <= sizeof(m) - 244);
	memcpy(m + 28, frames_guest_mac, WIRE_MAC_LEN);
	put32(m + 236, 0x63825363);
	memcpy(m + 240, (const uint8_t[]){53, 1, DISCOVER}, 3);
	if (len)
		memcpy(m + 243, options, len);
	m[243 + len] = 255;
	frames_sink_clear(&f->sink);
	frames_udp(&b, "0.0.0.0", 68, "255.255.255.255", 67, m, 244 + len);
	front_give(f, &b);
}

/* The options of the one answer, of @type. */
static struct view answer(struct front *f, uint8_t type)
{
	struct frames_seen s = frames_read(frames_only(&f->sink));
	struct in6_addr dst = frames_addr("192.0.2.5");
	struct view v = {s.l4 + 8 + 240, s.l4_len - 8 - 240};

	assert_true(addr_equal(&s.src, &f->plan.gateway4));
	assert_true(addr_equal(&s.dst, &dst));
	assert_int_equal(get32(s.l4 + 8 + 16), 0xc0000205);
	assert_memory_equal(v.at, "\x35\1", 2);
	assert_int_equal(v.at[2], type);
	return v;
}

/* The value of option @code, empty at NULL if there is none. */
static struct view option(struct view v, uint8_t code)
{
	while (v.left > 0 && v.at[0] != 255) {
		const uint8_t *head = view_take(&v, 2);
		struct view data;

		assert_non_null(head);
		data = (struct view){v.at, head[1]};
		assert_non_null(view_take(&v, data.left));
		if (head[0] == code)
			return data;
	}
	assert_true(v.left > 0);
	return (struct view){NULL, 0};
}

static void assert_option(struct view v, uint8_t code, const void *want,
			  size_t len)
{
	struct view got = option(v, code);

	assert_int_equal(got.left, len);
	assert_memory_equal(got.at, want, len);
}

static void test_a_gateway_outside_the_network_comes_as_a_route(void **state)
{
	struct front *f = *state;
	struct view v;

	/* It is wanted even if it was not asked for. */
	discover(f, "\x37\1\3", 3);
	v = answer(f, OFFER);
	assert_option(v, 1, "\xff\xff\xff\xff", 4);
	assert_option(v, 3, "\xc0\0\2\1", 4);
	assert_option(v, 121, "\x20\xc0\0\2\1\0\0\0\0\0\xc0\0\2\1", 14);
	assert_option(v, 54, "\xc0\0\2\1", 4);

	f->plan.net4 = frames_addr("192.0.2.0");
	f->plan.bits4 = 27;
	discover(f, NULL, 0);
	v = answer(f, OFFER);
	assert_option(v, 1, "\xff\xff\xff\xe0", 4);
	assert_null(option(v, 121).at);
}

static void test_resolvers_names_and_search_list_come_along(void **state)
{
	struct front *f = *state;
	struct view v;

	discover(f, NULL, 0);
	v = answer(f, OFFER);
	assert_option(v, 6, "\xa9\xfe\1\1\xc0\0\2\x35", 8);
	assert_option(v, 12, "box", 3);
	assert_option(v, 119, "\3lan\0\7example\3net", 18);
	assert_option(v, 26, "\5\xdc", 2);
	assert_null(option(v, 81).at);
	assert_null(option(v, 80).at);
}

static void test_a_client_that_lists_its_wishes_gets_no_more_names(void **state)
{
	struct front *f = *state;
	struct view v;

	discover(f, "\x37\2\1\x77", 4);
	v = answer(f, OFFER);
	assert_null(option(v, 12).at);
	assert_non_null(option(v, 119).at);
	discover(f, "\x37\2\1\x0c", 4);
	v = answer(f, OFFER);
	assert_non_null(option(v, 12).at);
	assert_null(option(v, 119).at);
	discover(f, "\x37\2\1\x51", 4);
	assert_option(answer(f, OFFER), 81, "\x0c\xff\xff\3box\7example\3net",
		      20);
}

static void test_the_full_name_comes_in_the_clients_spelling(void **state)
{
	struct front *f = *state;

	/* Flags E and S: as in DNS, and we should tell DNS, which we do not. */
	discover(f, "\x51\3\5\0\0", 5);
	assert_option(answer(f, OFFER), 81, "\x0e\xff\xff\3box\7example\3net",
		      20);
	discover(f, "\x51\6\0\0\0foo", 8);
	assert_option(answer(f, OFFER), 81,
		      "\x08\xff\xff"
		      "box.example.net",
		      18);
	/* Cut: as if it were not there. */
	discover(f, "\x51\2\5\0", 4);
	assert_null(option(answer(f, OFFER), 81).at);
	f->plan.offer.fqdn[0] = 0;
	discover(f, "\x51\3\5\0\0", 5);
	assert_null(option(answer(f, OFFER), 81).at);
	discover(f, "\x51\3\0\0\0", 5);
	assert_null(option(answer(f, OFFER), 81).at);
}

static void test_rapid_commit_saves_two_messages(void **state)
{
	struct front *f = *state;
	struct view v;

	discover(f, "\x50\0", 2);
	v = answer(f, ACK);
	assert_non_null(option(v, 80).at);
	assert_int_equal(option(v, 80).left, 0);
	assert_non_null(option(v, 51).at);
}

static void fill(struct plan_offer *offer)
{
	offer->dns_count = 0;
	while (offer->dns_count < PLAN_DNS_MAX)
		offer->dns[offer->dns_count++] = frames_addr("192.0.2.53");
	offer->search_len = PLAN_SEARCH_MAX;
	for (size_t i = 0; i < PLAN_NAME_MAX; i++) {
		char c = i % 64 == 63 ? '.' : 'x';

		offer->hostname[i] = offer->fqdn[i] = c;
	}
}

static size_t message_len(struct front *f)
{
	return frames_read(frames_only(&f->sink)).l4_len - 8;
}

static void test_an_answer_takes_the_room_that_the_client_has(void **state)
{
	struct front *f = *state;
	uint8_t options[300] = {61, 255};
	struct view v;

	fill(&f->plan.offer);
	/* The identifier must come back: two resolvers do not fit any more,
	 * the route and the MTU do. */
	discover(f, options, 257);
	v = answer(f, OFFER);
	assert_int_equal(option(v, 61).left, 255);
	assert_null(option(v, 12).at);
	assert_null(option(v, 119).at);
	assert_true(message_len(f) <= 548);

	discover(f, NULL, 0);
	v = answer(f, OFFER);
	assert_int_equal(option(v, 6).left, 32);
	assert_int_equal(option(v, 26).left, 2);
	assert_true(message_len(f) <= 548);

	/* All it can take is 1500 bytes of packet, as the link. */
	put32(options, 0x3902ffff);
	options[4] = 61;
	options[5] = 255;
	discover(f, options, 4 + 257);
	v = answer(f, OFFER);
	assert_int_equal(option(v, 12).left, 253);
	assert_int_equal(option(v, 119).left, 255);
	assert_int_equal(option(v, 61).left, 255);
	assert_true(message_len(f) <= 1472);

	/* A size below the least is no size. */
	put32(options, 0x39020001);
	discover(f, options, 4);
	assert_int_equal(option(answer(f, OFFER), 6).left, 32);
	f->plan.mtu = 576;
	put32(options, 0x390205dc);
	discover(f, options, 4);
	assert_true(message_len(f) <= 548);
	assert_int_equal(front_drops(f), 0);
}

static void test_without_a_server_nobody_is_early(void **state)
{
	struct front *f = *state;

	f->plan.offer.dhcp4 = false;
	discover(f, NULL, 0);
	assert_int_equal(f->sink.n, 0);
	assert_int_equal(f->count.v[COUNT_DROP_IP_SOURCE], 1);
}

static int setup(void **state)
{
	struct front *f = front_new(1500);

	f->plan = frames_shared_plan();
	*state = f;
	return 0;
}

#define DHCP_TEST(t) cmocka_unit_test_setup_teardown(t, setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DHCP_TEST(test_a_gateway_outside_the_network_comes_as_a_route),
		DHCP_TEST(test_resolvers_names_and_search_list_come_along),
		DHCP_TEST(
			test_a_client_that_lists_its_wishes_gets_no_more_names),
		DHCP_TEST(test_the_full_name_comes_in_the_clients_spelling),
		DHCP_TEST(test_rapid_commit_saves_two_messages),
		DHCP_TEST(test_an_answer_takes_the_room_that_the_client_has),
		DHCP_TEST(test_without_a_server_nobody_is_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
