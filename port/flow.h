/* What all flows between the container and the host share: a key, a state, an
 * age. A flow is embedded in its owner (the relay of its protocol), which makes
 * and frees it; the table finds it, counts it, bounds it and tells its owner
 * when nothing has passed for too long. Every call costs the same with one flow
 * as with many, and an empty table arms no timer. */
#ifndef PORT_FLOW_H
#define PORT_FLOW_H

#include "port/loop.h"
#include "stack/addr.h"

enum flow_proto {
	FLOW_TCP,
	FLOW_UDP,
	FLOW_ECHO,
	FLOW_DNS,       /* a query to the resolver alias, over UDP */
	FLOW_CLIENT,    /* a UDP client of a published port, by what it uses
			 * itself; has a FLOW_PUBLISHED by its side */
	FLOW_PUBLISHED, /* the same client, as the container sees it */
	FLOW_LANE_TCP,  /* through the loopback lane: between what is on
			 * loopback inside the container */
	FLOW_LANE_UDP,  /* likewise, for a client of a published port by what
			 * that uses itself, as FLOW_CLIENT; for one of the
			 * container's by that client and, with address ::, the
			 * port that it asks */
	FLOW_PROTOS
};

struct flow_key {
	enum flow_proto proto;
	struct endpoint container; /* FLOW_ECHO: port is the identifier;
				    * FLOW_CLIENT: the host's address and port
				    * that the client asks */
	struct endpoint remote;    /* all zero where any will do (FLOW_UDP,
				    * FLOW_ECHO); FLOW_DNS: port is the ID */
};

enum flow_state {
	FLOW_NEW,    /* not in a table yet */
	FLOW_ASKING, /* who was asked has not answered: a connection is being
		      * made, or datagrams went one way only */
	FLOW_OPEN,   /* bytes can pass, or have passed, both ways */
	FLOW_HALF,   /* FLOW_TCP: one side has ended */
	FLOW_DEAD,   /* out of the table; its memory goes with the turn */
	FLOW_STATES
};

/* After how long without flow_touch() a flow ends; of one protocol, the first
 * gives way first. */
enum flow_idle {
	FLOW_IDLE_NEVER,
	FLOW_IDLE_BRIEF,     /* FLOW_UDP that only ever asked port 53: 10 s */
	FLOW_IDLE_UDP,       /* FLOW_UDP, one way: 120 s */
	FLOW_IDLE_BOTH,      /* FLOW_UDP, both ways: 300 s (RFC 4787 REQ-5) */
	FLOW_IDLE_ECHO,      /* FLOW_ECHO: 60 s */
	FLOW_IDLE_CLIENT,    /* FLOW_CLIENT, one way: 120 s */
	FLOW_IDLE_SERVED,    /* FLOW_CLIENT, both ways: 300 s */
	FLOW_IDLE_LANE,      /* FLOW_LANE_UDP, one way: 120 s */
	FLOW_IDLE_LANE_BOTH, /* FLOW_LANE_UDP, both ways: 300 s */
	FLOW_IDLES
};

/* Fields are for reading; only the functions below write them, but for @end. */
struct flow {
	/* Idle for too long, or in the way of a new one: the owner ends it,
	 * with flow_remove() before it returns. Set before flow_add(). */
	void (*end)(struct flow *f);
	struct flow_key key;
	enum flow_state state;
	enum flow_idle idle;
	nsec_t born, last;

	struct flow *chain;       /* next in the same bucket */
	struct flow *prev, *next; /* of the same idle class, oldest first */
};

struct flow_table;

/* At most @max[proto] flows of each protocol; @secret keys the hash. NULL
 * without memory. @loop is borrowed. */
struct flow_table *flow_table_new(struct loop *loop, const uint64_t secret[2],
				  const unsigned max[FLOW_PROTOS]);
/* Asserts that it is empty; accepts NULL. */
void flow_table_free(struct flow_table *t);

/* The flow with @key, or NULL. */
struct flow *flow_find(struct flow_table *t, const struct flow_key *key);
/* Enters @f, which is FLOW_NEW, under @key, which is not there yet, as
 * FLOW_ASKING. At the protocol's limit the flow of that protocol that has been
 * idle for longest is ended first, those that went one way only before the
 * others. 0; -ENOSPC (counted) if at the limit none can give way because all are
 * FLOW_IDLE_NEVER; -ENOMEM. */
int flow_add(struct flow_table *t, struct flow *f, const struct flow_key *key,
	     enum flow_idle idle);
/* Moves @f, which is in the table, to @key of the same protocol, which is not
 * there yet. */
void flow_set_key(struct flow_table *t, struct flow *f,
		  const struct flow_key *key);
/* Takes @f out: FLOW_DEAD. */
void flow_remove(struct flow_table *t, struct flow *f);

/* FLOW_ASKING, FLOW_OPEN or FLOW_HALF, onwards only. Setting the same again is
 * fine. */
void flow_set_state(struct flow *f, enum flow_state state);
/* Something passed. Constant work, no timer is set. */
void flow_touch(struct flow_table *t, struct flow *f);
/* Moves @f to another idle class and counts as flow_touch(). */
void flow_set_idle(struct flow_table *t, struct flow *f, enum flow_idle idle);

unsigned flow_count(const struct flow_table *t, enum flow_proto proto);
/* How many were turned away by flow_add() with -ENOSPC, and how many had to
 * give way. */
uint64_t flow_refused(const struct flow_table *t, enum flow_proto proto);
uint64_t flow_evicted(const struct flow_table *t, enum flow_proto proto);
/* Walks over all: the first after NULL, NULL after the last. The table must not
 * change meanwhile. */
struct flow *flow_next(const struct flow_table *t, const struct flow *prev);
/* Links of hash chains followed so far: what a test of constant work counts. */
uint64_t flow_steps(const struct flow_table *t);

#endif
