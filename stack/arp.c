#include "stack/arp.h"

#include <string.h>

#define HTYPE_ETHERNET 1
#define OP_REQUEST     1
#define OP_REPLY       2

/* RFC 826, for Ethernet and IPv4. */
struct wire_arp {
	uint8_t htype[2];
	uint8_t ptype[2];
	uint8_t hlen;
	uint8_t plen;
	uint8_t op[2];
	uint8_t sha[WIRE_MAC_LEN];
	uint8_t spa[4];
	uint8_t tha[WIRE_MAC_LEN];
	uint8_t tpa[4];
};

static bool form_ok(const struct wire_arp *a)
{
	return get16(a->htype) == HTYPE_ETHERNET &&
	       get16(a->ptype) == WIRE_ETH_IPV4 && a->hlen == WIRE_MAC_LEN &&
	       a->plen == 4 && (a->sha[0] & 1) == 0 &&
	       (get16(a->op) == OP_REQUEST || get16(a->op) == OP_REPLY);
}

static void reply(struct link *l, const struct wire_arp *request)
{
	struct wire_arp a = *request;
	struct iovec iov = {&a, sizeof(a)};

	put16(a.op, OP_REPLY);
	memcpy(a.sha, l->plan->mac, sizeof(a.sha));
	memcpy(a.spa, request->tpa, sizeof(a.spa));
	memcpy(a.tha, request->sha, sizeof(a.tha));
	memcpy(a.tpa, request->spa, sizeof(a.tpa));
	link_send(l, WIRE_ETH_ARP, NULL, &iov, 1, NULL);
}

void arp_input(struct link *l, struct view v)
{
	const struct wire_arp *a = view_take(&v, sizeof(*a));
	struct in6_addr sender, target;
	bool probe;

	if (!l->plan->ipv4 || !a || !form_ok(a)) {
		count(l->count, COUNT_DROP_ARP);
		return;
	}
	sender = addr_from_v4(get32(a->spa));
	target = addr_from_v4(get32(a->tpa));
	probe = addr_is_unspecified(&sender);
	link_learn(l, &sender);
	if (get16(a->op) != OP_REQUEST)
		return;
	/* A probe asks whether somebody else has what the container is about
	 * to take (RFC 5227 2.1.1): only if it is ours or the gateway's, somebody
	 * has. */
	if (probe)
		link_learn(l, &target);
	if (probe ? plan_is_taken(l->plan, &target) : link_answers(l, &target))
		reply(l, a);
}
