/* What rules learn from the container's sockets: whether their ports shall be open
 * (those that follow), and what their users should know. */
#include "port/forward_impl.h"

#include "stack/container_of.h"

/* A look on behalf of a client that nobody answered, at most as often. */
#define LOOK_PAUSE NSEC_PER_SEC

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

static bool container_listens(const struct forward *f, bool v4, uint16_t port)
{
	struct in6_addr a;

	if (!target_addr(f, v4, &a) && !target_addr(f, !v4, &a))
		return false;
	return sockdiag_reach(f->owner->deps.diag, forward_watch_proto(f), &a,
			      port) == SOCKDIAG_LISTENS;
}

static void tell_port(struct forward_port *p, int err)
{
	const struct forward *f = p->forward;
	struct fail why;

	if (p->told)
		return;
	p->told = true;
	forward_explain(f, &p->local, err, &why);
	fprintf(f->owner->deps.log, "tapir: cannot follow the container: %s\n",
		why.text);
}

static void follow_port(struct forward_port *p)
{
	const struct forward *f = p->forward;
	struct listener *l = &p->listener;
	bool want =
		container_listens(f, addr_is_v4(&p->local.addr), p->guest_port);
	bool open = l->fd >= 0 && (forward_is_udp(f) || l->listening);
	int err = 0;

	if (want == open)
		return;
	if (!want && forward_is_udp(f)) {
		forward_close_port(p);
	} else if (!want) {
		listener_stop(l);
	} else {
		if (l->fd < 0)
			err = forward_open_port(p);
		if (err == 0 && !forward_is_udp(f))
			err = listener_start(l);
	}
	if (err < 0)
		tell_port(p, err);
	else
		p->told = false;
}

static void follow_ports(struct forward *f)
{
	for (size_t i = 0; i < f->n; i++)
		follow_port(&f->ports[i]);
}

static void on_looked(struct follow *follow)
{
	struct forwards *fs = container_of(follow, struct forwards, follow);

	for (size_t i = 0; i < fs->n; i++) {
		if (fs->list[i]->rule.follow)
			follow_ports(fs->list[i]);
	}
}

/* Notes. */

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
	return r == SOCKDIAG_LISTENS && !has ? SOCKDIAG_NOBODY : r;
}

/* Writes f->note if the service on @port is on loopback only, or if there is
 * none; false if all is well. */
static bool note_port(struct forward *f, uint16_t port, bool *loopback)
{
	enum sockdiag_reach r4 = reach(f, true, port);
	enum sockdiag_reach r6 = reach(f, false, port);

	if (r4 == SOCKDIAG_LISTENS || r6 == SOCKDIAG_LISTENS)
		return false;
	*loopback = r4 == SOCKDIAG_LOOPBACK || r6 == SOCKDIAG_LOOPBACK;
	if (*loopback)
		snprintf(f->note, sizeof(f->note),
			 "the service on port %u listens on %s only, inside "
			 "the container, where a tap cannot reach it: let it "
			 "listen on 0.0.0.0 or [::]",
			 port,
			 r4 != SOCKDIAG_LOOPBACK   ? "::1"
			 : r6 != SOCKDIAG_LOOPBACK ? "127.0.0.1"
						   : "127.0.0.1 and ::1");
	else
		snprintf(f->note, sizeof(f->note),
			 "nothing listens on port %u inside the container",
			 port);
	return true;
}

const char *forward_note(const struct forward *f)
{
	/* the text is kept with the rule, which the caller may only read */
	struct forward *mine = (struct forward *)(uintptr_t)f;
	bool loopback, noted = false;

	if (!f->owner->deps.diag)
		return NULL;
	for (size_t i = 0; i < f->per_addr; i++) {
		if (!note_port(mine, f->ports[i].guest_port, &loopback)) {
			if (!noted)
				return NULL;
			continue;
		}
		noted = true;
		if (loopback)
			return f->note;
	}
	return f->note;
}

void forward_watch_unanswered(struct target *t, uint16_t port)
{
	struct forward *f = t->arg;
	struct forwards *fs = f->owner;
	nsec_t now = loop_now(fs->deps.loop);
	char text[RULE_STRLEN];
	bool loopback;

	if (f->told || !fs->deps.diag || now - fs->looked_at < LOOK_PAUSE)
		return;
	fs->looked_at = now;
	if (sockdiag_look(fs->deps.diag, forward_watch_proto(f)) < 0 ||
	    !note_port(f, port, &loopback) || !loopback)
		return;
	f->told = true;
	fprintf(fs->deps.log, "tapir: %s: %s\n", rule_format(&f->rule, text),
		f->note);
}

void forward_look(struct forwards *fs)
{
	bool wanted[SOCKDIAG_PROTOS] = {false};

	for (size_t i = 0; i < fs->n; i++)
		wanted[forward_watch_proto(fs->list[i])] = true;
	for (int p = 0; fs->deps.diag && p < SOCKDIAG_PROTOS; p++) {
		if (wanted[p])
			sockdiag_look(fs->deps.diag, (enum sockdiag_proto)p);
	}
}

void forward_watch_init(struct forwards *fs)
{
	fs->looked_at = -LOOK_PAUSE;
	follow_init(&fs->follow, fs->deps.loop, fs->deps.diag, on_looked);
}

struct in6_addr forward_guest(const struct forward *f)
{
	struct in6_addr a;

	if (target_addr(f, true, &a) || target_addr(f, false, &a))
		return a;
	return in6addr_any;
}
