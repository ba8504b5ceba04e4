#include "tapdev/tapdev.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* The header without the field for merged buffers, which a tap never has. With
 * 10 bytes before it in a buffer aligned to 4, the IP header is aligned. */
#define VNET_LEN sizeof(struct virtio_net_hdr)

/* Fields are in host order: TUNSETVNETLE is never used on our taps. */
static void write_vnet(struct virtio_net_hdr *h, const struct offload *off)
{
	*h = (struct virtio_net_hdr){0};
	if (off->csum_partial) {
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = off->csum_start;
		h->csum_offset = off->csum_offset;
	}
	if (off->gso == GSO_NONE)
		return;
	h->gso_type = off->gso == GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4
					   : VIRTIO_NET_HDR_GSO_TCPV6;
	h->gso_size = off->gso_size;
	h->hdr_len = off->hdr_len;
}

static bool read_gso(const struct virtio_net_hdr *h, struct offload *off)
{
	/* With ECN set the kernel says only that CWR is in the first segment,
	 * which is as the TCP header has it anyway. */
	switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		off->gso = GSO_TCP4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		off->gso = GSO_TCP6;
		break;
	default:
		return false; /* not asked for by TUNSETOFFLOAD */
	}
	off->gso_size = h->gso_size;
	off->hdr_len = h->hdr_len;
	return h->gso_size > 0;
}

/* False if @h promises what a frame of @len bytes cannot hold. */
static bool read_vnet(const struct virtio_net_hdr *h, size_t len,
		      struct offload *off)
{
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (h->csum_start < WIRE_ETH_LEN ||
		    (size_t)h->csum_start + h->csum_offset + 2 > len)
			return false;
		off->csum_partial = true;
		off->csum_start = h->csum_start;
		off->csum_offset = h->csum_offset;
	}
	off->csum_valid = (h->flags & VIRTIO_NET_HDR_F_DATA_VALID) != 0;
	if (!read_gso(h, off))
		return false;
	/* The kernel may count bytes of payload that lie in the same buffer. */
	if (off->hdr_len > len)
		off->hdr_len = (uint16_t)len;
	return true;
}

static int put(struct frame_sink *sink, const struct frame *frame)
{
	struct tapdev *t = (struct tapdev *)sink;
	uint8_t hdr[sizeof(struct virtio_net_hdr_mrg_rxbuf)] = {0};
	struct iovec iov[FRAME_IOV_MAX + 1];
	struct virtio_net_hdr vnet;
	int n = 0;

	assert(frame->iovcnt <= FRAME_IOV_MAX);
	assert(t->offload ||
	       (!frame->off.csum_partial && frame->off.gso == GSO_NONE));
	if (t->hdr_len) {
		write_vnet(&vnet, &frame->off);
		memcpy(hdr, &vnet, sizeof(vnet));
		iov[n++] = (struct iovec){hdr, t->hdr_len};
	}
	memcpy(iov + n, frame->iov, (size_t)frame->iovcnt * sizeof(*iov));
	n += frame->iovcnt;
	return writev(t->fd, iov, n) < 0 ? -errno : 0;
}

static void set_up(struct tapdev *t, int fd)
{
	/* put() finds its tapdev by it */
	_Static_assert(offsetof(struct tapdev, sink) == 0, "sink comes first");
	*t = (struct tapdev){.sink.put = put, .fd = fd};
}

static int set_nonblocking(int fd, struct fail *why)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return fail_errno(why, "tap descriptor %d", fd);
	return 0;
}

/* 10 bytes, or whatever the kernel insists on; 0 if neither is known. */
static size_t agree_on_header(int fd)
{
	int len = (int)VNET_LEN;

	if (ioctl(fd, TUNSETVNETHDRSZ, &len) == 0)
		return VNET_LEN;
	if (ioctl(fd, TUNGETVNETHDRSZ, &len) == 0 &&
	    (len == (int)VNET_LEN ||
	     len == (int)sizeof(struct virtio_net_hdr_mrg_rxbuf)))
		return (size_t)len;
	return 0;
}

int tapdev_open(struct tapdev *t, int fd, struct fail *why)
{
	struct ifreq ifr = {0};
	int err;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return fail_errno(why, "descriptor %d is no tap device", fd);
	if ((ifr.ifr_flags & (IFF_TAP | IFF_NO_PI)) != (IFF_TAP | IFF_NO_PI))
		return fail_set(why, -EINVAL,
				"descriptor %d: want a device opened with "
				"IFF_TAP and IFF_NO_PI",
				fd);
	err = set_nonblocking(fd, why);
	if (err < 0)
		return err;
	set_up(t, fd);
	if (!(ifr.ifr_flags & IFF_VNET_HDR))
		return 0;
	t->hdr_len = agree_on_header(fd);
	if (t->hdr_len == 0)
		return fail_set(why, -EINVAL,
				"descriptor %d: virtio-net header of a size "
				"that is not known",
				fd);
	t->offload = ioctl(fd, TUNSETOFFLOAD,
			   TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0;
	return 0;
}

int tapdev_open_packets(struct tapdev *t, int fd, bool vnet, struct fail *why)
{
	int err = set_nonblocking(fd, why);

	if (err < 0)
		return err;
	set_up(t, fd);
	t->hdr_len = vnet ? VNET_LEN : 0;
	t->offload = vnet;
	return 0;
}

void tapdev_close(struct tapdev *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

bool tapdev_mac(const struct tapdev *t, uint8_t ret[WIRE_MAC_LEN])
{
	static const uint8_t none[WIRE_MAC_LEN];
	struct ifreq ifr = {0};

	/* Without a name, which a tap knows and a socket would have to be
	 * told. */
	if (ioctl(t->fd, SIOCGIFHWADDR, &ifr) < 0 ||
	    memcmp(ifr.ifr_hwaddr.sa_data, none, sizeof(none)) == 0)
		return false;
	memcpy(ret, ifr.ifr_hwaddr.sa_data, WIRE_MAC_LEN);
	return true;
}

ssize_t tapdev_read(struct tapdev *t, struct chunk *c, size_t *ret_start,
		    struct offload *ret_off)
{
	/* Ethernet at an address of 2 modulo 4 puts IP at one of 0. */
	size_t pad = (2 - (uintptr_t)c->data - t->hdr_len) & 3;
	size_t room = c->room - pad;
	struct virtio_net_hdr vnet = {0};
	struct offload off = {0};
	ssize_t n = read(t->fd, c->data + pad, room);
	size_t len;

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return -EIO; /* a socket's end; a tap never gives it */
	/* What fills all the room has been cut off: the kernel does not say. */
	if ((size_t)n <= t->hdr_len || (size_t)n == room)
		return 0;
	len = (size_t)n - t->hdr_len;
	if (t->hdr_len) {
		memcpy(&vnet, c->data + pad, sizeof(vnet));
		if (!read_vnet(&vnet, len, &off))
			return 0;
	}
	*ret_start = pad + t->hdr_len;
	*ret_off = off;
	return (ssize_t)len;
}
