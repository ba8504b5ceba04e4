/* What stream.c, stream_pcb.c and streams.c share, and nobody else includes. */
#ifndef STACK_STREAM_IMPL_H
#define STACK_STREAM_IMPL_H

#include "stack/streams.h"

/* What is there, and what may be called, in each state:
 *
 *              PCB            owner's calls        ends by
 *  CONNECTING  none           accept, refuse,      ANSWERED by accept, DEAD by
 *                             abort                refuse and abort, FAILED by
 *                                                  the container's RST
 *  ANSWERED    SYN_RCVD       abort                handshake, RST, time-out
 *  OPENING     SYN_SENT       abort                handshake; FAILED by RST,
 *                                                  ICMP or time-out
 *  OPEN        any after; or  all but accept,      FAILED by RST or time-out,
 *              none once both refuse               LINGERING by release, DEAD
 *              FINs are done                       by abort
 *  FAILED      none           peek and consume,    DEAD before closed()
 *                             abort; closed() due
 *  LINGERING   any after      none: no owner       the PCB's death
 *  DEAD        none           none                 the end of the burst
 */
enum stream_state {
	STREAM_CONNECTING,
	STREAM_ANSWERED,
	STREAM_OPENING,
	STREAM_OPEN,
	STREAM_FAILED,
	STREAM_LINGERING,
	STREAM_DEAD,
};

struct stream {
	struct endpoint container, remote;
	struct streams *streams;
	struct stream_user *user; /* NULL once released */
	struct tcp_pcb *pcb;      /* NULL: see the state table */
	enum stream_state state;
	int err;          /* for closed(), negative */
	uint16_t segment; /* the container's MSS */
	bool hashed;
	bool dirty;
	bool tell_opened, tell_readable;
	bool starved; /* the owner was told there is no room */
	bool in_fin, out_fin;

	uint8_t *syn; /* CONNECTING: the SYN segment, owned */
	size_t syn_len;

	struct chunk *in_head, *in_tail; /* bytes for the owner */
	size_t in_len;
	size_t credit;   /* in_len + the window offered, at most */
	size_t grown_at; /* bytes consumed since credit grew */
	struct chunk *out_head, *out_tail; /* bytes lwIP may still send */

	struct stream *hash_next;
	TAILQ_ENTRY(stream) all;
	STAILQ_ENTRY(stream) dirty_link;
	struct stream_list *timer_list; /* armed, waiting or NULL */
	TAILQ_ENTRY(stream) timer_link;
	nsec_t expires; /* in streams.waiting */
};

/* The one way to change the state; asserts that the step is in the table. */
void stream_set_state(struct stream *s, enum stream_state to);
/* Queues @s for streams_flush(). */
void streams_mark(struct stream *s);
/* Out of the table: its 4-tuple is free for a new connection. */
void streams_unhash(struct stream *s);
/* Engine calls on s->pcb happen between these two. */
void streams_enter(struct stream *s);
void streams_leave(struct stream *s);
/* Ends s->pcb: RST, or nothing in TIME_WAIT; lwIP tells nobody. */
void streams_abort_pcb(struct stream *s);
/* Only when it is not queued for streams_flush(), and has no PCB. */
void streams_free(struct stream *s);

/* lwIP's callbacks, set up by streams_init(). */
err_t stream_pcb_on_accept(void *arg, struct tcp_pcb *pcb, err_t err);
extern const struct tcp_ext_arg_callbacks stream_pcb_births;
/* Gives @s, in OPENING, its PCB and sends the SYN; @above as for
 * engine_connect(). 0, -ENOMEM or -EHOSTUNREACH. */
int stream_pcb_connect(struct stream *s, const uint32_t *above);
/* Puts @c at the end of a queue. */
void stream_append(struct chunk **head, struct chunk **tail, struct chunk *c);
/* What streams_flush() does for one stream; frees it if it is dead. */
void stream_tell(struct stream *s);

#endif
