/* What the tests of inbound UDP share, on top of relay_rig: a container whose
 * addresses the test makes up, a listener that records what is sent by it, a
 * target that leads to port 53 of the container. */
#ifndef TESTS_UDP_RIG_H
#define TESTS_UDP_RIG_H

#include "port/inbound_udp.h"
#include "tests/fake_guestaddr.h"
#include "tests/fake_stack.h"
#include "tests/relay_rig.h"

/* The service as the container names it. */
#define SERVICE4 relay_rig_endpoint("10.0.2.100", 53)
#define SERVICE6 relay_rig_endpoint("fd00::64", 53)

/* A datagram that left by a listener. */
struct udp_rig_answer {
	struct listener *listener;
	struct endpoint client, local;
	struct hostsock_opts opts;
	char text[16];
	size_t len;
};

struct udp_rig {
	struct relay_host *host;
	struct inbound_udp *inbound;
	struct listener listener;
	struct target *target;
	struct guestaddr guest;
	struct udp_rig_answer answers[8]; /* the n-th at n % 8 */
	size_t answer_count;
	int send_err;        /* what sending by a listener fails with; 0 */
	unsigned unanswered; /* calls of target->unanswered() */
};

/* For setup and teardown of each test. */
struct udp_rig *udp_rig_start(void);
void udp_rig_finish(void);

/* "192.0.2.9", 4000 -> endpoint. */
static inline struct endpoint at(const char *addr, uint16_t port)
{
	return relay_rig_endpoint(addr, port);
}

/* A client sends to port 5353 of the host's loopback, or to @local. */
void udp_rig_ask(struct endpoint client, const char *text);
void udp_rig_ask_at(struct endpoint client, struct endpoint local,
		    const void *buf, size_t len);
/* The container sends to @remote, TTL 63, TOS 0x28, DF: is it an answer to a
 * client? */
bool udp_rig_answer(struct endpoint container, struct endpoint remote,
		    const char *text);
/* The container says that nobody took what @remote sent. */
void udp_rig_refuse(struct endpoint container, struct endpoint remote);
/* How many clients have a flow. */
unsigned udp_rig_clients(void);

/* The @n-th thing that the container got is @text, from @remote. */
void udp_rig_assert_asked(size_t n, struct endpoint remote,
			  struct endpoint container, const char *text);
void udp_rig_assert_same(struct endpoint a, struct endpoint b);

#endif
