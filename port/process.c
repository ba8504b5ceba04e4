#include "port/process.h"

#include "port/pidfile.h"
#include "port/version.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_log(struct process *p, struct fail *why)
{
	const struct config_process *c = p->config;
	char header[128];

	if (!c->log_path)
		return 0;
	snprintf(header, sizeof(header), "%s (tapir %s), process %d", c->name,
		 version, (int)getpid());
	p->log = logfile_open(c->log_path, c->log_size, header, why);
	return p->log ? 0 : -EIO;
}

int process_begin(struct process *p, const struct config_process *config,
		  struct fail *why)
{
	*p = (struct process){
		.config = config, .detach = {.fd = -1}, .pidfd = -1};
	if (config->background && detach_begin(&p->detach, why) < 0)
		return -ECHILD;
	if (config->pid_path) {
		p->pidfd = pidfile_open(config->pid_path, why);
		if (p->pidfd < 0)
			return p->pidfd;
	}
	return open_log(p, why);
}

static int drop(const struct config_process *c, struct fail *why)
{
	if (!c->drops)
		return 0;
	if (setgroups(0, NULL) < 0 || setgid(c->gid) < 0 || setuid(c->uid) < 0)
		return fail_errno(why, "cannot become user %u, group %u",
				  (unsigned)c->uid, (unsigned)c->gid);
	return 0;
}

int process_settle(struct process *p, struct loop *loop, struct fail *why)
{
	int err = drop(p->config, why);

	if (err == 0 && p->pidfd >= 0) {
		err = pidfile_write(p->pidfd, why);
		p->pidfd = -1;
	}
	if (err == 0 && p->log)
		err = logfile_take_stderr(p->log, loop, why);
	if (err == 0)
		detach_done(&p->detach, p->log != NULL);
	return err;
}

void process_end(struct process *p)
{
	logfile_close(p->log);
	p->log = NULL;
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->pidfd = -1;
}
