#include "pcap/record.h"
#include "tests/frames.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define CWR 0x80

/* A frame whose checksum is left open, and what it is when that is made. */
struct open_frame {
	struct frames_buf whole; /* complete */
	struct frames_buf open;
	struct offload off;
};

static uint32_t dice(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* One word after the other: the sum that the field of an open frame holds. */
static uint16_t pseudo_sum(const char *src, const char *dst, uint8_t proto,
			   size_t l4_len)
{
	struct in6_addr a[2] = {frames_addr(src), frames_addr(dst)};
	size_t skip = addr_is_v4(&a[0]) ? 12 : 0;
	uint32_t sum = proto + (uint32_t)l4_len;

	for (int i = 0; i < 2; i++)
		for (size_t at = skip; at < 16; at += 2)
			sum += get16(a[i].s6_addr + at);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void open_up(struct open_frame *o, const char *src, const char *dst,
		    uint8_t proto)
{
	bool v4 = !strchr(src, ':');
	size_t at = WIRE_ETH_LEN +
		    (v4 ? sizeof(struct wire_ip4) : sizeof(struct wire_ip6));

	o->off = (struct offload){
		.csum_partial = true,
		.csum_start = (uint16_t)at,
		.csum_offset = proto == WIRE_PROTO_UDP
				       ? offsetof(struct wire_udp, csum)
				       : offsetof(struct wire_tcp, csum),
	};
	o->open = o->whole;
	put16(o->open.data + at + o->off.csum_offset,
	      pseudo_sum(src, dst, proto, o->whole.len - at));
}

static const char *far_of(const char *src)
{
	return strchr(src, ':') ? "2001:db8::1" : "192.0.2.1";
}

static uint8_t payload[65536];

static void make_udp(struct open_frame *o, const char *src, size_t len)
{
	frames_udp(&o->whole, src, 1000, far_of(src), 53, payload, len);
	open_up(o, src, far_of(src), WIRE_PROTO_UDP);
}

static void make_tcp(struct open_frame *o, const char *src, uint8_t flags,
		     size_t len)
{
	/* a time stamp, so that the header has options */
	static const uint8_t options[12] = {1, 1, 8, 10, 1, 2, 3, 4, 5};

	frames_tcp(&o->whole, &(struct frames_tcp){
				      .src = src,
				      .dst = far_of(src),
				      .sport = 1000,
				      .dport = 443,
				      .seq = 0xfffffff0,
				      .ack = 77,
				      .flags = flags,
				      .wnd = 1234,
				      .options = options,
				      .options_len = sizeof(options),
				      .payload = payload,
				      .len = len,
			      });
	open_up(o, src, far_of(src), WIRE_PROTO_TCP);
}

/* The frame in one piece. */
static struct frame one_piece(const struct open_frame *o, struct iovec *iov)
{
	*iov = (struct iovec){(void *)(uintptr_t)o->open.data, o->open.len};
	return (struct frame){iov, 1, o->open.len, o->off};
}

static int fill_payload(void **state)
{
	uint32_t seed = 1;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)dice(&seed);
	*state = calloc(1, sizeof(struct open_frame));
	return *state ? 0 : -1;
}

static int free_frame(void **state)
{
	free(*state);
	return 0;
}

static const char *const sources[] = {"10.0.2.100", "fd00::64"};

static void test_an_open_checksum_is_completed(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 63, 64, 1400, 1401, 60001};
	struct open_frame *o = *state;
	static uint8_t buf[RECORD_MAX];
	struct iovec iov;

	for (int i = 0; i < 32; i++) {
		const char *src = sources[i & 1];
		struct frame f;

		if (i & 2)
			make_tcp(o, src, WIRE_TCP_ACK, sizes[i / 4]);
		else
			make_udp(o, src, sizes[i / 4]);
		f = one_piece(o, &iov);
		assert_memory_not_equal(o->open.data, o->whole.data, f.len);
		assert_int_equal(record_copy(&f, buf, sizeof(buf)), f.len);
		assert_memory_equal(buf, o->whole.data, f.len);
	}
}

static void test_a_complete_frame_is_copied_as_it_is(void **state)
{
	struct open_frame *o = *state;
	uint8_t buf[200];
	struct iovec iov;
	struct frame f;

	make_udp(o, sources[0], 100);
	f = one_piece(o, &iov);
	f.off = (struct offload){.csum_valid = true};
	assert_int_equal(record_copy(&f, buf, sizeof(buf)), f.len);
	assert_memory_equal(buf, o->open.data, f.len);
}

/* Whatever is cut off, the checksum is that of the whole frame, and it is not
 * written where it was not asked for. */
static void test_any_room_gets_the_first_bytes_of_the_whole(void **state)
{
	struct open_frame *o = *state;

	make_tcp(o, sources[1], WIRE_TCP_ACK, 333);
	for (size_t room = 0; room <= o->open.len; room++) {
		size_t at = o->off.csum_start + (size_t)o->off.csum_offset;
		uint8_t *buf = malloc(room ? room : 1);
		struct iovec iov;
		struct frame f = one_piece(o, &iov);

		assert_non_null(buf);
		assert_int_equal(record_copy(&f, buf, room), room);
		if (room == at + 1) /* half of it would be no checksum */
			assert_memory_equal(buf, o->open.data, room);
		else
			assert_memory_equal(buf, o->whole.data, room);
		free(buf);
	}
}

static void test_pieces_of_any_length_make_the_same_record(void **state)
{
	struct open_frame *o = *state;
	struct iovec iov[FRAME_IOV_MAX];
	uint8_t buf[4000];
	uint32_t seed = 7;

	make_tcp(o, sources[0], WIRE_TCP_ACK, 3001);
	for (int round = 0; round < 500; round++) {
		struct frame f = {iov, 0, o->open.len, o->off};
		size_t at = 0;

		while (at < f.len) {
			size_t len = f.iovcnt == FRAME_IOV_MAX - 1
					     ? f.len
					     : dice(&seed) % 120;

			if (len > f.len - at)
				len = f.len - at;
			iov[f.iovcnt].iov_base = len ? o->open.data + at : NULL;
			iov[f.iovcnt++].iov_len = len;
			at += len;
		}
		assert_int_equal(record_copy(&f, buf, sizeof(buf)), f.len);
		assert_memory_equal(buf, o->whole.data, f.len);
		assert_int_equal(record_copy(&f, buf, 128), 128);
		assert_memory_equal(buf, o->whole.data, 128);
	}
}

/* RFC 768: a sum of zero would say that there is none. */
static void test_a_udp_sum_of_zero_is_written_as_ones(void **state)
{
	struct open_frame *o = *state;
	uint8_t word[2] = {0};
	uint8_t buf[100];
	struct iovec iov;
	struct frame f;
	uint8_t *csum;

	frames_udp(&o->whole, sources[0], 1000, far_of(sources[0]), 53, word,
		   2);
	open_up(o, sources[0], far_of(sources[0]), WIRE_PROTO_UDP);
	csum = o->whole.data + o->off.csum_start + o->off.csum_offset;
	/* With this word in the payload nothing is left of the sum. */
	memcpy(o->open.data + o->open.len - 2, csum, 2);
	f = one_piece(o, &iov);
	assert_int_equal(record_copy(&f, buf, sizeof(buf)), f.len);
	assert_int_equal(get16(buf + o->off.csum_start + o->off.csum_offset),
			 0xffff);
}

static void make_super(struct open_frame *o, const char *src, uint8_t flags,
		       size_t len, uint16_t unit)
{
	make_tcp(o, src, flags, len);
	o->off.gso = strchr(src, ':') ? GSO_TCP6 : GSO_TCP4;
	o->off.gso_size = unit;
	o->off.hdr_len = (uint16_t)(o->open.len - len);
}

/* One segment against what it must be, checksums by frames_read(). */
static void expect_segment(const struct record_cut *c, unsigned n,
			   uint8_t flags, const struct open_frame *o)
{
	uint8_t *buf = malloc(RECORD_MAX);
	size_t len = record_segment(c, n, buf);
	struct frames_got got = {buf, len, {0}};
	struct frames_seen seen = frames_read(&got);
	const struct wire_tcp *tcp = (const void *)seen.l4;
	const struct wire_tcp *first =
		(const void *)(o->whole.data + o->off.csum_start);
	bool last = n + 1 == c->count;
	size_t header = o->off.hdr_len - (size_t)o->off.csum_start;
	size_t skip = (size_t)n * o->off.gso_size;
	size_t body =
		last ? o->whole.len - o->off.hdr_len - skip : o->off.gso_size;

	assert_int_equal(seen.proto, WIRE_PROTO_TCP);
	assert_int_equal(len, o->off.hdr_len + body);
	assert_int_equal(seen.l4_len, header + body);
	assert_int_equal(get32(tcp->seq), (uint32_t)(0xfffffff0 + skip));
	if (!last)
		flags &= (uint8_t) ~(WIRE_TCP_FIN | WIRE_TCP_PSH);
	if (n > 0)
		flags &= (uint8_t)~CWR;
	assert_int_equal(tcp->flags, flags);
	assert_memory_equal(tcp->ack, first->ack, 4);
	assert_memory_equal(tcp->wnd, first->wnd, 2);
	assert_memory_equal(tcp + 1, first + 1, header - sizeof(*tcp));
	assert_memory_equal(seen.l4 + header, payload + skip, body);
	free(buf);
}

static void expect_cut(struct open_frame *o, uint8_t flags)
{
	uint8_t *whole = malloc(RECORD_MAX);
	size_t len = o->whole.len - o->off.hdr_len;
	struct record_cut c;
	struct iovec iov;
	struct frame f = one_piece(o, &iov);

	assert_int_equal(record_copy(&f, whole, RECORD_MAX), f.len);
	assert_true(record_cut(&f, whole, &c));
	assert_int_equal(c.count,
			 (len + o->off.gso_size - 1) / o->off.gso_size);
	for (unsigned n = 0; n < c.count; n++)
		expect_segment(&c, n, flags, o);
	free(whole);
}

static void test_a_super_frame_is_cut_as_linux_cuts(void **state)
{
	static const struct {
		size_t len;
		uint16_t unit;
	} cuts[] = {{1449, 1448},  {2896, 1448}, {2897, 1448},
		    {65480, 1448}, {65480, 536}, {65401, 32741}};
	const uint8_t all = WIRE_TCP_ACK | WIRE_TCP_PSH | WIRE_TCP_FIN | CWR;
	struct open_frame *o = *state;

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
		for (int family = 0; family < 2; family++) {
			make_super(o, sources[family], all, cuts[i].len,
				   cuts[i].unit);
			expect_cut(o, all);
			make_super(o, sources[family], WIRE_TCP_ACK,
				   cuts[i].len, cuts[i].unit);
			expect_cut(o, WIRE_TCP_ACK);
		}
}

static void test_segments_count_the_ip_identification_on(void **state)
{
	struct open_frame *o = *state;
	static uint8_t whole[RECORD_MAX], buf[RECORD_MAX];
	struct wire_ip4 *ip = (void *)(o->open.data + WIRE_ETH_LEN);
	struct record_cut c;
	struct iovec iov;
	struct frame f;

	make_super(o, sources[0], WIRE_TCP_ACK, 4000, 1000);
	put16(ip->id, 0xfffe);
	f = one_piece(o, &iov);
	record_copy(&f, whole, sizeof(whole));
	assert_true(record_cut(&f, whole, &c));
	for (unsigned n = 0; n < 4; n++) {
		record_segment(&c, n, buf);
		ip = (void *)(buf + WIRE_ETH_LEN);
		assert_int_equal(get16(ip->id), (uint16_t)(0xfffe + n));
	}
}

static bool can_cut(const struct open_frame *o)
{
	static uint8_t whole[RECORD_MAX];
	struct record_cut c;
	struct iovec iov;
	struct frame f = one_piece(o, &iov);

	record_copy(&f, whole, sizeof(whole));
	return record_cut(&f, whole, &c);
}

static void test_what_is_no_super_frame_stays_whole(void **state)
{
	struct open_frame *o = *state;
	uint8_t *ip = o->open.data + WIRE_ETH_LEN;

	make_super(o, sources[0], WIRE_TCP_ACK, 3000, 1000);
	assert_true(can_cut(o));
	o->off.gso_size = 3000; /* one segment */
	assert_false(can_cut(o));
	o->off.gso_size = 0;
	assert_false(can_cut(o));
	o->off.gso_size = 1; /* too many */
	assert_false(can_cut(o));
	o->off.gso_size = 1000;
	o->off.gso = GSO_NONE;
	assert_false(can_cut(o));
	o->off.gso = GSO_TCP6;
	assert_false(can_cut(o));
	o->off.gso = GSO_TCP4;
	o->off.csum_start++;
	assert_false(can_cut(o));
	o->off.csum_start = WIRE_ETH_LEN;
	ip[0] = 0x40; /* a header of no bytes does not begin TCP there */
	assert_false(can_cut(o));
	ip[0] = 0x45;
	o->off.csum_start = WIRE_ETH_LEN + sizeof(struct wire_ip4);
	ip[9] = WIRE_PROTO_UDP;
	assert_false(can_cut(o));
	ip[9] = WIRE_PROTO_TCP;
	put16(o->open.data + 12, WIRE_ETH_IPV6);
	assert_false(can_cut(o));
	put16(o->open.data + 12, WIRE_ETH_IPV4);
	o->open.data[o->off.csum_start + 12] =
		0x40; /* 16 bytes of TCP header */
	assert_false(can_cut(o));
	o->open.data[o->off.csum_start + 12] = 0x80;
	assert_true(can_cut(o));
}

/* For a sanitizer: whatever an offload claims, nothing outside the buffers is
 * read or written. */
static void test_no_lie_leads_outside_the_frame(void **state)
{
	static const uint16_t starts[] = {0, 14, 34, 54, 65535};
	uint8_t *seg = malloc(RECORD_MAX);
	uint32_t seed = 3;
	unsigned cuts = 0;

	for (int round = 0; round < 20000; round++) {
		size_t len = dice(&seed) % (round & 1 ? 120 : 3000);
		uint8_t *data = malloc(len ? len : 1);
		uint8_t *copy = malloc(len ? len : 1);
		struct iovec iov[3] = {{data, len / 3},
				       {data + len / 3, len / 2 - len / 3},
				       {data + len / 2, len - len / 2}};
		struct frame f = {.iov = iov, .iovcnt = 3, .len = len};
		struct record_cut c;
		size_t room = dice(&seed) & 1 ? len : dice(&seed) % (len + 1);

		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)dice(&seed);
		if (len > 15) {
			bool v4 = dice(&seed) & 1;

			put16(data + 12, v4 ? WIRE_ETH_IPV4 : WIRE_ETH_IPV6);
			data[14] = (uint8_t)((v4 ? 0x40 : 0x60) |
					     (dice(&seed) & 7));
		}
		if (len > 23)
			data[20] = data[23] = WIRE_PROTO_TCP;
		f.off = (struct offload){
			.csum_partial = dice(&seed) & 7,
			.csum_start = starts[dice(&seed) % 5],
			.csum_offset =
				dice(&seed) & 1 ? 16 : (uint16_t)dice(&seed),
			.gso = dice(&seed) % 3,
			.gso_size = dice(&seed) & 1 ? (uint16_t)dice(&seed)
						    : dice(&seed) & 255,
		};
		assert_int_equal(record_copy(&f, copy, room), room);
		if (room == len && record_cut(&f, copy, &c)) {
			cuts++;
			for (unsigned n = 0; n < c.count; n++)
				assert_true(record_segment(&c, n, seg) <= len);
		}
		free(copy);
		free(data);
	}
	free(seg);
	assert_true(cuts > 50); /* else the dice are badly loaded */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_open_checksum_is_completed),
		cmocka_unit_test(test_a_complete_frame_is_copied_as_it_is),
		cmocka_unit_test(
			test_any_room_gets_the_first_bytes_of_the_whole),
		cmocka_unit_test(
			test_pieces_of_any_length_make_the_same_record),
		cmocka_unit_test(test_a_udp_sum_of_zero_is_written_as_ones),
		cmocka_unit_test(test_a_super_frame_is_cut_as_linux_cuts),
		cmocka_unit_test(test_segments_count_the_ip_identification_on),
		cmocka_unit_test(test_what_is_no_super_frame_stays_whole),
		cmocka_unit_test(test_no_lie_leads_outside_the_frame),
	};

	return cmocka_run_group_tests(tests, fill_payload, free_frame);
}
