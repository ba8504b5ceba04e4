#include "pcap/trace.h"

#include "pcap/dissect.h"
#include "stack/frame.h"

#include <string.h>

static const char *protocol(uint8_t proto)
{
	switch (proto) {
	case WIRE_PROTO_TCP:
		return "tcp";
	case WIRE_PROTO_UDP:
		return "udp";
	case WIRE_PROTO_ICMP:
		return "icmp";
	case WIRE_PROTO_ICMPV6:
		return "icmpv6";
	default:
		return "protocol";
	}
}

/* "SA" for SYN and ACK, ... */
static const char *flags_text(uint8_t flags, char buf[9])
{
	static const char letters[] = "FSRPAUEC";
	int n = 0;

	for (int i = 0; letters[i]; i++) {
		if (flags & 1u << i)
			buf[n++] = letters[i];
	}
	buf[n] = '\0';
	return buf;
}

static void end_text(const struct dissect *d, bool src, char *buf)
{
	struct endpoint e = {src ? d->src : d->dst, src ? d->sport : d->dport};

	if (d->ports)
		endpoint_format(&e, buf);
	else
		addr_format(&e.addr, buf);
}

static void print_ip(FILE *to, const struct dissect *d)
{
	char src[ENDPOINT_STRLEN], dst[ENDPOINT_STRLEN], flags[9];

	end_text(d, true, src);
	end_text(d, false, dst);
	fprintf(to, "%s %s -> %s", protocol(d->proto), src, dst);
	if (d->fragment)
		fprintf(to, " fragment at %u", (unsigned)d->frag_at);
	else if (d->tcp)
		fprintf(to, " %s seq %lu ack %lu", flags_text(d->flags, flags),
			(unsigned long)d->seq, (unsigned long)d->ack);
	else if (!d->ports && d->l4_len >= 2)
		fprintf(to, " type %u code %u", (unsigned)d->l4[0],
			(unsigned)d->l4[1]);
}

void trace_frame(FILE *to, bool from_container, const uint8_t *bytes,
		 size_t have, size_t len)
{
	struct dissect d;

	fputs(from_container ? "> " : "< ", to);
	if (!dissect_frame(bytes, have, &d))
		fputs("less than a frame", to);
	else if (d.ip)
		print_ip(to, &d);
	else if (d.ethertype == WIRE_ETH_ARP)
		fputs("arp", to);
	else
		fprintf(to, "ethertype 0x%04x", (unsigned)d.ethertype);
	fprintf(to, ", %zu bytes\n", len);
}
