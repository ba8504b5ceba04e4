/* Taps in namespaces of a child, opened from outside of them. */
#include "tapdev/netns.h"

#include "tapdev/netaddr.h"
#include "tapdev/sockdiag.h"
#include "tests/netspace.h"
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVICE 8080

struct rig {
	pid_t child; /* in namespaces of its own, until @hold is closed */
	int hold;
	unsigned fds; /* that were open at the start */
	struct fail why;
	struct netns_fds got;
};

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Listens on SERVICE inside. */
static _Noreturn void live(int hold)
{
	uint16_t port = SERVICE;
	char byte = 0;

	if (!netspace_enter())
		_exit(1);
	netspace_bind(SOCK_STREAM, "0.0.0.0", &port, false);
	if (write(hold, &byte, 1) == 1 && read(hold, &byte, 1) == 0)
		_exit(0);
	_exit(1);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	int sv[2];
	char byte;

	assert_non_null(rig);
	rig->fds = count_fds();
	rig->got = (struct netns_fds){.tap = -1, .diag = -1, .route = -1};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
			 0);
	rig->child = fork();
	if (rig->child == 0) {
		close(sv[0]);
		live(sv[1]);
	}
	close(sv[1]);
	rig->hold = sv[0];
	assert_int_equal(read(rig->hold, &byte, 1), 1);
	*state = rig;
	return 0;
}

static void close_all(struct rig *rig)
{
	int *fds[] = {&rig->got.tap, &rig->got.diag, &rig->got.route};

	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	int status;

	close_all(rig);
	close(rig->hold);
	assert_int_equal(waitpid(rig->child, &status, 0), rig->child);
	assert_int_equal(status, 0);
	/* No helper is left either. */
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_fds(), rig->fds);
	free(rig);
	return 0;
}

static struct netns_target target(const struct rig *rig)
{
	return (struct netns_target){.pid = rig->child, .ifname = "tap0"};
}

static int open_it(struct rig *rig, const struct netns_target *t)
{
	return netns_open(t, NULL, &rig->got, &rig->why);
}

static void test_all_three_belong_to_the_childs_namespace(void **state)
{
	struct netcfg_addr addr = {addr_from_v4(0x0a000264), 24};
	struct netcfg cfg = {.mtu = 1500, .addrs = &addr, .addr_count = 1};
	struct rig *rig = *state;
	struct netns_target t = target(rig);
	const struct netaddr_entry *e;
	struct sockdiag *diag;
	struct netaddr *na;
	bool found = false;
	struct ifreq ifr;
	size_t n;

	assert_int_equal(netns_open(&t, &cfg, &rig->got, &rig->why), 0);
	assert_int_equal(ioctl(rig->got.tap, TUNGETIFF, &ifr), 0);
	assert_string_equal(ifr.ifr_name, "tap0");
	assert_true(ifr.ifr_flags & IFF_VNET_HDR);
	assert_int_equal(if_nametoindex("tap0"), 0); /* not here */

	na = netaddr_open(rig->got.route);
	rig->got.route = -1;
	assert_non_null(na);
	assert_int_equal(netaddr_refresh(na), 0);
	e = netaddr_list(na, &n);
	for (size_t i = 0; i < n; i++)
		found |= addr_equal(&e[i].addr, &addr.addr) &&
			 strcmp(e[i].ifname, "tap0") == 0;
	assert_true(found);
	netaddr_close(na);

	diag = sockdiag_open(rig->got.diag);
	rig->got.diag = -1;
	assert_non_null(diag);
	assert_int_equal(sockdiag_look(diag, SOCKDIAG_TCP), 0);
	assert_int_equal(
		sockdiag_reach(diag, SOCKDIAG_TCP, &addr.addr, SERVICE),
		SOCKDIAG_LISTENS);
	sockdiag_close(diag);
}

static void
test_descriptors_do_not_leave_for_a_program_that_is_run(void **state)
{
	struct rig *rig = *state;
	struct netns_target t = target(rig);

	assert_int_equal(open_it(rig, &t), 0);
	assert_int_equal(fcntl(rig->got.tap, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(rig->got.diag, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(rig->got.route, F_GETFD), FD_CLOEXEC);
}

static void test_a_path_serves_as_well(void **state)
{
	struct rig *rig = *state;
	struct netns_target t = {.ifname = "tap0"};
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)rig->child);
	t.netns_path = path;
	assert_int_equal(open_it(rig, &t), 0);
	assert_true(rig->got.tap >= 0);
}

static void test_this_process_stays_where_it_is(void **state)
{
	struct rig *rig = *state;
	struct netns_target t = target(rig);
	char before[64] = "", after[64] = "";

	assert_true(readlink("/proc/self/ns/net", before, 63) > 0);
	assert_int_equal(open_it(rig, &t), 0);
	assert_true(readlink("/proc/self/ns/net", after, 63) > 0);
	assert_string_equal(before, after);
}

/* @text is in the reason. */
static void expect_failure(struct rig *rig, const struct netns_target *t,
			   int err, const char *text)
{
	assert_int_equal(open_it(rig, t), err);
	if (!strstr(rig->why.text, text))
		fail_msg("'%s' lacks '%s'", rig->why.text, text);
	assert_int_equal(rig->got.tap, -1);
}

static void test_a_process_that_is_gone_is_named(void **state)
{
	struct rig *rig = *state;
	pid_t pid = fork();
	struct netns_target t = {.pid = pid, .ifname = "tap0"};
	char text[64];

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	snprintf(text, sizeof(text), "process %d is not there", (int)pid);
	expect_failure(rig, &t, -ENOENT, text);
}

static void test_what_is_no_network_namespace_is_said(void **state)
{
	struct netns_target t = {.ifname = "tap0"};
	struct rig *rig = *state;

	t.netns_path = "/proc/self/ns/mnt";
	expect_failure(rig, &t, -EINVAL, "is not a network namespace");
	t.netns_path = "/dev/null";
	expect_failure(rig, &t, -EINVAL, "/dev/null is not a network");
	t.netns_path = "/nonexistent/ns";
	expect_failure(rig, &t, -ENOENT, "/nonexistent/ns");
	t.netns_path = "/proc/self/ns/net";
	t.userns_path = "/nonexistent/user";
	expect_failure(rig, &t, -ENOENT, "/nonexistent/user");
}

static void test_a_tap_that_somebody_holds_is_in_use(void **state)
{
	struct rig *rig = *state;
	struct netns_target t = target(rig);
	struct netns_fds second = {.tap = -1, .diag = -1, .route = -1};

	assert_int_equal(open_it(rig, &t), 0);
	assert_int_equal(netns_open(&t, NULL, &second, &rig->why), -EBUSY);
	assert_non_null(strstr(rig->why.text, "tap0 is in use"));
	assert_int_equal(second.tap, -1);
	close_all(rig);
	assert_int_equal(open_it(rig, &t), 0);
}

static void test_an_interface_that_is_no_tap_is_told(void **state)
{
	struct rig *rig = *state;
	struct netns_target t = target(rig);

	t.ifname = "lo";
	expect_failure(rig, &t, -EINVAL, "that is no tap");
}

static void test_a_fresh_tap_takes_the_place_of_none(void **state)
{
	struct rig *rig = *state;
	struct netns_target t = target(rig);
	struct netns_fds second = {.tap = -1, .diag = -1, .route = -1};

	t.ifname = "lo";
	t.fresh = true;
	expect_failure(rig, &t, -EEXIST, "an interface of that name already");
	t.ifname = "tap0";
	assert_int_equal(open_it(rig, &t), 0);
	assert_int_equal(netns_open(&t, NULL, &second, &rig->why), -EEXIST);
	assert_non_null(strstr(rig->why.text, "cannot make tap tap0"));
	assert_int_equal(second.tap, -1);
	assert_int_equal(ioctl(rig->got.tap, TUNSETPERSIST, 1), 0);
	close_all(rig);
	expect_failure(rig, &t, -EEXIST, "cannot make tap tap0");
	t.fresh = false;
	assert_int_equal(open_it(rig, &t), 0);
}

static void test_a_name_has_one_to_fifteen_characters(void **state)
{
	struct rig *rig = *state;
	struct netns_target t = target(rig);

	t.ifname = "";
	expect_failure(rig, &t, -EINVAL, "1 to 15 characters");
	t.ifname = "a123456789012345";
	expect_failure(rig, &t, -EINVAL, "1 to 15 characters");
	t.ifname = "a12345678901234";
	assert_int_equal(open_it(rig, &t), 0);
}

/* netns_open() where only @room more descriptors may be open, those of the
 * socket pair included, which the helper has both open. */
static int open_within(struct rig *rig, unsigned room)
{
	struct netns_target t = target(rig);
	struct rlimit files, few;
	int lowest = dup(0);
	int err;

	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	few = files;
	few.rlim_cur = (rlim_t)lowest + room;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	err = open_it(rig, &t);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	return err;
}

static void test_without_the_tap_nothing_stays_open(void **state)
{
	struct rig *rig = *state;

	for (unsigned room = 0; room < 4; room++) {
		assert_int_equal(open_within(rig, room), -EMFILE);
		assert_int_equal(rig->got.tap, -1);
	}
}

static void test_what_only_looks_inside_may_be_missing(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(open_within(rig, 4), 0);
	assert_true(rig->got.tap >= 0);
	assert_true(rig->got.diag >= 0);
	assert_int_equal(rig->got.route, -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_all_three_belong_to_the_childs_namespace),
		TEST(test_descriptors_do_not_leave_for_a_program_that_is_run),
		TEST(test_a_path_serves_as_well),
		TEST(test_this_process_stays_where_it_is),
		TEST(test_a_process_that_is_gone_is_named),
		TEST(test_what_is_no_network_namespace_is_said),
		TEST(test_a_tap_that_somebody_holds_is_in_use),
		TEST(test_an_interface_that_is_no_tap_is_told),
		TEST(test_a_fresh_tap_takes_the_place_of_none),
		TEST(test_a_name_has_one_to_fifteen_characters),
		TEST(test_without_the_tap_nothing_stays_open),
		TEST(test_what_only_looks_inside_may_be_missing),
	};

	/* Whoever may not make a namespace cannot join the child's, nor can a
	 * tap be had where there is no device. */
	if (!netspace_enter() || access("/dev/net/tun", R_OK | W_OK) < 0)
		return NETSPACE_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
