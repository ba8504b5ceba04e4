/* A client is in the flow table twice. As FLOW_CLIENT, by the host address that
 * it asks and its own, its datagrams find it; this one has its age. As
 * FLOW_PUBLISHED, by the container's address and what the container sees of the
 * client, answers find it; this key changes when move_on() leads the client to
 * another address. */
#include "port/inbound_udp.h"

#include "port/relay_udp.h"
#include "stack/container_of.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* First datagrams that are kept, in all; the oldest gives way, for a refusal
 * comes soon or never. */
#define KEPT_MAX (4u << 20)

/* A client may find its port taken: those that are shown as the gateway share
 * one address, and one client can ask two published ports that lead to the same
 * service. Clients' ports come in runs, so the next to try is far away; the
 * stride meets all of them in the end. */
#define PORT_TRIES  16
#define PORT_MIN    1024
#define PORT_COUNT  (65536 - PORT_MIN)
#define PORT_STRIDE 39869

/* By how much an IPv6 header is longer than one of IPv4. */
#define HEADER_MORE 20

struct kept {
	size_t len;
	uint8_t bytes[];
};

struct inbound_udp_flow {
	struct flow client, published;
	struct inbound_udp *relay;
	struct listener *listener;
	LIST_ENTRY(inbound_udp_flow) of_listener;
	struct target *target; /* a reference */
	uint16_t port;
	struct in6_addr to[TARGET_MAX]; /* candidates, best first */
	unsigned to_count, at;
	unsigned changes;   /* guestaddr_changes() when they were looked up */
	struct kept *first; /* the first datagram, while it may be sent again */
	TAILQ_ENTRY(inbound_udp_flow) keeper;
	struct loop_deferred gone;
};

struct inbound_udp {
	struct relay_host *host;
	const struct guestaddr *guest;
	TAILQ_HEAD(, inbound_udp_flow) keepers; /* have first; oldest first */
	size_t kept;                            /* bytes of all first */
};

static void free_flow(struct loop_deferred *d)
{
	free(container_of(d, struct inbound_udp_flow, gone));
}

static void drop_first(struct inbound_udp_flow *f)
{
	struct inbound_udp *r = f->relay;

	if (!f->first)
		return;
	TAILQ_REMOVE(&r->keepers, f, keeper);
	r->kept -= sizeof(*f->first) + f->first->len;
	free(f->first);
	f->first = NULL;
}

static void keep_first(struct inbound_udp_flow *f, const uint8_t *buf,
		       size_t len)
{
	struct inbound_udp *r = f->relay;
	size_t size = sizeof(*f->first) + len;

	while (r->kept + size > KEPT_MAX)
		drop_first(TAILQ_FIRST(&r->keepers));
	f->first = malloc(size);
	if (!f->first)
		return;
	f->first->len = len;
	if (len > 0)
		memcpy(f->first->bytes, buf, len);
	TAILQ_INSERT_TAIL(&r->keepers, f, keeper);
	r->kept += size;
}

static void end_flow(struct inbound_udp_flow *f)
{
	struct flow_table *t = f->relay->host->flows;

	flow_remove(t, &f->client);
	if (f->published.state != FLOW_NEW)
		flow_remove(t, &f->published);
	LIST_REMOVE(f, of_listener);
	drop_first(f);
	target_put(f->target);
	loop_defer(f->relay->host->loop, &f->gone);
}

static void end_client(struct flow *f)
{
	end_flow(container_of(f, struct inbound_udp_flow, client));
}

static void end_published(struct flow *f)
{
	end_flow(container_of(f, struct inbound_udp_flow, published));
}

static uint16_t next_port(uint16_t port)
{
	int from = port - PORT_MIN + PORT_COUNT;

	return (uint16_t)(PORT_MIN + (from + PORT_STRIDE) % PORT_COUNT);
}

/* What @f is on the container's side, at the candidate whose turn it is. 0, or
 * -EADDRINUSE if no port is left for it. */
static int choose_key(const struct inbound_udp_flow *f, struct flow_key *ret)
{
	const struct endpoint *client = &f->client.key.remote;
	const struct in6_addr *to = &f->to[f->at];
	struct flow_key key = {
		.proto = FLOW_PUBLISHED,
		.container = {*to, f->port},
		.remote = {guestaddr_show(f->relay->guest, &client->addr,
					  addr_is_v4(to)),
			   client->port},
	};

	for (int i = 0; i < PORT_TRIES; i++) {
		if (key.remote.port != 0 &&
		    !flow_find(f->relay->host->flows, &key)) {
			*ret = key;
			return 0;
		}
		key.remote.port = next_port(key.remote.port);
	}
	return -EADDRINUSE;
}

static void count_failure(struct relay_host *h, int err)
{
	relay_count(h, err == -ENOMEM ? RELAY_COUNT_HOST_FAILURES
				      : RELAY_COUNT_DROP_LIMIT);
}

static void send_in(const struct inbound_udp_flow *f, const uint8_t *buf,
		    size_t len)
{
	struct dgram d = {
		.src = f->published.key.remote,
		.dst = f->published.key.container,
		.payload = buf,
		.len = len,
	};

	stack_udp_send(f->relay->host->stack, &d);
}

/* NULL: counted. */
static struct inbound_udp_flow *make_flow(struct inbound_udp *r,
					  const struct flow_key *key,
					  struct listener *l, struct target *t,
					  uint16_t port)
{
	struct relay_host *h = r->host;
	struct inbound_udp_flow *f = calloc(1, sizeof(*f));
	struct flow_key seen;
	int err = -ENOMEM;

	if (!f)
		goto fail;
	f->to_count = target_list(t, addr_is_v4(&key->remote.addr), port,
				  loop_now(h->loop), f->to);
	if (f->to_count == 0) {
		relay_count(h, RELAY_COUNT_DROP_NO_GUEST);
		free(f);
		return NULL;
	}
	f->changes = guestaddr_changes(r->guest);
	f->relay = r;
	f->listener = l;
	f->port = port;
	f->client.end = end_client;
	f->published.end = end_published;
	f->gone.run = free_flow;
	/* first, for an old client that gives way frees a place of both kinds
	 */
	err = flow_add(h->flows, &f->client, key, FLOW_IDLE_CLIENT);
	if (err)
		goto fail;
	f->target = target_ref(t);
	LIST_INSERT_HEAD(&l->flows, f, of_listener);
	err = choose_key(f, &seen);
	if (err == 0)
		err = flow_add(h->flows, &f->published, &seen, FLOW_IDLE_NEVER);
	if (err == 0)
		return f;
	count_failure(h, err);
	end_flow(f);
	return NULL;
fail:
	count_failure(h, err);
	free(f);
	return NULL;
}

/* To the next candidate. False if it has no port left for the flow, which is
 * over then. */
static bool move_on(struct inbound_udp_flow *f)
{
	struct relay_host *h = f->relay->host;
	struct flow_key seen;
	int err;

	f->at++;
	err = choose_key(f, &seen);
	if (err) {
		count_failure(h, err);
		end_flow(f);
		return false;
	}
	flow_set_key(h->flows, &f->published, &seen);
	if (f->first)
		send_in(f, f->first->bytes, f->first->len);
	if (f->at + 1 == f->to_count)
		drop_first(f);
	return true;
}

/* The kernel refuses but a few of many clients that come at once: those who did
 * not hear are to be led where the others went. */
static bool is_left_behind(const struct inbound_udp_flow *f)
{
	return f->client.state == FLOW_ASKING && f->at + 1 < f->to_count &&
	       target_prefers(f->target, addr_is_v4(&f->client.key.remote.addr),
			      f->port, loop_now(f->relay->host->loop),
			      &f->to[f->at + 1]);
}

/* Is it led to an address that the container no longer has? Nobody would answer
 * there, nor refuse, while a client that goes on sending keeps its flow. */
static bool is_astray(struct inbound_udp_flow *f)
{
	unsigned changes = guestaddr_changes(f->relay->guest);
	struct in6_addr list[TARGET_MAX];
	unsigned n;

	if (f->changes == changes)
		return false;
	f->changes = changes;
	n = target_list(f->target, addr_is_v4(&f->client.key.remote.addr),
			f->port, loop_now(f->relay->host->loop), list);
	for (unsigned i = 0; i < n; i++) {
		if (addr_equal(&list[i], &f->to[f->at]))
			return false;
	}
	return true;
}

void inbound_udp_client(struct inbound_udp *r, struct listener *l,
			const struct endpoint *client,
			const struct endpoint *local, struct target *t,
			uint16_t port, const uint8_t *buf, size_t len)
{
	struct flow_key key = {FLOW_CLIENT, *local, *client};
	struct flow *found = flow_find(r->host->flows, &key);
	struct inbound_udp_flow *f = NULL;

	if (found)
		f = container_of(found, struct inbound_udp_flow, client);
	/* A rule for this very address was added beside one for any. */
	if (f && (f->listener != l || is_astray(f))) {
		end_flow(f);
		f = NULL;
	}
	if (f) {
		flow_touch(r->host->flows, &f->client);
		if (is_left_behind(f) && !move_on(f))
			return;
	} else {
		f = make_flow(r, &key, l, t, port);
		if (!f)
			return;
		if (f->to_count > 1)
			keep_first(f, buf, len);
	}
	send_in(f, buf, len);
}

bool inbound_udp_serves(struct inbound_udp *r, const struct endpoint *client,
			const struct endpoint *local)
{
	struct flow_key key = {FLOW_CLIENT, *local, *client};
	const struct flow *f = flow_find(r->host->flows, &key);

	return f && f->state == FLOW_OPEN;
}

static struct inbound_udp_flow *find_published(struct inbound_udp *r,
					       const struct endpoint *container,
					       const struct endpoint *remote)
{
	struct flow_key key = {FLOW_PUBLISHED, *container, *remote};
	struct flow *f = flow_find(r->host->flows, &key);

	return f ? container_of(f, struct inbound_udp_flow, published) : NULL;
}

static void answered(struct inbound_udp_flow *f)
{
	struct relay_host *h = f->relay->host;

	if (f->client.state == FLOW_OPEN) {
		flow_touch(h->flows, &f->client);
		return;
	}
	drop_first(f);
	flow_set_state(&f->client, FLOW_OPEN);
	flow_set_state(&f->published, FLOW_OPEN);
	flow_set_idle(h->flows, &f->client, FLOW_IDLE_SERVED);
	target_answered(f->target, addr_is_v4(&f->client.key.remote.addr),
			f->port, &f->to[f->at], loop_now(h->loop));
}

/* The largest packet of the container that fits into the path to @client: the
 * headers of the other family are of another length. 0 if it is not known. */
static uint32_t path_mtu(const struct endpoint *client, bool v4)
{
	uint32_t mtu = hostsock_mtu(client);

	if (mtu == 0 || v4 == addr_is_v4(&client->addr))
		return mtu;
	return v4 ? mtu - HEADER_MORE : mtu + HEADER_MORE;
}

bool inbound_udp_input(struct inbound_udp *r, const struct dgram *d)
{
	struct hostsock_opts opts = {d->ttl, d->tos, d->dont_fragment};
	const struct endpoint *client;
	struct inbound_udp_flow *f;
	uint32_t mtu = 0;
	int err;

	/* What most datagrams meet: nothing published is asked. */
	if (flow_count(r->host->flows, FLOW_PUBLISHED) == 0)
		return false;
	f = find_published(r, &d->src, &d->dst);
	if (!f)
		return false;
	answered(f);
	client = &f->client.key.remote;
	err = listener_send(f->listener, client, &f->client.key.container,
			    &opts, d->payload, d->len);
	if (err == -EMSGSIZE)
		mtu = path_mtu(client, addr_is_v4(&d->src.addr));
	if (err)
		relay_udp_failed(r->host, d, err, mtu);
	return true;
}

/* Too early to remember, but many a service never answers, and the kernel says
 * but once a second that a port is closed: the next client would be lost. A
 * refusal there too puts it right. */
static void lead_others(const struct inbound_udp_flow *f)
{
	target_answered(f->target, addr_is_v4(&f->client.key.remote.addr),
			f->port, &f->to[f->at + 1],
			loop_now(f->relay->host->loop));
}

static void give_up(struct inbound_udp_flow *f)
{
	struct target *t = target_ref(f->target);
	bool v4 = addr_is_v4(&f->client.key.remote.addr);
	uint16_t port = f->port;

	/* before it is told: that may well end all flows of the rule */
	end_flow(f);
	target_failed(t, v4, port);
	target_put(t);
}

void inbound_udp_unreachable(struct inbound_udp *r,
			     const struct endpoint *container,
			     const struct endpoint *remote)
{
	struct inbound_udp_flow *f = find_published(r, container, remote);

	if (!f)
		return;
	if (f->client.state == FLOW_OPEN) {
		end_flow(f);
	} else if (f->at + 1 == f->to_count) {
		give_up(f);
	} else {
		lead_others(f);
		move_on(f);
	}
}

bool inbound_udp_make_way(struct inbound_udp *r, const struct endpoint *local)
{
	return relay_udp_make_way(r->host, local);
}

void inbound_udp_forget(struct inbound_udp *r, struct listener *l)
{
	struct inbound_udp_flow *f;

	while ((f = LIST_FIRST(&l->flows))) {
		assert(f->relay == r);
		end_flow(f);
	}
}

struct inbound_udp *inbound_udp_new(struct relay_host *host,
				    const struct guestaddr *guest)
{
	struct inbound_udp *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->host = host;
	r->guest = guest;
	TAILQ_INIT(&r->keepers);
	return r;
}

void inbound_udp_free(struct inbound_udp *r)
{
	struct flow *f, *next;

	if (!r)
		return;
	for (f = flow_next(r->host->flows, NULL); f; f = next) {
		/* is not the FLOW_PUBLISHED that goes with it: those are of
		 * the class that came first */
		next = flow_next(r->host->flows, f);
		if (f->key.proto == FLOW_CLIENT)
			end_client(f);
	}
	free(r);
}
