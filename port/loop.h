/* The event loop: one thread, one epoll, level-triggered. It alone reads the
 * clock, once a turn. With no timer armed it sleeps until something happens. */
#ifndef PORT_LOOP_H
#define PORT_LOOP_H

#include "stack/nsec.h"

#include <stddef.h>
#include <stdint.h>

struct loop;

/* A watched descriptor; embedded in its owner, which owns the descriptor. */
struct loop_fd {
	/* @events: EPOLLIN and friends that are true now. */
	void (*ready)(struct loop_fd *f, uint32_t events);
	int fd;          /* -1: not watched */
	uint32_t events; /* as last set */
};

/* A point in time; embedded in its owner. Fires once. Zero-initialise, then set
 * @fire. */
struct loop_timer {
	void (*fire)(struct loop_timer *t);
	nsec_t at;
	size_t slot; /* place in the heap + 1; 0: not armed */
};

/* Something to free once no event of this turn can reach it any more;
 * embedded. */
struct loop_deferred {
	struct loop_deferred *next;
	void (*run)(struct loop_deferred *d);
};

/* Called at the end of every turn, before the loop sleeps; embedded. */
struct loop_hook {
	struct loop_hook *next;
	void (*run)(struct loop_hook *h);
};

/* @clock is read once a turn; NULL: CLOCK_MONOTONIC. NULL without memory or
 * descriptors. */
struct loop *loop_new(nsec_t (*clock)(void));
void loop_free(struct loop *l);

/* The time of this turn. */
nsec_t loop_now(const struct loop *l);
/* Nanoseconds since 1970 by the clock on the wall, now: for records that people
 * read, not for timers. */
nsec_t loop_wall_clock(void);

/* Watch @f->fd := @fd for @events (may be 0: errors and hang-ups are always
 * told). f->ready must be set. 0 or -errno. */
int loop_add(struct loop *l, struct loop_fd *f, int fd, uint32_t events);
/* Change what is watched; no system call if it is the same. 0 or -errno. */
int loop_set(struct loop *l, struct loop_fd *f, uint32_t events);
/* Stop watching and set f->fd = -1; the caller closes it. Events of @f that
 * this turn has still in its list are not delivered. Not watched: no-op. */
void loop_del(struct loop *l, struct loop_fd *f);

/* (Re)arms @t; 0 or -ENOMEM. NSEC_NEVER disarms. */
int loop_timer_set(struct loop *l, struct loop_timer *t, nsec_t at);
void loop_timer_clear(struct loop *l, struct loop_timer *t);
/* How many are armed: with none the loop sleeps for ever. */
size_t loop_timers(const struct loop *l);

void loop_defer(struct loop *l, struct loop_deferred *d);
/* At the end of each turn, in order of registration. */
void loop_hook_add(struct loop *l, struct loop_hook *h);
/* Before the events of each turn, right after the clock was read. */
void loop_hook_add_start(struct loop *l, struct loop_hook *h);

/* One turn: waits for at most @wait (NSEC_NEVER: until something happens, 0:
 * not at all), hands out events, fires timers, runs hooks and deferred calls.
 * 0 or -errno of epoll_wait() other than EINTR. */
int loop_turn(struct loop *l, nsec_t wait);
/* Turns until loop_stop(); returns its @status, or -errno. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l, int status);

#endif
