#include "port/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* Events taken from the kernel at once: bounds how long timers wait. */
#define BURST 64

struct loop {
	int epoll;
	nsec_t (*clock)(void);
	nsec_t now;

	struct loop_timer **heap; /* the earliest first */
	size_t armed, room;

	struct loop_hook *start, *end;
	struct loop_deferred *deferred, **deferred_tail;

	struct epoll_event events[BURST];
	int first, count; /* of events[]: not handed out yet */

	bool stopped;
	int status;
};

static nsec_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

nsec_t loop_wall_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

struct loop *loop_new(nsec_t (*clock)(void))
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		free(l);
		return NULL;
	}
	l->clock = clock ? clock : monotonic;
	l->now = l->clock();
	l->deferred_tail = &l->deferred;
	return l;
}

static void run_deferred(struct loop *l)
{
	while (l->deferred) {
		struct loop_deferred *d = l->deferred;

		l->deferred = d->next;
		if (!l->deferred)
			l->deferred_tail = &l->deferred;
		d->run(d);
	}
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	run_deferred(l);
	close(l->epoll);
	free(l->heap);
	free(l);
}

nsec_t loop_now(const struct loop *l)
{
	return l->now;
}

static int control(struct loop *l, int op, struct loop_fd *f, int fd,
		   uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = f};

	return epoll_ctl(l->epoll, op, fd, &ev) < 0 ? -errno : 0;
}

int loop_add(struct loop *l, struct loop_fd *f, int fd, uint32_t events)
{
	int err = control(l, EPOLL_CTL_ADD, f, fd, events);

	assert(f->ready);
	if (err)
		return err;
	f->fd = fd;
	f->events = events;
	return 0;
}

int loop_set(struct loop *l, struct loop_fd *f, uint32_t events)
{
	int err;

	assert(f->fd >= 0);
	if (f->events == events)
		return 0;
	err = control(l, EPOLL_CTL_MOD, f, f->fd, events);
	if (!err)
		f->events = events;
	return err;
}

void loop_del(struct loop *l, struct loop_fd *f)
{
	if (f->fd < 0)
		return;
	control(l, EPOLL_CTL_DEL, f, f->fd, 0);
	f->fd = -1;
	for (int i = l->first; i < l->count; i++) {
		if (l->events[i].data.ptr == f)
			l->events[i].data.ptr = NULL;
	}
}

/* Slots count from 1, so that children are 2i and 2i + 1. */
static struct loop_timer **at_slot(struct loop *l, size_t slot)
{
	return &l->heap[slot - 1];
}

static void place(struct loop *l, struct loop_timer *t, size_t slot)
{
	*at_slot(l, slot) = t;
	t->slot = slot;
}

static void sift_up(struct loop *l, struct loop_timer *t, size_t slot)
{
	while (slot > 1 && (*at_slot(l, slot / 2))->at > t->at) {
		place(l, *at_slot(l, slot / 2), slot);
		slot /= 2;
	}
	place(l, t, slot);
}

static void sift_down(struct loop *l, struct loop_timer *t, size_t slot)
{
	while (slot * 2 <= l->armed) {
		size_t child = slot * 2;

		if (child < l->armed &&
		    (*at_slot(l, child + 1))->at < (*at_slot(l, child))->at)
			child++;
		if (t->at <= (*at_slot(l, child))->at)
			break;
		place(l, *at_slot(l, child), slot);
		slot = child;
	}
	place(l, t, slot);
}

static void settle(struct loop *l, struct loop_timer *t, size_t slot)
{
	if (slot > 1 && (*at_slot(l, slot / 2))->at > t->at)
		sift_up(l, t, slot);
	else
		sift_down(l, t, slot);
}

static int grow(struct loop *l)
{
	size_t room = l->room ? l->room * 2 : 16;
	struct loop_timer **heap =
		reallocarray(l->heap, room, sizeof(struct loop_timer *));

	if (!heap)
		return -ENOMEM;
	l->heap = heap;
	l->room = room;
	return 0;
}

int loop_timer_set(struct loop *l, struct loop_timer *t, nsec_t at)
{
	assert(t->fire);
	if (at == NSEC_NEVER) {
		loop_timer_clear(l, t);
		return 0;
	}
	if (t->slot > 0) {
		t->at = at;
		settle(l, t, t->slot);
		return 0;
	}
	if (l->armed == l->room && grow(l) < 0)
		return -ENOMEM;
	t->at = at;
	sift_up(l, t, ++l->armed);
	return 0;
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
	size_t slot = t->slot;
	struct loop_timer *last;

	if (slot == 0)
		return;
	last = *at_slot(l, l->armed--);
	t->slot = 0;
	if (last != t)
		settle(l, last, slot);
}

size_t loop_timers(const struct loop *l)
{
	return l->armed;
}

void loop_defer(struct loop *l, struct loop_deferred *d)
{
	d->next = NULL;
	*l->deferred_tail = d;
	l->deferred_tail = &d->next;
}

static void append(struct loop_hook **list, struct loop_hook *h)
{
	while (*list)
		list = &(*list)->next;
	h->next = NULL;
	*list = h;
}

void loop_hook_add(struct loop *l, struct loop_hook *h)
{
	append(&l->end, h);
}

void loop_hook_add_start(struct loop *l, struct loop_hook *h)
{
	append(&l->start, h);
}

static void run_hooks(struct loop_hook *h)
{
	for (; h; h = h->next)
		h->run(h);
}

/* Milliseconds to sleep, rounded up: waking too early would only mean to go
 * round once more. -1: until something happens. */
static int sleep_ms(const struct loop *l, nsec_t wait)
{
	if (l->deferred || wait <= 0)
		return 0;
	if (l->armed > 0) {
		nsec_t now = l->clock();
		nsec_t first = l->heap[0]->at;

		if (first <= now)
			return 0;
		if (first - now < wait)
			wait = first - now;
	}
	if (wait == NSEC_NEVER)
		return -1;
	if (wait / NSEC_PER_MSEC >= INT_MAX)
		return INT_MAX;
	return (int)((wait + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

static void hand_out(struct loop *l)
{
	while (l->first < l->count) {
		struct epoll_event *ev = &l->events[l->first++];
		struct loop_fd *f = ev->data.ptr;

		if (f)
			f->ready(f, ev->events);
	}
}

/* No more calls than there were timers: one that sets itself to a past moment
 * must not hold up everything else. */
static void fire_timers(struct loop *l)
{
	for (size_t n = l->armed; n > 0 && l->armed > 0; n--) {
		struct loop_timer *t = l->heap[0];

		if (t->at > l->now)
			return;
		loop_timer_clear(l, t);
		t->fire(t);
	}
}

int loop_turn(struct loop *l, nsec_t wait)
{
	int n = epoll_wait(l->epoll, l->events, BURST, sleep_ms(l, wait));

	if (n < 0 && errno != EINTR)
		return -errno;
	l->first = 0;
	l->count = n < 0 ? 0 : n;
	l->now = l->clock();
	run_hooks(l->start);
	hand_out(l);
	fire_timers(l);
	run_hooks(l->end);
	run_deferred(l);
	return 0;
}

int loop_run(struct loop *l)
{
	l->stopped = false;
	while (!l->stopped) {
		int err = loop_turn(l, NSEC_NEVER);

		if (err)
			return err;
	}
	return l->status;
}

void loop_stop(struct loop *l, int status)
{
	l->stopped = true;
	l->status = status;
}
