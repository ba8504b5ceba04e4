/* The tap device as a source and a sink of frames: virtio-net header on and
 * off, and what the kernel lets us offload. tun(4),
 * Documentation/networking/tuntap.rst and include/uapi/linux/virtio_net.h of
 * the kernel. */
#ifndef TAPDEV_TAPDEV_H
#define TAPDEV_TAPDEV_H

#include "stack/chunk.h"
#include "stack/fail.h"
#include "stack/frame.h"
#include "stack/wire.h"

#include <sys/types.h>

struct tapdev {
	struct frame_sink sink; /* to the container */
	int fd;                 /* owned; -1: closed */
	size_t hdr_len;         /* of the virtio-net header; 0: there is none */
	bool offload;           /* partial checksums and super-frames pass */
};

/* Takes over @fd, a tap (attached by netns_open(), or handed in). Finds out
 * by TUNGETIFF what headers it carries, sets TUNSETOFFLOAD and the header size
 * where it can, and non-blocking mode. 0 or -errno; the fd is not closed on
 * failure. */
int tapdev_open(struct tapdev *t, int fd, struct fail *why);
/* As tapdev_open() for a descriptor that keeps frame edges but is no tap, a
 * SOCK_SEQPACKET socket: frames carry a header of 10 bytes if @vnet. */
int tapdev_open_packets(struct tapdev *t, int fd, bool vnet, struct fail *why);
void tapdev_close(struct tapdev *t);

/* The MAC that the device has inside the container (SIOCGIFHWADDR of tun(4)):
 * where frames to it go before it sent one. False where it cannot be told. */
bool tapdev_mac(const struct tapdev *t, uint8_t ret[WIRE_MAC_LEN]);

/* One frame from the container into @c, which has CHUNK_ROOM: *@ret_start is
 * where its Ethernet header lies in c->data (so that the IP header is aligned to
 * 4 bytes), *@ret_off what the header said. The frame's length; 0 if what was
 * read is no frame (cut off, header lies); -EAGAIN when there is none; another
 * -errno when the device is gone. */
ssize_t tapdev_read(struct tapdev *t, struct chunk *c, size_t *ret_start,
		    struct offload *ret_off);

#endif
