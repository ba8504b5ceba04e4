/* The host of a replay, acting by a script: no sockets, no clock. Policy is that
 * of the program: what never leaves the stack is not seen by the script. */
#ifndef PORT_REPLAY_HOST_H
#define PORT_REPLAY_HOST_H

#include "port/policy.h"
#include "port/script.h"
#include "stack/stack.h"

struct replay_host;

/* NULL without memory. Both are borrowed; @script NULL: everything echoes. */
struct replay_host *replay_host_new(const struct script *script,
				    const struct policy *policy);
/* Forgets its streams, which stack_free() ends; accepts NULL. */
void replay_host_free(struct replay_host *h);

/* For stack_new(), and then the stack it made. */
struct stack_host *replay_host_hooks(struct replay_host *h);
void replay_host_attach(struct replay_host *h, struct stack *st);

/* The time, before anything else of a turn. */
void replay_host_set_time(struct replay_host *h, nsec_t now);
/* When the next `after` is over; NSEC_NEVER: none is under way. */
nsec_t replay_host_deadline(const struct replay_host *h);
void replay_host_tick(struct replay_host *h);

#endif
