/* What rules learn from the container's sockets: whether their ports shall be open
 * (those that follow), and what their users should know. */
#include "port/forward_impl.h"

#include "stack/container_of.h"

/* A look on behalf of a client that nobody answered, at most as often. */
#define LOOK_PAUSE NSEC_PER_SEC

/* On behalf of a UDP client that may have to take the lane. */
#define LANE_LOOK_PAUSE (100 * NSEC_PER_MSEC)

enum sockdiag_proto forward_watch_proto(const struct forward *f)
{
	return forward_is_udp(f) ? SOCKDIAG_UDP : SOCKDIAG_TCP;
}

/* The address of family @v4 that a client is led to. */
static bool target_addr(const struct forward *f, bool v4, struct in6_addr *ret)
{
	if (addr_is_unspecified(&f->target->addr))
		return guestaddr_own(f->owner->deps.guest, v4, ret);
	*ret = f->target->addr;
	return addr_is_v4(ret) == v4;
}

/* Notes. */

/* Are clients led to the container's loopback where they find nobody else? */
static bool by_lane(const struct forward *f)
{
	return f->owner->deps.loopback && addr_is_unspecified(&f->target->addr);
}

/* By the last look; of an address that the container lacks, the loopback of its
 * family can still be told. */
static enum sockdiag_reach reach(const struct forward *f, bool v4,
				 uint16_t port)
{
	struct in6_addr a = v4 ? addr_from_v4(0) : in6addr_any;
	bool has = target_addr(f, v4, &a);
	enum sockdiag_reach r;

	if (!has && !addr_is_unspecified(&f->target->addr))
		return SOCKDIAG_NOBODY;
	r = sockdiag_reach(f->owner->deps.diag, forward_watch_proto(f), &a,
			   port);
	if (r == SOCKDIAG_LOOPBACK)
		return by_lane(f) ? SOCKDIAG_LISTENS : r;
	if (!has)
		return SOCKDIAG_NOBODY;
	return r == SOCKDIAG_TALKS ? SOCKDIAG_LISTENS : r;
}

static const char *loopbacks(enum sockdiag_reach r4, enum sockdiag_reach r6)
{
	if (r4 != SOCKDIAG_LOOPBACK)
		return "::1";
	return r6 == SOCKDIAG_LOOPBACK ? "127.0.0.1 and ::1" : "127.0.0.1";
}

/* Can the service on @port be reached, in one family at least? */
static bool is_reached(const struct forward *f, uint16_t port)
{
	return reach(f, true, port) == SOCKDIAG_LISTENS ||
	       reach(f, false, port) == SOCKDIAG_LISTENS;
}

/* Writes f->note if the service on @port is on loopback only. */
static bool note_port(struct forward *f, uint16_t port)
{
	enum sockdiag_reach r4 = reach(f, true, port);
	enum sockdiag_reach r6 = reach(f, false, port);

	if (r4 == SOCKDIAG_LISTENS || r6 == SOCKDIAG_LISTENS ||
	    (r4 == SOCKDIAG_NOBODY && r6 == SOCKDIAG_NOBODY))
		return false;
	snprintf(f->note, sizeof(f->note),
		 "the service on port %u listens on %s only, inside the "
		 "container, where a tap cannot reach it: let it listen on "
		 "0.0.0.0 or [::]",
		 (unsigned)port, loopbacks(r4, r6));
	return true;
}

static void tell_note(struct forward *f)
{
	char text[RULE_STRLEN];

	f->told = true;
	fprintf(f->owner->deps.log, "tapir: %s: %s\n",
		rule_format(&f->rule, text), f->note);
}

static void note_nobody(struct forward *f)
{
	unsigned first = f->rule.guest_port;
	unsigned last = first + (unsigned)f->per_addr - 1;

	if (first == last)
		snprintf(f->note, sizeof(f->note),
			 "nothing listens on port %u inside the container",
			 first);
	else
		snprintf(f->note, sizeof(f->note),
			 "nothing listens on any of the ports %u-%u inside the "
			 "container",
			 first, last);
}

const char *forward_note(const struct forward *f)
{
	/* the text is kept with the rule, which the caller may only read */
	struct forward *mine = (struct forward *)(uintptr_t)f;
	bool any = false;
	struct in6_addr a;

	if (!target_addr(f, true, &a) && !target_addr(f, false, &a))
		return "the container has no address in the network of its "
		       "tap that clients could be led to";
	if (!f->owner->seen[forward_watch_proto(f)])
		return NULL;
	for (size_t i = 0; i < f->per_addr; i++) {
		if (note_port(mine, f->ports[i].guest_port))
			return f->note;
		any = any || is_reached(f, f->ports[i].guest_port);
	}
	if (any)
		return NULL;
	note_nobody(mine);
	return f->note;
}

/* Following. */

/* Where clients of each host family, [0] IPv4 and [1] IPv6, are led to, and
 * whether there is such an address at all. */
struct ends {
	struct in6_addr addr[2];
	bool has[2];
};

static struct ends find_ends(const struct forward *f)
{
	struct ends e;

	for (int i = 0; i < 2; i++)
		e.has[i] = target_addr(f, i == 0, &e.addr[i]) ||
			   target_addr(f, i != 0, &e.addr[i]);
	return e;
}

static int switch_port(struct forward_port *p, bool open)
{
	struct listener *l = &p->listener;
	int err = 0;

	if (!open && l->udp)
		forward_close_port(p);
	else if (!open)
		return listener_stop(l);
	else if (l->fd < 0)
		err = forward_open_port(p);
	if (err == 0 && open && !l->udp)
		err = listener_start(l);
	return err;
}

/* 0 or -errno, if the port could not be opened. */
static int follow_port(struct forward_port *p, const struct ends *ends,
		       enum sockdiag_reach *ret)
{
	const struct forward *f = p->forward;
	int i = addr_is_v4(&p->local.addr) ? 0 : 1;
	bool is_open = p->listener.fd >= 0 && p->listener.listening;
	bool open;

	*ret = SOCKDIAG_NOBODY;
	if (ends->has[i])
		*ret = sockdiag_reach(f->owner->deps.diag,
				      forward_watch_proto(f), &ends->addr[i],
				      p->guest_port);
	/* A service that has connected its socket to its client lets no other
	 * in, but that one must not be cut off. */
	open = *ret == SOCKDIAG_LISTENS ||
	       (*ret == SOCKDIAG_TALKS && is_open) ||
	       (*ret == SOCKDIAG_LOOPBACK && by_lane(f));
	return open == is_open ? 0 : switch_port(p, open);
}

static void tell_cannot(struct forward *f, const struct forward_port *p,
			int err)
{
	struct fail why;

	if (f->told_cannot)
		return;
	f->told_cannot = true;
	forward_explain(f, &p->local, err, &why);
	fprintf(f->owner->deps.log, "tapir: cannot follow the container: %s\n",
		why.text);
}

static void follow_ports(struct forward *f)
{
	struct ends ends = find_ends(f);
	bool all = true;

	for (size_t i = 0; i < f->n; i++) {
		struct forward_port *p = &f->ports[i];
		enum sockdiag_reach reach;
		int err = follow_port(p, &ends, &reach);

		all = all && err == 0;
		if (err < 0)
			tell_cannot(f, p, err);
		/* the client will be refused: nobody else can say why */
		if (reach == SOCKDIAG_LOOPBACK && !by_lane(f) && !f->told &&
		    note_port(f, p->guest_port))
			tell_note(f);
	}
	f->told_cannot = f->told_cannot && !all;
}

static void on_looked(struct follow *follow)
{
	struct forwards *fs = container_of(follow, struct forwards, follow);

	for (size_t i = 0; i < fs->n; i++) {
		if (fs->list[i]->rule.follow)
			follow_ports(fs->list[i]);
	}
}

void forward_watch_unanswered(struct target *t, uint16_t port)
{
	struct forward *f = t->arg;
	struct forwards *fs = f->owner;
	nsec_t now = loop_now(fs->deps.loop);

	if (f->told || !fs->deps.diag || now - fs->looked_at < LOOK_PAUSE)
		return;
	fs->looked_at = now;
	if (sockdiag_look(fs->deps.diag, forward_watch_proto(f)) == 0 &&
	    note_port(f, port))
		tell_note(f);
}

bool forward_watch_on_loopback(struct forward *f, uint16_t port, bool *v4)
{
	struct forwards *fs = f->owner;
	enum sockdiag_proto proto = forward_watch_proto(f);
	nsec_t now = loop_now(fs->deps.loop);
	bool on[2];

	if (!by_lane(f) || !fs->deps.diag)
		return false;
	if (now - fs->lane_looked_at >= LANE_LOOK_PAUSE) {
		fs->lane_looked_at = now;
		if (sockdiag_look(fs->deps.diag, proto) < 0)
			return false;
	}
	for (int i = 0; i < 2; i++) {
		struct in6_addr a = i ? addr_from_v4(0) : in6addr_any;
		bool has = target_addr(f, i, &a);
		enum sockdiag_reach r =
			sockdiag_reach(fs->deps.diag, proto, &a, port);

		on[i] = r == SOCKDIAG_LOOPBACK;
		if (has && (r == SOCKDIAG_LISTENS || r == SOCKDIAG_TALKS))
			return false;
	}
	if (!on[*v4])
		*v4 = !*v4;
	return on[*v4];
}

void forward_look(struct forwards *fs)
{
	bool wanted[SOCKDIAG_PROTOS] = {false};

	for (size_t i = 0; i < fs->n; i++)
		wanted[forward_watch_proto(fs->list[i])] = true;
	for (int p = 0; fs->deps.diag && p < SOCKDIAG_PROTOS; p++)
		fs->seen[p] =
			wanted[p] && sockdiag_look(fs->deps.diag,
						   (enum sockdiag_proto)p) == 0;
}

void forward_watch_init(struct forwards *fs)
{
	fs->looked_at = -LOOK_PAUSE;
	fs->lane_looked_at = -LANE_LOOK_PAUSE;
	follow_init(&fs->follow, fs->deps.loop, fs->deps.diag, on_looked);
}

struct in6_addr forward_guest(const struct forward *f)
{
	struct in6_addr a;

	if (target_addr(f, true, &a) || target_addr(f, false, &a))
		return a;
	return in6addr_any;
}
