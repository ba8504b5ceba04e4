/* What happened to frames and packets, counted by reason. A hostile container
 * is seen here and nowhere else: bad bytes are counted and dropped. */
#ifndef STACK_COUNT_H
#define STACK_COUNT_H

#include <stdint.h>

/* X(identifier, "name in statistics") */
#define COUNT_LIST(X)                                                          \
	X(FRAMES_IN, "frames_in")                                              \
	X(FRAMES_OUT, "frames_out")                                            \
	X(DROP_FRAME_SHORT, "drop_frame_short")                                \
	X(DROP_FRAME_LONG, "drop_frame_long")                                  \
	X(DROP_FRAME_MAC, "drop_frame_mac")                                    \
	X(DROP_ETHERTYPE, "drop_ethertype")                                    \
	X(DROP_OFFLOAD, "drop_offload")                                        \
	X(DROP_SINK, "drop_sink")                                              \
	X(DROP_ARP, "drop_arp")                                                \
	X(DROP_NDP, "drop_ndp")                                                \
	X(DROP_DHCP, "drop_dhcp")                                              \
	X(DROP_DHCP6, "drop_dhcp6")                                            \
	X(DROP_IP_HEADER, "drop_ip_header")                                    \
	X(DROP_IP_LENGTH, "drop_ip_length")                                    \
	X(DROP_IP_CSUM, "drop_ip_checksum")                                    \
	X(DROP_IP_OPTIONS, "drop_ip_options")                                  \
	X(DROP_IP_SOURCE, "drop_ip_source")                                    \
	X(DROP_IP_DEST, "drop_ip_destination")                                 \
	X(DROP_IP_PROTO, "drop_ip_protocol")                                   \
	X(DROP_IP_EXTHDR, "drop_ip_extension")                                 \
	X(DROP_FRAG_BAD, "drop_fragment_bad")                                  \
	X(DROP_FRAG_OVERLAP, "drop_fragment_overlap")                          \
	X(DROP_FRAG_TIMEOUT, "drop_fragment_timeout")                          \
	X(DROP_FRAG_LIMIT, "drop_fragment_limit")                              \
	X(DROP_L4_CSUM, "drop_l4_checksum")                                    \
	X(DROP_L4_LENGTH, "drop_l4_length")                                    \
	X(DROP_TCP_FLAGS, "drop_tcp_flags")                                    \
	X(DROP_TCP_OPTIONS, "drop_tcp_options")                                \
	X(DROP_TCP_WINDOW, "drop_tcp_window")                                  \
	X(DROP_ICMP, "drop_icmp")                                              \
	X(DROP_POLICY, "drop_policy")                                          \
	X(DROP_LIMIT, "drop_limit")                                            \
	X(DROP_MEMORY, "drop_memory")

enum count_reason {
#define COUNT_ENUM(id, name) COUNT_##id,
	COUNT_LIST(COUNT_ENUM)
#undef COUNT_ENUM
	COUNT_REASONS
};

struct counters {
	uint64_t v[COUNT_REASONS];
};

static inline void count(struct counters *c, enum count_reason why)
{
	c->v[why]++;
}

/* The name of @why in statistics, e.g. "drop_ip_checksum". */
const char *count_name(enum count_reason why);

#endif
