/* The loopback lane's way into the container: a small process that stays inside
 * its user and network namespaces and hands out sockets on 127.0.0.1 and ::1
 * there, for named ports and no others. It has no capability (but that to
 * listen below port 1024, if it was named one), may make but a dozen system
 * calls, cannot be traced from inside, and holds nothing but its end of a
 * socket pair: it ends when this process does, however that ends, and sleeps
 * until it is asked. unix(7), seccomp(2), capabilities(7). */
#ifndef TAPDEV_LANE_H
#define TAPDEV_LANE_H

#include "tapdev/netns.h"

#include <stdbool.h>
#include <stdint.h>

enum lane_proto {
	LANE_TCP,
	LANE_UDP,
	LANE_PROTOS
};

enum lane_way {
	LANE_CONNECT, /* to a service inside */
	LANE_LISTEN,  /* for clients inside */
	LANE_WAYS
};

/* A set of ports of both families; zero-initialise. */
struct lane_ports {
	uint8_t bits[LANE_WAYS][LANE_PROTOS][65536 / 8];
};

void lane_ports_add(struct lane_ports *p, enum lane_way way,
		    enum lane_proto proto, uint16_t port);
bool lane_ports_has(const struct lane_ports *p, enum lane_way way,
		    enum lane_proto proto, uint16_t port);

struct lane;

/* Starts the process in the namespaces of @t (its ifname is not looked at) for
 * @ports; with @grows it takes more by lane_allow(). Call it while this process
 * has one thread, from the one that stays: the lane ends with the thread that
 * made it. NULL with the reason. */
struct lane *lane_start(const struct netns_target *t,
			const struct lane_ports *ports, bool grows,
			struct fail *why);
/* Ends it; sockets that it made live on. Accepts NULL. */
void lane_stop(struct lane *l);

/* The calls below ask the process and wait for its answer: some tens of
 * microseconds. Should it not answer within LANE_PATIENCE seconds, or be gone,
 * they return -ENOTCONN from then on. */
#define LANE_PATIENCE 2

/* A socket whose connect() to @port of 127.0.0.1 (@v4) or ::1 is under way or
 * done: it polls writable either way. Non-blocking and close-on-exec, TCP with
 * TCP_NODELAY. Or -errno: -EACCES if @port is not among those named. */
int lane_connect(struct lane *l, enum lane_proto proto, bool v4, uint16_t port);
/* A socket that is bound there, and listens if it is TCP. As above. */
int lane_listen(struct lane *l, enum lane_proto proto, bool v4, uint16_t port);
/* Names one more. 0 or -errno: -EACCES unless it grows. */
int lane_allow(struct lane *l, enum lane_way way, enum lane_proto proto,
	       uint16_t port);

#endif
