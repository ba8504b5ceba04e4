/* A flow is a client and a socket of its own that is connected to the service,
 * inside the container or on the host: what comes from there goes to the client
 * by the listener that the client asked. */
#include "port/lanes_impl.h"
#include "stack/container_of.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

/* Bursts a turn: others want their turn too. */
#define BURSTS 4

struct lanes_flow {
	struct flow flow;
	struct lanes *lanes;
	struct listener *listener;
	struct endpoint client;
	struct in6_addr local; /* that the client asked; unspecified: the only
				* one that the listener has */
	struct loop_fd service;
	int fd; /* of it, owned */
	LIST_ENTRY(lanes_flow) link;
	struct loop_deferred gone;
};

static void free_flow(struct loop_deferred *d)
{
	free(container_of(d, struct lanes_flow, gone));
}

static void end_flow(struct lanes_flow *f)
{
	struct loop *loop = f->lanes->host->loop;

	loop_del(loop, &f->service);
	hostsock_close(f->fd);
	LIST_REMOVE(f, link);
	flow_remove(f->lanes->host->flows, &f->flow);
	f->gone.run = free_flow;
	loop_defer(loop, &f->gone);
}

static void end_idle(struct flow *flow)
{
	end_flow(container_of(flow, struct lanes_flow, flow));
}

static void answered(struct lanes_flow *f)
{
	struct flow_table *t = f->lanes->host->flows;

	if (f->flow.state == FLOW_OPEN) {
		flow_touch(t, &f->flow);
		return;
	}
	flow_set_state(&f->flow, FLOW_OPEN);
	flow_set_idle(t, &f->flow, FLOW_IDLE_LANE_BOTH);
}

/* Refused: what the client sends next is looked at anew. */
static void on_service(struct loop_fd *watch, uint32_t events)
{
	struct lanes_flow *f = container_of(watch, struct lanes_flow, service);
	struct hostsock_burst *b = f->lanes->burst;
	int n = HOSTSOCK_BURST;

	for (int i = 0; i < BURSTS && n == HOSTSOCK_BURST; i++) {
		n = hostsock_burst_recv(f->fd, b);
		if (n > 0) {
			answered(f);
			hostsock_burst_send(f->listener->fd, &f->client,
					    &f->local, b);
		}
	}
	if (n < 0)
		end_flow(f);
}

static void send_on(struct lanes_flow *f, const uint8_t *buf, size_t len)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	ssize_t n = hostsock_send(f->fd, &iov, 1);

	flow_touch(f->lanes->host->flows, &f->flow);
	/* what an earlier datagram met is told instead of sending this one */
	if (n == -ECONNREFUSED)
		n = hostsock_send(f->fd, &iov, 1);
	if (n < 0)
		relay_count(f->lanes->host, RELAY_COUNT_DROP_BUSY);
}

static struct lanes_flow *find(struct lanes *ls, const struct flow_key *key)
{
	struct flow *f = flow_find(ls->host->flows, key);

	return f ? container_of(f, struct lanes_flow, flow) : NULL;
}

/* Takes over @fd, which may be -errno. NULL: counted. */
static struct lanes_flow *new_flow(struct lanes *ls, struct listener *l,
				   const struct flow_key *key, int fd)
{
	struct relay_host *h = ls->host;
	struct lanes_flow *f = fd < 0 ? NULL : calloc(1, sizeof(*f));
	int err = f ? 0 : -ENOMEM;

	if (f) {
		f->lanes = ls;
		f->listener = l;
		f->fd = fd;
		f->service = (struct loop_fd){.ready = on_service, .fd = -1};
		f->flow.end = end_idle;
		err = flow_add(h->flows, &f->flow, key, FLOW_IDLE_LANE);
	}
	if (err < 0) {
		relay_count(h, fd < 0 || !f ? RELAY_COUNT_HOST_FAILURES
					    : RELAY_COUNT_DROP_LIMIT);
		free(f);
		if (fd >= 0)
			hostsock_close(fd);
		return NULL;
	}
	LIST_INSERT_HEAD(&ls->flows, f, link);
	if (loop_add(h->loop, &f->service, fd, EPOLLIN) == 0)
		return f;
	relay_count(h, RELAY_COUNT_HOST_FAILURES);
	end_flow(f);
	return NULL;
}

bool lanes_udp_client(struct lanes *ls, struct listener *l,
		      const struct endpoint *client,
		      const struct endpoint *local, const uint8_t *buf,
		      size_t len)
{
	struct flow_key key = {FLOW_LANE_UDP, *local, *client};
	struct lanes_flow *f = ls ? find(ls, &key) : NULL;

	if (!f)
		return false;
	/* A rule for this very address was added beside one for any. */
	if (f->listener != l) {
		end_flow(f);
		return false;
	}
	send_on(f, buf, len);
	return true;
}

bool lanes_udp_open(struct lanes *ls, struct listener *l,
		    const struct endpoint *client, const struct endpoint *local,
		    bool v4, uint16_t port)
{
	struct flow_key key = {FLOW_LANE_UDP, *local, *client};
	struct lanes_flow *f =
		new_flow(ls, l, &key, lanes_reach(ls, LANE_UDP, v4, port));

	if (!f)
		return false;
	f->client = *client;
	f->local = local->addr;
	return true;
}

/* The container's own. Its family is kept: there is no telling whether somebody
 * answers in the other. */
void lanes_udp_out(struct lanes_port *p, const struct endpoint *client,
		   const uint8_t *buf, size_t len)
{
	struct flow_key key = {
		FLOW_LANE_UDP, *client, {in6addr_any, p->listener.local.port}};
	struct lanes_flow *f = find(p->lanes, &key);

	if (!f) {
		bool v4 = addr_is_v4(&client->addr);
		struct endpoint to = {lanes_loopback(v4), p->host_port};

		f = new_flow(p->lanes, &p->listener, &key,
			     hostsock_burst_socket(&to));
		if (!f)
			return;
		f->client = *client;
		f->local = in6addr_any;
	}
	send_on(f, buf, len);
}

void lanes_udp_end(struct lanes *ls, const struct listener *l)
{
	struct lanes_flow *f, *next;

	for (f = LIST_FIRST(&ls->flows); f; f = next) {
		next = LIST_NEXT(f, link);
		if (!l || f->listener == l)
			end_flow(f);
	}
}

void lanes_udp_forget(struct lanes *ls, const struct listener *l)
{
	if (ls)
		lanes_udp_end(ls, l);
}
