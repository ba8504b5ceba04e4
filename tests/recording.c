#include "tests/recording.h"

#include "stack/frame.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC_NANO 0xa1b23c4d
#define ETHERNET   1
#define SOME_DAY   (INT64_C(1700000000) * NSEC_PER_SEC)

const uint8_t recording_gateway_mac[WIRE_MAC_LEN] = {0x9a, 0x55, 0x9a,
						     0x55, 0x9a, 0x55};

static void put32_host(struct recording *r, uint32_t v)
{
	assert_int_equal(fwrite(&v, sizeof(v), 1, r->file), 1);
}

int recording_setup(void **state)
{
	struct recording *r = calloc(1, sizeof(*r));
	void *dir;

	if (!r || savefile_mkdir(&dir) < 0)
		return -1;
	r->dir = dir;
	r->fds = savefile_count_fds();
	*state = r;
	savefile_path(&dir, "in.pcap", r->in);
	savefile_path(&dir, "out.pcap", r->out);
	r->now = SOME_DAY;
	r->file = fopen(r->in, "wb");
	if (!r->file)
		return -1;
	put32_host(r, MAGIC_NANO);
	put32_host(r, 2 | 4 << 16);
	put32_host(r, 0);
	put32_host(r, 0);
	put32_host(r, 262144);
	put32_host(r, ETHERNET);
	return 0;
}

static void forget(struct recording *r)
{
	free(r->said);
	free(r->complained);
	r->said = r->complained = NULL;
	savefile_free(&r->sent);
}

int recording_teardown(void **state)
{
	struct recording *r = *state;
	void *dir = r->dir;
	bool closed;

	if (r->file)
		fclose(r->file);
	forget(r);
	savefile_rmdir(&dir);
	closed = savefile_count_fds() == r->fds;
	free(r);
	return closed ? 0 : -1;
}

void recording_bytes(struct recording *r, const void *bytes, size_t len)
{
	size_t have = r->snap && r->snap < len ? r->snap : len;

	put32_host(r, (uint32_t)(r->now / NSEC_PER_SEC));
	put32_host(r, (uint32_t)(r->now % NSEC_PER_SEC));
	put32_host(r, (uint32_t)have);
	put32_host(r, (uint32_t)len);
	if (have)
		assert_int_equal(fwrite(bytes, have, 1, r->file), 1);
	r->now += NSEC_PER_MSEC;
	r->snap = 0;
}

void recording_from_container(struct recording *r, const struct frames_buf *b)
{
	struct wire_eth *eth = (struct wire_eth *)(uintptr_t)b->data;

	if (!(eth->dst[0] & 1))
		memcpy(eth->dst, recording_gateway_mac, WIRE_MAC_LEN);
	recording_bytes(r, b->data, b->len);
}

void recording_from_other(struct recording *r, struct frames_buf *b,
			  const uint8_t mac[WIRE_MAC_LEN])
{
	struct wire_eth *eth = (struct wire_eth *)b->data;

	memcpy(eth->src, mac, WIRE_MAC_LEN);
	if (!(eth->dst[0] & 1))
		memcpy(eth->dst, frames_guest_mac, WIRE_MAC_LEN);
	recording_bytes(r, b->data, b->len);
}

static const uint8_t syn_options[] = {2, 4, 5, 0xb4, 1, 3, 3, 7};

static struct frames_tcp segment(uint8_t flags, const void *bytes, size_t len)
{
	struct frames_tcp t = {
		.flags = flags, .wnd = 64240, .payload = bytes, .len = len};

	if (flags & WIRE_TCP_SYN) {
		t.options = syn_options;
		t.options_len = sizeof(syn_options);
	}
	return t;
}

void recording_up(struct recording *r, const struct recording_talk *t,
		  uint8_t flags, uint32_t seq, uint32_t ack, const void *bytes,
		  size_t len)
{
	struct frames_tcp s = segment(flags, bytes, len);
	struct frames_buf b;

	s.src = t->container;
	s.dst = t->remote;
	s.sport = t->cport;
	s.dport = t->rport;
	s.seq = t->cisn + seq;
	s.ack = ack ? t->risn + ack : 0;
	if (ack)
		s.flags |= WIRE_TCP_ACK;
	frames_tcp(&b, &s);
	recording_from_container(r, &b);
}

void recording_down(struct recording *r, const struct recording_talk *t,
		    uint8_t flags, uint32_t seq, uint32_t ack,
		    const void *bytes, size_t len)
{
	struct frames_tcp s = segment(flags, bytes, len);
	struct frames_buf b;

	s.src = t->remote;
	s.dst = t->container;
	s.sport = t->rport;
	s.dport = t->cport;
	s.seq = t->risn + seq;
	s.ack = ack ? t->cisn + ack : 0;
	if (ack)
		s.flags |= WIRE_TCP_ACK;
	frames_tcp(&b, &s);
	recording_from_other(r, &b, recording_gateway_mac);
}

void recording_replay(struct recording *r, bool with_out, const char *host)
{
	char path[SAVEFILE_PATH];
	struct replay_config c = {
		.in = r->in,
		.out = with_out ? r->out : NULL,
		.net4 = frames_addr("10.0.2.0"),
		.bits4 = 24,
		.mtu = 1500,
	};
	FILE *said, *complained;
	size_t a, b;

	fflush(r->file);
	forget(r);
	if (host) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/host", r->dir);
		f = fopen(path, "w");
		assert_non_null(f);
		fputs(host, f);
		fclose(f);
		c.host = path;
	}
	said = open_memstream(&r->said, &a);
	complained = open_memstream(&r->complained, &b);
	r->status = replay_run(&c, said, complained);
	fclose(said);
	fclose(complained);
	if (with_out && r->status == 0)
		r->sent = savefile_read(r->out);
}

void recording_expect(const struct recording *r, const char *line)
{
	if (r->status != 0 || !strstr(r->said, line))
		fail_msg("no '%s' in\n%s%s(status %d)", line, r->said,
			 r->complained, r->status);
}

struct frames_seen recording_segment(const struct recording *r, uint16_t cport,
				     unsigned n)
{
	for (size_t i = 0; i < r->sent.n; i++) {
		const struct savefile_record *rec = &r->sent.rec[i];
		struct frames_got got = {.data = rec->data, .len = rec->len};
		struct frames_seen s;

		if (rec->len < WIRE_ETH_LEN ||
		    memcmp(rec->data, frames_guest_mac, WIRE_MAC_LEN) != 0 ||
		    get16(rec->data + 12) == WIRE_ETH_ARP)
			continue;
		s = frames_read(&got);
		if (s.proto == WIRE_PROTO_TCP && get16(s.l4 + 2) == cport &&
		    n-- == 0)
			return s;
	}
	return (struct frames_seen){.l4 = NULL};
}
