#include "port/tapio.h"

#include "stack/container_of.h"

#include <errno.h>
#include <sys/epoll.h>

/* What is read before others have their turn. */
#define BURST_FRAMES 64
#define BURST_BYTES  (1u << 20)

#define RETRY (50 * NSEC_PER_MSEC)

/* A buffer that nobody else refers to: a frame that was copied or dropped leaves
 * its own to the next. The limit of the pool does not hold here: among the
 * frames are the ACKs that give memory back, and what may come beyond them is
 * bounded by the windows that the stack has opened. */
static bool have_spare(struct tapio *io)
{
	if (io->spare && io->spare->refs == 1)
		return true;
	chunk_put(io->spare);
	io->spare = chunk_new_beyond(stack_pool(io->stack), CHUNK_ROOM);
	return io->spare != NULL;
}

static void pause_reading(struct tapio *io)
{
	loop_set(io->loop, &io->fd, 0);
	loop_timer_set(io->loop, &io->retry, loop_now(io->loop) + RETRY);
}

static void on_retry(struct loop_timer *t)
{
	struct tapio *io = container_of(t, struct tapio, retry);

	loop_set(io->loop, &io->fd, EPOLLIN);
}

/* Frames until there is none, the burst is full, or memory is out. 0, or
 * -errno of a tap that is gone. */
static int read_burst(struct tapio *io)
{
	size_t bytes = 0;

	for (int n = 0; n < BURST_FRAMES && bytes < BURST_BYTES; n++) {
		struct offload off;
		size_t start;
		ssize_t len;

		if (!have_spare(io)) {
			pause_reading(io);
			return 0;
		}
		len = tapdev_read(io->tap, io->spare, &start, &off);
		if (len == -EAGAIN)
			return 0;
		/* EINVAL: the kernel could not describe that frame, and has
		 * dropped it. */
		if (len == 0 || len == -EINVAL) {
			io->bad++;
			continue;
		}
		if (len < 0)
			return (int)len;
		bytes += (size_t)len;
		if (io->capture)
			capture_input(io->capture, io->spare->data + start,
				      (size_t)len, &off);
		stack_input(io->stack, io->spare, start, (size_t)len, &off);
	}
	return 0;
}

static void on_tap(struct loop_fd *f, uint32_t events)
{
	struct tapio *io = container_of(f, struct tapio, fd);
	int err = read_burst(io);

	stack_flush(io->stack);
	chunk_put(io->spare);
	io->spare = NULL;
	/* The namespace is gone, or the device. That is no reason to end (there
	 * are signals and the exit descriptor for that), nor to spin. */
	if (err < 0 || events & (EPOLLERR | EPOLLHUP)) {
		loop_timer_clear(io->loop, &io->retry);
		loop_del(io->loop, f);
	}
}

static void on_start(struct loop_hook *h)
{
	struct tapio *io = container_of(h, struct tapio, start);

	stack_set_time(io->stack, loop_now(io->loop));
}

static void on_end(struct loop_hook *h)
{
	struct tapio *io = container_of(h, struct tapio, end);

	/* Timers and host sockets may have ended or filled streams too. */
	stack_flush(io->stack);
	loop_timer_set(io->loop, &io->tick, stack_deadline(io->stack));
}

static void on_tick(struct loop_timer *t)
{
	stack_tick(container_of(t, struct tapio, tick)->stack);
}

int tapio_init(struct tapio *io, struct loop *loop, struct stack *stack,
	       struct tapdev *tap, struct capture *capture)
{
	*io = (struct tapio){
		.fd = {.ready = on_tap, .fd = -1},
		.start.run = on_start,
		.end.run = on_end,
		.tick.fire = on_tick,
		.retry.fire = on_retry,
		.loop = loop,
		.stack = stack,
		.tap = tap,
		.capture = capture,
	};
	loop_hook_add_start(loop, &io->start);
	loop_hook_add(loop, &io->end);
	return loop_add(loop, &io->fd, tap->fd, EPOLLIN);
}

void tapio_fini(struct tapio *io)
{
	if (!io->loop)
		return;
	loop_del(io->loop, &io->fd);
	loop_timer_clear(io->loop, &io->tick);
	loop_timer_clear(io->loop, &io->retry);
}
