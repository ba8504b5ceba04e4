/* Names of addresses, learned from DNS answers that a capture holds. */
#ifndef PCAP_NAMES_H
#define PCAP_NAMES_H

#include "stack/addr.h"

struct names;

/* Addresses that are remembered at most, and bytes of all names. */
#define NAMES_MAX       65536
#define NAMES_BYTES_MAX (16u << 20)
/* The longest name as text, with NUL: 255 bytes, each perhaps as \DDD. */
#define NAMES_TEXT 1024

/* NULL without memory. @seed is one that the capture's maker does not know. */
struct names *names_new(uint64_t seed);
void names_free(struct names *n); /* accepts NULL */
/* Takes a DNS message, RFC 1035 4.1; what is no good answer is ignored. Its
 * addresses get the name that was asked for, not those of the aliases that led
 * to them. A name that reads like an address is none. */
void names_learn(struct names *n, const uint8_t *msg, size_t len);
/* In lower case, printable ASCII only, good until names_free(); NULL: none. A
 * later answer overrides. */
const char *names_find(const struct names *n, const struct in6_addr *addr);

#endif
