/* What the tests of inbound_tcp run on: the real stack with a container whose
 * segments the test writes, the real loop, clients that are socket pairs. */
#ifndef TESTS_INBOUND_RIG_H
#define TESTS_INBOUND_RIG_H

#include "port/inbound_tcp.h"
#include "tests/fake_guestaddr.h"
#include "tests/fake_hostsock.h"
#include "tests/rig.h"

#define INBOUND_PORT 80 /* the container's */

struct inbound_rig {
	struct rig *r;
	struct loop *loop;
	struct policy policy;
	struct relay_host host;
	struct guestaddr guest;
	struct target *target; /* the container's own address */
	struct inbound_tcp *inbound;
	unsigned unanswered; /* calls of the target's */
	uint16_t unanswered_port;
};

/* At most @max_flows TCP flows and @max_streams streams. */
struct inbound_rig *inbound_rig_new(unsigned max_flows, unsigned max_streams);
/* Asserts that no connection, flow, timer, socket or buffer is left. */
void inbound_rig_free(struct inbound_rig *b);
/* For cmocka, with plenty of both; *state is the rig. */
int inbound_rig_setup(void **state);
int inbound_rig_teardown(void **state);

/* Turns of the loop at the rig's time, and what the program does around it. */
void inbound_rig_turn(struct inbound_rig *b);
/* Lets @span pass before. */
void inbound_rig_pass(struct inbound_rig *b, nsec_t span);

/* A client from @addr port @port is accepted. */
struct fake_sock *inbound_rig_client(struct inbound_rig *b, const char *addr,
				     uint16_t port);
/* The SYN that the container gets next, which must come from @addr port @port
 * (and goes to its address of that family): the container's end of it. */
struct rig_peer inbound_rig_syn(struct inbound_rig *b, const char *addr,
				uint16_t port);
/* The container answers such a SYN. */
void inbound_rig_answer(struct inbound_rig *b, struct rig_peer *p);
void inbound_rig_refuse(struct inbound_rig *b, struct rig_peer *p);
/* The client's connection stands, the container's end in *@ret_p. */
struct fake_sock *inbound_rig_open(struct inbound_rig *b, const char *addr,
				   uint16_t port, struct rig_peer *ret_p);
/* How many SYNs the container was sent since rig_drain(). */
unsigned inbound_rig_syns(const struct inbound_rig *b);
/* Both sides say FIN, the client first. */
void inbound_rig_close(struct inbound_rig *b, struct fake_sock *s,
		       struct rig_peer *p);
/* Bytes pass both ways on such a connection; then inbound_rig_close(). */
void inbound_rig_served(struct inbound_rig *b, struct fake_sock *s,
			struct rig_peer *p);

#endif
