/* UDP of the container, through lwIP's udp_input() and udp_sendto_if_src() with
 * one PCB that takes the shape of each datagram. */
#ifndef STACK_DGRAM_H
#define STACK_DGRAM_H

#include "stack/addr.h"

#include <stdbool.h>
#include <stddef.h>

struct engine;
struct packet;

/* A UDP datagram. Payload lent for the call. */
struct dgram {
	struct endpoint src, dst;
	uint8_t ttl; /* outwards: 0 means the default, 64 */
	uint8_t tos;
	bool dont_fragment; /* v4: DF; v6: it came unfragmented */
	const uint8_t *payload;
	size_t len; /* at most 65507 (v4), 65527 (v6) */
};

/* Takes a UDP packet that packet_input() let through; @deliver is called with
 * what it carries. */
void dgram_input(struct engine *e, const struct packet *p,
		 void (*deliver)(void *arg, const struct dgram *d), void *arg);
/* Sends @d to the container (fragmented if it must be). 0 or -errno. */
int dgram_send(struct engine *e, const struct dgram *d);

#endif
