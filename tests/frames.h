/* Frames for tests: builders of what the container sends, and a sink that keeps
 * what it is sent. Checksums are made by a plain loop of their own, so that
 * they prove those of stack/. Addresses are text ("10.0.2.100", "fd00::64");
 * their family chooses the IP version. */
#ifndef TESTS_FRAMES_H
#define TESTS_FRAMES_H

#include "stack/addr.h"
#include "stack/chunk.h"
#include "stack/frame.h"
#include "stack/plan.h"

/* What a sink was given, flattened. */
struct frames_got {
	uint8_t *data;
	size_t len;
	struct offload off;
};

struct frames_sink {
	struct frame_sink sink; /* must be first */
	struct frames_got *got;
	size_t n;
	int err; /* negative: put() refuses with it and keeps nothing */
};

void frames_sink_init(struct frames_sink *fs);
/* Forgets what it was given; also the end of its life. */
void frames_sink_clear(struct frames_sink *fs);
/* Asserts that there is exactly one frame. */
const struct frames_got *frames_only(const struct frames_sink *fs);

extern const uint8_t frames_guest_mac[WIRE_MAC_LEN];
extern const uint8_t frames_gateway_mac[WIRE_MAC_LEN];

struct in6_addr frames_addr(const char *text);
/* 10.0.2.0/24 and fd00::/64 with the gateway's MAC above. */
struct plan frames_plan(uint16_t mtu);
/* The host's own addresses, 192.0.2.5/32 and 2001:db8::5, with the gateways
 * 192.0.2.1 and fe80::1 outside the networks, 169.254.1.1 and 169.254.1.2 for
 * resolver and host, nothing for its loopback; all services, two resolvers and
 * a search domain of each family, names. MTU 1500. */
struct plan frames_shared_plan(void);

/* A frame being written, from its Ethernet header on. */
struct frames_buf {
	uint8_t data[CHUNK_ROOM];
	size_t len;
};

/* Starts a frame from the container to the gateway, or to the group's Ethernet
 * address if @dst is a multicast or broadcast address; @dst may be NULL. */
void frames_eth(struct frames_buf *b, uint16_t ethertype, const char *dst);
void frames_put(struct frames_buf *b, const void *data, size_t len);

struct frames_ip {
	const char *src, *dst;
	uint8_t proto;
	uint8_t ttl; /* 0: 64 */
	uint8_t tos;
	uint16_t id;
	uint16_t frag; /* v4 only: flags and offset as in the header */
};

/* A whole frame around @l4, whose checksum is left as it is. */
void frames_packet(struct frames_buf *b, const struct frames_ip *ip,
		   const void *l4, size_t l4_len);
void frames_udp(struct frames_buf *b, const char *src, uint16_t sport,
		const char *dst, uint16_t dport, const void *payload,
		size_t len);
void frames_icmp(struct frames_buf *b, const char *src, const char *dst,
		 uint8_t type, uint8_t code, const void *body, size_t len);

/* An ICMP or ICMPv6 error that quotes @len bytes of an IP packet. */
void frames_icmp_error(struct frames_buf *b, const char *src, const char *dst,
		       uint8_t type, uint8_t code, const void *packet,
		       size_t len);

struct frames_tcp {
	const char *src, *dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t wnd;
	const uint8_t *options; /* a multiple of 4 bytes */
	size_t options_len;
	const void *payload;
	size_t len;
};

void frames_tcp(struct frames_buf *b, const struct frames_tcp *t);

struct frames_arp {
	uint16_t op; /* 1 request, 2 reply */
	const char *sender, *target;
};

void frames_arp(struct frames_buf *b, const struct frames_arp *a);

/* Makes the checksums right again after a header byte was changed. Knows
 * packets without options, extension headers and fragments. */
void frames_seal(struct frames_buf *b);

/* The frame as a chunk with one reference, at the very end of its room so that
 * a sanitizer sees whoever reads too far; it starts at *@ret_start. */
struct chunk *frames_chunk(struct chunk_pool *pool, const void *frame,
			   size_t len, size_t *ret_start);

/* An IP packet taken apart. */
struct frames_seen {
	int family;
	struct in6_addr src, dst;
	uint8_t proto, ttl;
	bool fragment, more;
	size_t offset;
	uint32_t id;
	const uint8_t *l4; /* from the upper header, or a fragment's data */
	size_t l4_len;
};

/* Takes @got apart and asserts lengths and checksums (that of the upper header
 * only if it is neither a fragment nor partial). */
struct frames_seen frames_read(const struct frames_got *got);
/* Asserts that frames @from to the last are the fragments of one packet, in
 * order, and puts its payload into @buf; its upper checksum is asserted. */
struct frames_seen frames_join(const struct frames_sink *fs, size_t from,
			       struct frames_buf *buf);

#endif
