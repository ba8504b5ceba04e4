/* A TCP connection between the container, as a stream, and a host socket: bytes,
 * half-closes and resets pass as they come, in both directions. Whoever opens
 * the two sides embeds one and calls conn_open() once both stand; who called
 * whom makes no difference from then on. */
#ifndef PORT_CONN_H
#define PORT_CONN_H

#include "port/relay.h"

struct conn {
	/* Nothing is left of either side. The owner frees its memory, but not
	 * before this turn is over (loop_defer()). */
	void (*ended)(struct conn *c);
	struct relay_host *host; /* borrowed */
	struct flow flow;
	/* Before conn_open() the owner hears of the stream and of the socket by
	 * events and a ready() of its own. */
	struct stream_user user;
	struct stream *stream; /* NULL: none */
	struct loop_fd sock;   /* .fd is -1 while it is not watched */
	int fd;                /* owned; -1: none */
	bool send_blocked;     /* the host socket took no more */
	bool hung_up;          /* EPOLLHUP is on and stays on */
	bool last_was_small;   /* the read before fitted a small chunk */
	bool host_eof, container_eof;
};

/* @c is zeroed memory; neither side is there yet. */
void conn_init(struct conn *c, struct relay_host *host,
	       void (*ended)(struct conn *c));
/* Enters the flow under @key, which is not in the table yet, as ASKING; called
 * again, moves it there. 0, or what flow_add() says (counted). */
int conn_enter(struct conn *c, const struct flow_key *key);
/* The readable() and writable() of an owner's events: neither comes before
 * opened(). */
void conn_too_early(struct stream_user *u);
/* c->fd is connected, c->stream has said opened() or says it now. */
void conn_open(struct conn *c);
/* Resets both sides, as far as they are there, and ends. */
void conn_reset(struct conn *c);
/* The stream says closed() now: passes on what still waits, resets the host and
 * ends. */
void conn_closed(struct conn *c);
/* Lets go of the host's side, if it is there, by hostsock_close() or
 * hostsock_reset(). */
void conn_let_go(struct conn *c, void (*how)(int fd));
/* Both sides are gone: out of the flow table if it was in, ended(). */
void conn_end(struct conn *c);

#endif
