#include "tests/front.h"

#include "tests/test.h"

#include <stdlib.h>

struct front *front_new(uint16_t mtu)
{
	struct front *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->plan = frames_plan(mtu);
	f->now = 1000 * NSEC_PER_SEC;
	frames_sink_init(&f->sink);
	chunk_pool_init(&f->pool, (size_t)32 * CHUNK_ROOM);
	link_init(&f->link, &f->sink.sink, &f->plan, &f->count, false);
	packet_init(&f->pl, &f->link, &f->pool, &f->plan, &f->count, 12345);
	ndp_init(&f->ndp, &f->pl, f->now);
	return f;
}

void front_free(struct front *f)
{
	packet_fini(&f->pl);
	chunk_pool_fini(&f->pool);
	frames_sink_clear(&f->sink);
	free(f);
}

int front_setup(void **state)
{
	*state = front_new(1500);
	return 0;
}

int front_teardown(void **state)
{
	front_free(*state);
	return 0;
}

bool front_packet(struct front *f, const void *frame, size_t len,
		  struct packet *ret)
{
	size_t start;
	struct chunk *c = frames_chunk(&f->pool, frame, len, &start);
	struct view v = {c->data + start, len};
	uint16_t type = link_input(&f->link, v, &v);
	bool is_packet = false;

	if (type == WIRE_ETH_ARP)
		arp_input(&f->link, v);
	else if (type)
		is_packet =
			packet_input(&f->pl, c, v,
				     type == WIRE_ETH_IPV4 ? AF_INET : AF_INET6,
				     &f->off, f->now, ret);
	chunk_put(c);
	return is_packet;
}

bool front_accepts(struct front *f, const struct frames_buf *b)
{
	struct packet p;

	if (!front_packet(f, b->data, b->len, &p))
		return false;
	chunk_put(p.chunk);
	return true;
}

static bool dispatch(struct front *f, const struct packet *p,
		     struct icmpmsg_echo *ret)
{
	switch (p->proto) {
	case WIRE_PROTO_ICMPV6:
		if (ndp_input(&f->ndp, p))
			return false;
		return icmpmsg_input(&f->pl, p, ret);
	case WIRE_PROTO_ICMP:
		return icmpmsg_input(&f->pl, p, ret);
	case WIRE_PROTO_UDP:
		if (addr_is_v4(&p->dst) &&
		    get16(p->l4 + 2) == DHCP4_SERVER_PORT)
			dhcp4_input(&f->pl, p);
		else if (addr_is_multicast(&p->dst))
			dhcpv6_input(&f->pl, p);
		return false;
	default:
		return false;
	}
}

bool front_frame(struct front *f, const void *frame, size_t len,
		 struct icmpmsg_echo *ret)
{
	struct packet p;
	bool echo;

	if (!front_packet(f, frame, len, &p))
		return false;
	echo = dispatch(f, &p, ret);
	chunk_put(p.chunk);
	return echo;
}

void front_give(struct front *f, const struct frames_buf *b)
{
	struct icmpmsg_echo e;

	assert_false(front_frame(f, b->data, b->len, &e));
}

uint64_t front_drops(const struct front *f)
{
	uint64_t n = 0;

	for (int i = COUNT_DROP_FRAME_SHORT; i < COUNT_REASONS; i++)
		n += f->count.v[i];
	return n;
}

void front_udp4(struct frames_buf *b)
{
	frames_udp(b, GUEST4, 1000, REMOTE4, 2000, "payload", 7);
}

void front_udp6(struct frames_buf *b)
{
	frames_udp(b, GUEST6, 1000, REMOTE6, 2000, "payload", 7);
}

void front_tcp4(struct frames_buf *b)
{
	frames_tcp(b, &(struct frames_tcp){.src = GUEST4,
					   .dst = REMOTE4,
					   .sport = 1,
					   .dport = 2,
					   .payload = "x",
					   .len = 1});
}

void front_icmp4(struct frames_buf *b)
{
	frames_icmp(b, GUEST4, REMOTE4, 8, 0, "\1\2\3\4payload", 11);
}
