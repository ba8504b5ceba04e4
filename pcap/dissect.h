/* A captured Ethernet frame taken apart, trusting nothing: what is not there or
 * does not fit is not shown. For reading captures, not for the data path. */
#ifndef PCAP_DISSECT_H
#define PCAP_DISSECT_H

#include "stack/addr.h"
#include "stack/wire.h"

/* Pointers go into the frame. */
struct dissect {
	const struct wire_eth *eth;
	uint16_t ethertype;
	bool ip;                  /* src to l4_said are set */
	struct in6_addr src, dst; /* v4 mapped */
	uint8_t proto;            /* WIRE_PROTO_*, after extension headers */
	bool fragment;            /* of a packet: then l4 is not looked at */
	uint16_t frag_at;         /* the fragment's place, in bytes */
	uint32_t frag_id;
	const uint8_t *l4;
	size_t l4_len;  /* as the IP header says, and as far as captured */
	size_t l4_said; /* as the IP header says */

	/* TCP and UDP, if the whole header is there */
	bool ports;
	uint16_t sport, dport;
	const uint8_t *payload;
	size_t payload_len;
	/* TCP */
	const struct wire_tcp *tcp;
	uint32_t seq, ack;
	uint8_t flags;
	const uint8_t *options;
	size_t options_len;
};

/* False if there is not even an Ethernet header. */
bool dissect_frame(const uint8_t *bytes, size_t len, struct dissect *ret);
/* The packet that an IP header without Ethernet begins, as ICMP errors quote
 * one: eth is NULL, @len may be cut off anywhere. False if it is no IP. */
bool dissect_quote(const uint8_t *bytes, size_t len, struct dissect *ret);

#endif
