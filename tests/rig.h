/* A whole stack in a test's hands: the test owns the clock, the frames both
 * ways and the host's answers. rig_free() proves that nothing is left. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "stack/stack.h"
#include "tests/test.h"

#define RIG_SENT_MAX 4096
#define RIG_MTU      1500
#define RIG_WSCALE   7

/* A TCP segment that the stack sent to the container, taken apart. */
struct rig_segment {
	struct endpoint src, dst;
	uint32_t seq, ack;
	uint8_t flags;
	uint32_t wnd; /* as in the header, not scaled */
	uint16_t mss; /* option; 0: none */
	struct offload off;
	size_t len; /* payload */
	uint8_t *payload;
	uint8_t *frame; /* owned by the rig */
	size_t frame_len;
};

/* What the owner of a stream was told. */
struct rig_owner {
	struct stream_user user;
	struct stream *stream; /* NULL after closed() */
	unsigned opened, readable, writable, closed;
	int err;
	bool keep_bytes; /* do not consume in readable() */
	size_t got;      /* bytes consumed */
	uint32_t sum;    /* of the bytes, order-dependent */
};

struct rig {
	struct stack *st;
	struct stack_host host;
	struct frame_sink sink;
	struct plan plan;
	nsec_t now;
	int put_result; /* what the sink returns */
	bool forget;    /* the sink keeps nothing */
	uint64_t put_count;
	struct rig_segment sent[RIG_SENT_MAX]; /* TCP only */
	size_t sent_count, sent_next;
	uint8_t *other; /* the last frame that was not TCP; owned */
	size_t other_len;
	unsigned opens; /* tcp_open() calls */
	struct stream *last_open;
	struct rig_owner *next_owner; /* attached to the next stream */
	unsigned dgrams;
	struct dgram last_dgram; /* payload not kept */
	unsigned unreachables;   /* udp_unreachable() calls, and the last one */
	struct endpoint lost_container, lost_remote;
};

/* The container's end of a connection. */
struct rig_peer {
	struct endpoint self, remote;
	uint32_t seq, ack; /* next to send, next expected */
	uint16_t wnd;      /* header value */
	uint16_t mss;      /* of its SYN; 0: no option */
	bool scale;        /* window scaling in its SYN */
};

struct rig_options {
	bool offload;
	uint16_t mtu;
	size_t flow_limit, memory_limit;
	unsigned max_streams;    /* 0: plenty */
	const uint8_t *peer;     /* stack_config.peer; NULL: not known */
	const struct plan *plan; /* NULL: that of slirp4netns, with @mtu */
};

struct rig *rig_new(void);
struct rig *rig_new_with(const struct rig_options *o);
void rig_free(struct rig *r);
/* For cmocka: *state is the rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* Lets @span pass, ticking when the stack wants to be ticked. */
void rig_advance(struct rig *r, nsec_t span);

/* A peer at N+100 (or fd00::64) talking to @host. */
struct rig_peer rig_peer(const char *host, uint16_t host_port, uint16_t port);
/* Sends a segment from @p with its seq and ack, without moving them; flushes. */
void rig_send(struct rig *r, const struct rig_peer *p, uint8_t flags,
	      const void *payload, size_t len);
/* As rig_send(), at seq + @seq_off, with @opts (multiple of 4) and no flush. */
void rig_send_raw(struct rig *r, const struct rig_peer *p, uint8_t flags,
		  int32_t seq_off, const void *opts, size_t opts_len,
		  const void *payload, size_t len);
/* Hands the stack any frame. */
void rig_inject(struct rig *r, const void *frame, size_t len,
		const struct offload *off);

/* The next segment the stack sent, or NULL. */
struct rig_segment *rig_take(struct rig *r);
/* Forgets what was sent so far. */
void rig_drain(struct rig *r);

/* SYN, stream_accept(), SYN-ACK, ACK: an open stream owned by @o. */
void rig_open(struct rig *r, struct rig_peer *p, struct rig_owner *o);
/* stack_tcp_connect() from @p->remote to @p->self for @o. */
int rig_connect(struct rig *r, struct rig_peer *p, struct rig_owner *o);
/* Takes the SYN of rig_connect(): @p expects what follows it. */
struct rig_segment *rig_take_syn(struct rig *r, struct rig_peer *p);
/* rig_connect(), SYN-ACK, ACK: an open stream owned by @o. */
void rig_open_inbound(struct rig *r, struct rig_peer *p, struct rig_owner *o);
/* Writes @len bytes of pattern to the container; asserts that there is room. */
void rig_write(struct rig *r, struct rig_owner *o, size_t len);
/* Acknowledges everything sent to @p so far. Returns the payload bytes seen. */
size_t rig_ack_all(struct rig *r, struct rig_peer *p);
/* Announces a window of zero. A window may only shrink with new data (RFC 9293
 * 3.10.7.4), so this sends a byte. */
void rig_shut_window(struct rig *r, struct rig_peer *p);
/* FIN from the container, FIN from the host, all acknowledged, released. */
void rig_close(struct rig *r, struct rig_peer *p, struct rig_owner *o);

#endif
