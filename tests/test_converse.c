#include "port/converse.h"

#include "tests/frames.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define SYN WIRE_TCP_SYN
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST
#define ACK WIRE_TCP_ACK

#define GUEST 1000
#define THERE 5000
#define HERE  0xfffffff0u

/* A conversation as its owner sees it, whose frames are numbered. */
struct bed {
	struct converse_watch watch;
	struct converse *c;
	unsigned left;
	uint64_t number;
	char *report; /* allocated; with converse_report() */
	size_t len;
	FILE *to;
	uint16_t cport;
	struct frames_buf frame; /* the container's last */
};

static void on_leaving(struct converse_watch *w, struct converse_flow *f)
{
	struct bed *b = (struct bed *)w;

	b->left++;
	f->owner = NULL;
}

static int set_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	b->to = open_memstream(&b->report, &b->len);
	b->watch.leaving = on_leaving;
	b->c = converse_new(b->to);
	b->cport = 40000;
	*state = b;
	return b->c ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bed *b = *state;

	converse_free(b->c);
	fclose(b->to);
	free(b->report);
	free(b);
	return 0;
}

/* The conversation that the segment belongs to. */
static struct converse_flow *say(struct bed *b, enum converse_from from,
				 uint8_t flags, uint32_t seq, uint32_t ack,
				 size_t len)
{
	static const char bytes[3000];
	bool guest = from == CONVERSE_CONTAINER;
	const char *self = "10.0.2.100", *peer = "198.51.100.7";
	struct frames_tcp t = {.src = guest ? self : peer,
			       .dst = guest ? peer : self,
			       .sport = guest ? b->cport : 80,
			       .dport = guest ? 80 : b->cport,
			       .seq = seq,
			       .ack = ack,
			       .flags = flags,
			       .payload = bytes,
			       .len = len};
	struct converse_flow *f;
	struct dissect d;

	frames_tcp(&b->frame, &t);
	assert_true(dissect_frame(b->frame.data, b->frame.len, &d));
	f = converse_find(b->c, &d, from);
	b->number += from != CONVERSE_HERE;
	if (!f)
		return NULL;
	if (guest)
		converse_container(f, &d, false, b->number);
	else if (from == CONVERSE_THERE)
		converse_there(b->c, f, &d, b->number);
	else
		converse_here(f, &d, b->number);
	return f;
}

static uint32_t last_ack(struct bed *b)
{
	struct dissect d;

	assert_true(dissect_frame(b->frame.data, b->frame.len, &d));
	return d.ack;
}

static struct converse_flow *handshake(struct bed *b)
{
	struct converse_flow *f;

	f = say(b, CONVERSE_CONTAINER, SYN, GUEST, 0, 0);
	say(b, CONVERSE_THERE, SYN | ACK, THERE, GUEST + 1, 0);
	say(b, CONVERSE_HERE, SYN | ACK, HERE, GUEST + 1, 0);
	say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, THERE + 1, 0);
	return f;
}

static const char *report(struct bed *b)
{
	converse_report(b->c);
	fflush(b->to);
	return b->report;
}

static void expect(struct bed *b, const char *words)
{
	if (!strstr(report(b), words))
		fail_msg("no '%s' in\n%s", words, b->report);
}

static void test_acknowledgements_are_translated(void **state)
{
	struct bed *b = *state;
	struct converse_flow *f = handshake(b);

	assert_int_equal(last_ack(b), HERE + 1);
	say(b, CONVERSE_THERE, ACK, THERE + 1, GUEST + 1, 100);
	say(b, CONVERSE_HERE, ACK, HERE + 1, GUEST + 1, 100);
	say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, THERE + 101, 0);
	assert_int_equal(last_ack(b), HERE + 101);
	assert_int_equal(f->guest.got, 100);
}

static void test_a_syn_from_here_begins_nothing(void **state)
{
	struct bed *b = *state;
	struct converse_flow *f;

	assert_null(say(b, CONVERSE_HERE, SYN, 9, 0, 0));
	f = say(b, CONVERSE_THERE, SYN, THERE, 0, 0);
	assert_non_null(f);
	assert_true(f->from_remote);
	assert_ptr_equal(say(b, CONVERSE_HERE, SYN, HERE, 0, 0), f);
	say(b, CONVERSE_CONTAINER, SYN | ACK, GUEST, THERE + 1, 0);
	assert_int_equal(last_ack(b), HERE + 1);
}

static void test_bytes_count_once_however_often_they_come(void **state)
{
	struct bed *b = *state;

	handshake(b);
	for (int i = 0; i < 3; i++) {
		say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, THERE + 1, 10);
		say(b, CONVERSE_HERE, ACK, HERE + 1, GUEST + 11, 20);
		say(b, CONVERSE_CONTAINER, ACK, GUEST + 11, THERE + 21, 0);
	}
	expect(b, ": 10 up, 20 down, open at the end\n");
}

static void test_more_than_four_gigabytes_are_counted(void **state)
{
	struct bed *b = *state;
	struct converse_flow *f = handshake(b);
	uint32_t at = 1;

	for (uint64_t sent = 0; sent < UINT64_C(5000000000); sent += 1000000) {
		/* as if it were one large segment: what matters is its end */
		say(b, CONVERSE_HERE, ACK, HERE + at + 998540, GUEST + 1, 1460);
		at += 1000000;
		say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, THERE + at, 0);
	}
	assert_int_equal(f->guest.got, 5000000000);
}

/* The headers of a segment are enough. */
static void test_bytes_that_were_cut_off_count(void **state)
{
	struct bed *b = *state;
	struct converse_flow *f = handshake(b);
	struct frames_buf frame;
	struct dissect d;

	say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, THERE + 1, 1000);
	frame = b->frame;
	assert_true(dissect_frame(frame.data, 60, &d));
	assert_int_equal(f->guest.sent, 1000);
	d.seq += 1000;
	converse_container(f, &d, false, ++b->number);
	assert_int_equal(f->guest.sent, 2000);
}

static void test_a_fin_is_no_byte(void **state)
{
	struct bed *b = *state;

	handshake(b);
	say(b, CONVERSE_CONTAINER, FIN | ACK, GUEST + 1, THERE + 1, 5);
	say(b, CONVERSE_HERE, FIN | ACK, HERE + 1, GUEST + 7, 7);
	say(b, CONVERSE_CONTAINER, ACK, GUEST + 7, THERE + 9, 0);
	expect(b, ": 5 up, 7 down, closed\n");
}

/* As when both end at once: its last word follows its FIN. */
static void test_a_fin_is_no_byte_for_what_follows_it(void **state)
{
	struct bed *b = *state;

	converse_imitate(b->c, &b->watch);
	handshake(b);
	say(b, CONVERSE_CONTAINER, FIN | ACK, GUEST + 1, THERE + 1, 0);
	say(b, CONVERSE_THERE, FIN | ACK, THERE + 1, GUEST + 1, 0);
	say(b, CONVERSE_HERE, ACK, HERE + 1, GUEST + 2, 0);
	say(b, CONVERSE_HERE, FIN | ACK, HERE + 1, GUEST + 2, 0);
	say(b, CONVERSE_CONTAINER, ACK, GUEST + 2, THERE + 2, 0);
	say(b, CONVERSE_THERE, ACK, THERE + 2, GUEST + 2, 0);
	expect(b, "0 up, 0 down, closed\n");
}

static void test_a_reset_is_no_byte_at_whatever_number(void **state)
{
	struct bed *b = *state;
	struct converse_flow *f = handshake(b);

	say(b, CONVERSE_HERE, RST, HERE + 100000, 0, 0);
	assert_int_equal(f->here.sent, 0);
	say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, THERE + 100000, 0);
	expect(b, ": 0 up, 0 down, reset");
}

static void
test_who_answered_is_guessed_if_only_the_container_is_heard(void **state)
{
	struct bed *b = *state;

	say(b, CONVERSE_CONTAINER, SYN, GUEST, 0, 0);
	say(b, CONVERSE_HERE, SYN | ACK, HERE, GUEST + 1, 0);
	say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, THERE + 1, 0);
	assert_int_equal(last_ack(b), HERE + 1);
	say(b, CONVERSE_HERE, ACK, HERE + 1, GUEST + 1, 50);
	say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, THERE + 51, 0);
	assert_int_equal(last_ack(b), HERE + 51);
	expect(b, ": 0 up, 50 down, open at the end\n");
}

static void test_what_was_never_sent_is_not_acknowledged(void **state)
{
	struct bed *b = *state;

	handshake(b);
	say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, THERE + 1000, 0);
	say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, THERE - 1000, 0);
	expect(b, ": 0 up, 0 down, open at the end\n");
}

static void test_only_a_reset_at_the_edge_is_believed(void **state)
{
	struct bed *b = *state;
	struct converse_flow *f = handshake(b);

	say(b, CONVERSE_CONTAINER, RST, GUEST + 2, 0, 0);
	assert_false(f->guest.rst);
	say(b, CONVERSE_CONTAINER, RST, GUEST + 1, 0, 0);
	assert_true(f->guest.rst);
	expect(b, "reset\n1 TCP conversations, 1 followed");
}

static void test_a_reset_of_ours_alone_parts(void **state)
{
	struct bed *b = *state;

	handshake(b);
	say(b, CONVERSE_HERE, RST | ACK, HERE + 1, GUEST + 1, 0);
	expect(b, "reset; parted at frame 3: reset here, and not in the "
		  "capture\n");
}

static void test_the_owner_hears_when_ports_are_used_anew(void **state)
{
	struct bed *b = *state;
	struct converse_flow *f, *g;

	converse_imitate(b->c, &b->watch);
	f = say(b, CONVERSE_CONTAINER, SYN, GUEST, 0, 0);
	f->owner = b;
	assert_ptr_equal(say(b, CONVERSE_CONTAINER, SYN, GUEST, 0, 0), f);
	assert_int_equal(b->left, 0);
	g = say(b, CONVERSE_CONTAINER, SYN, GUEST + 9, 0, 0);
	assert_ptr_not_equal(f, g);
	assert_int_equal(b->left, 1);
	/* what comes now is of the new one */
	assert_ptr_equal(say(b, CONVERSE_HERE, RST | ACK, 0, GUEST + 10, 0), g);
	assert_false(f->here.rst);
	assert_true(g->here.rst);
}

static void test_a_syn_does_not_end_what_stands(void **state)
{
	struct bed *b = *state;
	struct converse_flow *f = handshake(b);

	assert_ptr_equal(say(b, CONVERSE_CONTAINER, SYN, GUEST + 9, 0, 0), f);
	assert_ptr_equal(say(b, CONVERSE_THERE, SYN, THERE + 9, 0, 0), f);
	/* unless it did in the capture */
	converse_imitate(b->c, &b->watch);
	say(b, CONVERSE_THERE, SYN | ACK, THERE + 99, GUEST + 10, 0);
	expect(b, "begins anew in the capture, and stands here\n");
}

static void test_differences_count_where_the_host_imitates(void **state)
{
	struct bed *b = *state;

	handshake(b);
	say(b, CONVERSE_THERE, FIN | ACK, THERE + 1, GUEST + 1, 100);
	expect(b, "1 followed to the end, 0 parted\n");
	tear_down(state);
	assert_int_equal(set_up(state), 0);
	b = *state;
	converse_imitate(b->c, &b->watch);
	handshake(b);
	say(b, CONVERSE_THERE, FIN | ACK, THERE + 1, GUEST + 1, 100);
	expect(b, "parted at frame 4: not all that the container got was sent "
		  "here\n1 TCP conversations, 0 followed to the end, 1 "
		  "parted\n");
}

static void test_the_longest_silent_one_makes_room(void **state)
{
	struct bed *b = *state;
	struct converse_flow *first;

	converse_imitate(b->c, &b->watch);
	first = say(b, CONVERSE_CONTAINER, SYN, GUEST, 0, 0);
	b->cport = 40001;
	say(b, CONVERSE_CONTAINER, SYN, GUEST, 0, 0)->owner = b;
	for (uint32_t i = 2; i < CONVERSE_MAX; i++) {
		b->cport = (uint16_t)(40000 + i);
		say(b, CONVERSE_CONTAINER, SYN, GUEST, 0, 0);
	}
	b->cport = 40000;
	assert_ptr_equal(say(b, CONVERSE_CONTAINER, SYN, GUEST, 0, 0), first);
	fflush(b->to);
	assert_int_equal(b->len, 0);
	b->cport = 40000 - 1;
	say(b, CONVERSE_THERE, SYN, THERE, 0, 0);
	b->cport = 39998;
	say(b, CONVERSE_CONTAINER, SYN, GUEST + 7, 0, 0);
	assert_int_equal(b->left, 1);
	fflush(b->to);
	assert_non_null(strstr(b->report, "10.0.2.100:40001 -> "));
	b->cport = 40001;
	assert_null(say(b, CONVERSE_CONTAINER, ACK, GUEST + 1, 1, 0));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_acknowledgements_are_translated),
		CASE(test_a_syn_from_here_begins_nothing),
		CASE(test_bytes_count_once_however_often_they_come),
		CASE(test_more_than_four_gigabytes_are_counted),
		CASE(test_bytes_that_were_cut_off_count),
		CASE(test_a_fin_is_no_byte),
		CASE(test_a_fin_is_no_byte_for_what_follows_it),
		CASE(test_a_reset_is_no_byte_at_whatever_number),
		CASE(test_who_answered_is_guessed_if_only_the_container_is_heard),
		CASE(test_what_was_never_sent_is_not_acknowledged),
		CASE(test_only_a_reset_at_the_edge_is_believed),
		CASE(test_a_reset_of_ours_alone_parts),
		CASE(test_the_owner_hears_when_ports_are_used_anew),
		CASE(test_a_syn_does_not_end_what_stands),
		CASE(test_differences_count_where_the_host_imitates),
		CASE(test_the_longest_silent_one_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
