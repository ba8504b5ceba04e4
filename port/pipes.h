/* Pipes through which splice(2) moves bytes: few, large, and in nobody's hands
 * longer than bytes are in them. pipe(7), fcntl(2) for F_SETPIPE_SZ. */
#ifndef PORT_PIPES_H
#define PORT_PIPES_H

#include <stddef.h>
#include <sys/queue.h>

/* Bytes that one shall hold; less if the kernel does not let us. */
#define PIPES_ROOM (1u << 20)
/* Most that are there at once, and most of them that stay when nobody has them. */
#define PIPES_MAX  128
#define PIPES_IDLE 16

struct pipes_pipe {
	int in, out; /* write to @in, read from @out; non-blocking */
	size_t held; /* bytes in it, as its holder counts them */
	SLIST_ENTRY(pipes_pipe) link;
};

/* Embedded in its owner. */
struct pipes {
	SLIST_HEAD(, pipes_pipe) idle;
	unsigned count, idle_count;
};

void pipes_init(struct pipes *p);
/* All were given back. */
void pipes_fini(struct pipes *p);
/* An empty one, or NULL: there are too many, or too few descriptors. */
struct pipes_pipe *pipes_take(struct pipes *p);
/* Back; what is in it is lost. */
void pipes_put(struct pipes *p, struct pipes_pipe *pipe);

#endif
