#include "port/pipes.h"

#include "port/hostsock.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void pipes_init(struct pipes *p)
{
	SLIST_INIT(&p->idle);
	p->count = p->idle_count = 0;
}

static void destroy(struct pipes *p, struct pipes_pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	free(pipe);
	p->count--;
}

void pipes_fini(struct pipes *p)
{
	struct pipes_pipe *pipe = SLIST_FIRST(&p->idle), *next;

	for (; pipe; pipe = next) {
		next = SLIST_NEXT(pipe, link);
		destroy(p, pipe);
	}
	assert(p->count == 0);
	pipes_init(p);
}

static struct pipes_pipe *make(void)
{
	struct pipes_pipe *pipe;
	int fds[2];

	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		return NULL;
	pipe = hostsock_in_reserve(fds[1]) ? NULL : calloc(1, sizeof(*pipe));
	if (!pipe) {
		close(fds[0]);
		close(fds[1]);
		return NULL;
	}
	pipe->out = fds[0];
	pipe->in = fds[1];
	/* A user may have but so many pages in pipes: then it is smaller. */
	fcntl(pipe->in, F_SETPIPE_SZ, (int)PIPES_ROOM);
	return pipe;
}

struct pipes_pipe *pipes_take(struct pipes *p)
{
	struct pipes_pipe *pipe = SLIST_FIRST(&p->idle);

	if (pipe) {
		SLIST_REMOVE_HEAD(&p->idle, link);
		p->idle_count--;
		return pipe;
	}
	if (p->count == PIPES_MAX)
		return NULL;
	pipe = make();
	if (pipe)
		p->count++;
	return pipe;
}

void pipes_put(struct pipes *p, struct pipes_pipe *pipe)
{
	if (pipe->held > 0 || p->idle_count == PIPES_IDLE) {
		destroy(p, pipe);
		return;
	}
	SLIST_INSERT_HEAD(&p->idle, pipe, link);
	p->idle_count++;
}
