/* SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash, so that a container
 * cannot choose addresses and ports that all fall into one bucket, nor guess
 * sequence numbers. */
#ifndef STACK_SIPHASH_H
#define STACK_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *data, size_t len);

#endif
