/* A TCP connection of the container, seen from the host's side of the stack:
 * opened by the container's SYN, answered only when the host's connection
 * stands, or by stack_tcp_connect(); then bytes both ways, half-close and reset.
 *
 * Names: "in" is from the container, "out" is to it. All calls from the one
 * thread. Ports in host byte order. */
#ifndef STACK_STREAM_H
#define STACK_STREAM_H

#include "stack/addr.h"
#include "stack/chunk.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct stream;

/* How the owner of a stream hears of it. Embedded in the owner, attached by
 * stream_attach(). A callback may call any stream function on its own stream,
 * and must not call stack_input(). After closed() the stream is gone: no
 * callback follows, no call is legal. closed() never comes from inside a call
 * that the owner made. */
struct stream_user {
	const struct stream_events *events;
};

struct stream_events {
	/* The container finished the handshake: bytes may be written. */
	void (*opened)(struct stream_user *u);
	/* Bytes or the container's FIN wait: stream_peek(), stream_in_eof().
	 * Comes once a burst of frames, not once a segment. */
	void (*readable)(struct stream_user *u);
	/* stream_room() grew. */
	void (*writable)(struct stream_user *u);
	/* The end, before both sides were done. @err is negative:
	 * -ECONNRESET the container reset it (or gave up connecting),
	 * -ECONNREFUSED or -EHOSTUNREACH see stack_tcp_connect(),
	 * -ETIMEDOUT it stopped answering, -ECONNABORTED or -ENOMEM this side
	 * ran out of memory. Bytes that wait can be peeked and consumed from
	 * inside, and are lost after. */
	void (*closed)(struct stream_user *u, int err);
};

const struct endpoint *stream_container(const struct stream *s);
const struct endpoint *stream_remote(const struct stream *s);
void stream_attach(struct stream *s, struct stream_user *u);

/* The host's connect() succeeded: the container's SYN is answered now. */
void stream_accept(struct stream *s);
/* It failed with errno @err (positive): the container's connect() will fail
 * with the same; on ETIMEDOUT it hears nothing. The stream is gone after the
 * call, without closed(). */
void stream_refuse(struct stream *s, int err);

/* Up to @max pieces of the bytes that wait, in order; lent until the next
 * stream call. Returns how many pieces were filled in, *@ret_len bytes. */
int stream_peek(struct stream *s, struct iovec *iov, int max, size_t *ret_len);
/* @len bytes of them were taken by the host: the window reopens by as much. */
void stream_consume(struct stream *s, size_t len);
/* The container sent FIN and every byte before it was consumed. */
bool stream_in_eof(const struct stream *s);

/* How many bytes stream_write() takes now without queueing more than the
 * container's window and the per-flow limit allow; 0: wait for writable(). */
size_t stream_room(struct stream *s);
/* The size that makes exactly one super-frame (or segment): reads from the host
 * in multiples of it give the best frames. */
size_t stream_unit(const struct stream *s);
/* Sends @len bytes (1 to 65535) from @off on in @c, which nobody else holds, and
 * takes over @c. No more than stream_room(). Nothing leaves before
 * stream_flush(). 0 or -ENOMEM, then nothing was taken. */
int stream_write(struct stream *s, struct chunk *c, size_t off, size_t len);
void stream_flush(struct stream *s);
/* No more bytes will be written: FIN after those that are queued. */
void stream_shutdown(struct stream *s);
/* RST to the container; the stream is gone after the call, without closed(). */
void stream_abort(struct stream *s);
/* The owner lets go of a stream that it has shut down and whose eof it has
 * seen: lwIP delivers what is queued by itself. The stream is gone after the
 * call, without closed(). */
void stream_release(struct stream *s);

#endif
