/* Rules on real sockets of the host's loopback, in front of a container that is
 * made up: what the tests of forward.h share. */
#ifndef TESTS_FORWARD_RIG_H
#define TESTS_FORWARD_RIG_H

#include "port/forward.h"
#include "tests/fake_guestaddr.h"
#include "tests/fake_sockdiag.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct inbound_tcp {
	unsigned opened;
	int fd; /* of the last; earlier ones were closed */
	struct endpoint client;
	struct target *target; /* the last; not a reference */
	uint16_t port;
	bool unanswered; /* the container answers nobody */
};

struct inbound_udp {
	unsigned received, forgotten;
	int held_fd; /* a socket of the container's that gives way; -1: none */
	struct endpoint client, local;
	uint16_t port;
	size_t len;
};

struct forward_rig {
	struct loop *loop;
	struct inbound_tcp tcp;
	struct inbound_udp udp;
	struct guestaddr guest;
	struct sockdiag diag;
	struct forward_deps deps;
	struct forwards *fs;
	struct fail why;
	char *log; /* what was said */
	size_t log_len, log_read;
	int lowest_fd;
};

int forward_rig_setup(void **state);
/* Removes what is left, and proves that nothing is. */
int forward_rig_teardown(void **state);
/* deps have changed: begins anew. */
void forward_rig_restart(struct forward_rig *rig);

/* The loop's clock. */
void forward_rig_pass(struct forward_rig *rig, nsec_t time);
/* Turns until nothing has happened for a moment; no time passes. */
void forward_rig_settle(struct forward_rig *rig);
/* What has been said since the last call; valid until more is. */
const char *forward_rig_log(struct forward_rig *rig);

/* A rule that is expected to come into force, resp. to be refused with @err. */
const struct forward *forward_rig_add(struct forward_rig *rig,
				      const struct rule *r);
void forward_rig_refused(struct forward_rig *rig, const struct rule *r,
			 int err);
/* The rule that `-p` makes of @text. */
struct rule forward_rig_rule(const char *text);
/* A port that is free in both families, for both protocols. */
uint16_t forward_rig_free_port(void);
/* A client of 127.0.0.1 or ::1: its descriptor, or what connect() met. */
int forward_rig_connect(bool v4, uint16_t port);
/* 0 if it was let in and closed again, or what connect() met. */
int forward_rig_try(bool v4, uint16_t port);
/* How many descriptors are open. */
unsigned forward_rig_fds(void);
/* Runs @test in a process of its own; it exits with 0, or 77 for a skip. */
void forward_rig_apart(struct forward_rig *rig,
		       int (*test)(struct forward_rig *rig));

#endif
