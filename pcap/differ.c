/* A table says which fields a header has; what no field covers is told by the
 * first byte that differs. */
#include "pcap/differ.h"

#include "pcap/dissect.h"
#include "stack/frame.h"

#include <arpa/inet.h>
#include <string.h>

enum layer {
	ETH,
	ARP,
	IP4,
	IP6,
	TCP,
	UDP,
	ICMP,
	LAYERS
};

enum style {
	NUMBER,
	HEX,
	MAC,
	ADDR4,
	ADDR6
};

struct field {
	enum layer layer;
	const char *name;
	uint8_t at, size;
	enum style style;
};

static const struct field fields[] = {
	{ETH, "eth.dst", 0, 6, MAC},         {ETH, "eth.src", 6, 6, MAC},
	{ETH, "eth.type", 12, 2, HEX},       {ARP, "arp.op", 6, 2, NUMBER},
	{ARP, "arp.sender-mac", 8, 6, MAC},  {ARP, "arp.sender", 14, 4, ADDR4},
	{ARP, "arp.target-mac", 18, 6, MAC}, {ARP, "arp.target", 24, 4, ADDR4},
	{IP4, "ip.tos", 1, 1, HEX},          {IP4, "ip.len", 2, 2, NUMBER},
	{IP4, "ip.id", 4, 2, HEX},           {IP4, "ip.frag", 6, 2, HEX},
	{IP4, "ip.ttl", 8, 1, NUMBER},       {IP4, "ip.proto", 9, 1, NUMBER},
	{IP4, "ip.checksum", 10, 2, HEX},    {IP4, "ip.src", 12, 4, ADDR4},
	{IP4, "ip.dst", 16, 4, ADDR4},       {IP6, "ip6.class+flow", 0, 4, HEX},
	{IP6, "ip6.len", 4, 2, NUMBER},      {IP6, "ip6.next", 6, 1, NUMBER},
	{IP6, "ip6.hops", 7, 1, NUMBER},     {IP6, "ip6.src", 8, 16, ADDR6},
	{IP6, "ip6.dst", 24, 16, ADDR6},     {TCP, "tcp.sport", 0, 2, NUMBER},
	{TCP, "tcp.dport", 2, 2, NUMBER},    {TCP, "tcp.seq", 4, 4, NUMBER},
	{TCP, "tcp.ack", 8, 4, NUMBER},      {TCP, "tcp.header", 12, 1, HEX},
	{TCP, "tcp.flags", 13, 1, HEX},      {TCP, "tcp.window", 14, 2, NUMBER},
	{TCP, "tcp.checksum", 16, 2, HEX},   {UDP, "udp.sport", 0, 2, NUMBER},
	{UDP, "udp.dport", 2, 2, NUMBER},    {UDP, "udp.len", 4, 2, NUMBER},
	{UDP, "udp.checksum", 6, 2, HEX},    {ICMP, "icmp.type", 0, 1, NUMBER},
	{ICMP, "icmp.code", 1, 1, NUMBER},   {ICMP, "icmp.checksum", 2, 2, HEX},
	{ICMP, "icmp.rest", 4, 4, HEX},
};

/* Where each layer of a frame begins; NULL: it has none. */
struct layers {
	const uint8_t *at[LAYERS];
	const uint8_t *end;
};

static struct layers find_layers(const struct differ_frame *f)
{
	struct layers l = {.end = f->bytes + f->len};
	struct dissect d;

	if (!dissect_frame(f->bytes, f->len, &d))
		return l;
	l.at[ETH] = f->bytes;
	if (d.ethertype == WIRE_ETH_ARP)
		l.at[ARP] = f->bytes + WIRE_ETH_LEN;
	if (!d.ip)
		return l;
	l.at[d.ethertype == WIRE_ETH_IPV4 ? IP4 : IP6] =
		f->bytes + WIRE_ETH_LEN;
	if (d.fragment)
		return l;
	if (d.proto == WIRE_PROTO_TCP)
		l.at[TCP] = d.l4;
	else if (d.proto == WIRE_PROTO_UDP)
		l.at[UDP] = d.l4;
	else if (d.proto == WIRE_PROTO_ICMP || d.proto == WIRE_PROTO_ICMPV6)
		l.at[ICMP] = d.l4;
	return l;
}

static const uint8_t *find_field(const struct layers *l, const struct field *f)
{
	const uint8_t *at = l->at[f->layer];

	return at && l->end - at >= f->at + f->size ? at + f->at : NULL;
}

static uint32_t number(const uint8_t *at, size_t size)
{
	uint32_t v = 0;

	while (size--)
		v = v << 8 | *at++;
	return v;
}

static void print_field(const struct field *f, const uint8_t *at, FILE *to)
{
	char text[INET6_ADDRSTRLEN];

	if (!at) {
		fputs("none", to);
		return;
	}
	switch (f->style) {
	case NUMBER:
		fprintf(to, "%u", (unsigned)number(at, f->size));
		break;
	case HEX:
		fprintf(to, "0x%0*x", 2 * f->size,
			(unsigned)number(at, f->size));
		break;
	case MAC:
		fprintf(to, "%02x:%02x:%02x:%02x:%02x:%02x", at[0], at[1],
			at[2], at[3], at[4], at[5]);
		break;
	case ADDR4:
		fputs(inet_ntop(AF_INET, at, text, sizeof(text)), to);
		break;
	case ADDR6:
		fputs(inet_ntop(AF_INET6, at, text, sizeof(text)), to);
		break;
	}
}

static unsigned compare_fields(const struct layers *want,
			       const struct layers *got, const char *prefix,
			       FILE *to)
{
	unsigned lines = 0;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct field *f = &fields[i];
		const uint8_t *w = find_field(want, f);
		const uint8_t *g = find_field(got, f);

		if ((!w && !g) || (w && g && memcmp(w, g, f->size) == 0))
			continue;
		fprintf(to, "%s%s: wanted ", prefix, f->name);
		print_field(f, w, to);
		fputs(", got ", to);
		print_field(f, g, to);
		fputc('\n', to);
		lines++;
	}
	return lines;
}

/* Is byte @at within a field that compare_fields() has looked at? */
static bool is_covered(const struct layers *l, const uint8_t *at)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const uint8_t *f = find_field(l, &fields[i]);

		if (f && at >= f && at < f + fields[i].size)
			return true;
	}
	return false;
}

static unsigned compare_rest(const struct differ_frame *want,
			     const struct differ_frame *got,
			     const struct layers *layers, const char *prefix,
			     FILE *to)
{
	size_t len = want->len < got->len ? want->len : got->len;

	for (size_t i = 0; i < len; i++) {
		if (want->bytes[i] == got->bytes[i] ||
		    is_covered(layers, want->bytes + i))
			continue;
		fprintf(to, "%sbyte %zu: wanted 0x%02x, got 0x%02x\n", prefix,
			i, want->bytes[i], got->bytes[i]);
		return 1;
	}
	return 0;
}

unsigned differ_frames(const struct differ_frame *want,
		       const struct differ_frame *got, const char *prefix,
		       FILE *to)
{
	struct layers w = find_layers(want), g = find_layers(got);
	unsigned lines = 0;

	if (want->len != got->len) {
		fprintf(to, "%slength: wanted %zu, got %zu\n", prefix,
			want->len, got->len);
		lines++;
	} else if (memcmp(want->bytes, got->bytes, want->len) == 0) {
		return 0;
	}
	lines += compare_fields(&w, &g, prefix, to);
	return lines + compare_rest(want, got, &w, prefix, to);
}
