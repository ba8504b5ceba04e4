/* After each look at the container's sockets on_looked() goes through what is
 * wanted and through what there is, both in the order of struct entry.key: what
 * is no longer wanted is removed, what is new is opened, what could not be opened
 * is tried again at its time. How much of that one look brings about is bounded,
 * so that a container that opens and closes ports as fast as it can costs
 * little. */
#include "port/autoport.h"

#include "port/follow.h"
#include "stack/container_of.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Most ports opened, and tried again, in one look. */
#define OPEN_BURST  64
#define AGAIN_BURST 16

/* Most lines about ports that cannot be opened, ever. */
#define TELL_MAX 32

struct entry {
	uint64_t key;
	unsigned id;  /* of the rule; 0: it could not be opened ... */
	nsec_t again; /* ... and is tried again then */
};

struct autoport {
	struct autoport_deps deps;
	const struct portspec_auto *autos;
	size_t auto_count;
	struct follow follow;
	struct entry lists[2][AUTOPORT_MAX];
	struct entry *list; /* what there is; by key */
	size_t n;
	unsigned told;
};

/* A walk through what is wanted and what there is. */
struct walk {
	struct autoport *a;
	nsec_t now;
	bool has[2]; /* an address that clients are led to: IPv4, IPv6 */
	struct in6_addr addr[2];
	struct entry *made; /* what there will be */
	size_t old, n;      /* how far in a->list, and in made */
	unsigned opens, agains;
};

static uint64_t key_of(enum sockdiag_proto proto, uint16_t port, size_t at,
		       int family)
{
	return (uint64_t)proto << 40 | (uint64_t)port << 24 |
	       (uint64_t)at << 8 | (uint64_t)family;
}

static struct rule rule_of(const struct autoport *a, uint64_t key)
{
	struct rule r = a->autos[key >> 8 & UINT16_MAX].where;

	r.families = (key & 1) ? RULE_IPV6 : RULE_IPV4;
	r.host_port = r.host_port_end = r.guest_port = (uint16_t)(key >> 24);
	return r;
}

static bool is_published(const struct autoport *a, const struct rule *r)
{
	const struct forward *f = NULL;

	while ((f = forward_next(a->deps.forwards, f)) != NULL) {
		if (rule_overlaps(forward_rule(f), r))
			return true;
	}
	return false;
}

static void tell(struct autoport *a, const char *text)
{
	if (a->told == TELL_MAX)
		return;
	a->told++;
	fprintf(a->deps.log, "tapir: auto: %s%s\n", text,
		a->told == TELL_MAX ? "; no more is said about others" : "");
}

/* That there is no IPv6 need not be said of each port. */
static bool is_telling(const struct rule *r, int err)
{
	bool absent = err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL;

	return !absent || r->ifname[0] || !addr_is_unspecified(&r->host_addr);
}

static void try_open(struct walk *w, struct entry *e, bool first)
{
	struct rule r = rule_of(w->a, e->key);
	const struct forward *f;
	struct fail why;
	int err;

	e->again = w->now + AUTOPORT_AGAIN;
	if (is_published(w->a, &r))
		return;
	err = forward_add(w->a->deps.forwards, &r, &f, &why);
	if (err == 0)
		e->id = forward_id(f);
	else if (first && is_telling(&r, err))
		tell(w->a, why.text);
}

static void remove_old(struct walk *w)
{
	const struct entry *e = &w->a->list[w->old++];

	if (e->id != 0)
		forward_remove(w->a->deps.forwards, e->id);
}

/* Is there one of @key? Those before it are no longer wanted. */
static struct entry *find_old(struct walk *w, uint64_t key)
{
	while (w->old < w->a->n && w->a->list[w->old].key < key)
		remove_old(w);
	if (w->old < w->a->n && w->a->list[w->old].key == key)
		return &w->a->list[w->old];
	return NULL;
}

static void keep(struct walk *w, struct entry *old)
{
	struct entry *e = &w->made[w->n++];

	*e = *old;
	w->old++;
	if (e->id == 0 && w->now >= e->again && w->agains < AGAIN_BURST) {
		w->agains++;
		try_open(w, e, false);
	}
}

static void add(struct walk *w, uint64_t key)
{
	struct entry *e = &w->made[w->n];

	if (w->opens == OPEN_BURST)
		return; /* wanted still at the next look */
	w->opens++;
	w->n++;
	*e = (struct entry){.key = key};
	try_open(w, e, true);
}

static void visit(struct walk *w, enum sockdiag_proto proto, uint16_t port,
		  size_t at, int family)
{
	uint64_t key = key_of(proto, port, at, family);
	struct entry *old = find_old(w, key);
	enum sockdiag_reach reach =
		sockdiag_reach(w->a->deps.diag, proto, &w->addr[family], port);
	/* A service that has connected its socket to its client lets no other
	 * in, but that one must not be cut off. */
	bool wanted = reach == SOCKDIAG_LISTENS ||
		      (reach == SOCKDIAG_LOOPBACK && w->a->deps.loopback) ||
		      (reach == SOCKDIAG_TALKS && old && old->id != 0);

	if (!wanted || w->n == AUTOPORT_MAX)
		return;
	if (old)
		keep(w, old);
	else
		add(w, key);
}

static void visit_port(struct walk *w, enum sockdiag_proto proto, uint16_t port)
{
	enum rule_proto want = proto == SOCKDIAG_UDP ? RULE_UDP : RULE_TCP;

	for (size_t i = 0; i < w->a->auto_count; i++) {
		const struct portspec_auto *one = &w->a->autos[i];

		if (one->where.proto != want || portset_has(&one->but, port))
			continue;
		if (w->has[0] && one->where.families & RULE_IPV4)
			visit(w, proto, port, i, 0);
		if (w->has[1] && one->where.families & RULE_IPV6)
			visit(w, proto, port, i, 1);
	}
}

/* Where clients are led to: what listens there is reached. */
static void find_addrs(struct walk *w)
{
	for (int i = 0; i < 2; i++) {
		w->addr[i] = i == 0 ? addr_from_v4(INADDR_LOOPBACK)
				    : in6addr_loopback;
		w->has[i] =
			guestaddr_own(w->a->deps.guest, i == 0, &w->addr[i]) ||
			w->a->deps.loopback;
	}
}

static void on_looked(struct follow *follow)
{
	struct autoport *a = container_of(follow, struct autoport, follow);
	struct walk w = {
		.a = a,
		.now = loop_now(a->deps.loop),
		.made = a->list == a->lists[0] ? a->lists[1] : a->lists[0],
	};

	find_addrs(&w);
	for (int p = 0; p < SOCKDIAG_PROTOS; p++) {
		enum sockdiag_proto proto = (enum sockdiag_proto)p;
		uint16_t port = 0;

		while (w.n < AUTOPORT_MAX &&
		       (port = sockdiag_next(a->deps.diag, proto, port)) != 0)
			visit_port(&w, proto, port);
	}
	while (w.old < a->n)
		remove_old(&w);
	a->list = w.made;
	a->n = w.n;
}

/* Looks at what the autos are about, from now on. */
static int begin(struct autoport *a, struct fail *why)
{
	int err = 0;

	for (int p = 0; p < SOCKDIAG_PROTOS && err == 0; p++) {
		enum rule_proto want = p == SOCKDIAG_UDP ? RULE_UDP : RULE_TCP;
		size_t i = 0;

		while (i < a->auto_count && a->autos[i].where.proto != want)
			i++;
		if (i == a->auto_count)
			continue;
		err = follow_use(&a->follow, (enum sockdiag_proto)p);
		if (err < 0)
			fail_set(
				why, err,
				"automatic ports are not possible: %s",
				err == -EOPNOTSUPP
					? "the container's sockets cannot be "
					  "seen from here"
					: sockdiag_explain(
						  (enum sockdiag_proto)p, err));
	}
	return err;
}

struct autoport *autoport_new(const struct autoport_deps *deps,
			      const struct portspec_auto *autos, size_t n,
			      struct fail *why)
{
	struct autoport *a = calloc(1, sizeof(*a));

	assert(n <= UINT16_MAX);
	if (!a) {
		fail_set(why, -ENOMEM, "no memory for automatic ports");
		return NULL;
	}
	a->deps = *deps;
	a->autos = autos;
	a->auto_count = n;
	a->list = a->lists[0];
	follow_init(&a->follow, deps->loop, deps->diag, on_looked);
	if (begin(a, why) == 0)
		return a;
	autoport_free(a);
	return NULL;
}

void autoport_free(struct autoport *a)
{
	if (!a)
		return;
	follow_fini(&a->follow);
	for (size_t i = 0; i < a->n; i++) {
		if (a->list[i].id != 0)
			forward_remove(a->deps.forwards, a->list[i].id);
	}
	free(a);
}
