/* A capture for `tapir replay`, made by a test: what a container and another
 * network's gateway said, with sequence numbers of that time. And what the
 * replay says to it. */
#ifndef TESTS_RECORDING_H
#define TESTS_RECORDING_H

#include "port/replay.h"
#include "tests/frames.h"
#include "tests/savefile.h"

/* Of the other gateway, which is not tapir's. */
extern const uint8_t recording_gateway_mac[WIRE_MAC_LEN];

struct recording {
	char *dir;
	FILE *file;
	char in[SAVEFILE_PATH], out[SAVEFILE_PATH];
	nsec_t now;   /* of the next frame */
	size_t snap;  /* bytes that are kept of the next; 0: all */
	unsigned fds; /* that were open at the start */
	/* of the last replay */
	char *said, *complained;
	int status;
	struct savefile sent; /* all frames of the output */
};

/* For cmocka: *state is the recording. The end proves that no file is open. */
int recording_setup(void **state);
int recording_teardown(void **state);

/* A frame as tests/frames.h built it: from the container, or with @mac as its
 * source and the container as its target. A millisecond passes behind it. */
void recording_from_container(struct recording *r, const struct frames_buf *b);
void recording_from_other(struct recording *r, struct frames_buf *b,
			  const uint8_t mac[WIRE_MAC_LEN]);
void recording_bytes(struct recording *r, const void *bytes, size_t len);

/* One TCP conversation: numbers count from its first ones. */
struct recording_talk {
	const char *container, *remote;
	uint16_t cport, rport;
	uint32_t cisn, risn;
};

/* @ack 0: none. A SYN is number 0, the first byte number 1. */
void recording_up(struct recording *r, const struct recording_talk *t,
		  uint8_t flags, uint32_t seq, uint32_t ack, const void *bytes,
		  size_t len);
void recording_down(struct recording *r, const struct recording_talk *t,
		    uint8_t flags, uint32_t seq, uint32_t ack,
		    const void *bytes, size_t len);

/* Replays what was recorded, to an output if @with_out; @host: a script, or
 * NULL. */
void recording_replay(struct recording *r, bool with_out, const char *host);
/* Asserts that the replay succeeded and said @line, among others. */
void recording_expect(const struct recording *r, const char *line);
/* TCP segments of the output from here to the container's port @cport, from the
 * @n-th on; NULL: there are no more. Asserts their checksums. */
struct frames_seen recording_segment(const struct recording *r, uint16_t cport,
				     unsigned n);

#endif
