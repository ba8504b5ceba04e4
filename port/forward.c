/* A rule in force has a port for each address and port number of the host. One
 * that does not follow listens from the start; one that follows is held bound
 * (TCP) or was bound once (UDP), and opens and closes as sock_diag says. */
#include "port/forward.h"

#include "port/forward_addrs.h"
#include "port/forward_impl.h"
#include "stack/container_of.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How often another port is picked because the other family has it in use. */
#define PICKS 16

bool forward_is_udp(const struct forward *f)
{
	return f->rule.proto == RULE_UDP;
}

/* Clients. */

static struct forward_port *port_of(struct listener *l)
{
	return container_of(l, struct forward_port, listener);
}

static void on_accepted(struct listener *l, int fd,
			const struct endpoint *client)
{
	struct forward_port *p = port_of(l);
	struct forward *f = p->forward;

	inbound_tcp_open(f->owner->deps.tcp, fd, client, f->target,
			 p->guest_port);
}

/* A new client, or one that nobody has answered yet. */
static bool lead_by_lane(struct forward_port *p, const struct endpoint *client,
			 const struct endpoint *local)
{
	struct forward *f = p->forward;
	bool v4 = addr_is_v4(&client->addr);

	if (f->owner->deps.local_only && !addr_is_loopback(&client->addr))
		return false;
	return !inbound_udp_serves(f->owner->deps.udp, client, local) &&
	       forward_watch_on_loopback(f, p->guest_port, &v4) &&
	       lanes_udp_open(f->owner->deps.lanes, &p->listener, client, local,
			      v4, p->guest_port);
}

static void on_received(struct listener *l, const struct endpoint *client,
			const struct endpoint *local, const uint8_t *buf,
			size_t len)
{
	struct forward_port *p = port_of(l);
	struct forward *f = p->forward;

	if (lanes_udp_client(f->owner->deps.lanes, l, client, local, buf, len))
		return;
	if (f->owner->deps.loopback && lead_by_lane(p, client, local) &&
	    lanes_udp_client(f->owner->deps.lanes, l, client, local, buf, len))
		return;
	inbound_udp_client(f->owner->deps.udp, l, client, local, f->target,
			   p->guest_port, buf, len);
}

static const struct listener_events listener_events = {
	.accepted = on_accepted,
	.received = on_received,
};

/* Opening and closing. */

static void forget_clients(struct forwards *fs, struct listener *l)
{
	inbound_udp_forget(fs->deps.udp, l);
	lanes_udp_forget(fs->deps.lanes, l);
}

void forward_close_port(struct forward_port *p)
{
	struct forwards *fs = p->forward->owner;

	if (forward_is_udp(p->forward) && p->listener.fd >= 0)
		forget_clients(fs, &p->listener);
	listener_close(&p->listener);
}

static void close_ports(struct forward *f)
{
	for (size_t i = 0; i < f->n; i++)
		forward_close_port(&f->ports[i]);
}

static int open_listener(struct forward_port *p)
{
	return listener_open(&p->listener, p->forward->owner->deps.loop,
			     forward_is_udp(p->forward), &p->local,
			     &listener_events);
}

int forward_open_port(struct forward_port *p)
{
	struct forward *f = p->forward;
	int err = open_listener(p);

	if (err == -EADDRINUSE && forward_is_udp(f) &&
	    inbound_udp_make_way(f->owner->deps.udp, &p->local))
		err = open_listener(p);
	if (err == 0)
		p->local = p->listener.local;
	return err;
}

/* Opens all ports of the address whose ports begin at @first. */
static int open_addr(struct forward *f, size_t first, struct fail *why)
{
	for (size_t i = first; i < first + f->per_addr; i++) {
		int err = forward_open_port(&f->ports[i]);

		if (err < 0)
			return forward_explain(f, &f->ports[i].local, err, why);
	}
	return 0;
}

bool forward_family_is_absent(int err)
{
	return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL;
}

bool forward_can_do_without(const struct forward *f, size_t first)
{
	return f->rule.families == (RULE_IPV4 | RULE_IPV6) &&
	       f->n > f->per_addr && !f->rule.ifname[0] &&
	       addr_is_unspecified(&f->ports[first].local.addr);
}

void forward_drop_addr(struct forward *f, size_t first)
{
	unsigned family =
		addr_is_v4(&f->ports[first].local.addr) ? RULE_IPV4 : RULE_IPV6;

	for (size_t i = first; i < first + f->per_addr; i++)
		forward_close_port(&f->ports[i]);
	f->rule.families &= ~family;
	f->n -= f->per_addr;
	/* nobody points to those behind it */
	memmove(&f->ports[first], &f->ports[first + f->per_addr],
		(f->n - first) * sizeof(f->ports[0]));
}

/* All addresses, or none and why. With a port that is to be picked, those behind
 * the first address take the port that it got. */
static int open_ports(struct forward *f, struct fail *why)
{
	size_t at = 0;

	while (at < f->n) {
		int err;

		if (f->rule.host_port == 0 && at > 0)
			f->ports[at].local.port = f->ports[0].local.port;
		err = open_addr(f, at, why);
		if (err == 0) {
			at += f->per_addr;
		} else if (forward_family_is_absent(err) &&
			   forward_can_do_without(f, at)) {
			forward_drop_addr(f, at);
		} else {
			close_ports(f);
			return err;
		}
	}
	return 0;
}

static int pick_and_open(struct forward *f, struct fail *why)
{
	int err = -EADDRINUSE;

	for (int i = 0; i < PICKS && err == -EADDRINUSE; i++) {
		for (size_t at = 0; at < f->n; at++)
			f->ports[at].local.port = 0;
		err = open_ports(f, why);
	}
	if (err == 0)
		f->rule.host_port = f->rule.host_port_end =
			f->ports[0].local.port;
	return err;
}

static int start_ports(struct forward *f, struct fail *why)
{
	for (size_t i = 0; i < f->n && !forward_is_udp(f); i++) {
		int err = listener_start(&f->ports[i].listener);

		if (err < 0) {
			close_ports(f);
			return forward_explain(f, &f->ports[i].local, err, why);
		}
	}
	return 0;
}

/* Rules. */

static void free_forward(struct forward *f)
{
	if (f->target)
		f->target->unanswered = NULL;
	target_put(f->target);
	free(f->ports);
	free(f);
}

static int make_ports(struct forward *f, const struct forward_addrs *addrs,
		      struct fail *why)
{
	int err;

	f->per_addr = rule_ports(&f->rule);
	f->n = addrs->n * f->per_addr;
	err = f->rule.best_effort
		      ? 0
		      : forward_explain_room(f, &addrs->addr[0], why);
	if (err < 0)
		return err;
	f->ports = calloc(f->n, sizeof(f->ports[0]));
	if (!f->ports)
		return fail_set(why, -ENOMEM, "no memory for %zu ports", f->n);
	for (size_t i = 0; i < f->n; i++) {
		size_t offset = i % f->per_addr;

		f->ports[i] = (struct forward_port){
			.listener = {.fd = -1, .watch.fd = -1},
			.forward = f,
			.local = {addrs->addr[i / f->per_addr],
				  (uint16_t)(f->rule.host_port + offset)},
			.guest_port = (uint16_t)(f->rule.guest_port + offset),
		};
	}
	return 0;
}

static int make_forward(struct forwards *fs, const struct rule *r,
			struct forward **ret, struct fail *why)
{
	struct forward_addrs addrs;
	struct forward *f;
	int err = forward_addrs_find(r, &addrs, why);

	if (err < 0)
		return err;
	f = calloc(1, sizeof(*f));
	if (!f) {
		fail_set(why, -ENOMEM, "no memory for a rule");
		return -ENOMEM;
	}
	f->owner = fs;
	f->rule = *r;
	f->rule.families = addrs.families;
	f->target = target_new(&r->guest_addr, fs->deps.guest);
	if (!f->target) {
		free_forward(f);
		fail_set(why, -ENOMEM, "no memory for a rule");
		return -ENOMEM;
	}
	err = make_ports(f, &addrs, why);
	if (err < 0) {
		free_forward(f);
		return err;
	}
	f->target->unanswered = forward_watch_unanswered;
	f->target->arg = f;
	*ret = f;
	return 0;
}

static bool have_room(struct forwards *fs)
{
	size_t room = fs->room ? 2 * fs->room : 16;
	struct forward **more;

	if (fs->n < fs->room)
		return true;
	more = realloc(fs->list, room * sizeof(fs->list[0]));
	if (!more)
		return false;
	fs->list = more;
	fs->room = room;
	return true;
}

/* It is bound, and in the list. */
static int begin_following(struct forward *f, struct fail *why)
{
	int err;

	for (size_t i = 0; i < f->n && forward_is_udp(f); i++)
		forward_close_port(&f->ports[i]);
	err = follow_use(&f->owner->follow, forward_watch_proto(f));
	if (err == -EOPNOTSUPP)
		return fail_set(why, err,
				"following is not possible: the container's "
				"sockets cannot be seen from here (no network "
				"namespace was named, or the kernel lacks "
				"sock_diag)");
	if (err < 0)
		return fail_set(why, err, "following is not possible: %s",
				sockdiag_explain(forward_watch_proto(f), err));
	return 0;
}

static int open_forward(struct forward *f, struct fail *why)
{
	int err;

	if (f->rule.best_effort)
		return forward_open_some(f, why);
	err = f->rule.host_port ? open_ports(f, why) : pick_and_open(f, why);
	return err == 0 && !f->rule.follow ? start_ports(f, why) : err;
}

/* In itself, and with this container? */
static int check(const struct forwards *fs, const struct rule *r,
		 struct fail *why)
{
	const struct in6_addr *a = &r->guest_addr;
	char text[ADDR_STRLEN];
	int err = rule_check(r, why);

	if (err < 0 || addr_is_unspecified(a) ||
	    guestaddr_may_be(fs->deps.guest, a))
		return err;
	return fail_set(why, -EINVAL,
			"container address %s: it is not in the network of the "
			"container's tap",
			addr_format(a, text));
}

int forward_add(struct forwards *fs, const struct rule *r,
		const struct forward **ret, struct fail *why)
{
	struct forward *f;
	int err = check(fs, r, why);

	if (err < 0)
		return err;
	if (!have_room(fs))
		return fail_set(why, -ENOMEM, "no memory for a rule");
	err = make_forward(fs, r, &f, why);
	if (err < 0)
		return err;
	err = open_forward(f, why);
	if (err < 0) {
		free_forward(f);
		return err;
	}
	f->id = fs->last_id + 1;
	fs->list[fs->n++] = f;
	if (r->follow)
		err = begin_following(f, why);
	if (err < 0) {
		fs->n--;
		close_ports(f);
		free_forward(f);
		return err;
	}
	fs->last_id = f->id;
	*ret = f;
	return 0;
}

/* Where the first rule is whose id is not below @id. */
static size_t find(const struct forwards *fs, unsigned id)
{
	size_t low = 0, high = fs->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (fs->list[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int forward_remove(struct forwards *fs, unsigned id)
{
	size_t at = find(fs, id);
	struct forward *f;

	if (at == fs->n || fs->list[at]->id != id)
		return -ENOENT;
	f = fs->list[at];
	fs->n--;
	memmove(&fs->list[at], &fs->list[at + 1],
		(fs->n - at) * sizeof(fs->list[0]));
	if (f->rule.follow)
		follow_unuse(&fs->follow, forward_watch_proto(f));
	close_ports(f);
	free_forward(f);
	return 0;
}

struct forwards *forward_new(const struct forward_deps *deps)
{
	struct forwards *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->deps = *deps;
	forward_watch_init(fs);
	return fs;
}

void forward_free(struct forwards *fs)
{
	if (!fs)
		return;
	while (fs->n > 0)
		forward_remove(fs, fs->list[fs->n - 1]->id);
	follow_fini(&fs->follow);
	free(fs->list);
	free(fs);
}

const struct forward *forward_next(const struct forwards *fs,
				   const struct forward *prev)
{
	size_t at = prev ? find(fs, prev->id + 1) : 0;

	return at < fs->n ? fs->list[at] : NULL;
}

unsigned forward_id(const struct forward *f)
{
	return f->id;
}

const struct rule *forward_rule(const struct forward *f)
{
	return &f->rule;
}

unsigned forward_bound(const struct forward *f, struct endpoint *ret,
		       unsigned max)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->n; i += f->per_addr, n++) {
		if (n < max)
			ret[n] = f->ports[i].local;
	}
	return n;
}
