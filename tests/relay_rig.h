/* What the tests of the relays share: a loop with a clock that the test owns, a
 * flow table, a policy, the fakes of the host and of the stack. */
#ifndef TESTS_RELAY_RIG_H
#define TESTS_RELAY_RIG_H

#include "port/relay.h"

#define RELAY_RIG_UDP_MAX     2000
#define RELAY_RIG_CLIENTS_MAX 10000

/* For setup: everything fresh, host loopback and dns on, both families. */
struct relay_host *relay_rig_start(void);
/* For teardown, once the relays are freed: asserts that no flow, timer or
 * host socket is left. */
void relay_rig_finish(void);
/* The policy, for a test that wants another. */
struct policy *relay_rig_policy(void);

/* Lets the loop hand out what is ready, until nothing is. */
void relay_rig_settle(void);
/* Moves the clock and does the same. */
void relay_rig_advance(nsec_t by);

/* "10.0.2.100", 80 -> endpoint. */
struct endpoint relay_rig_endpoint(const char *addr, uint16_t port);

#endif
