/* Two orders over the same flows. A hash table of chains finds them by key. A
 * list for each idle class keeps them by their last activity: flow_touch() moves
 * one to the tail, so that the head is always the next to expire and the oldest
 * to give way. One timer serves all lists. It is armed for the earliest head at
 * the time and not moved when that head is touched: expire() then finds nothing
 * due and arms it anew, once an idle time instead of once a packet. */
#include "port/flow.h"

#include "stack/container_of.h"
#include "stack/siphash.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 256
#define BUCKETS_MAX 65536

struct class_list {
	struct flow *head, *tail;
};

struct flow_table {
	struct loop *loop;
	uint64_t secret[2];
	struct flow **buckets;
	size_t mask;
	struct class_list lists[FLOW_IDLES];
	struct loop_timer timer;
	unsigned max[FLOW_PROTOS], live[FLOW_PROTOS];
	uint64_t refused[FLOW_PROTOS], evicted[FLOW_PROTOS];
	uint64_t steps;
};

static const nsec_t idle_times[FLOW_IDLES] = {
	[FLOW_IDLE_NEVER] = NSEC_NEVER,
	[FLOW_IDLE_BRIEF] = 10 * NSEC_PER_SEC,
	[FLOW_IDLE_UDP] = 120 * NSEC_PER_SEC,
	[FLOW_IDLE_BOTH] = 300 * NSEC_PER_SEC,
	[FLOW_IDLE_ECHO] = 60 * NSEC_PER_SEC,
	[FLOW_IDLE_CLIENT] = 120 * NSEC_PER_SEC,
	[FLOW_IDLE_SERVED] = 300 * NSEC_PER_SEC,
	[FLOW_IDLE_LANE] = 120 * NSEC_PER_SEC,
	[FLOW_IDLE_LANE_BOTH] = 300 * NSEC_PER_SEC,
};

/* Whose flows each is for; FLOW_IDLE_NEVER is for all. */
static const enum flow_proto protos[FLOW_IDLES] = {
	[FLOW_IDLE_BRIEF] = FLOW_UDP,     [FLOW_IDLE_UDP] = FLOW_UDP,
	[FLOW_IDLE_BOTH] = FLOW_UDP,      [FLOW_IDLE_ECHO] = FLOW_ECHO,
	[FLOW_IDLE_CLIENT] = FLOW_CLIENT, [FLOW_IDLE_SERVED] = FLOW_CLIENT,
	[FLOW_IDLE_LANE] = FLOW_LANE_UDP, [FLOW_IDLE_LANE_BOTH] = FLOW_LANE_UDP,
};

static void expire(struct loop_timer *timer);

static size_t buckets_for(const unsigned max[FLOW_PROTOS])
{
	size_t want = 0, buckets = BUCKETS_MIN;

	for (int i = 0; i < FLOW_PROTOS; i++)
		want += max[i];
	while (buckets < want && buckets < BUCKETS_MAX)
		buckets *= 2;
	return buckets;
}

struct flow_table *flow_table_new(struct loop *loop, const uint64_t secret[2],
				  const unsigned max[FLOW_PROTOS])
{
	struct flow_table *t = calloc(1, sizeof(*t));
	size_t buckets = buckets_for(max);

	if (!t)
		return NULL;
	t->buckets = calloc(buckets, sizeof(struct flow *));
	if (!t->buckets) {
		free(t);
		return NULL;
	}
	t->mask = buckets - 1;
	t->loop = loop;
	t->timer.fire = expire;
	memcpy(t->secret, secret, sizeof(t->secret));
	memcpy(t->max, max, sizeof(t->max));
	return t;
}

void flow_table_free(struct flow_table *t)
{
	if (!t)
		return;
	for (int i = 0; i < FLOW_PROTOS; i++)
		assert(t->live[i] == 0);
	loop_timer_clear(t->loop, &t->timer);
	free(t->buckets);
	free(t);
}

static struct flow **bucket(struct flow_table *t, const struct flow_key *key)
{
	struct {
		uint8_t proto;
		uint8_t container[16], remote[16];
		uint16_t container_port, remote_port;
	} __attribute__((packed)) bytes = {
		.proto = (uint8_t)key->proto,
		.container_port = key->container.port,
		.remote_port = key->remote.port,
	};

	memcpy(bytes.container, &key->container.addr, 16);
	memcpy(bytes.remote, &key->remote.addr, 16);
	return &t->buckets[siphash(t->secret, &bytes, sizeof(bytes)) & t->mask];
}

static bool key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return a->proto == b->proto &&
	       endpoint_equal(&a->container, &b->container) &&
	       endpoint_equal(&a->remote, &b->remote);
}

struct flow *flow_find(struct flow_table *t, const struct flow_key *key)
{
	struct flow *f = *bucket(t, key);

	for (; f; f = f->chain) {
		t->steps++;
		if (key_equal(&f->key, key))
			return f;
	}
	return NULL;
}

static void list_append(struct flow_table *t, struct flow *f)
{
	struct class_list *l = &t->lists[f->idle];

	f->prev = l->tail;
	f->next = NULL;
	if (l->tail)
		l->tail->next = f;
	else
		l->head = f;
	l->tail = f;
}

static void list_remove(struct flow_table *t, struct flow *f)
{
	struct class_list *l = &t->lists[f->idle];

	if (f->prev)
		f->prev->next = f->next;
	else
		l->head = f->next;
	if (f->next)
		f->next->prev = f->prev;
	else
		l->tail = f->prev;
}

static nsec_t deadline(const struct flow *f)
{
	return f->last + idle_times[f->idle];
}

/* Earlier only: see the head of this file. */
static int arm(struct flow_table *t, const struct flow *f)
{
	if (f->idle == FLOW_IDLE_NEVER)
		return 0;
	if (t->timer.slot > 0 && t->timer.at <= deadline(f))
		return 0;
	return loop_timer_set(t->loop, &t->timer, deadline(f));
}

static void end_idle(struct class_list *l, nsec_t now)
{
	struct flow *f;

	while ((f = l->head) && deadline(f) <= now) {
		f->end(f);
		assert(f != l->head);
	}
}

static void expire(struct loop_timer *timer)
{
	struct flow_table *t = container_of(timer, struct flow_table, timer);
	nsec_t now = loop_now(t->loop);

	for (int i = FLOW_IDLE_NEVER + 1; i < FLOW_IDLES; i++) {
		end_idle(&t->lists[i], now);
		/* cannot fail: the heap has the place this timer had */
		if (t->lists[i].head)
			arm(t, t->lists[i].head);
	}
}

/* Those that nobody answered first: a scan of the outside must not cost the
 * conversations that work. So is enum flow_idle ordered. */
static struct flow *oldest(const struct flow_table *t, enum flow_proto proto)
{
	for (int i = FLOW_IDLE_NEVER + 1; i < FLOW_IDLES; i++) {
		if (protos[i] == proto && t->lists[i].head)
			return t->lists[i].head;
	}
	return NULL;
}

static int make_room(struct flow_table *t, enum flow_proto proto)
{
	struct flow *f;

	if (t->live[proto] < t->max[proto])
		return 0;
	f = oldest(t, proto);
	if (!f) {
		t->refused[proto]++;
		return -ENOSPC;
	}
	t->evicted[proto]++;
	f->end(f);
	assert(t->live[proto] < t->max[proto]);
	return 0;
}

static void chain(struct flow_table *t, struct flow *f)
{
	struct flow **b = bucket(t, &f->key);

	f->chain = *b;
	*b = f;
}

static void unchain(struct flow_table *t, struct flow *f)
{
	struct flow **link = bucket(t, &f->key);

	while (*link != f) {
		t->steps++;
		link = &(*link)->chain;
	}
	*link = f->chain;
}

int flow_add(struct flow_table *t, struct flow *f, const struct flow_key *key,
	     enum flow_idle idle)
{
	int err;

	assert(f->state == FLOW_NEW && f->end);
	assert(idle == FLOW_IDLE_NEVER || protos[idle] == key->proto);
	err = make_room(t, key->proto);
	if (err)
		return err;
	f->key = *key;
	f->idle = idle;
	f->born = f->last = loop_now(t->loop);
	err = arm(t, f);
	if (err)
		return err;
	chain(t, f);
	list_append(t, f);
	t->live[key->proto]++;
	flow_set_state(f, FLOW_ASKING);
	return 0;
}

void flow_set_key(struct flow_table *t, struct flow *f,
		  const struct flow_key *key)
{
	assert(f->state != FLOW_NEW && f->state != FLOW_DEAD);
	assert(f->key.proto == key->proto);
	unchain(t, f);
	f->key = *key;
	chain(t, f);
}

static bool any_expires(const struct flow_table *t)
{
	for (int i = FLOW_IDLE_NEVER + 1; i < FLOW_IDLES; i++) {
		if (t->lists[i].head)
			return true;
	}
	return false;
}

void flow_remove(struct flow_table *t, struct flow *f)
{
	unchain(t, f);
	list_remove(t, f);
	t->live[f->key.proto]--;
	flow_set_state(f, FLOW_DEAD);
	if (!any_expires(t))
		loop_timer_clear(t->loop, &t->timer);
}

void flow_set_state(struct flow *f, enum flow_state state)
{
	/* from: to */
	static const unsigned next[FLOW_STATES] = {
		[FLOW_NEW] = 1u << FLOW_ASKING,
		[FLOW_ASKING] = 1u << FLOW_ASKING | 1u << FLOW_OPEN |
				1u << FLOW_HALF | 1u << FLOW_DEAD,
		[FLOW_OPEN] =
			1u << FLOW_OPEN | 1u << FLOW_HALF | 1u << FLOW_DEAD,
		[FLOW_HALF] = 1u << FLOW_HALF | 1u << FLOW_DEAD,
		[FLOW_DEAD] = 0,
	};
	bool legal = next[f->state] & 1u << state;

	assert(legal);
	(void)legal; /* without asserts */
	f->state = state;
}

void flow_touch(struct flow_table *t, struct flow *f)
{
	f->last = loop_now(t->loop);
	if (f->next) {
		list_remove(t, f);
		list_append(t, f);
	}
}

void flow_set_idle(struct flow_table *t, struct flow *f, enum flow_idle idle)
{
	assert(idle == FLOW_IDLE_NEVER || protos[idle] == f->key.proto);
	list_remove(t, f);
	f->idle = idle;
	f->last = loop_now(t->loop);
	list_append(t, f);
	/* It was armed for this flow or an earlier one, and the new class may
	 * be the shorter. Without memory the flow outstays its time until the
	 * next timer is set: no harm. */
	arm(t, f);
}

unsigned flow_count(const struct flow_table *t, enum flow_proto proto)
{
	return t->live[proto];
}

uint64_t flow_refused(const struct flow_table *t, enum flow_proto proto)
{
	return t->refused[proto];
}

uint64_t flow_evicted(const struct flow_table *t, enum flow_proto proto)
{
	return t->evicted[proto];
}

struct flow *flow_next(const struct flow_table *t, const struct flow *prev)
{
	int i = 0;

	if (prev) {
		if (prev->next)
			return prev->next;
		i = (int)prev->idle + 1;
	}
	for (; i < FLOW_IDLES; i++) {
		if (t->lists[i].head)
			return t->lists[i].head;
	}
	return NULL;
}

uint64_t flow_steps(const struct flow_table *t)
{
	return t->steps;
}
