#include "port/lanes.h"

#include "port/lanes_impl.h"
#include "stack/container_of.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct in6_addr lanes_loopback(bool v4)
{
	return v4 ? addr_from_v4(INADDR_LOOPBACK) : in6addr_loopback;
}

int lanes_reach(struct lanes *ls, enum lane_proto proto, bool v4, uint16_t port)
{
	int fd = lane_connect(ls->lane, proto, v4, port);

	/* of a rule that came later */
	if (fd == -EACCES &&
	    lane_allow(ls->lane, LANE_CONNECT, proto, port) == 0)
		fd = lane_connect(ls->lane, proto, v4, port);
	if (fd >= 0 && hostsock_in_reserve(fd)) {
		hostsock_close(fd);
		fd = -EMFILE;
	}
	if (fd == -EMFILE || fd == -ENOTCONN || fd == -ENOMEM)
		relay_count(ls->host, RELAY_COUNT_HOST_FAILURES);
	return fd;
}

/* For clients inside. */

static void on_accepted(struct listener *l, int fd,
			const struct endpoint *client)
{
	lanes_dial_host(container_of(l, struct lanes_port, listener), fd,
			client);
}

static void on_received(struct listener *l, const struct endpoint *client,
			const struct endpoint *local, const uint8_t *buf,
			size_t len)
{
	lanes_udp_out(container_of(l, struct lanes_port, listener), client, buf,
		      len);
}

static const struct listener_events listener_events = {
	.accepted = on_accepted,
	.received = on_received,
};

static void close_port(struct lanes_port *p)
{
	lanes_udp_end(p->lanes, &p->listener);
	listener_close(&p->listener);
	LIST_REMOVE(p, link);
	free(p);
}

static int open_port(struct lanes *ls, bool udp, bool v4, uint16_t port,
		     uint16_t host_port)
{
	struct endpoint local = {lanes_loopback(v4), port};
	struct lanes_port *p = calloc(1, sizeof(*p));
	int fd, err;

	if (!p)
		return -ENOMEM;
	p->lanes = ls;
	p->host_port = host_port;
	fd = lane_listen(ls->lane, udp ? LANE_UDP : LANE_TCP, v4, port);
	err = listener_adopt(&p->listener, ls->host->loop, udp, fd, &local,
			     &listener_events);
	if (err < 0) {
		free(p);
		return err;
	}
	LIST_INSERT_HEAD(&ls->ports, p, link);
	err = udp ? 0 : listener_start(&p->listener);
	if (err < 0)
		close_port(p);
	return err;
}

/* One family of all ports; those that it opened are the first in the list. */
static int open_family(struct lanes *ls, const struct rule *r, bool v4,
		       struct fail *why)
{
	struct endpoint e = {lanes_loopback(v4), r->host_port};
	char text[ENDPOINT_STRLEN];

	for (unsigned n = 0; n < rule_ports(r); n++) {
		int err;

		e.port = (uint16_t)(r->host_port + n);
		err = open_port(ls, r->proto == RULE_UDP, v4, e.port,
				(uint16_t)(r->guest_port + n));
		if (err < 0)
			return fail_set(why, err,
					"cannot listen on %s (%s) inside the "
					"container: %s",
					endpoint_format(&e, text),
					r->proto == RULE_UDP ? "udp" : "tcp",
					strerror(-err));
	}
	return 0;
}

static bool family_is_absent(int err)
{
	return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL;
}

int lanes_listen(struct lanes *ls, const struct rule *r, struct fail *why)
{
	const struct lanes_port *before = LIST_FIRST(&ls->ports);
	struct lanes_port *p, *next;
	int err = 0;

	if (r->families & RULE_IPV4)
		err = open_family(ls, r, true, why);
	if (err == 0 && r->families & RULE_IPV6) {
		err = open_family(ls, r, false, why);
		if (family_is_absent(err) && r->families & RULE_IPV4)
			err = 0;
	}
	for (p = LIST_FIRST(&ls->ports); err < 0 && p != before; p = next) {
		next = LIST_NEXT(p, link);
		close_port(p);
	}
	return err;
}

struct lanes *lanes_new(struct relay_host *host, struct lane *lane,
			struct lanes_wish wish)
{
	struct lanes *ls = calloc(1, sizeof(*ls));

	if (!ls)
		return NULL;
	ls->host = host;
	ls->lane = lane;
	ls->wish = wish;
	LIST_INIT(&ls->ports);
	LIST_INIT(&ls->flows);
	ls->splices = splice_new(host);
	/* pages that no datagram has come to are none */
	ls->burst = calloc(1, sizeof(*ls->burst));
	if (ls->splices && ls->burst)
		return ls;
	lanes_free(ls);
	return NULL;
}

void lanes_free(struct lanes *ls)
{
	struct lanes_port *p, *next;

	if (!ls)
		return;
	for (p = LIST_FIRST(&ls->ports); p; p = next) {
		next = LIST_NEXT(p, link);
		close_port(p);
	}
	lanes_udp_end(ls, NULL);
	splice_free(ls->splices);
	free(ls->burst);
	free(ls);
}
