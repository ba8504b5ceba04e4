/* lwIP's options. What is not here has lwIP's default; what is here has its
 * reason beside it. */
#ifndef PORT_LWIP_LWIPOPTS_H
#define PORT_LWIP_LWIPOPTS_H

/* One thread, no timers of lwIP's own: stack/engine.c ticks what is armed. */
#define NO_SYS              1
#define LWIP_TIMERS         0
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SINGLE_NETIF   1

/* Only TCP and UDP are used; the rest of the stack is ours (stack/). */
#define LWIP_IPV4           1
#define LWIP_IPV6           1
#define LWIP_TCP            1
#define LWIP_UDP            1
#define LWIP_RAW            0
#define LWIP_ICMP           0
#define LWIP_ICMP6          1 /* ip6.c calls it; never fed */
#define LWIP_IGMP           0
#define LWIP_ARP            0
#define LWIP_ETHERNET       0
#define LWIP_DHCP           0
#define LWIP_DNS            0
#define LWIP_AUTOIP         0
#define LWIP_ACD            0
#define LWIP_SOCKET         0
#define LWIP_NETCONN        0
#define LWIP_STATS          0
#define LWIP_IPV6_SCOPES    0 /* one link */
#define LWIP_IPV6_MLD       0
#define LWIP_IPV6_AUTOCONFIG 0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#define LWIP_ND6_ALLOW_RA_UPDATES 0
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0
#define LWIP_ND6_QUEUEING   0

/* Fragments are for stack/reass.c and stack/packet_out.c; without these lwIP
 * has no MTU check in the way of super-frames. */
#define IP_FRAG             0
#define IP_REASSEMBLY       0
#define IP_FORWARD          0
#define LWIP_IPV6_FRAG      0
#define LWIP_IPV6_REASS     0
#define IP_DEFAULT_TTL      64

/* Memory comes from libc, so that a sanitizer sees every overrun and nothing is
 * reserved that is not used. Limits are enforced by stack/stream.c. */
#define MEM_ALIGNMENT       8
#define MEM_LIBC_MALLOC     1
#define MEMP_MEM_MALLOC     1
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define PBUF_POOL_SIZE      1    /* not used */
#define PBUF_POOL_BUFSIZE   2048 /* the default does not fit its u16 */
#define PBUF_LINK_HLEN      0    /* the link header is its own iovec */

/* Segments as large as a tap of MTU 65520 or a super-frame takes. */
#define TCP_MSS             65480
#define LWIP_WND_SCALE      1
#define TCP_RCV_SCALE       7
#define TCP_WND             (4 * 1024 * 1024)
#define TCP_SND_BUF         (4 * 1024 * 1024)
#define TCP_SND_QUEUELEN    16384 /* pbufs */
#define TCP_OVERSIZE        0     /* no copies, so no tails to fill */
#define TCP_WND_UPDATE_THRESHOLD 16384 /* a peer without window scaling has 64
					* KiB in all and must hear of half */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1 /* they are for TCP_SNDLOWAT */

/* Loss happens where the tap's ring overflows, so order matters. Both limits
 * default to none. */
#define TCP_QUEUE_OOSEQ     1
#define TCP_OOSEQ_MAX_PBUFS 64
#define TCP_OOSEQ_MAX_BYTES (1024 * 1024)
#define LWIP_TCP_SACK_OUT   1
#define LWIP_TCP_TIMESTAMPS 0 /* lwIP uses them for nothing; 12 bytes each */

#define TCP_LISTEN_BACKLOG  0
#define SO_REUSE            0
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1 /* tells us when a PCB dies */

/* A tick of 100 ms gives an RTO floor of 200-300 ms, above Linux's longest
 * delayed ACK. TCP_MSL stays: 2 MSL of silence also ends LAST_ACK. */
#define TCP_TMR_INTERVAL    50
#define TCP_SLOW_INTERVAL   100
#define LWIP_TCP_RTO_TIME   1000
/* Each SYN waits twice as long as the one before (stack/engine.c), the last one
 * not at all: 127 seconds, as Linux waits. */
#define TCP_SYNMAXRTX       7

/* Inbound checksums are verified in stack/packet.c where the kernel does not
 * vouch for them; outbound ones are left to the tap (stack/link.c completes them
 * where it cannot). */
#define CHECKSUM_CHECK_IP   0
#define CHECKSUM_CHECK_TCP  0
#define CHECKSUM_CHECK_UDP  0
#define CHECKSUM_CHECK_ICMP6 0
#define CHECKSUM_GEN_IP     1
#define CHECKSUM_GEN_TCP    0
#define CHECKSUM_GEN_UDP    0
#define LWIP_CHECKSUM_ON_COPY 0

#define LWIP_HOOK_FILENAME  "hooks.h"

#endif
