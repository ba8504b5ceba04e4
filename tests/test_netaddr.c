/* In network namespaces of the test's own, with real interfaces. */
#include "tapdev/netaddr.h"

#include "tests/netspace.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct rig {
	struct netaddr *na;
	int fd; /* the one in it */
	int tap;
};

static int setup(void **state)
{
	static struct rig rig;

	assert_true(netspace_enter());
	rig.fd = netaddr_socket();
	assert_true(rig.fd >= 0);
	rig.na = netaddr_open(rig.fd);
	assert_non_null(rig.na);
	rig.tap = -1;
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	netaddr_close(rig->na);
	assert_int_equal(fcntl(rig->fd, F_GETFD), -1);
	if (rig->tap >= 0)
		close(rig->tap);
	return 0;
}

/* Only for who needs it: its link-local address is good for news at any time. */
static void make_tap(struct rig *rig)
{
	rig->tap = netspace_tap("tap0");
	if (rig->tap < 0)
		skip();
}

/* The kernel tells of IPv6 addresses a little later. */
static bool news_come(const struct rig *rig)
{
	struct pollfd p = {.fd = netaddr_fd(rig->na), .events = POLLIN};

	return poll(&p, 1, 10000) == 1;
}

static bool has_news(const struct rig *rig)
{
	struct pollfd p = {.fd = netaddr_fd(rig->na), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void refresh(const struct rig *rig)
{
	assert_int_equal(netaddr_refresh(rig->na), 0);
}

/* NULL if there is none of the address. */
static const struct netaddr_entry *find(const struct rig *rig, const char *addr)
{
	struct in6_addr a;
	size_t n;
	const struct netaddr_entry *e = netaddr_list(rig->na, &n);

	assert_int_equal(addr_parse(addr, &a), 0);
	for (size_t i = 0; i < n; i++) {
		if (addr_equal(&e[i].addr, &a))
			return &e[i];
	}
	return NULL;
}

static size_t count(const struct rig *rig)
{
	size_t n;

	netaddr_list(rig->na, &n);
	return n;
}

static void test_addresses_come_with_subnet_and_interface(void **state)
{
	const struct netaddr_entry *e;
	struct rig *rig = *state;

	assert_int_equal(count(rig), 0);
	make_tap(rig);
	netspace_add("tap0", "10.0.2.100", 24);
	netspace_add("tap0", "fd00::64", 64);
	refresh(rig);
	e = find(rig, "10.0.2.100");
	assert_non_null(e);
	assert_int_equal(e->bits, 24);
	assert_string_equal(e->ifname, "tap0");
	assert_true(e->usable);
	e = find(rig, "fd00::64");
	assert_non_null(e);
	assert_int_equal(e->bits, 64);
	assert_string_equal(e->ifname, "tap0");
	assert_true(e->usable);
	e = find(rig, "127.0.0.1");
	assert_non_null(e);
	assert_int_equal(e->bits, 8);
	assert_string_equal(e->ifname, "lo");
	assert_non_null(find(rig, "::1"));
}

static void test_an_address_that_is_probed_is_not_usable_yet(void **state)
{
	const struct netaddr_entry *e;
	struct rig *rig = *state;

	make_tap(rig);
	netspace_add_probed("tap0", "fd00::64", 64);
	refresh(rig);
	e = find(rig, "fd00::64");
	assert_non_null(e);
	assert_false(e->usable);
}

static void test_changes_are_heard_of_and_nothing_else(void **state)
{
	struct rig *rig = *state;

	refresh(rig);
	assert_false(has_news(rig));
	netspace_add("lo", "192.0.2.1", 32);
	assert_true(news_come(rig));
	assert_null(find(rig, "192.0.2.1"));
	refresh(rig);
	assert_false(has_news(rig));
	assert_non_null(find(rig, "192.0.2.1"));
	netspace_del("lo", "192.0.2.1", 32);
	assert_true(news_come(rig));
	refresh(rig);
	assert_null(find(rig, "192.0.2.1"));
	assert_false(has_news(rig));
	netspace_add("lo", "fd00::1", 128);
	assert_true(news_come(rig));
	refresh(rig);
	assert_non_null(find(rig, "fd00::1"));
}

static void test_an_interface_that_goes_takes_its_addresses_along(void **state)
{
	struct rig *rig = *state;

	make_tap(rig);
	netspace_add("tap0", "10.0.2.100", 24);
	refresh(rig);
	assert_non_null(find(rig, "10.0.2.100"));
	close(rig->tap);
	rig->tap = -1;
	assert_true(news_come(rig));
	refresh(rig);
	assert_null(find(rig, "10.0.2.100"));
}

/* More news than the socket holds: the kernel says ENOBUFS, once. */
static void test_news_that_were_lost_do_no_harm(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 2000; i++) {
		netspace_add("lo", "192.0.2.1", 32);
		netspace_del("lo", "192.0.2.1", 32);
	}
	netspace_add("lo", "192.0.2.2", 32);
	refresh(rig);
	assert_null(find(rig, "192.0.2.1"));
	assert_non_null(find(rig, "192.0.2.2"));
	assert_false(has_news(rig));
	netspace_add("lo", "192.0.2.1", 32);
	assert_true(news_come(rig));
	refresh(rig);
	assert_non_null(find(rig, "192.0.2.1"));
}

static void test_changes_amidst_a_refresh_are_not_missed(void **state)
{
	struct rig *rig = *state;
	unsigned good = 0;
	pid_t pid;

	netspace_add("lo", "192.0.2.2", 32);
	pid = fork();
	for (int i = 0; pid == 0 && i < 5000; i++) {
		netspace_add("lo", "192.0.2.1", 32);
		netspace_del("lo", "192.0.2.1", 32);
	}
	if (pid == 0)
		_exit(0);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		int err = netaddr_refresh(rig->na);

		assert_true(err == 0 || err == -EAGAIN);
		good += err == 0;
		assert_true(good == 0 || find(rig, "192.0.2.2"));
	}
	refresh(rig);
	assert_null(find(rig, "192.0.2.1"));
	assert_non_null(find(rig, "192.0.2.2"));
}

static void test_many_addresses_are_all_told(void **state)
{
	struct rig *rig = *state;
	char addr[32];
	size_t before;

	refresh(rig);
	before = count(rig);
	for (int i = 0; i < 1000; i++) {
		snprintf(addr, sizeof(addr), "fd00::%x", i + 16);
		netspace_add("lo", addr, 128);
	}
	refresh(rig);
	assert_int_equal(count(rig), before + 1000);
	for (int i = 0; i < 1000; i++) {
		snprintf(addr, sizeof(addr), "fd00::%x", i + 16);
		assert_non_null(find(rig, addr));
		assert_string_equal(find(rig, addr)->ifname, "lo");
	}
}

static void test_the_namespace_is_that_of_the_socket(void **state)
{
	struct rig *rig = *state;

	netspace_add("lo", "192.0.2.1", 32);
	assert_true(netspace_enter());
	netspace_add("lo", "192.0.2.2", 32);
	refresh(rig);
	assert_non_null(find(rig, "192.0.2.1"));
	assert_string_equal(find(rig, "192.0.2.1")->ifname, "lo");
	assert_null(find(rig, "192.0.2.2"));
}

static void test_a_failure_leaves_what_was_known(void **state)
{
	int broken = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct rig *rig = *state;

	refresh(rig);
	assert_int_equal(dup3(broken, rig->fd, O_CLOEXEC), rig->fd);
	assert_int_equal(netaddr_refresh(rig->na), -ENOTSOCK);
	assert_non_null(find(rig, "127.0.0.1"));
	close(broken);
}

static void test_no_descriptor_is_no_netaddr(void **state)
{
	assert_null(netaddr_open(-1));
	netaddr_close(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_addresses_come_with_subnet_and_interface),
		TEST(test_an_address_that_is_probed_is_not_usable_yet),
		TEST(test_changes_are_heard_of_and_nothing_else),
		TEST(test_an_interface_that_goes_takes_its_addresses_along),
		TEST(test_news_that_were_lost_do_no_harm),
		TEST(test_changes_amidst_a_refresh_are_not_missed),
		TEST(test_many_addresses_are_all_told),
		TEST(test_the_namespace_is_that_of_the_socket),
		TEST(test_a_failure_leaves_what_was_known),
		cmocka_unit_test(test_no_descriptor_is_no_netaddr),
	};

	if (!netspace_enter())
		return NETSPACE_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
