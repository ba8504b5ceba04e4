/* A hash of bytes for the tables of pcap/, which hostile captures fill: with a
 * @seed that their makers cannot know. */
#ifndef PCAP_MIX_H
#define PCAP_MIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t mix_word(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

static inline uint64_t mix_bytes(uint64_t seed, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = mix_word(seed, len), word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mix_word(h, word);
	}
	word = 0;
	if (len)
		memcpy(&word, p, len);
	return mix_word(mix_word(h, word), seed);
}

#endif
