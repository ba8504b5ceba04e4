/* Everything of stack/ in front of lwIP, wired together for tests: link, ARP,
 * packets, neighbour discovery, echo and DHCP of both kinds, on frames_plan(). */
#ifndef TESTS_FRONT_H
#define TESTS_FRONT_H

#include "stack/arp.h"
#include "stack/dhcp4.h"
#include "stack/dhcpv6.h"
#include "stack/icmpmsg.h"
#include "stack/ndp.h"
#include "tests/frames.h"

struct front {
	struct plan plan;
	struct counters count;
	struct frames_sink sink;
	struct chunk_pool pool;
	struct link link;
	struct packet_layer pl;
	struct ndp ndp;
	nsec_t now;
	struct offload off; /* of the frames to come */
};

struct front *front_new(uint16_t mtu);
/* Asserts that no chunk is left. */
void front_free(struct front *f);
/* cmocka fixtures: *state is a struct front of MTU 1500. */
int front_setup(void **state);
int front_teardown(void **state);

/* Gives the frame to link and packet_input(): is there a packet? Its chunk is
 * the caller's then. */
bool front_packet(struct front *f, const void *frame, size_t len,
		  struct packet *ret);
/* The same, with the packet thrown away. */
bool front_accepts(struct front *f, const struct frames_buf *b);

/* Gives the frame to whom it concerns. True with *@ret if it is an echo request
 * for the host, whose payload is gone. */
bool front_frame(struct front *f, const void *frame, size_t len,
		 struct icmpmsg_echo *ret);
/* The same, for frames that are none. */
void front_give(struct front *f, const struct frames_buf *b);

/* How often something was dropped, for any reason. */
uint64_t front_drops(const struct front *f);

/* Who talks in the frames below, and in tests that want no other. */
#define GUEST4  "10.0.2.100"
#define GUEST6  "fd00::64"
#define REMOTE4 "192.0.2.1"
#define REMOTE6 "2001:db8::1"

/* Valid frames of the guest to the outside, one a kind. */
void front_udp4(struct frames_buf *b);
void front_udp6(struct frames_buf *b);
void front_tcp4(struct frames_buf *b);
void front_icmp4(struct frames_buf *b);

#endif
