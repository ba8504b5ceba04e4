/* Frame bytes: read through a view, written through an iovec, never by a
 * pointer that nobody checked. */
#ifndef STACK_FRAME_H
#define STACK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum gso_kind {
	GSO_NONE,
	GSO_TCP4,
	GSO_TCP6,
};

/* What a virtio-net header says beside a frame (include/uapi/linux/virtio_net.h
 * of the kernel). Offsets count from the Ethernet header. All zero: a plain
 * frame with complete checksums. */
struct offload {
	bool csum_partial; /* the sum from csum_start on is still to be made and
			    * goes to csum_start + csum_offset */
	bool csum_valid;   /* inbound only: the kernel vouches for it */
	uint16_t csum_start;
	uint16_t csum_offset;
	enum gso_kind gso; /* not GSO_NONE: a super-frame */
	uint16_t gso_size; /* payload bytes of each segment */
	uint16_t hdr_len;  /* Ethernet, IP and TCP header together */
};

/* An outgoing Ethernet frame in pieces; the first iovec starts with the
 * Ethernet header. Lent for the call. */
struct frame {
	const struct iovec *iov;
	int iovcnt;
	size_t len; /* of all pieces */
	struct offload off;
};

/* Where frames go: the tap, a capture in front of it, a test's list. Embedded
 * in its owner. put() returns 0 or -errno; -errno means the frame is lost. */
struct frame_sink {
	int (*put)(struct frame_sink *sink, const struct frame *frame);
};

/* Most pieces that frame_sink.put() has to take. */
#define FRAME_IOV_MAX 64

/* Bytes that are left to read. */
struct view {
	const uint8_t *at;
	size_t left;
};

/* The next @len bytes, or NULL (and @v unchanged) if fewer are left. */
static inline const void *view_take(struct view *v, size_t len)
{
	const uint8_t *p = v->at;

	if (len > v->left)
		return NULL;
	v->at += len;
	v->left -= len;
	return p;
}

/* Sum of the bytes as big-endian 16-bit words on top of @sum, for the Internet
 * checksum (RFC 1071). An odd @len pads with zero: only the last piece may be
 * odd. */
uint32_t csum_add(uint32_t sum, const void *data, size_t len);
/* The same for all pieces of @iov from byte @skip on; any may be odd. */
uint32_t csum_add_iov(uint32_t sum, const struct iovec *iov, int iovcnt,
		      size_t skip);
/* The 16-bit checksum in host order, ready for put16(). */
uint16_t csum_fold(uint32_t sum);

static inline uint16_t get16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t get32(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	       (uint32_t)b[2] << 8 | b[3];
}

static inline void put16(void *p, uint16_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline void put32(void *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16((uint8_t *)p + 2, (uint16_t)v);
}

#endif
