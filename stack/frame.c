#include "stack/frame.h"

#include <string.h>

/* Two words at once: plain C that compilers turn into vector instructions. */
typedef uint64_t lanes __attribute__((vector_size(16)));

/* Sum of the 32-bit words in host order, for a multiple of 32 bytes. Each half
 * of a lane has a sum of its own, which therefore never overflows. */
static uint64_t sum_blocks(const uint8_t *p, size_t len)
{
	const lanes low = {UINT32_MAX, UINT32_MAX};
	lanes even = {0}, odd = {0}, even2 = {0}, odd2 = {0};
	lanes w[2];

	for (; len > 0; len -= sizeof(w), p += sizeof(w)) {
		memcpy(w, p, sizeof(w));
		even += w[0] & low;
		odd += w[0] >> 32;
		even2 += w[1] & low;
		odd2 += w[1] >> 32;
	}
	even += even2 + odd + odd2;
	return even[0] + even[1];
}

/* Words are summed in host order in 64 bits and swapped once at the end, which
 * the one's complement sum allows (RFC 1071 section 2 (B)). */
uint32_t csum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t blocks = len - len % (2 * sizeof(lanes));
	uint64_t acc = sum_blocks(p, blocks);
	uint32_t word;
	uint16_t half;

	p += blocks;
	len -= blocks;
	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		acc += word;
	}
	if (len >= sizeof(half)) {
		memcpy(&half, p, sizeof(half));
		acc += half;
		p += sizeof(half);
		len -= sizeof(half);
	}
	if (len) {
		uint8_t last[2] = {*p, 0};

		memcpy(&half, last, sizeof(half));
		acc += half;
	}
	while (acc >> 16)
		acc = (acc & 0xffff) + (acc >> 16);
	half = (uint16_t)acc;
	sum += get16(&half);
	return (sum & 0xffff) + (sum >> 16);
}

uint32_t csum_add_iov(uint32_t sum, const struct iovec *iov, int iovcnt,
		      size_t skip)
{
	bool odd = false;

	for (int i = 0; i < iovcnt; i++) {
		const uint8_t *p = iov[i].iov_base;
		size_t len = iov[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		p += skip;
		len -= skip;
		skip = 0;
		/* The piece before ended in the middle of a word. */
		if (odd) {
			sum += *p++;
			len--;
		}
		sum = csum_add(sum, p, len);
		odd = len & 1;
	}
	return sum;
}

uint16_t csum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
