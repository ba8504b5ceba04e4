/* How conversations ended. */
#include "pcap/flows.h"

#include "stack/wire.h"

#include <assert.h>

static enum flows_end tcp_end(const struct flows_talk *t)
{
	const struct flows_way *w = t->way;

	if (w[0].fin && w[1].fin)
		return FLOWS_CLOSED;
	/* Without the SYN that answers, whatever else answers tells. */
	if (w[0].syn && !w[1].syn && w[1].frames == w[1].resets) {
		if (w[1].resets)
			return FLOWS_REFUSED;
		if (w[0].resets)
			return FLOWS_RESET;
		return t->unreachable ? FLOWS_UNREACHABLE : FLOWS_SILENT;
	}
	if (w[0].resets || w[1].resets)
		return FLOWS_RESET;
	return w[0].fin || w[1].fin ? FLOWS_HALF : FLOWS_OPEN;
}

enum flows_end flows_end_of(const struct flows_talk *t)
{
	if (t->proto == WIRE_PROTO_TCP)
		return tcp_end(t);
	if (t->way[0].frames && t->way[1].frames)
		return FLOWS_ANSWERED;
	return t->unreachable ? FLOWS_UNREACHABLE : FLOWS_SILENT;
}

const char *flows_end_name(enum flows_end end)
{
	static const char *const names[] = {
		[FLOWS_OPEN] = "open",
		[FLOWS_CLOSED] = "closed",
		[FLOWS_HALF] = "half-closed",
		[FLOWS_RESET] = "reset",
		[FLOWS_REFUSED] = "refused",
		[FLOWS_ANSWERED] = "answered",
		[FLOWS_SILENT] = "silent",
		[FLOWS_UNREACHABLE] = "unreachable",
	};

	static_assert(sizeof(names) / sizeof(names[0]) == FLOWS_UNREACHABLE + 1,
		      "a name for each");
	return names[end];
}
