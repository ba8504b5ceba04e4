/* The tap over a SOCK_SEQPACKET pair, which keeps frame edges as a tap does;
 * and over a real one in namespaces of our own where that is allowed. */
#include "tapdev/tapdev.h"

#include "stack/wire.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HDR sizeof(struct virtio_net_hdr)

struct rig {
	struct tapdev tap;
	struct chunk_pool pool;
	struct chunk *chunk;
	int peer; /* the kernel's end */
};

static int set_up(struct rig *r, bool vnet)
{
	int size = 1 << 20;
	struct fail why;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	assert_int_equal(tapdev_open_packets(&r->tap, sv[0], vnet, &why), 0);
	r->peer = sv[1];
	chunk_pool_init(&r->pool, CHUNK_ROOM);
	r->chunk = chunk_new(&r->pool, CHUNK_ROOM);
	assert_non_null(r->chunk);
	return 0;
}

static int setup_vnet(void **state)
{
	static struct rig rig;

	*state = &rig;
	return set_up(&rig, true);
}

static int setup_plain(void **state)
{
	static struct rig rig;

	*state = &rig;
	return set_up(&rig, false);
}

static int teardown(void **state)
{
	struct rig *r = *state;
	int fd = r->tap.fd;

	tapdev_close(&r->tap);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	tapdev_close(&r->tap); /* once more does nothing */
	close(r->peer);
	chunk_put(r->chunk);
	assert_int_equal(r->pool.in_use, 0);
	chunk_pool_fini(&r->pool);
	return 0;
}

/* A frame of @len bytes, each its offset modulo 251, behind @h. */
static void send_frame(struct rig *r, const struct virtio_net_hdr *h,
		       size_t len)
{
	uint8_t *buf = malloc(HDR + len);
	size_t at = 0;

	if (h) {
		memcpy(buf, h, HDR);
		at = HDR;
	}
	for (size_t i = 0; i < len; i++)
		buf[at + i] = (uint8_t)(i % 251);
	assert_int_equal(send(r->peer, buf, at + len, 0), at + len);
	free(buf);
}

static ssize_t read_frame(struct rig *r, struct offload *off)
{
	size_t start = 0;
	ssize_t n = tapdev_read(&r->tap, r->chunk, &start, off);

	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(r->chunk->data[start + (size_t)i], i % 251);
	if (n > 0)
		assert_int_equal((uintptr_t)(r->chunk->data + start) % 4, 2);
	return n;
}

static void test_a_plain_frame_has_no_offload(void **state)
{
	struct virtio_net_hdr h = {0};
	struct offload off, none = {0};
	struct rig *r = *state;

	send_frame(r, &h, 60);
	assert_int_equal(read_frame(r, &off), 60);
	assert_memory_equal(&off, &none, sizeof(off));
	assert_int_equal(read_frame(r, &off), -EAGAIN);
}

static void test_a_frame_without_header_is_taken_whole(void **state)
{
	struct rig *r = *state;
	struct offload off;

	send_frame(r, NULL, 60);
	send_frame(r, NULL, 65535 + WIRE_ETH_LEN);
	assert_int_equal(read_frame(r, &off), 60);
	assert_int_equal(read_frame(r, &off), 65535 + WIRE_ETH_LEN);
	assert_false(off.csum_partial || off.csum_valid);
}

static void test_a_super_frame_keeps_what_the_kernel_said(void **state)
{
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
		.hdr_len = 54,
		.gso_size = 1460,
		.csum_start = 34,
		.csum_offset = 16,
	};
	struct rig *r = *state;
	struct offload off;

	send_frame(r, &h, 65000);
	assert_int_equal(read_frame(r, &off), 65000);
	assert_true(off.csum_partial);
	assert_false(off.csum_valid);
	assert_int_equal(off.csum_start, 34);
	assert_int_equal(off.csum_offset, 16);
	assert_int_equal(off.gso, GSO_TCP4);
	assert_int_equal(off.gso_size, 1460);
	assert_int_equal(off.hdr_len, 54);
}

static void test_a_header_length_beyond_the_frame_is_clamped(void **state)
{
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_DATA_VALID,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
		.hdr_len = 60000,
		.gso_size = 1440,
	};
	struct rig *r = *state;
	struct offload off;

	send_frame(r, &h, 100);
	assert_int_equal(read_frame(r, &off), 100);
	assert_int_equal(off.hdr_len, 100);
	assert_int_equal(off.gso, GSO_TCP6);
	assert_true(off.csum_valid);
	assert_false(off.csum_partial);
}

static void test_a_header_that_lies_is_no_frame(void **state)
{
	static const struct virtio_net_hdr lies[] = {
		/* the checksum's last byte is the first beyond the frame */
		{.flags = 1, .csum_start = 34, .csum_offset = 65},
		{.flags = 1, .csum_start = 65535, .csum_offset = 65535},
		/* in the Ethernet header */
		{.flags = 1, .csum_start = 13, .csum_offset = 0},
		{.gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 1400},
		{.gso_type = 5 /* UDP_L4 */, .gso_size = 1400},
		{.gso_type = 77, .gso_size = 1400},
		{.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 0},
	};
	struct virtio_net_hdr truth = {
		.flags = 1, .csum_start = 34, .csum_offset = 64};
	struct rig *r = *state;
	struct offload off;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		send_frame(r, &lies[i], 100);
		assert_int_equal(read_frame(r, &off), 0);
	}
	send_frame(r, &truth, 100);
	assert_int_equal(read_frame(r, &off), 100);
}

static void test_a_frame_cut_off_is_no_frame(void **state)
{
	struct virtio_net_hdr h = {0};
	struct rig *r = *state;
	struct offload off;

	assert_int_equal(send(r->peer, &h, HDR - 1, 0), HDR - 1);
	assert_int_equal(read_frame(r, &off), 0);
	send_frame(r, &h, 0);
	assert_int_equal(read_frame(r, &off), 0);
	send_frame(r, &h, CHUNK_ROOM);
	assert_int_equal(read_frame(r, &off), 0);
	send_frame(r, &h, 42);
	assert_int_equal(read_frame(r, &off), 42);
}

static void test_the_end_of_the_peer_is_told_as_an_error(void **state)
{
	struct rig *r = *state;
	struct offload off;

	shutdown(r->peer, SHUT_RDWR);
	assert_int_equal(read_frame(r, &off), -EIO);
}

static int put(struct rig *r, const struct offload *off)
{
	struct iovec iov[2] = {{(void *)(uintptr_t) "0123456789abcd", 14},
			       {(void *)(uintptr_t) "payload", 7}};
	struct frame f = {iov, 2, 21, *off};

	return r->tap.sink.put(&r->tap.sink, &f);
}

static void test_pieces_leave_as_one_frame_behind_a_header(void **state)
{
	struct offload off = {.csum_partial = true,
			      .csum_start = 34,
			      .csum_offset = 16,
			      .gso = GSO_TCP6,
			      .gso_size = 1440,
			      .hdr_len = 74};
	struct virtio_net_hdr h;
	struct rig *r = *state;
	char buf[100];

	assert_int_equal(put(r, &off), 0);
	assert_int_equal(recv(r->peer, buf, sizeof(buf), 0), HDR + 21);
	memcpy(&h, buf, HDR);
	assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(h.gso_type, VIRTIO_NET_HDR_GSO_TCPV6);
	assert_int_equal(h.gso_size, 1440);
	assert_int_equal(h.hdr_len, 74);
	assert_int_equal(h.csum_start, 34);
	assert_int_equal(h.csum_offset, 16);
	assert_memory_equal(buf + HDR, "0123456789abcdpayload", 21);

	off = (struct offload){0};
	assert_int_equal(put(r, &off), 0);
	assert_int_equal(recv(r->peer, buf, sizeof(buf), 0), HDR + 21);
	assert_memory_equal(buf, &(struct virtio_net_hdr){0}, HDR);
}

static void test_without_header_only_the_frame_leaves(void **state)
{
	struct offload off = {0};
	struct rig *r = *state;
	char buf[100];

	assert_int_equal(put(r, &off), 0);
	assert_int_equal(recv(r->peer, buf, sizeof(buf), 0), 21);
	assert_memory_equal(buf, "0123456789abcdpayload", 21);
}

static void test_a_lost_frame_is_told(void **state)
{
	struct offload off = {0};
	struct rig *r = *state;

	signal(SIGPIPE, SIG_IGN);
	shutdown(r->peer, SHUT_RDWR);
	assert_int_equal(put(r, &off), -EPIPE);
}

static void test_what_is_no_tap_is_refused_with_a_reason(void **state)
{
	struct tapdev tap;
	struct fail why;
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_true(tapdev_open(&tap, p[0], &why) < 0);
	assert_non_null(strstr(why.text, "no tap device"));
	assert_true(tapdev_open(&tap, 9999, &why) < 0);
	close(p[0]);
	close(p[1]);
}

static void test_a_socket_has_no_mac(void **state)
{
	struct rig *r = *state;
	uint8_t mac[WIRE_MAC_LEN];

	assert_false(tapdev_mac(&r->tap, mac));
}

/* The kernel drew one, and is told another. */
static bool mac_is_told(const struct tapdev *tap)
{
	struct ifreq ifr = {.ifr_name = "t0"};
	const uint8_t want[WIRE_MAC_LEN] = {2, 7, 6, 5, 4, 3};
	uint8_t got[WIRE_MAC_LEN];
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = s >= 0 && ioctl(s, SIOCGIFHWADDR, &ifr) == 0 &&
		  tapdev_mac(tap, got) &&
		  memcmp(got, ifr.ifr_hwaddr.sa_data, sizeof(got)) == 0;

	memcpy(ifr.ifr_hwaddr.sa_data, want, sizeof(want));
	ok = ok && ioctl(s, SIOCSIFHWADDR, &ifr) == 0 && tapdev_mac(tap, got) &&
	     memcmp(got, want, sizeof(got)) == 0;
	if (s >= 0)
		close(s);
	return ok;
}

/* In namespaces of its own: 0 fine, 1 wrong, 77 not allowed here. */
static int try_real_tap(int flags, bool want_offload)
{
	struct ifreq ifr = {.ifr_flags = (short)flags, .ifr_name = "t0"};
	struct tapdev tap;
	struct fail why;
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 77;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return 77;
	if (tapdev_open(&tap, fd, &why) < 0)
		return 1;
	if (!(fcntl(fd, F_GETFL) & O_NONBLOCK))
		return 1;
	if (!mac_is_told(&tap))
		return 1;
	return tap.offload == want_offload &&
			       tap.hdr_len == (want_offload ? HDR : 0)
		       ? 0
		       : 1;
}

static void real_tap(int flags, bool want_offload)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(try_real_tap(flags, want_offload));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_real_tap_with_header_offloads(void **state)
{
	real_tap(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, true);
}

static void test_a_real_tap_without_header_works_too(void **state)
{
	real_tap(IFF_TAP | IFF_NO_PI, false);
}

#define VNET(f)  cmocka_unit_test_setup_teardown(f, setup_vnet, teardown)
#define PLAIN(f) cmocka_unit_test_setup_teardown(f, setup_plain, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VNET(test_a_plain_frame_has_no_offload),
		PLAIN(test_a_frame_without_header_is_taken_whole),
		VNET(test_a_super_frame_keeps_what_the_kernel_said),
		VNET(test_a_header_length_beyond_the_frame_is_clamped),
		VNET(test_a_header_that_lies_is_no_frame),
		VNET(test_a_frame_cut_off_is_no_frame),
		VNET(test_the_end_of_the_peer_is_told_as_an_error),
		VNET(test_pieces_leave_as_one_frame_behind_a_header),
		PLAIN(test_without_header_only_the_frame_leaves),
		VNET(test_a_lost_frame_is_told),
		VNET(test_a_socket_has_no_mac),
		cmocka_unit_test(test_what_is_no_tap_is_refused_with_a_reason),
		cmocka_unit_test(test_a_real_tap_with_header_offloads),
		cmocka_unit_test(test_a_real_tap_without_header_works_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
