/* The signals that end a program, taken in the loop so that what has to be
 * cleaned up goes first; the program then dies of the signal as if it had not
 * been caught. */
#ifndef PORT_ENDING_H
#define PORT_ENDING_H

#include "port/loop.h"
#include "stack/fail.h"

#include <signal.h>

struct ending {
	struct loop_fd fd; /* a signalfd, owned; -1: nothing is watched */
	struct loop *loop; /* borrowed */
	sigset_t old;      /* the signal mask before */
	int signo;         /* that came; 0: none */
};

/* SIGTERM, SIGINT, SIGHUP and SIGQUIT, but for those that are ignored: the first stops
 * @loop. 0 or -errno. */
int ending_watch(struct ending *e, struct loop *loop, struct fail *why);
/* Undoes that. A struct that is all zero but for ->fd.fd, -1, is fine. */
void ending_unwatch(struct ending *e);
/* The signal that came takes effect now: does not return unless there was
 * none. */
void ending_die(const struct ending *e);

#endif
