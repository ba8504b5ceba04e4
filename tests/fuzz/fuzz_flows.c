/* A capture as it may come from anywhere: frames of any bytes, cut off anywhere,
 * at any time. Input: frames, each with a head of flags, its length in two bytes,
 * and a byte that says how much longer it was on the wire. */
#include "pcap/flows.h"

#include "stack/frame.h"
#include "stack/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define IS_IPV4 0x01 /* else what the frame says */
#define IS_IPV6 0x02
#define BACK    0x04 /* time runs backwards */

/* Of its own size, where a read too far is seen. */
static void give(struct flows *f, const uint8_t *head, const uint8_t *bytes,
		 size_t len, nsec_t *now)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		return;
	if (len)
		memcpy(copy, bytes, len);
	if (len >= 14 && head[0] & IS_IPV4)
		put16(copy + 12, WIRE_ETH_IPV4);
	else if (len >= 14 && head[0] & IS_IPV6)
		put16(copy + 12, WIRE_ETH_IPV6);
	*now += (head[0] & BACK ? -1 : 1) * NSEC_PER_SEC * head[3];
	flows_add(f,
		  &(struct source_frame){.when = *now,
					 .bytes = copy,
					 .have = len,
					 .len = len + (size_t)head[3] * 300});
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct view in = {data, len};
	struct flows *f = flows_new(1);
	const struct flows_talk *const *talks;
	const uint8_t *head;
	nsec_t now = 0;
	size_t count;

	if (!f)
		return 0;
	while ((head = view_take(&in, 4)) != NULL) {
		size_t n = get16(head + 1);

		if (n > in.left)
			n = in.left;
		give(f, head, view_take(&in, n), n, &now);
	}
	talks = flows_sort(f, &count);
	for (size_t i = 0; talks && i < count; i++) {
		assert(talks[i]->last >= talks[i]->first);
		assert(flows_end_name(flows_end_of(talks[i])));
	}
	flows_free(f);
	return 0;
}
