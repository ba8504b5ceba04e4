/* TCP connections between two sockets, byte for byte by splice(2), without the
 * stack: half-closes and resets pass as they come, a slow reader stops its
 * writer in the kernel's own buffers, and an idle connection owns nothing but
 * its two sockets. */
#ifndef PORT_SPLICE_H
#define PORT_SPLICE_H

#include "port/relay.h"

struct splices;

/* Who opens a connection hears once what became of it; embedded. */
struct splice_call {
	/* @err 0: it stands. Else the other end could not be connected, and
	 * @client is the owner's again, as it was; or -1, if the client has
	 * gone too and was closed. May be freed, and may call splice_open(). */
	void (*done)(struct splice_call *c, int client, int err);
};

/* @host is borrowed. NULL without memory. */
struct splices *splice_new(struct relay_host *host);
/* Resets all its connections; accepts NULL. */
void splice_free(struct splices *ss);

/* Takes over @client, which is connected, and @other, whose connect() is under
 * way, under @key of FLOW_LANE_TCP. 0, and @call is told later, but not from
 * inside; or -errno, then @other was closed, and @client is the caller's still:
 * -EADDRINUSE if the key is there already, -ENOSPC (counted) at the limit,
 * -ENOMEM. */
int splice_open(struct splices *ss, int client, int other,
		const struct flow_key *key, struct splice_call *call);

/* Bytes that passed so far, of all, both ways. */
uint64_t splice_bytes(const struct splices *ss);

#endif
