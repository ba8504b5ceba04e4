/* The command of `tapir run`: a child in namespaces of its own that waits until
 * its network is there, then becomes the command. Signals that this program gets
 * are passed on, its end is told. */
#ifndef PORT_RUN_H
#define PORT_RUN_H

#include "port/loop.h"
#include "stack/fail.h"
#include "stack/plan.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct run {
	/* The command ended: with @status, or 128 + N if by signal N; signals
	 * are not blocked any more. Set by the owner before run_watch(). */
	void (*ended)(struct run *r, int status);
	const char *name;     /* borrowed: begins what it says; as ended */
	bool stdout_is_taken; /* the command writes to stderr instead; as ended */
	pid_t pid;            /* 0: there is none (any more) */
	int sock;             /* to the child until run_go(); -1 */
	struct loop_fd signals; /* a signalfd, owned */
	struct loop *loop;      /* borrowed */
	sigset_t old;           /* the signal mask before */
};

/* Forks the child, which makes its namespaces and then waits. From here on the
 * signals that are passed on are blocked. Call it before anything that the
 * command shall not inherit (limits, ignored signals). 0 or -errno; nothing is
 * left then. */
int run_start(struct run *r, char *const *command, const struct plan *plan,
	      struct fail *why);
/* Watches signals and the child on @loop. 0 or -errno. */
int run_watch(struct run *r, struct loop *loop, struct fail *why);
/* The network is there: the child executes the command. */
void run_go(struct run *r);
/* Kills the child if it is still there, and undoes the rest. Also for a struct
 * that is all zero but for ->sock and ->signals.fd, -1. */
void run_stop(struct run *r);

#endif
