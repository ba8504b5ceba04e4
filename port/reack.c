#include "port/reack.h"

#include "stack/frame.h"

#include <string.h>

#define OPTION_END  0
#define OPTION_NOP  1
#define OPTION_SACK 5

/* Adds @by to the number at @at, and makes the checksum at @csum follow (RFC
 * 1624 eqn. 3; NULL: none). At an odd offset within the segment the bytes fall
 * into the other halves of the words that are summed. */
static void shift(uint8_t *at, uint32_t by, bool odd, uint8_t *csum)
{
	uint8_t before[6] = {0}, after[6] = {0};
	uint32_t sum;

	memcpy(before + odd, at, 4);
	put32(at, get32(at) + by);
	memcpy(after + odd, at, 4);
	if (!csum)
		return;
	sum = (uint16_t)~get16(csum);
	for (size_t i = 0; i < sizeof(before); i += 2)
		sum += (uint16_t)~get16(before + i) +
		       (uint32_t)get16(after + i);
	put16(csum, csum_fold(sum));
}

/* The blocks of one SACK option of @len bytes at @option. */
static void shift_blocks(uint8_t *option, size_t len, uint32_t by,
			 const uint8_t *segment, uint8_t *csum)
{
	for (size_t at = 2; at + 4 <= len; at += 4)
		shift(option + at, by, (option + at - segment) & 1, csum);
}

void reack_segment(const struct dissect *d, uint32_t by, bool open)
{
	/* of a frame that the caller lent for writing */
	uint8_t *segment = (uint8_t *)(uintptr_t)d->l4;
	uint8_t *o = segment + sizeof(struct wire_tcp);
	uint8_t *csum = open ? NULL : segment + offsetof(struct wire_tcp, csum);
	size_t left = d->options_len;

	if (by == 0)
		return;
	shift(segment + offsetof(struct wire_tcp, ack), by, false, csum);
	while (left > 1 && o[0] != OPTION_END) {
		size_t len = o[0] == OPTION_NOP ? 1 : o[1];

		if (len == 0 || len > left || (o[0] != OPTION_NOP && len < 2))
			return;
		if (o[0] == OPTION_SACK)
			shift_blocks(o, len, by, segment, csum);
		o += len;
		left -= len;
	}
}

void reack_quote(const struct dissect *icmp, const struct dissect *quote,
		 uint32_t by)
{
	uint8_t *message = (uint8_t *)(uintptr_t)icmp->l4;
	uint8_t *segment = message + (quote->l4 - icmp->l4);

	if (by != 0)
		shift(segment + offsetof(struct wire_tcp, seq), by, false,
		      message + offsetof(struct wire_icmp, csum));
}
