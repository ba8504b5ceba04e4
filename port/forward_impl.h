/* What the files of forward.h share, and nobody else includes. */
#ifndef PORT_FORWARD_IMPL_H
#define PORT_FORWARD_IMPL_H

#include "port/follow.h"
#include "port/forward.h"

#define FORWARD_NOTE_LEN 256

struct forward_port {
	struct listener listener;
	struct forward *forward;
	struct endpoint local; /* while the listener is closed, too */
	uint16_t guest_port;
};

struct forward {
	unsigned id;
	struct forwards *owner;
	struct rule rule;
	struct target *target;
	struct forward_port *ports;
	size_t n, per_addr; /* in all, and of each address */
	bool told;          /* the log has forward_note() */
	bool told_cannot;   /* ... and that it cannot follow just now */
	char note[FORWARD_NOTE_LEN];
};

struct forwards {
	struct forward_deps deps;
	struct forward **list; /* by id */
	size_t n, room;
	unsigned last_id;
	struct follow follow;
	nsec_t looked_at, lane_looked_at;
	bool seen[SOCKDIAG_PROTOS]; /* forward_look() could see it */
};

/* Opens and closes one of a rule's ports; 0 or -errno. */
int forward_open_port(struct forward_port *p);
void forward_close_port(struct forward_port *p);
bool forward_is_udp(const struct forward *f);
/* Did @err say that the kernel lacks the family? */
bool forward_family_is_absent(int err);
/* May the family of the address whose ports begin at @first be left out because
 * the kernel does not have it: was "every address of both" asked for? */
bool forward_can_do_without(const struct forward *f, size_t first);
/* Leaves it out. Nothing behind it is open. */
void forward_drop_addr(struct forward *f, size_t first);

/* In forward_effort.c: opens what can be had of a rule with best_effort. 0 or
 * -errno with the reason, and nothing is open. */
int forward_open_some(struct forward *f, struct fail *why);

/* In forward_explain.c: says what @err, met when @e was to be opened for @f,
 * means, and returns it. */
int forward_explain(const struct forward *f, const struct endpoint *e, int err,
		    struct fail *why);
/* Is there room for the descriptors of @f, whose first address is @addr? Not to
 * open thousands only to close them again: as the kernel hands out the lowest
 * number, a socket tells how many are in use. 0 or -EMFILE with the reason. */
int forward_explain_room(const struct forward *f, const struct in6_addr *addr,
			 struct fail *why);

/* In forward_watch.c. */
void forward_watch_init(struct forwards *fs);
enum sockdiag_proto forward_watch_proto(const struct forward *f);
/* Is the service on @port one that the lane reaches and the tap does not? Then
 * *@v4, the client's family, becomes its. By a look that is not old. */
bool forward_watch_on_loopback(struct forward *f, uint16_t port, bool *v4);
/* target.unanswered() of every rule; t->arg is the rule. */
void forward_watch_unanswered(struct target *t, uint16_t port);

#endif
