/* What the host does in a replay: a list of rules in a text file, of which the
 * first that matches a target decides. One rule a line, `#` starts a comment:
 *
 *   tcp TARGET ACTION[, ACTION]...
 *   udp TARGET echo | drop | refuse | net-unreachable | host-unreachable |
 *              too-big N | send N
 *   ping TARGET echo | drop | net-unreachable | host-unreachable | too-big N
 *
 * TARGET is `*`, ADDR, ADDR:PORT, *:PORT, an IPv6 address with a port in
 * brackets; as the container names it. The actions of TCP happen one after the
 * other; the first four are instead of a connection, at once or behind `after`:
 *
 *   refuse, net-unreachable, host-unreachable, timeout
 *   after MS    wait so many milliseconds (also before the connection stands)
 *   send N      send N bytes of a pattern (SCRIPT_BYTE)
 *   wait N      until N bytes have come since the last wait
 *   wait end    until the container has ended its side
 *   echo        send back what comes from now on, and end when it ends
 *   close       end this side (FIN)
 *   reset       RST, and the rule is over
 *
 * `too-big N` is a path that takes packets of N bytes at most: those come back as
 * by `echo`, what is longer ends with an error that says so.
 *
 * At the end of its actions a connection stays as it is. */
#ifndef PORT_SCRIPT_H
#define PORT_SCRIPT_H

#include "stack/addr.h"
#include "stack/fail.h"
#include "stack/nsec.h"

#include <stddef.h>

/* Byte @at of what `send` sends. */
#define SCRIPT_BYTE(at) ((uint8_t)((at) % 251))

enum script_proto {
	SCRIPT_TCP,
	SCRIPT_UDP,
	SCRIPT_PING
};

enum script_verb {
	SCRIPT_END, /* no more actions */
	SCRIPT_ECHO,
	SCRIPT_DROP,
	SCRIPT_FAIL,    /* .n: a positive errno for the container */
	SCRIPT_TOO_BIG, /* .n: an MTU */
	SCRIPT_AFTER,   /* .n: nanoseconds */
	SCRIPT_SEND,    /* .n: bytes */
	SCRIPT_WAIT,    /* .n: bytes */
	SCRIPT_WAIT_END,
	SCRIPT_CLOSE,
	SCRIPT_RESET,
};

struct script_action {
	enum script_verb verb;
	uint64_t n;
};

struct script;

/* Parses @text, lines end with newline. NULL with the reason, which begins with
 * @name and the line's number. */
struct script *script_parse(const char *text, const char *name,
			    struct fail *why);
void script_free(struct script *s); /* accepts NULL */

/* The actions for @to, ending with SCRIPT_END; without a rule for it, or with
 * @s NULL, just an echo. Ping has port 0. */
const struct script_action *script_find(const struct script *s,
					enum script_proto proto,
					const struct endpoint *to);

#endif
