/* Headers as they lie on the wire: byte arrays only, so that any alignment
 * does and every access goes through get16() and friends. Big-endian. */
#ifndef STACK_WIRE_H
#define STACK_WIRE_H

#include <stdint.h>

#define WIRE_ETH_LEN  14
#define WIRE_ETH_IPV4 0x0800
#define WIRE_ETH_ARP  0x0806
#define WIRE_ETH_IPV6 0x86dd
#define WIRE_MAC_LEN  6

struct wire_eth {
	uint8_t dst[WIRE_MAC_LEN];
	uint8_t src[WIRE_MAC_LEN];
	uint8_t type[2];
};

/* RFC 791 */
struct wire_ip4 {
	uint8_t ver_ihl;
	uint8_t tos;
	uint8_t tot_len[2];
	uint8_t id[2];
	uint8_t frag[2]; /* flags and offset in units of 8 bytes */
	uint8_t ttl;
	uint8_t proto;
	uint8_t csum[2];
	uint8_t src[4];
	uint8_t dst[4];
};
#define WIRE_IP4_DF   0x4000
#define WIRE_IP4_MF   0x2000
#define WIRE_IP4_OFFS 0x1fff

/* RFC 8200 */
struct wire_ip6 {
	uint8_t ver_tc_flow[4];
	uint8_t payload_len[2];
	uint8_t next;
	uint8_t hop_limit;
	uint8_t src[16];
	uint8_t dst[16];
};

/* RFC 9293 */
struct wire_tcp {
	uint8_t sport[2];
	uint8_t dport[2];
	uint8_t seq[4];
	uint8_t ack[4];
	uint8_t doff; /* header length in units of 4 bytes, upper half */
	uint8_t flags;
	uint8_t wnd[2];
	uint8_t csum[2];
	uint8_t urg[2];
};
#define WIRE_TCP_FIN 0x01
#define WIRE_TCP_SYN 0x02
#define WIRE_TCP_RST 0x04
#define WIRE_TCP_PSH 0x08
#define WIRE_TCP_ACK 0x10
#define WIRE_TCP_URG 0x20

/* RFC 768 */
struct wire_udp {
	uint8_t sport[2];
	uint8_t dport[2];
	uint8_t len[2];
	uint8_t csum[2];
};

/* RFC 792, RFC 4443: echo, and errors with @rest as unused/MTU/pointer. */
struct wire_icmp {
	uint8_t type;
	uint8_t code;
	uint8_t csum[2];
	uint8_t rest[4]; /* echo: identifier, sequence number */
};

#define WIRE_PROTO_ICMP   1
#define WIRE_PROTO_TCP    6
#define WIRE_PROTO_UDP    17
#define WIRE_PROTO_ICMPV6 58

#endif
