/* Each end knows what goes towards it: pass() moves bytes from the one to the
 * other, through a pipe that it takes for the purpose and gives back as soon as
 * it is empty. What the receiver did not take stays in the pipe, and nothing
 * more is read from the sender until it has room again: that is the whole
 * back-pressure. When there is no pipe, copy() looks at what the sender has and
 * takes only as much as the receiver took; it is slower and holds nothing.
 * update() says what to wait for. */
#include "port/splice.h"

#include "port/pipes.h"
#include "stack/container_of.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>

/* Rounds a turn: others want their turn too. */
#define ROUNDS 4

#define COPY_ROOM 65536

struct end {
	struct splice *of;
	struct loop_fd watch;    /* its fd is -1 while it is not watched */
	int fd;                  /* owned; -1: given away */
	struct pipes_pipe *pipe; /* with bytes for this end; NULL: none */
	bool blocked;            /* it took no more */
	bool eof;                /* its peer has ended */
	bool shut;               /* it was told of the other's end */
	bool hung_up;            /* EPOLLHUP is on and stays on */
};

struct splice {
	struct flow flow;
	struct splices *all;
	struct splice_call *call; /* until the other end is connected */
	struct end client, other;
	struct loop_deferred gone;
	TAILQ_ENTRY(splice) link;
};

struct splices {
	struct relay_host *host;
	struct pipes pipes;
	uint64_t bytes;
	TAILQ_HEAD(, splice) list;
};

static struct end *end_of(struct loop_fd *f)
{
	return container_of(f, struct end, watch);
}

static struct end *across(struct end *e)
{
	return e == &e->of->client ? &e->of->other : &e->of->client;
}

static struct loop *loop_of(const struct splice *s)
{
	return s->all->host->loop;
}

static void free_splice(struct loop_deferred *d)
{
	free(container_of(d, struct splice, gone));
}

static void let_go(struct end *e, void (*how)(int fd))
{
	loop_del(loop_of(e->of), &e->watch);
	if (e->pipe)
		pipes_put(&e->of->all->pipes, e->pipe);
	e->pipe = NULL;
	if (e->fd >= 0)
		how(e->fd);
	e->fd = -1;
}

static void end(struct splice *s, void (*how)(int fd))
{
	let_go(&s->client, how);
	let_go(&s->other, how);
	flow_remove(s->all->host->flows, &s->flow);
	TAILQ_REMOVE(&s->all->list, s, link);
	s->gone.run = free_splice;
	loop_defer(loop_of(s), &s->gone);
}

/* Moving bytes. Each of these returns how many moved, 0 if none could for now, or
 * -errno if the connection broke. */

static ssize_t result(struct splices *ss, ssize_t n)
{
	if (n >= 0) {
		ss->bytes += (size_t)n;
		return n;
	}
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* Out of the pipe, into @to. */
static ssize_t drain(struct end *to)
{
	struct splices *ss = to->of->all;
	size_t held = to->pipe->held;
	ssize_t n = result(ss, splice(to->pipe->out, NULL, to->fd, NULL, held,
				      SPLICE_F_MOVE | SPLICE_F_NONBLOCK));

	if (n < 0)
		return n;
	to->pipe->held -= (size_t)n;
	to->blocked = to->pipe->held > 0;
	if (to->blocked)
		return n;
	pipes_put(&ss->pipes, to->pipe);
	to->pipe = NULL;
	return n;
}

static ssize_t copy(struct end *from, struct end *to)
{
	char buf[COPY_ROOM];
	ssize_t have =
		recv(from->fd, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);
	ssize_t n;

	if (have <= 0) {
		from->eof = have == 0;
		return have == 0 ? 0 : result(from->of->all, have);
	}
	n = result(from->of->all, send(to->fd, buf, (size_t)have,
				       MSG_NOSIGNAL | MSG_DONTWAIT));
	to->blocked = n >= 0 && n < have;
	if (n <= 0)
		return n;
	return recv(from->fd, buf, (size_t)n, MSG_DONTWAIT) == n ? n : -EIO;
}

static ssize_t pass(struct end *from, struct end *to)
{
	struct pipes *pipes = &from->of->all->pipes;
	struct pipes_pipe *pipe = pipes_take(pipes);
	ssize_t n;

	if (!pipe)
		return copy(from, to);
	n = splice(from->fd, NULL, pipe->in, NULL, PIPES_ROOM,
		   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n <= 0) {
		int err = errno;

		pipes_put(pipes, pipe);
		from->eof = n == 0;
		return n == 0 || err == EAGAIN || err == EINTR ? 0 : -err;
	}
	pipe->held = (size_t)n;
	to->pipe = pipe;
	return drain(to);
}

/* All that can go from @from to the other end. 0, or -errno if it broke. */
static int move(struct end *from)
{
	struct end *to = across(from);
	ssize_t n = 1;

	if (to->pipe && !to->blocked)
		n = drain(to);
	for (int i = 0; i < ROUNDS && n > 0 && !to->blocked && !from->eof; i++)
		n = pass(from, to);
	if (n < 0)
		return (int)n;
	if (!from->eof || to->pipe || to->shut)
		return 0;
	to->shut = true;
	flow_set_state(&from->of->flow, FLOW_HALF);
	return hostsock_shutdown(to->fd);
}

/* Waiting. */

static int watch(struct end *e, uint32_t events)
{
	struct loop *loop = loop_of(e->of);

	/* A hang-up that nothing can be done about would be told for ever. */
	if (events == 0 && e->hung_up) {
		loop_del(loop, &e->watch);
		return 0;
	}
	return e->watch.fd < 0 ? loop_add(loop, &e->watch, e->fd, events)
			       : loop_set(loop, &e->watch, events);
}

static int watch_for_more(struct end *e)
{
	uint32_t events = e->blocked ? EPOLLOUT : 0;

	if (!e->eof && !across(e)->blocked)
		events |= EPOLLIN;
	return watch(e, events);
}

/* After bytes moved. */
static void settle(struct splice *s, int err)
{
	if (err == 0 && s->client.shut && s->other.shut) {
		end(s, hostsock_close);
		return;
	}
	if (err == 0)
		err = watch_for_more(&s->client);
	if (err == 0)
		err = watch_for_more(&s->other);
	if (err < 0)
		end(s, hostsock_reset);
}

static void on_ready(struct loop_fd *f, uint32_t events)
{
	struct end *e = end_of(f);
	int err = 0;

	if (events & EPOLLHUP)
		e->hung_up = true;
	if (events & EPOLLOUT && e->blocked) {
		e->blocked = false;
		err = move(across(e));
	}
	/* What arrived before a reset is still passed on. */
	if (err == 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !e->eof &&
	    !across(e)->blocked)
		err = move(e);
	if (err == 0 && events & EPOLLERR)
		err = hostsock_error(e->fd);
	settle(e->of, err);
}

/* Opening. */

static void tell(struct splice *s, int err)
{
	struct splice_call *call = s->call;
	int client = -1;

	s->call = NULL;
	if (err < 0) {
		loop_del(loop_of(s), &s->client.watch);
		client = s->client.fd;
		s->client.fd = -1;
		end(s, hostsock_reset);
	}
	call->done(call, client, err);
}

static void on_connected(struct loop_fd *f, uint32_t events)
{
	struct splice *s = end_of(f)->of;
	int err = hostsock_error(s->other.fd);

	if (err < 0) {
		tell(s, err);
		return;
	}
	s->client.watch.ready = s->other.watch.ready = on_ready;
	flow_set_state(&s->flow, FLOW_OPEN);
	tell(s, 0);
	settle(s, 0);
}

/* Before the other end is connected: bytes of its own wait until then. */
static void on_client_gone(struct loop_fd *f, uint32_t events)
{
	struct splice *s = end_of(f)->of;

	let_go(&s->client, hostsock_reset);
	tell(s, -ECONNRESET);
}

/* The only end that the flow table could ask for is that of an idle flow, and
 * these never are. */
static void never_idle(struct flow *f)
{
	assert(f->idle != FLOW_IDLE_NEVER);
}

static void init_end(struct end *e, struct splice *s, int fd,
		     void (*ready)(struct loop_fd *f, uint32_t events))
{
	e->of = s;
	e->fd = fd;
	e->watch.fd = -1;
	e->watch.ready = ready;
}

static int enter(struct splice *s, const struct flow_key *key)
{
	struct relay_host *h = s->all->host;
	int err = flow_find(h->flows, key) ? -EADDRINUSE : 0;

	if (err == 0)
		err = flow_add(h->flows, &s->flow, key, FLOW_IDLE_NEVER);
	if (err < 0)
		relay_count(h, RELAY_COUNT_DROP_LIMIT);
	return err;
}

int splice_open(struct splices *ss, int client, int other,
		const struct flow_key *key, struct splice_call *call)
{
	struct splice *s = calloc(1, sizeof(*s));
	int err = s ? 0 : -ENOMEM;

	if (s) {
		s->all = ss;
		s->call = call;
		s->flow.end = never_idle;
		init_end(&s->client, s, client, on_client_gone);
		init_end(&s->other, s, other, on_connected);
		err = enter(s, key);
	}
	if (err < 0) {
		free(s);
		hostsock_close(other);
		return err;
	}
	TAILQ_INSERT_TAIL(&ss->list, s, link);
	err = watch(&s->client, 0);
	if (err == 0)
		err = watch(&s->other, EPOLLOUT);
	if (err < 0) {
		loop_del(loop_of(s), &s->client.watch);
		s->client.fd = -1;
		end(s, hostsock_close);
	}
	return err;
}

struct splices *splice_new(struct relay_host *host)
{
	struct splices *ss = calloc(1, sizeof(*ss));

	if (!ss)
		return NULL;
	ss->host = host;
	pipes_init(&ss->pipes);
	TAILQ_INIT(&ss->list);
	return ss;
}

void splice_free(struct splices *ss)
{
	struct splice *s, *next;

	if (!ss)
		return;
	for (s = TAILQ_FIRST(&ss->list); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (!s->call) {
			end(s, hostsock_reset);
			continue;
		}
		let_go(&s->client, hostsock_reset);
		tell(s, -ECANCELED);
	}
	pipes_fini(&ss->pipes);
	free(ss);
}

uint64_t splice_bytes(const struct splices *ss)
{
	return ss->bytes;
}
