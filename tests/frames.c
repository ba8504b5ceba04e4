#include "tests/frames.h"

#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

const uint8_t frames_guest_mac[WIRE_MAC_LEN] = {0x02, 0x11, 0x22,
						0x33, 0x44, 0x55};
const uint8_t frames_gateway_mac[WIRE_MAC_LEN] = {0x52, 0x55, 0x0a,
						  0x00, 0x02, 0x02};

static int keep(struct frame_sink *sink, const struct frame *f)
{
	struct frames_sink *fs = (struct frames_sink *)sink;
	struct frames_got got = {.off = f->off};

	if (fs->err < 0)
		return fs->err;
	assert_true(f->iovcnt <= FRAME_IOV_MAX);
	got.data = malloc(f->len ? f->len : 1);
	assert_non_null(got.data);
	for (int i = 0; i < f->iovcnt; i++) {
		assert_true(got.len + f->iov[i].iov_len <= f->len);
		memcpy(got.data + got.len, f->iov[i].iov_base,
		       f->iov[i].iov_len);
		got.len += f->iov[i].iov_len;
	}
	assert_int_equal(got.len, f->len);
	fs->got = realloc(fs->got, (fs->n + 1) * sizeof(got));
	assert_non_null(fs->got);
	fs->got[fs->n++] = got;
	return 0;
}

void frames_sink_init(struct frames_sink *fs)
{
	*fs = (struct frames_sink){.sink = {.put = keep}};
}

void frames_sink_clear(struct frames_sink *fs)
{
	for (size_t i = 0; i < fs->n; i++)
		free(fs->got[i].data);
	free(fs->got);
	fs->got = NULL;
	fs->n = 0;
}

const struct frames_got *frames_only(const struct frames_sink *fs)
{
	assert_int_equal(fs->n, 1);
	return &fs->got[0];
}

struct in6_addr frames_addr(const char *text)
{
	struct in6_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

struct plan frames_plan(uint16_t mtu)
{
	return plan_make(frames_addr("10.0.2.0"), 24, mtu, frames_gateway_mac);
}

struct plan frames_shared_plan(void)
{
	struct plan plan = {
		.mtu = 1500,
		.shared = true,
		.ipv4 = true,
		.net4 = frames_addr("192.0.2.5"),
		.bits4 = 32,
		.gateway4 = frames_addr("192.0.2.1"),
		.guest4 = frames_addr("192.0.2.5"),
		.dhcp4 = frames_addr("192.0.2.5"),
		.ipv6 = true,
		.net6 = frames_addr("2001:db8::"),
		.gateway6 = frames_addr("fe80::1"),
		.guest6 = frames_addr("2001:db8::5"),
		.router6 = frames_addr("fe80::1"),
		.self4 = frames_addr("169.254.1.2"),
		.dns4 = frames_addr("169.254.1.1"),
		.dns = true,
		.offer = {.dhcp4 = true,
			  .dhcp6 = true,
			  .ra = true,
			  .dns = {frames_addr("169.254.1.1"),
				  frames_addr("2001:db8::53"),
				  frames_addr("192.0.2.53"),
				  frames_addr("fd00::53")},
			  .dns_count = 4,
			  .search = "\3lan\0\7example\3net",
			  .search_len = 18,
			  .hostname = "box",
			  .fqdn = "box.example.net"},
	};

	memcpy(plan.mac, frames_gateway_mac, WIRE_MAC_LEN);
	return plan;
}

void frames_put(struct frames_buf *b, const void *data, size_t len)
{
	assert_true(b->len + len <= sizeof(b->data));
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}

void frames_eth(struct frames_buf *b, uint16_t ethertype, const char *dst)
{
	struct wire_eth eth;

	memcpy(eth.dst, frames_gateway_mac, WIRE_MAC_LEN);
	memcpy(eth.src, frames_guest_mac, WIRE_MAC_LEN);
	put16(eth.type, ethertype);
	if (dst && strncmp(dst, "ff", 2) == 0) {
		struct in6_addr a = frames_addr(dst);

		eth.dst[0] = eth.dst[1] = 0x33;
		memcpy(eth.dst + 2, a.s6_addr + 12, 4);
	} else if (dst && strcmp(dst, "255.255.255.255") == 0) {
		memset(eth.dst, 0xff, WIRE_MAC_LEN);
	}
	b->len = 0;
	frames_put(b, &eth, sizeof(eth));
}

static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The sum over an upper packet with its pseudo-header; 0xffff if it is right. */
static uint32_t upper_sum(const struct in6_addr *src,
			  const struct in6_addr *dst, uint8_t proto,
			  const uint8_t *l4, size_t len)
{
	size_t at = addr_is_v4(src) ? 12 : 0;
	uint32_t sum = 0;

	if (proto != WIRE_PROTO_ICMP) {
		sum = sum16(sum, src->s6_addr + at, 16 - at);
		sum = sum16(sum, dst->s6_addr + at, 16 - at);
		sum += proto + (uint32_t)len;
	}
	return sum16(sum, l4, len);
}

static size_t csum_at(uint8_t proto)
{
	switch (proto) {
	case WIRE_PROTO_TCP:
		return offsetof(struct wire_tcp, csum);
	case WIRE_PROTO_UDP:
		return offsetof(struct wire_udp, csum);
	default:
		return offsetof(struct wire_icmp, csum);
	}
}

void frames_seal(struct frames_buf *b)
{
	uint8_t *l3 = b->data + WIRE_ETH_LEN;
	struct in6_addr src, dst;
	uint8_t *l4, proto;
	size_t len, at;
	uint16_t sum;

	if (l3[0] >> 4 == 4) {
		struct wire_ip4 *ip = (struct wire_ip4 *)l3;

		put16(ip->csum, 0);
		put16(ip->csum, (uint16_t)~sum16(0, l3, sizeof(*ip)));
		src = addr_from_v4(get32(ip->src));
		dst = addr_from_v4(get32(ip->dst));
		proto = ip->proto;
		l4 = l3 + sizeof(*ip);
	} else {
		struct wire_ip6 *ip = (struct wire_ip6 *)l3;

		memcpy(&src, ip->src, sizeof(src));
		memcpy(&dst, ip->dst, sizeof(dst));
		proto = ip->next;
		l4 = l3 + sizeof(*ip);
	}
	len = b->len - (size_t)(l4 - b->data);
	at = csum_at(proto);
	put16(l4 + at, 0);
	sum = (uint16_t)~upper_sum(&src, &dst, proto, l4, len);
	put16(l4 + at, sum ? sum : 0xffff);
}

void frames_packet(struct frames_buf *b, const struct frames_ip *ip,
		   const void *l4, size_t l4_len)
{
	struct in6_addr src = frames_addr(ip->src);
	struct in6_addr dst = frames_addr(ip->dst);
	uint8_t ttl = ip->ttl ? ip->ttl : 64;

	if (strchr(ip->src, ':') == NULL) {
		struct wire_ip4 h = {
			.ver_ihl = 0x45,
			.tos = ip->tos,
			.ttl = ttl,
			.proto = ip->proto,
		};

		put16(h.tot_len, (uint16_t)(sizeof(h) + l4_len));
		put16(h.id, ip->id);
		put16(h.frag, ip->frag);
		put32(h.src, addr_v4(&src));
		put32(h.dst, addr_v4(&dst));
		put16(h.csum, (uint16_t)~sum16(0, (uint8_t *)&h, sizeof(h)));
		frames_eth(b, WIRE_ETH_IPV4, ip->dst);
		frames_put(b, &h, sizeof(h));
	} else {
		struct wire_ip6 h = {.next = ip->proto, .hop_limit = ttl};

		put32(h.ver_tc_flow,
		      UINT32_C(6) << 28 | (uint32_t)ip->tos << 20);
		put16(h.payload_len, (uint16_t)l4_len);
		memcpy(h.src, &src, sizeof(src));
		memcpy(h.dst, &dst, sizeof(dst));
		frames_eth(b, WIRE_ETH_IPV6, ip->dst);
		frames_put(b, &h, sizeof(h));
	}
	frames_put(b, l4, l4_len);
}

void frames_udp(struct frames_buf *b, const char *src, uint16_t sport,
		const char *dst, uint16_t dport, const void *payload,
		size_t len)
{
	struct wire_udp udp = {{0}, {0}, {0}, {0}};
	struct frames_ip ip = {.src = src, .dst = dst, .proto = WIRE_PROTO_UDP};
	uint8_t *l4 = malloc(sizeof(udp) + len);

	assert_non_null(l4);
	put16(udp.sport, sport);
	put16(udp.dport, dport);
	put16(udp.len, (uint16_t)(sizeof(udp) + len));
	memcpy(l4, &udp, sizeof(udp));
	if (len)
		memcpy(l4 + sizeof(udp), payload, len);
	frames_packet(b, &ip, l4, sizeof(udp) + len);
	free(l4);
	frames_seal(b);
}

void frames_icmp(struct frames_buf *b, const char *src, const char *dst,
		 uint8_t type, uint8_t code, const void *body, size_t len)
{
	bool v4 = strchr(src, ':') == NULL;
	struct frames_ip ip = {
		.src = src,
		.dst = dst,
		.proto = v4 ? WIRE_PROTO_ICMP : WIRE_PROTO_ICMPV6,
		.ttl = v4 ? 64 : 255,
	};
	uint8_t *l4 = calloc(1, 4 + len);

	assert_non_null(l4);
	l4[0] = type;
	l4[1] = code;
	if (len)
		memcpy(l4 + 4, body, len);
	frames_packet(b, &ip, l4, 4 + len);
	free(l4);
	frames_seal(b);
}

void frames_icmp_error(struct frames_buf *b, const char *src, const char *dst,
		       uint8_t type, uint8_t code, const void *packet,
		       size_t len)
{
	uint8_t *body = calloc(1, 4 + len);

	assert_non_null(body);
	if (len)
		memcpy(body + 4, packet, len);
	frames_icmp(b, src, dst, type, code, body, 4 + len);
	free(body);
}

void frames_tcp(struct frames_buf *b, const struct frames_tcp *t)
{
	struct wire_tcp tcp = {.flags = t->flags};
	struct frames_ip ip = {
		.src = t->src, .dst = t->dst, .proto = WIRE_PROTO_TCP};
	size_t hlen = sizeof(tcp) + t->options_len;
	uint8_t *l4 = malloc(hlen + t->len);

	assert_non_null(l4);
	put16(tcp.sport, t->sport);
	put16(tcp.dport, t->dport);
	put32(tcp.seq, t->seq);
	put32(tcp.ack, t->ack);
	tcp.doff = (uint8_t)(hlen / 4 << 4);
	put16(tcp.wnd, t->wnd);
	memcpy(l4, &tcp, sizeof(tcp));
	if (t->options_len)
		memcpy(l4 + sizeof(tcp), t->options, t->options_len);
	if (t->len)
		memcpy(l4 + hlen, t->payload, t->len);
	frames_packet(b, &ip, l4, hlen + t->len);
	free(l4);
	frames_seal(b);
}

void frames_arp(struct frames_buf *b, const struct frames_arp *a)
{
	struct in6_addr spa = frames_addr(a->sender);
	struct in6_addr tpa = frames_addr(a->target);
	uint8_t arp[28] = {0, 1, 8, 0, WIRE_MAC_LEN, 4};

	put16(arp + 6, a->op);
	memcpy(arp + 8, frames_guest_mac, WIRE_MAC_LEN);
	put32(arp + 14, addr_v4(&spa));
	put32(arp + 24, addr_v4(&tpa));
	frames_eth(b, WIRE_ETH_ARP, "255.255.255.255");
	frames_put(b, arp, sizeof(arp));
}

struct chunk *frames_chunk(struct chunk_pool *pool, const void *frame,
			   size_t len, size_t *ret_start)
{
	struct chunk *c = chunk_new(pool, len);

	assert_non_null(c);
	*ret_start = c->room - len;
	if (len)
		memcpy(c->data + *ret_start, frame, len);
	return c;
}

static void assert_upper(const struct frames_seen *s, const uint8_t *l4,
			 size_t len)
{
	if (s->proto == WIRE_PROTO_UDP)
		assert_int_equal(get16(l4 + 4), len);
	assert_int_equal(upper_sum(&s->src, &s->dst, s->proto, l4, len),
			 0xffff);
}

static void read4(const struct frames_got *got, struct frames_seen *s)
{
	const uint8_t *l3 = got->data + WIRE_ETH_LEN;
	const struct wire_ip4 *ip = (const struct wire_ip4 *)l3;
	uint16_t frag;

	assert_true(got->len >= WIRE_ETH_LEN + sizeof(*ip));
	assert_int_equal(ip->ver_ihl, 0x45);
	assert_int_equal(get16(ip->tot_len), got->len - WIRE_ETH_LEN);
	assert_int_equal(sum16(0, l3, sizeof(*ip)), 0xffff);
	frag = get16(ip->frag);
	s->family = AF_INET;
	s->src = addr_from_v4(get32(ip->src));
	s->dst = addr_from_v4(get32(ip->dst));
	s->proto = ip->proto;
	s->ttl = ip->ttl;
	s->more = frag & WIRE_IP4_MF;
	s->offset = (size_t)(frag & WIRE_IP4_OFFS) * 8;
	s->fragment = s->more || s->offset > 0;
	s->id = get16(ip->id);
	s->l4 = l3 + sizeof(*ip);
}

static void read6(const struct frames_got *got, struct frames_seen *s)
{
	const uint8_t *l3 = got->data + WIRE_ETH_LEN;
	const struct wire_ip6 *ip = (const struct wire_ip6 *)l3;

	assert_true(got->len >= WIRE_ETH_LEN + sizeof(*ip));
	assert_int_equal(ip->ver_tc_flow[0] >> 4, 6);
	assert_int_equal(get16(ip->payload_len),
			 got->len - WIRE_ETH_LEN - sizeof(*ip));
	s->family = AF_INET6;
	memcpy(&s->src, ip->src, sizeof(s->src));
	memcpy(&s->dst, ip->dst, sizeof(s->dst));
	s->proto = ip->next;
	s->ttl = ip->hop_limit;
	s->l4 = l3 + sizeof(*ip);
	if (ip->next == 44) {
		assert_true(got->len >= WIRE_ETH_LEN + sizeof(*ip) + 8);
		s->proto = s->l4[0];
		s->fragment = true;
		s->more = s->l4[3] & 1;
		s->offset = get16(s->l4 + 2) & 0xfff8;
		s->id = get32(s->l4 + 4);
		s->l4 += 8;
	}
}

struct frames_seen frames_read(const struct frames_got *got)
{
	struct frames_seen s = {0};

	assert_true(got->len > WIRE_ETH_LEN);
	if (get16(got->data + 12) == WIRE_ETH_IPV4) {
		read4(got, &s);
	} else {
		assert_int_equal(get16(got->data + 12), WIRE_ETH_IPV6);
		read6(got, &s);
	}
	s.l4_len = got->len - (size_t)(s.l4 - got->data);
	if (!s.fragment && !got->off.csum_partial)
		assert_upper(&s, s.l4, s.l4_len);
	return s;
}

struct frames_seen frames_join(const struct frames_sink *fs, size_t from,
			       struct frames_buf *buf)
{
	struct frames_seen first = {0};

	buf->len = 0;
	for (size_t i = from; i < fs->n; i++) {
		struct frames_seen s = frames_read(&fs->got[i]);

		if (i == from)
			first = s;
		assert_true(s.fragment);
		assert_int_equal(s.offset, buf->len);
		assert_int_equal(s.more, i + 1 < fs->n);
		assert_int_equal(s.id, first.id);
		assert_int_equal(s.proto, first.proto);
		assert_true(addr_equal(&s.src, &first.src));
		assert_true(addr_equal(&s.dst, &first.dst));
		frames_put(buf, s.l4, s.l4_len);
	}
	assert_upper(&first, buf->data, buf->len);
	first.l4 = buf->data;
	first.l4_len = buf->len;
	return first;
}
