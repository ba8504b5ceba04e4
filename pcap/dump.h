/* A pcap file being written, by libpcap: Ethernet, nanoseconds. Records wait in
 * memory until dump_flush(); a reader that is too slow loses some, which is
 * counted, and never holds up the caller, unless that is wanted. One thread. */
#ifndef PCAP_DUMP_H
#define PCAP_DUMP_H

#include "stack/fail.h"
#include "stack/nsec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dump;

/* What waits at most; beyond it records are dropped. */
#define DUMP_BUFFER (4u << 20)

struct dump_config {
	const char *path;   /* "-": stdout */
	const char *filter; /* pcap-filter(7); NULL: everything. From the first
			     * on, this process finds names of hosts and
			     * networks in files only: DNS takes its time */
	unsigned snaplen;   /* bytes of a frame that are kept; 0: all */
	uint64_t size;      /* a file with more bytes is followed by the next,
			     * as tcpdump's -C; 0: never */
	unsigned files;     /* with size: how many there are at most, the oldest
			     * is written over, as tcpdump's -W; 0: no limit */
	bool patient;       /* wait for a slow reader: nothing is dropped */
};

struct dump_stats {
	uint64_t frames;  /* written, or waiting to be */
	uint64_t bytes;   /* of files, so far */
	uint64_t dropped; /* did not fit into the buffer, or on a full disk */
};

/* Opens the (first) file and writes its header. NULL with the reason: a filter
 * that does not compile, a file that cannot be made. @c is not kept. */
struct dump *dump_open(const struct dump_config *c, struct fail *why);
/* Without waiting: what still waits is lost. Accepts NULL. */
void dump_close(struct dump *d);

/* How much of a frame dump_put() wants to see: the snap length, or more if there
 * is a filter that looks further. */
size_t dump_room(const struct dump *d);
/* One frame of @len bytes of which @have are at @bytes, seen at @when since
 * 1970. Dropped, or filtered out, it is no error. 0, or -errno once the output
 * has failed (-EPIPE, -ENOSPC, ...), with dump_error(). */
int dump_put(struct dump *d, nsec_t when, const uint8_t *bytes, size_t have,
	     size_t len);
/* Does anything wait for dump_flush()? */
bool dump_waiting(const struct dump *d);
/* Writes what the output takes without waiting. As dump_put(). */
int dump_flush(struct dump *d);
/* The same after waiting for the output, @ms at most. */
int dump_wait(struct dump *d, int ms);

struct dump_stats dump_stats(const struct dump *d);
/* Why the output failed, in words with the file's name. */
const char *dump_error(const struct dump *d);

#endif
