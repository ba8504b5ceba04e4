/* What every relay works with, and what it counts. */
#ifndef PORT_RELAY_H
#define PORT_RELAY_H

#include "port/flow.h"
#include "port/hostsock.h"
#include "port/loop.h"
#include "port/policy.h"
#include "stack/stack.h"

/* X(identifier, "name in statistics") */
#define RELAY_COUNT_LIST(X)                                                    \
	X(DROP_POLICY, "relay_drop_policy")     /* a target nobody may ask */  \
	X(REFUSED, "relay_refused")             /* answered unreachable */     \
	X(DROP_BUSY, "relay_drop_busy")         /* the host took no more */    \
	X(DROP_LIMIT, "relay_drop_limit")       /* too many flows */           \
	X(DROP_FOREIGN, "relay_drop_foreign")   /* an answer not asked for */  \
	X(DROP_NO_GUEST, "relay_drop_no_guest") /* no address to lead it to */ \
	X(HOST_ERRORS, "relay_host_errors")     /* passed on as ICMP */        \
	X(HOST_FAILURES, "relay_host_failures") /* EMFILE, ENOMEM, ... */      \
	X(DNS_FAILOVERS, "relay_dns_failovers") /* asked the next resolver */  \
	X(DNS_UNANSWERED, "relay_dns_unanswered") /* none of them answered */  \
	X(INBOUND_REFUSED, "relay_inbound_refused") /* nobody took a client */ \
	X(INBOUND_OTHER, "relay_inbound_other_family") /* than the client's */

enum relay_count {
#define RELAY_COUNT_ENUM(id, name) RELAY_COUNT_##id,
	RELAY_COUNT_LIST(RELAY_COUNT_ENUM)
#undef RELAY_COUNT_ENUM
	RELAY_COUNTS
};

/* One for all relays; filled in by whoever wires, before the first input. All
 * pointers are borrowed. */
struct relay_host {
	struct loop *loop;
	struct stack *stack;
	struct flow_table *flows;
	const struct policy *policy;
	struct hostsock_source source;
	uint64_t count[RELAY_COUNTS];
};

static inline void relay_count(struct relay_host *h, enum relay_count what)
{
	h->count[what]++;
}

const char *relay_count_name(enum relay_count what);

#endif
