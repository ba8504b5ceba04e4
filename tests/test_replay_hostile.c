/* A capture is anybody's bytes: what no network would have sent. */
#include "tests/recording.h"

#include "port/converse.h"
#include "stack/frame.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYN WIRE_TCP_SYN
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST

static const struct recording_talk web = {
	"10.0.2.100", "198.51.100.7", 40000, 80, 1000, 5000000};

static void handshake(struct recording *r, const struct recording_talk *t)
{
	recording_up(r, t, SYN, 0, 0, NULL, 0);
	recording_down(r, t, SYN, 0, 1, NULL, 0);
	recording_up(r, t, 0, 1, 1, NULL, 0);
}

static void test_nothing_comes_behind_a_fin(void **state)
{
	struct recording *r = *state;

	handshake(r, &web);
	recording_down(r, &web, FIN, 1, 1, "end", 3);
	recording_down(r, &web, 0, 4, 1, "more", 4);
	recording_down(r, &web, FIN, 5, 1, "and more", 8);
	recording_up(r, &web, FIN, 1, 5, NULL, 0);
	recording_down(r, &web, 0, 5, 2, NULL, 0);
	recording_down(r, &web, 0, 5, 2, "late", 4);
	recording_replay(r, true, NULL);
	recording_expect(r, ": 0 up, 3 down, closed");
}

static void test_an_answer_before_the_question_is_none(void **state)
{
	struct recording *r = *state;
	struct recording_talk t = web;

	recording_down(r, &web, SYN, 0, 1, NULL, 0);
	recording_down(r, &web, FIN | RST, 1, 1, "x", 1);
	recording_up(r, &web, SYN, 0, 0, NULL, 0);
	recording_down(r, &web, 0, 1, 1, "early", 5);
	t.cisn += 77; /* acknowledges another SYN */
	recording_down(r, &t, SYN, 0, 1, NULL, 0);
	recording_replay(r, false, NULL);
	assert_int_equal(r->status, 0);
	recording_expect(r, "1 TCP conversations");
}

static void test_bytes_that_nobody_acknowledges_have_a_limit(void **state)
{
	struct recording *r = *state;
	char bytes[1400] = {0};

	handshake(r, &web);
	for (uint32_t i = 0; i < 5000; i++)
		recording_down(r, &web, 0, 1 + i * 1400, 1, bytes,
			       sizeof(bytes));
	recording_replay(r, false, NULL);
	recording_expect(r, "the container does not acknowledge what it is "
			    "sent\n");
	recording_expect(r, "0 followed to the end, 1 parted\n");
}

static void test_a_hole_as_large_as_a_disk_is_not_filled(void **state)
{
	struct recording *r = *state;

	handshake(r, &web);
	recording_down(r, &web, 0, 1000000000, 1, "far", 3);
	recording_down(r, &web, 0, 1000000003, 1, "away", 4);
	recording_replay(r, false, NULL);
	recording_expect(r, "parted at frame 4: the capture has lost too much "
			    "of the answer\n");
}

static void test_odd_frames_are_counted_and_left_alone(void **state)
{
	struct recording *r = *state;
	uint8_t *huge = calloc(1, 262144);
	uint8_t few[13] = {2};

	assert_non_null(huge);
	recording_up(r, &web, SYN, 0, 0, NULL, 0);
	recording_bytes(r, few, 0);
	recording_bytes(r, few, 1);
	recording_bytes(r, few, sizeof(few));
	memcpy(huge, frames_gateway_mac, WIRE_MAC_LEN);
	memcpy(huge + WIRE_MAC_LEN, frames_guest_mac, WIRE_MAC_LEN);
	huge[12] = 8;
	recording_bytes(r, huge, 262144);
	r->snap = 20;
	recording_bytes(r, huge, 100);
	recording_replay(r, true, NULL);
	assert_int_equal(r->status, 0);
	recording_expect(r, "4 frames of the container fed");
	recording_expect(r, "1 not fed: larger than any frame of a tap\n");
	recording_expect(r, "1 not fed: cut off when captured");
	free(huge);
}

static void test_time_may_run_backwards_and_leap(void **state)
{
	struct recording *r = *state;
	struct recording_talk other = web;

	other.cport = 40001;
	recording_up(r, &web, SYN, 0, 0, NULL, 0);
	r->now -= 10 * NSEC_PER_SEC;
	recording_up(r, &other, SYN, 0, 0, NULL, 0);
	r->now += 10LL * 365 * 24 * 3600 * NSEC_PER_SEC;
	other.cport = 40002;
	recording_up(r, &other, SYN, 0, 0, NULL, 0);
	/* a host that never gives in: probes for ever */
	recording_replay(r, true, "tcp * send 100000");
	assert_int_equal(r->status, 0);
	recording_expect(r, "1 with a time before the last\n");
	recording_expect(r, "3 TCP conversations");
	assert_true(r->sent.n < 1000);
}

/* Those that lwIP would take for another family than their neighbour. */
static void test_families_are_not_mixed(void **state)
{
	struct recording *r = *state;
	struct recording_talk six = {"fd00::64", "2001:db8::1", 40000, 80, 9,
				     9};
	struct frames_buf b;
	struct frames_tcp t = {.src = "2001:db8::1",
			       .dst = "fd00::64",
			       .sport = 80,
			       .dport = 8080,
			       .flags = SYN};
	uint8_t *ip = b.data + WIRE_ETH_LEN;
	struct in6_addr mapped = addr_from_v4(0x0a000264);

	recording_up(r, &six, SYN, 0, 0, NULL, 0);
	frames_tcp(&b, &t);
	memcpy(ip + 24, &mapped, sizeof(mapped));
	recording_from_other(r, &b, recording_gateway_mac);
	frames_udp(&b, "2001:db8::1", 53, "fd00::64", 5000, "x", 1);
	memcpy(ip + 8, &mapped, sizeof(mapped));
	recording_from_other(r, &b, recording_gateway_mac);
	/* ICMP within IPv6 */
	frames_icmp(&b, "2001:db8::1", "fd00::64", 0, 0, "1234567", 7);
	ip[6] = WIRE_PROTO_ICMP;
	recording_from_other(r, &b, recording_gateway_mac);
	recording_replay(r, true, NULL);
	assert_int_equal(r->status, 0);
	recording_expect(r, "1 TCP conversations");
}

static void test_a_capture_that_is_cut_off_is_replayed_to_there(void **state)
{
	struct recording *r = *state;
	long whole;

	handshake(r, &web);
	fflush(r->file);
	whole = ftell(r->file);
	assert_int_equal(ftruncate(fileno(r->file), whole - 1), 0);
	recording_replay(r, true, NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->said, "1 TCP conversations"));
	assert_non_null(strstr(r->complained, "in.pcap: after frame 2: "
					      "truncated"));
	r->sent = savefile_read(r->out);
	assert_int_equal(recording_segment(r, 40000, 0).l4[13],
			 SYN | WIRE_TCP_ACK);
}

static void test_many_conversations_take_no_more_memory_than_few(void **state)
{
	struct recording *r = *state;
	struct recording_talk t = web;
	unsigned lines = 0;
	const char *at;

	for (uint32_t i = 0; i < CONVERSE_MAX + 5000; i++) {
		t.cport = (uint16_t)i;
		t.rport = (uint16_t)(1 + i / 65536);
		r->now -= NSEC_PER_MSEC;
		recording_up(r, &t, SYN, 0, 0, NULL, 0);
		if (i % 1000 == 0) /* stays in mind */
			recording_up(r, &web, SYN, 0, 0, NULL, 0);
	}
	recording_down(r, &web, RST, 0, 1, NULL, 0);
	recording_replay(r, false, NULL);
	assert_int_equal(r->status, 0);
	/* strstr(3) under a sanitizer reads to the end of all each time */
	for (at = r->said; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		lines += strncmp(at, "tcp ", 4) == 0;
	}
	assert_true(lines >= CONVERSE_MAX + 5000);
	recording_expect(r, "tcp 10.0.2.100:40000 -> 198.51.100.7:80: 0 up, 0 "
			    "down, refused\n");
}

/* Each in a process of its own, as the command runs. */
static struct savefile replay_in_child(struct recording *r)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		recording_replay(r, true, NULL);
		_exit(r->status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return savefile_read(r->out);
}

/* A dialogue of dice. */
static void babble(struct recording *r)
{
	uint32_t dice = 1;

	for (unsigned i = 0; i < 2000; i++) {
		struct recording_talk t = web;
		uint8_t flags;

		dice = dice * 1103515245 + 12345;
		t.cport = (uint16_t)(40000 + (dice >> 28));
		flags = (uint8_t)(dice >> 16 & (SYN | FIN | RST));
		if (dice >> 24 & 1)
			recording_up(r, &t, flags, dice >> 20 & 15,
				     dice >> 12 & 15, "abcdefgh", dice & 7);
		else
			recording_down(r, &t, flags, dice >> 20 & 15,
				       dice >> 12 & 15, "ABCDEFGH", dice & 7);
	}
	fflush(r->file);
}

static void test_the_same_capture_gives_the_same_bytes(void **state)
{
	struct recording *r = *state;
	struct savefile one, two;

	babble(r);
	one = replay_in_child(r);
	two = replay_in_child(r);
	assert_true(one.n > 100);
	assert_int_equal(one.n, two.n);
	for (size_t i = 0; i < one.n; i++) {
		assert_int_equal(one.rec[i].when, two.rec[i].when);
		assert_int_equal(one.rec[i].len, two.rec[i].len);
		assert_memory_equal(one.rec[i].data, two.rec[i].data,
				    one.rec[i].len);
	}
	savefile_free(&one);
	savefile_free(&two);
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(f, recording_setup, recording_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_nothing_comes_behind_a_fin),
		CASE(test_an_answer_before_the_question_is_none),
		CASE(test_bytes_that_nobody_acknowledges_have_a_limit),
		CASE(test_a_hole_as_large_as_a_disk_is_not_filled),
		CASE(test_odd_frames_are_counted_and_left_alone),
		CASE(test_time_may_run_backwards_and_leap),
		CASE(test_families_are_not_mixed),
		CASE(test_a_capture_that_is_cut_off_is_replayed_to_there),
		CASE(test_many_conversations_take_no_more_memory_than_few),
		CASE(test_the_same_capture_gives_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
