#include "stack/dhcp4.h"

#include "stack/domain.h"

#include <assert.h>
#include <string.h>

#define CLIENT_PORT 68
#define TTL         64

#define OP_REQUEST     1
#define OP_REPLY       2
#define HTYPE_ETHERNET 1
#define FLAG_BROADCAST 0x8000
#define MAGIC          0x63825363

/* RFC 2131 2: who says nothing else takes 548 bytes, and old clients (RFC 1542
 * 2.1) nothing shorter than 300. Ours are no longer than 1472. */
#define REPLY_DEFAULT 548
#define REPLY_MIN     300
#define REPLY_MAX     1472
#define IP_UDP_LEN    (sizeof(struct wire_ip4) + sizeof(struct wire_udp))

/* RFC 2132, 52 of it in section 9.3; 26 in 5.1; 80: RFC 4039, 81: RFC 4702, 119:
 * RFC 3397, 121: RFC 3442 */
#define OPT_PAD       0
#define OPT_MASK      1
#define OPT_ROUTER    3
#define OPT_DNS       6
#define OPT_HOSTNAME  12
#define OPT_MTU       26
#define OPT_REQUESTED 50
#define OPT_LEASE     51
#define OPT_OVERLOAD  52
#define OPT_TYPE      53
#define OPT_SERVER    54
#define OPT_WANTED    55
#define OPT_MAX_SIZE  57
#define OPT_RENEW     58
#define OPT_REBIND    59
#define OPT_CLIENT_ID 61
#define OPT_RAPID     80
#define OPT_FQDN      81
#define OPT_SEARCH    119
#define OPT_ROUTES    121
#define OPT_END       255

#define OVERLOAD_FILE  1
#define OVERLOAD_SNAME 2

/* RFC 4702 2.1 */
#define FQDN_SERVER   0x01 /* the client wants us to tell DNS about it */
#define FQDN_OVERRIDE 0x02
#define FQDN_ENCODED  0x04 /* a name as in DNS, not text */
#define FQDN_NO_DNS   0x08 /* and we do not */
#define FQDN_RCODE    255  /* nobody looks (RFC 4702 2.2) */

/* Seconds; renewed and rebound at the usual 1/2 and 7/8 (RFC 2131 4.4.5). */
#define LEASE  (24 * 3600)
#define RENEW  (LEASE / 2)
#define REBIND (LEASE / 8 * 7)

enum type {
	DISCOVER = 1,
	OFFER,
	REQUEST,
	DECLINE,
	ACK,
	NAK,
	RELEASE,
	INFORM,
};

/* RFC 2131 2 */
struct wire_dhcp {
	uint8_t op;
	uint8_t htype;
	uint8_t hlen;
	uint8_t hops;
	uint8_t xid[4];
	uint8_t secs[2];
	uint8_t flags[2];
	uint8_t ciaddr[4];
	uint8_t yiaddr[4];
	uint8_t siaddr[4];
	uint8_t giaddr[4];
	uint8_t chaddr[16];
	uint8_t sname[64];
	uint8_t file[128];
	uint8_t magic[4];
};

/* The options we look at; absent ones are zero. */
struct request {
	const struct wire_dhcp *head;
	uint8_t type;
	uint8_t overload;
	uint32_t server, requested, ciaddr;
	const uint8_t *client_id;
	uint8_t client_id_len;
	const uint8_t *wanted; /* option codes; NULL: it does not say */
	uint8_t wanted_len;
	uint16_t max_size; /* of a packet */
	bool rapid;
	bool fqdn;
	uint8_t fqdn_flags;
};

/* What the client would like its answer to be. */
static void take_wish(struct request *r, uint8_t code, const uint8_t *data,
		      uint8_t len)
{
	switch (code) {
	case OPT_WANTED:
		r->wanted = data;
		r->wanted_len = len;
		break;
	case OPT_MAX_SIZE:
		if (len == 2)
			r->max_size = get16(data);
		break;
	case OPT_RAPID:
		r->rapid = true;
		break;
	case OPT_FQDN:
		r->fqdn = len >= 3;
		if (r->fqdn)
			r->fqdn_flags = data[0];
		break;
	default:
		break;
	}
}

static void take_option(struct request *r, uint8_t code, const uint8_t *data,
			uint8_t len)
{
	switch (code) {
	case OPT_TYPE:
		if (len == 1)
			r->type = data[0];
		break;
	case OPT_OVERLOAD:
		if (len == 1)
			r->overload = data[0];
		break;
	case OPT_SERVER:
		if (len == 4)
			r->server = get32(data);
		break;
	case OPT_REQUESTED:
		if (len == 4)
			r->requested = get32(data);
		break;
	case OPT_CLIENT_ID:
		r->client_id = data;
		r->client_id_len = len;
		break;
	default:
		take_wish(r, code, data, len);
		break;
	}
}

/* False if an option ends beyond its field. */
static bool walk(struct request *r, struct view v)
{
	const uint8_t *head, *data;

	while (v.left > 0 && v.at[0] != OPT_END) {
		if (v.at[0] == OPT_PAD) {
			view_take(&v, 1);
			continue;
		}
		head = view_take(&v, 2);
		if (!head)
			return false;
		data = view_take(&v, head[1]);
		if (!data)
			return false;
		take_option(r, head[0], data, head[1]);
	}
	return true;
}

static bool read_request(struct view v, struct request *ret)
{
	const struct wire_dhcp *h = view_take(&v, sizeof(*h));
	uint8_t overload;

	*ret = (struct request){.head = h};
	if (!h || h->op != OP_REQUEST || h->htype != HTYPE_ETHERNET ||
	    h->hlen != WIRE_MAC_LEN || get32(h->magic) != MAGIC ||
	    get32(h->giaddr) != 0 || !walk(ret, v))
		return false;
	ret->ciaddr = get32(h->ciaddr);
	/* Read once: what lies in the two fields cannot overload them again. */
	overload = ret->overload;
	if (overload & OVERLOAD_FILE &&
	    !walk(ret, (struct view){h->file, sizeof(h->file)}))
		return false;
	return !(overload & OVERLOAD_SNAME) ||
	       walk(ret, (struct view){h->sname, sizeof(h->sname)});
}

struct reply {
	uint8_t data[sizeof(struct wire_udp) + REPLY_MAX];
	size_t len;
	size_t limit; /* what is kept for the end is left out */
};

static size_t room(const struct reply *r)
{
	return r->limit > r->len ? r->limit - r->len : 0;
}

static void add(struct reply *r, uint8_t code, const void *data, uint8_t len)
{
	assert(sizeof(r->data) - r->len >= (size_t)len + 2);
	r->data[r->len++] = code;
	r->data[r->len++] = len;
	if (len > 0)
		memcpy(r->data + r->len, data, len);
	r->len += len;
}

static void add32(struct reply *r, uint8_t code, uint32_t v)
{
	uint8_t b[4];

	put32(b, v);
	add(r, code, b, sizeof(b));
}

/* Adds what an answer can be without. */
static void add_if_room(struct reply *r, uint8_t code, const void *data,
			size_t len)
{
	if (len > 0 && len <= UINT8_MAX && room(r) >= len + 2)
		add(r, code, data, (uint8_t)len);
}

static bool wants(const struct request *q, uint8_t code)
{
	return !q->wanted || memchr(q->wanted, code, q->wanted_len);
}

/* A client cannot know that a gateway elsewhere is a neighbour: the first route
 * says so, the second is the default through it (RFC 3442). Told unasked: there
 * is no way out without. */
static void add_routes(struct reply *r, const struct plan *plan)
{
	uint8_t routes[] = {32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

	if (addr_in_prefix(&plan->gateway4, &plan->net4, plan->bits4))
		return;
	put32(routes + 1, addr_v4(&plan->gateway4));
	put32(routes + 10, addr_v4(&plan->gateway4));
	add_if_room(r, OPT_ROUTES, routes, sizeof(routes));
}

/* As many as there is room for, and for @rest behind them. */
static void add_dns(struct reply *r, const struct plan_offer *offer,
		    size_t rest)
{
	uint8_t servers[PLAN_DNS_MAX * 4];
	size_t len = 0;

	for (unsigned i = 0; i < offer->dns_count; i++) {
		if (!addr_is_v4(&offer->dns[i]) || room(r) < 2 + len + 4 + rest)
			continue;
		put32(servers + len, addr_v4(&offer->dns[i]));
		len += 4;
	}
	add_if_room(r, OPT_DNS, servers, len);
}

static void add_network(struct reply *r, const struct plan *plan)
{
	uint8_t mtu[2];

	add32(r, OPT_MASK,
	      plan->bits4 >= 32 ? UINT32_MAX : ~(UINT32_MAX >> plan->bits4));
	add32(r, OPT_ROUTER, addr_v4(&plan->gateway4));
	add_routes(r, plan);
	add_dns(r, &plan->offer, 2 + sizeof(mtu));
	put16(mtu, plan->mtu);
	add_if_room(r, OPT_MTU, mtu, sizeof(mtu));
}

/* RFC 4702 4: in the client's own spelling. We tell no DNS about anybody. */
static void add_fqdn(struct reply *r, const char *name, uint8_t asked)
{
	uint8_t option[3 + DOMAIN_MAX] = {FQDN_NO_DNS, FQDN_RCODE, FQDN_RCODE};
	size_t len;

	if (asked & FQDN_SERVER)
		option[0] |= FQDN_OVERRIDE;
	if (asked & FQDN_ENCODED) {
		option[0] |= FQDN_ENCODED;
		len = domain_encode(name, option + 3);
	} else {
		len = strlen(name);
		memcpy(option + 3, name, len);
	}
	if (len > 0)
		add_if_room(r, OPT_FQDN, option, 3 + len);
}

static void add_names(struct reply *r, const struct plan_offer *offer,
		      const struct request *q)
{
	if (wants(q, OPT_HOSTNAME))
		add_if_room(r, OPT_HOSTNAME, offer->hostname,
			    strlen(offer->hostname));
	if (wants(q, OPT_SEARCH))
		add_if_room(r, OPT_SEARCH, offer->search, offer->search_len);
	if (q->fqdn || (q->wanted && wants(q, OPT_FQDN)))
		add_fqdn(r, offer->fqdn,
			 q->fqdn ? q->fqdn_flags : FQDN_ENCODED);
}

static void add_lease(struct reply *r)
{
	add32(r, OPT_LEASE, LEASE);
	add32(r, OPT_RENEW, RENEW);
	add32(r, OPT_REBIND, REBIND);
}

/* How long a message the client and the link take. */
static size_t longest(const struct plan *plan, const struct request *q)
{
	size_t len = REPLY_DEFAULT;

	if (q->max_size > IP_UDP_LEN + REPLY_DEFAULT)
		len = q->max_size - IP_UDP_LEN;
	if (len > plan->mtu - IP_UDP_LEN)
		len = plan->mtu - IP_UDP_LEN;
	return len < REPLY_MAX ? len : REPLY_MAX;
}

static void add_head(struct reply *r, const struct plan *plan,
		     const struct request *q, enum type type, bool leases)
{
	struct wire_dhcp h = {
		.op = OP_REPLY,
		.htype = HTYPE_ETHERNET,
		.hlen = WIRE_MAC_LEN,
	};

	memcpy(h.xid, q->head->xid, sizeof(h.xid));
	memcpy(h.flags, q->head->flags, sizeof(h.flags));
	memcpy(h.chaddr, q->head->chaddr, sizeof(h.chaddr));
	put32(h.magic, MAGIC);
	if (type == ACK)
		put32(h.ciaddr, q->ciaddr);
	if (leases)
		put32(h.yiaddr, addr_v4(&plan->dhcp4));
	memcpy(r->data + r->len, &h, sizeof(h));
	r->len += sizeof(h);
}

static void build(struct reply *ret, const struct plan *plan,
		  const struct request *q, enum type type)
{
	uint8_t code = (uint8_t)type;
	bool leases = type == OFFER || (type == ACK && q->type != INFORM);
	size_t end = 1 + (q->client_id ? 2u + q->client_id_len : 0);

	ret->len = sizeof(struct wire_udp);
	ret->limit = ret->len + longest(plan, q) - end;
	add_head(ret, plan, q, type, leases);
	add(ret, OPT_TYPE, &code, 1);
	add32(ret, OPT_SERVER, addr_v4(&plan->gateway4));
	if (leases)
		add_lease(ret);
	if (q->type == DISCOVER && type == ACK)
		add(ret, OPT_RAPID, NULL, 0);
	if (type != NAK) {
		add_network(ret, plan);
		add_names(ret, &plan->offer, q);
	}
	if (q->client_id)
		add(ret, OPT_CLIENT_ID, q->client_id, q->client_id_len);
	ret->data[ret->len++] = OPT_END;
	if (ret->len < sizeof(struct wire_udp) + REPLY_MIN) {
		size_t pad = sizeof(struct wire_udp) + REPLY_MIN - ret->len;

		memset(ret->data + ret->len, OPT_PAD, pad);
		ret->len += pad;
	}
}

/* RFC 2131 4.1: where the answer goes. A client without an address gets it at
 * the one it is offered, unless it says that it cannot hear that. */
static struct in6_addr destination(const struct plan *plan,
				   const struct request *q, enum type type)
{
	if (type == NAK)
		return addr_from_v4(INADDR_BROADCAST);
	if (type == ACK && q->ciaddr != 0)
		return addr_from_v4(q->ciaddr);
	if (get16(q->head->flags) & FLAG_BROADCAST)
		return addr_from_v4(INADDR_BROADCAST);
	return plan->dhcp4;
}

static void respond(struct packet_layer *pl, const struct request *q,
		    enum type type)
{
	struct in6_addr dst = destination(pl->plan, q, type);
	struct packet_out out = {
		.src = &pl->plan->gateway4,
		.dst = &dst,
		.proto = WIRE_PROTO_UDP,
		.ttl = TTL,
	};
	struct wire_udp udp = {{0}, {0}, {0}, {0}};
	struct reply r;
	struct iovec iov;

	build(&r, pl->plan, q, type);
	put16(udp.sport, DHCP4_SERVER_PORT);
	put16(udp.dport, CLIENT_PORT);
	put16(udp.len, (uint16_t)r.len);
	memcpy(r.data, &udp, sizeof(udp));
	iov = (struct iovec){r.data, r.len};
	put16(r.data + offsetof(struct wire_udp, csum),
	      packet_csum(out.src, &dst, WIRE_PROTO_UDP, &iov, 1));
	packet_send(pl, &out, &iov, 1);
}

/* The states a client may be in when it asks, RFC 2131 4.3.2. */
static bool take_request(struct packet_layer *pl, const struct request *q)
{
	uint32_t lease = addr_v4(&pl->plan->dhcp4);
	uint32_t wanted = q->requested ? q->requested : q->ciaddr;

	/* It chose another server: not our business any more. */
	if (q->server && q->server != addr_v4(&pl->plan->gateway4))
		return true;
	if (!wanted)
		return false;
	respond(pl, q,
		wanted == lease && (!q->ciaddr || q->ciaddr == lease) ? ACK
								      : NAK);
	return true;
}

static bool take_inform(struct packet_layer *pl, const struct request *q)
{
	struct in6_addr client = addr_from_v4(q->ciaddr);

	if (!plan_source_ok(pl->plan, &client))
		return false;
	respond(pl, q, ACK);
	return true;
}

static bool take(struct packet_layer *pl, const struct packet *p)
{
	size_t head = sizeof(struct wire_udp);
	struct request q;

	if (!read_request((struct view){p->l4 + head, p->l4_len - head}, &q))
		return false;
	/* The one lease is for the one neighbour. */
	if (memcmp(q.head->chaddr, pl->link->peer, WIRE_MAC_LEN) != 0)
		return false;
	switch (q.type) {
	case DISCOVER:
		respond(pl, &q, q.rapid ? ACK : OFFER);
		return true;
	case REQUEST:
		return take_request(pl, &q);
	case INFORM:
		return take_inform(pl, &q);
	case DECLINE:
	case RELEASE:
		return true;
	default:
		return false;
	}
}

void dhcp4_input(struct packet_layer *pl, const struct packet *p)
{
	if (!take(pl, p))
		count(pl->count, COUNT_DROP_DHCP);
}
