/* How the program goes on once it is started: in the background, with a log file
 * and a pid file, as another user. */
#ifndef PORT_PROCESS_H
#define PORT_PROCESS_H

#include "port/config.h"
#include "port/detach.h"
#include "port/logfile.h"

struct process {
	const struct config_process *config;
	struct detach detach;
	struct logfile *log; /* NULL: none was asked for */
	int pidfd;           /* of the pid file; -1 */
};

/* Opens what was asked for and forks if it shall go on in the background: only
 * the child returns. 0 or -errno. */
int process_begin(struct process *p, const struct config_process *config,
		  struct fail *why);
/* Everything is ready: gives up rights, writes the pid file, lets the launcher
 * return. From here on messages go to the log file in turns of @loop. 0 or
 * -errno. */
int process_settle(struct process *p, struct loop *loop, struct fail *why);
/* Before the loop is freed. Also for one that is all zero but for ->pidfd and
 * ->detach.fd, -1. */
void process_end(struct process *p);

#endif
