/* `tapir replay` on a hostile capture. The first byte of the input says how, the
 * rest is the capture. Flags mend what a fuzzer does not find by chance: the
 * checksums of frames. */
#include "pcap/dissect.h"
#include "port/replay.h"
#include "stack/frame.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEND_CSUMS  0x01
#define BY_SCRIPT   0x02
#define WHOLE_FRAME 0x04
#define SMALL_MTU   0x08

#define FILE_HEADER   24
#define RECORD_HEADER 16
#define LENGTH_AT     8

static const char script[] = "tcp *:80 wait 5, send 70000, close\n"
			     "tcp *:81 after 500, refuse\n"
			     "tcp *:82 after 90000, send 9, reset\n"
			     "udp *:9 refuse\n"
			     "ping * drop\n"
			     "tcp * echo\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint32_t little32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[1] << 8 | p[0];
}

static uint32_t pseudo(const struct dissect *d)
{
	bool v4 = addr_is_v4(&d->src);
	uint32_t sum = 0;

	if (d->proto == WIRE_PROTO_ICMP)
		return 0;
	sum = csum_add(sum, d->src.s6_addr + (v4 ? 12 : 0), v4 ? 4 : 16);
	sum = csum_add(sum, d->dst.s6_addr + (v4 ? 12 : 0), v4 ? 4 : 16);
	return sum + d->proto + (uint32_t)d->l4_len;
}

static void mend_frame(uint8_t *frame, size_t len)
{
	struct dissect d;
	uint8_t *l4;
	size_t at;

	if (!dissect_frame(frame, len, &d) || !d.ip || d.fragment)
		return;
	l4 = frame + (d.l4 - frame);
	if (d.ethertype == WIRE_ETH_IPV4) {
		put16(frame + WIRE_ETH_LEN + 10, 0);
		put16(frame + WIRE_ETH_LEN + 10,
		      csum_fold(csum_add(0, frame + WIRE_ETH_LEN,
					 (size_t)(l4 - frame) - WIRE_ETH_LEN)));
	}
	at = d.proto == WIRE_PROTO_TCP   ? offsetof(struct wire_tcp, csum)
	     : d.proto == WIRE_PROTO_UDP ? offsetof(struct wire_udp, csum)
					 : offsetof(struct wire_icmp, csum);
	if (d.l4_len < at + 2)
		return;
	put16(l4 + at, 0);
	put16(l4 + at, csum_fold(csum_add(pseudo(&d), l4, d.l4_len)));
}

static void mend(uint8_t *file, size_t len)
{
	size_t at = FILE_HEADER;

	while (at + RECORD_HEADER <= len) {
		uint32_t have = little32(file + at + LENGTH_AT);

		at += RECORD_HEADER;
		if (have > len - at)
			return;
		mend_frame(file + at, have);
		at += have;
	}
}

/* A file of these bytes; its path is in @path. */
static int make_file(const void *bytes, size_t len, char path[32])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || (len && write(fd, bytes, len) != (ssize_t)len))
		abort();
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char in[32], host[32];
	uint8_t flags = len ? data[0] : 0;
	uint8_t *copy = malloc(len + 1);
	FILE *nowhere = fopen("/dev/null", "w");
	struct replay_config config = {
		.net4 = addr_from_v4(0x0a000200),
		.bits4 = 24,
		.mtu = flags & SMALL_MTU ? 1500 : 65520,
		.in = in,
		.out = flags & WHOLE_FRAME ? "/dev/null" : NULL,
		.host = flags & BY_SCRIPT ? host : NULL,
	};
	int fd_in, fd_host;

	if (!copy || !nowhere)
		abort();
	len -= len > 0;
	memcpy(copy, data + 1, len);
	if (flags & MEND_CSUMS)
		mend(copy, len);
	fd_in = make_file(copy, len, in);
	fd_host = make_file(script, sizeof(script) - 1, host);
	replay_run(&config, nowhere, nowhere);
	close(fd_in);
	close(fd_host);
	fclose(nowhere);
	free(copy);
	return 0;
}
