#include "stack/guard.h"

#include "stack/frame.h"
#include "stack/wire.h"

#include <string.h>

/* RFC 9293 3.1, RFC 7323, RFC 2018 */
enum {
	OPT_END = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_MSS_LEN = 4,
	OPT_WSCALE = 3,
	OPT_WSCALE_LEN = 3,
	OPT_SACK_OK = 4,
	OPT_SACK_OK_LEN = 2,
};

static bool flags_make_sense(uint8_t flags)
{
	if (flags & WIRE_TCP_SYN)
		return !(flags & (WIRE_TCP_FIN | WIRE_TCP_RST));
	return flags & (WIRE_TCP_ACK | WIRE_TCP_RST);
}

static void clamp_mss(uint8_t *value)
{
	if (get16(value) < GUARD_MSS_MIN)
		put16(value, GUARD_MSS_MIN);
}

/* The option at @opt, of which at most @left bytes are there: how long it is,
 * 0 if it is malformed; *@ret_keep tells whether lwIP may see it. */
static size_t syn_option(uint8_t *opt, size_t left, bool *ret_keep)
{
	size_t len;

	*ret_keep = opt[0] == OPT_NOP;
	if (opt[0] == OPT_NOP)
		return 1;
	if (left < 2 || opt[1] < 2 || opt[1] > left)
		return 0;
	len = opt[1];
	*ret_keep = (opt[0] == OPT_MSS && len == OPT_MSS_LEN) ||
		    (opt[0] == OPT_WSCALE && len == OPT_WSCALE_LEN) ||
		    (opt[0] == OPT_SACK_OK && len == OPT_SACK_OK_LEN);
	if (*ret_keep && opt[0] == OPT_MSS)
		clamp_mss(opt + 2);
	return len;
}

static void clean_syn_options(uint8_t *opt, size_t left,
			      struct counters *counters)
{
	while (left > 0 && opt[0] != OPT_END) {
		bool keep;
		size_t len = syn_option(opt, left, &keep);

		if (len == 0) {
			count(counters, COUNT_DROP_TCP_OPTIONS);
			break;
		}
		if (!keep)
			memset(opt, OPT_NOP, len);
		opt += len;
		left -= len;
	}
	/* lwIP 2.2.1 reads one byte past an option whose kind comes last. */
	memset(opt, OPT_NOP, left);
}

bool guard_check(uint8_t *tcp, size_t len, struct counters *counters,
		 struct guard_segment *ret)
{
	struct wire_tcp *h = (struct wire_tcp *)tcp;
	struct guard_segment s = {
		.header = tcp,
		.len = len,
		.header_len = (size_t)(h->doff >> 4) * 4,
		.seq = get32(h->seq),
		.ack = get32(h->ack),
		.flags = h->flags,
	};
	size_t options;

	if (s.header_len < sizeof(*h) || s.header_len > len) {
		count(counters, COUNT_DROP_L4_LENGTH);
		return false;
	}
	if (!flags_make_sense(s.flags)) {
		count(counters, COUNT_DROP_TCP_FLAGS);
		return false;
	}
	options = s.header_len - sizeof(*h);
	if (s.flags & WIRE_TCP_SYN) {
		clean_syn_options(tcp + sizeof(*h), options, counters);
		s.len = s.header_len;
	} else {
		memset(tcp + sizeof(*h), OPT_NOP, options);
	}
	*ret = s;
	return true;
}

void guard_trim(struct guard_segment *s, uint32_t rcv_nxt, uint32_t rcv_wnd,
		struct counters *counters)
{
	struct wire_tcp *h = (struct wire_tcp *)s->header;
	size_t payload = s->len - s->header_len;
	bool fin = s->flags & WIRE_TCP_FIN;
	/* Sequence numbers are compared by the sign of their difference. */
	int32_t room = (int32_t)(rcv_nxt + rcv_wnd - s->seq);

	if (room < 0)
		room = 0;
	if (payload + fin <= (size_t)room)
		return;
	count(counters, COUNT_DROP_TCP_WINDOW);
	s->flags &= (uint8_t)~WIRE_TCP_FIN;
	h->flags = s->flags;
	if (payload > (size_t)room)
		s->len = s->header_len + (size_t)room;
}
