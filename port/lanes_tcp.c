/* A struct dial is a client on its way to the loopback of the other side, the
 * container's or the host's: its own family is asked first, then the other. */
#include "port/lanes_impl.h"
#include "stack/container_of.h"

#include <errno.h>
#include <stdlib.h>

struct dial {
	struct splice_call call;
	struct lanes *lanes;
	/* ->fd is the splice's while that asks; ->target a reference, NULL: the
	 * host's loopback is asked, nobody wants to know of a miss. */
	struct lanes_client client;
	uint16_t listened; /* then: the port that the client asked */
	bool other;        /* the other family has its turn */
};

static bool asks_v4(const struct dial *d)
{
	return addr_is_v4(&d->client.from.addr) != d->other;
}

static void end(struct dial *d)
{
	target_put(d->client.target);
	free(d);
}

/* The descriptor or -errno. */
static int dial_now(const struct dial *d)
{
	static const struct hostsock_source any = {
		.v4 = {{{[10] = 0xff, [11] = 0xff}}},
	};
	struct endpoint to = {lanes_loopback(asks_v4(d)), d->client.port};

	if (d->client.target)
		return lanes_reach(d->lanes, LANE_TCP, asks_v4(d), to.port);
	return hostsock_connect(&to, &any);
}

/* As what is inside knows it, where no pair of endpoints is there twice. */
static int key_of(const struct dial *d, int fd, struct flow_key *ret)
{
	const struct endpoint *client = &d->client.from;

	*ret = (struct flow_key){.proto = FLOW_LANE_TCP};
	if (d->client.target) {
		ret->container = (struct endpoint){lanes_loopback(asks_v4(d)),
						   d->client.port};
		return hostsock_local(fd, &ret->remote);
	}
	ret->container = *client;
	ret->remote = (struct endpoint){
		lanes_loopback(addr_is_v4(&client->addr)), d->listened};
	return 0;
}

static int ask(struct dial *d)
{
	struct flow_key key;
	int fd = dial_now(d);
	int err = fd < 0 ? fd : key_of(d, fd, &key);

	if (fd < 0)
		return fd;
	if (err < 0) {
		hostsock_close(fd);
		return err;
	}
	return splice_open(d->lanes->splices, d->client.fd, fd, &key, &d->call);
}

static void miss(struct dial *d)
{
	struct target *t = d->client.target;

	if (!t) {
		hostsock_reset(d->client.fd);
	} else {
		t->lane_until = 0;
		d->client.missed(&d->client);
	}
	end(d);
}

static void go_on(struct dial *d)
{
	int err = ask(d);

	if (err < 0 && !d->other) {
		d->other = true;
		err = ask(d);
	}
	if (err < 0)
		miss(d);
}

static void on_done(struct splice_call *call, int client, int err)
{
	struct dial *d = container_of(call, struct dial, call);
	struct target *t = d->client.target;

	if (err == 0 && t && d->client.last) {
		t->lane_port = d->client.port;
		t->lane_until = loop_now(d->lanes->host->loop) + TARGET_MEMORY;
	}
	if (client < 0) {
		end(d);
		return;
	}
	d->client.fd = client;
	if (d->other) {
		miss(d);
		return;
	}
	d->other = true;
	go_on(d);
}

static struct dial *new_dial(struct lanes *ls, const struct lanes_client *c)
{
	struct dial *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->call.done = on_done;
	d->lanes = ls;
	d->client = *c;
	if (c->target)
		target_ref(c->target);
	return d;
}

bool lanes_last(const struct lanes *ls, const struct target *t)
{
	return ls && ls->wish.loopback && addr_is_unspecified(&t->addr);
}

bool lanes_first(const struct lanes *ls, const struct target *t, uint16_t port,
		 const struct endpoint *client)
{
	if (!ls || !addr_is_unspecified(&t->addr))
		return false;
	if (ls->wish.splice && addr_is_loopback(&client->addr))
		return true;
	return ls->wish.loopback && t->lane_port == port &&
	       loop_now(ls->host->loop) < t->lane_until;
}

void lanes_open(struct lanes *ls, const struct lanes_client *c)
{
	struct dial *d = new_dial(ls, c);

	if (d)
		go_on(d);
	else
		hostsock_reset(c->fd);
}

void lanes_dial_host(struct lanes_port *p, int fd,
		     const struct endpoint *client)
{
	struct lanes_client c = {
		.fd = fd, .from = *client, .port = p->host_port};
	struct dial *d = new_dial(p->lanes, &c);

	if (!d) {
		hostsock_reset(fd);
		return;
	}
	d->listened = p->listener.local.port;
	go_on(d);
}
