/* How packet_input() takes headers apart, family by family. Only for
 * packet*.c. */
#ifndef STACK_PACKET_PARSE_H
#define STACK_PACKET_PARSE_H

#include "stack/packet.h"

/* What follows the headers: an upper header with payload, or a fragment. */
struct packet_rest {
	struct view v;
	bool fragment;
	bool more;
	size_t offset;
	uint32_t id;
};

/* Counts @why and is false, for `return packet_drop(...)`. */
bool packet_drop(struct packet_layer *pl, enum count_reason why);

/* Reads the IP header at @v and what belongs to it. True with the header's part
 * of *@ret and *@ret_rest filled in; false if it was dropped (counted).
 * Addresses are not judged yet. */
bool packet4_parse(struct packet_layer *pl, struct view v, struct packet *ret,
		   struct packet_rest *ret_rest);
bool packet6_parse(struct packet_layer *pl, struct view v, struct packet *ret,
		   struct packet_rest *ret_rest);

/* Walks the extension headers that start with type @p->proto in the reassembled
 * payload of @p and moves @p behind them. False if it was dropped (counted). */
bool packet6_unwrap(struct packet_layer *pl, struct packet *p);

/* May the container send a packet with these addresses to the upper header of
 * @p? Counts if not. @whole: the upper header is there to look at. */
bool packet4_addresses_ok(struct packet_layer *pl, const struct packet *p,
			  bool whole);
bool packet6_addresses_ok(struct packet_layer *pl, const struct packet *p,
			  bool whole);

#endif
