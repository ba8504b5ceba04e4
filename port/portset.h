/* A set of port numbers. */
#ifndef PORT_PORTSET_H
#define PORT_PORTSET_H

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialise: empty. */
struct portset {
	uint64_t bits[(UINT16_MAX + 1) / 64];
};

void portset_add(struct portset *s, uint16_t first, uint16_t last);
bool portset_has(const struct portset *s, uint16_t port);
/* The first run of ports from @first to @last that are not in the set; false if
 * all are. */
bool portset_gap(const struct portset *s, uint16_t first, uint16_t last,
		 uint16_t *ret_first, uint16_t *ret_last);

/* Adds the ports that the kernel hands out to whoever asks for none:
 * net.ipv4.ip_local_port_range, which counts for IPv6 too, or what it is by
 * default if it cannot be read. */
void portset_add_ephemeral(struct portset *s);

#endif
