/* Going on in the background, daemon(7), with a launcher that returns only once
 * everything is ready, or has failed: its exit status is the signal that Podman
 * and RootlessKit wait for. */
#ifndef PORT_DETACH_H
#define PORT_DETACH_H

#include "stack/fail.h"

#include <stdbool.h>

struct detach {
	int fd; /* to the launcher; -1: there is none (any more) */
};

/* Forks: in the child it returns 0, the launcher waits and exits, with 0 after
 * detach_done(), else as the child did. -errno if there is no child. Call it
 * before anything is opened and while this process has one thread. */
int detach_begin(struct detach *d, struct fail *why);
/* Lets go of the launcher's terminal, session, working directory, stdin, stdout
 * and stderr (of stderr not with @keep_stderr), and of all other descriptors
 * that would outlive an exec(2); then lets it return. Without a launcher:
 * no-op. */
void detach_done(struct detach *d, bool keep_stderr);

#endif
