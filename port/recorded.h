/* The host of a replay that does what a capture recorded: it answers when the
 * other side did and with the same bytes, refuses what that refused, and opens
 * the connections that it opened. What the stack itself answers (ARP, NDP, DHCP,
 * ping to its own addresses) is not taken from the capture. */
#ifndef PORT_RECORDED_H
#define PORT_RECORDED_H

#include "port/converse.h"
#include "stack/stack.h"

struct recorded;

/* NULL without memory. @c is borrowed, and imitates from now on. */
struct recorded *recorded_new(struct converse *c);
/* Forgets its streams, which stack_free() ends; accepts NULL. */
void recorded_free(struct recorded *r);

/* For stack_new(), and then the stack it made and its plan. */
struct stack_host *recorded_hooks(struct recorded *r);
void recorded_attach(struct recorded *r, struct stack *st,
		     const struct plan *plan);

/* The frame of the container that is fed next belongs to @f, NULL: to none. Only
 * until then. */
void recorded_expect(struct recorded *r, struct converse_flow *f);
/* Frame @number, from the other side: does now what it did then. */
void recorded_frame(struct recorded *r, const struct dissect *d,
		    uint64_t number);
/* Datagrams of the other side that are not replayed: those that came in
 * fragments, and those of which the capture has not all. */
uint64_t recorded_fragments(const struct recorded *r);
uint64_t recorded_cut(const struct recorded *r);

#endif
