/* A message is read twice: read_message() checks every option, the identity
 * associations with what is in them included, and keeps what is said once;
 * add_ias() then walks the associations again to answer each in its turn. */
#include "stack/dhcpv6.h"

#include "stack/domain.h"

#include <assert.h>
#include <string.h>

#define CLIENT_PORT 546
#define HOP_LIMIT   64

/* What fits into the smallest packet that every link of IPv6 takes. */
#define REPLY_MAX (1280 - sizeof(struct wire_ip6) - sizeof(struct wire_udp))

/* RFC 8415 11.1 */
#define DUID_MAX          130
#define DUID_LL           3
#define HARDWARE_ETHERNET 1

/* RFC 8415 21; 23 and 24: RFC 3646, 39: RFC 4704 */
#define OPT_CLIENT_ID  1
#define OPT_SERVER_ID  2
#define OPT_IA_NA      3
#define OPT_IA_TA      4
#define OPT_IA_ADDR    5
#define OPT_WANTED     6
#define OPT_PREFERENCE 7
#define OPT_STATUS     13
#define OPT_RAPID      14
#define OPT_DNS        23
#define OPT_SEARCH     24
#define OPT_IA_PD      25
#define OPT_FQDN       39

/* RFC 8415 21.13 */
#define STATUS_SUCCESS     0
#define STATUS_NO_ADDRS    2
#define STATUS_NO_BINDING  3
#define STATUS_NOT_ON_LINK 4
#define STATUS_NO_PREFIX   6

/* RFC 4704 4.1 */
#define FQDN_SERVER   0x01 /* the client wants us to tell DNS about it */
#define FQDN_OVERRIDE 0x02
#define FQDN_NO_DNS   0x04 /* and we do not */

/* The client need not wait for a better server (RFC 8415 18.2.1). */
#define PREFERENCE_MAX 255

/* Of the address, and until it is asked for again. */
#define LIFETIME_FOR_EVER UINT32_MAX

enum type {
	SOLICIT = 1,
	ADVERTISE = 2,
	REQUEST = 3,
	CONFIRM = 4,
	RENEW = 5,
	REBIND = 6,
	REPLY = 7,
	RELEASE = 8,
	DECLINE = 9,
	INFORMATION_REQUEST = 11,
};

/* RFC 8415 8 */
struct wire_dhcpv6 {
	uint8_t type;
	uint8_t xid[3];
};

/* RFC 8415 21.4; an IA_TA has the identifier only. */
struct wire_ia {
	uint8_t iaid[4];
	uint8_t t1[4];
	uint8_t t2[4];
};

struct wire_ia_addr {
	uint8_t addr[16];
	uint8_t preferred[4];
	uint8_t valid[4];
};

/* RFC 8415 11.4 */
struct wire_duid {
	uint8_t type[2];
	uint8_t hardware[2];
	uint8_t mac[WIRE_MAC_LEN];
};

struct option {
	uint16_t code;
	struct view data;
};

/* Views of what is absent are empty, at NULL. */
struct message {
	const struct wire_dhcpv6 *head;
	struct view options;
	struct view client_id, server_id;
	struct view wanted; /* codes */
	bool rapid;
	bool fqdn;
	uint8_t fqdn_flags;
	unsigned ias, addrs;
	bool foreign; /* an address is not the one we give */
};

/* False at the end of @v, and before an option that ends beyond it: then
 * something is left. */
static bool next_option(struct view *v, struct option *ret)
{
	struct view rest = *v;
	const uint8_t *head = view_take(&rest, 4);

	if (!head)
		return false;
	ret->code = get16(head);
	ret->data = (struct view){rest.at, get16(head + 2)};
	if (!view_take(&rest, ret->data.left))
		return false;
	*v = rest;
	return true;
}

/* How much an identity association has in front of its options; 0 if @code is
 * none. */
static size_t ia_head(uint16_t code)
{
	switch (code) {
	case OPT_IA_NA:
	case OPT_IA_PD:
		return sizeof(struct wire_ia);
	case OPT_IA_TA:
		return 4;
	default:
		return 0;
	}
}

static bool is_lease(const struct plan *plan, const struct option *o)
{
	return memcmp(o->data.at, &plan->guest6, sizeof(plan->guest6)) == 0;
}

/* The next address in @v, which next_option() walks. */
static bool next_addr(struct view *v, struct option *ret)
{
	while (next_option(v, ret))
		if (ret->code == OPT_IA_ADDR)
			return true;
	return false;
}

static bool read_ia(struct message *m, const struct plan *plan,
		    const struct option *ia)
{
	struct view v = ia->data;
	struct option o;

	if (!view_take(&v, ia_head(ia->code)))
		return false;
	m->ias++;
	while (next_addr(&v, &o)) {
		if (o.data.left < sizeof(struct wire_ia_addr))
			return false;
		m->addrs++;
		if (!is_lease(plan, &o))
			m->foreign = true;
	}
	return v.left == 0;
}

static bool read_option(struct message *m, const struct plan *plan,
			const struct option *o)
{
	switch (o->code) {
	case OPT_CLIENT_ID:
		m->client_id = o->data;
		return o->data.left > 0 && o->data.left <= DUID_MAX;
	case OPT_SERVER_ID:
		m->server_id = o->data;
		return o->data.left > 0;
	case OPT_WANTED:
		m->wanted = o->data;
		return o->data.left % 2 == 0;
	case OPT_RAPID:
		m->rapid = true;
		return true;
	case OPT_FQDN:
		m->fqdn = o->data.left > 0;
		m->fqdn_flags = m->fqdn ? o->data.at[0] : 0;
		return m->fqdn;
	case OPT_IA_NA:
	case OPT_IA_TA:
	case OPT_IA_PD:
		return read_ia(m, plan, o);
	default:
		return true;
	}
}

static bool read_message(struct view v, const struct plan *plan,
			 struct message *ret)
{
	struct option o;

	*ret = (struct message){.head = view_take(&v, sizeof(*ret->head))};
	ret->options = v;
	while (next_option(&v, &o))
		if (!read_option(ret, plan, &o))
			return false;
	return ret->head && v.left == 0;
}

static bool wants(const struct message *m, uint16_t code)
{
	for (size_t i = 0; i < m->wanted.left; i += 2)
		if (get16(m->wanted.at + i) == code)
			return true;
	return !m->wanted.at;
}

struct reply {
	uint8_t data[sizeof(struct wire_udp) + REPLY_MAX];
	size_t len;
};

static size_t room(const struct reply *r)
{
	return sizeof(r->data) - r->len;
}

static void put(struct reply *r, const void *data, size_t len)
{
	assert(len <= room(r));
	if (len > 0)
		memcpy(r->data + r->len, data, len);
	r->len += len;
}

static void add(struct reply *r, uint16_t code, const void *data, size_t len)
{
	uint8_t head[4];

	put16(head, code);
	put16(head + 2, (uint16_t)len);
	put(r, head, sizeof(head));
	put(r, data, len);
}

/* Adds what an answer can be without. */
static void add_if_room(struct reply *r, uint16_t code, const void *data,
			size_t len)
{
	if (len > 0 && room(r) >= 4 + len)
		add(r, code, data, len);
}

static void add_status(struct reply *r, uint16_t status)
{
	uint8_t code[2];

	put16(code, status);
	add(r, OPT_STATUS, code, sizeof(code));
}

static struct wire_duid our_duid(const struct plan *plan)
{
	struct wire_duid d;

	put16(d.type, DUID_LL);
	put16(d.hardware, HARDWARE_ETHERNET);
	memcpy(d.mac, plan->mac, sizeof(d.mac));
	return d;
}

static void add_addr(struct reply *r, const void *addr, uint32_t lifetime)
{
	struct wire_ia_addr a;

	memcpy(a.addr, addr, sizeof(a.addr));
	put32(a.preferred, lifetime);
	put32(a.valid, lifetime);
	add(r, OPT_IA_ADDR, &a, sizeof(a));
}

/* Starts the answer to @ia, which close_ia() ends. Refused, with nothing
 * written, if there is no room for @len bytes behind its head. */
static bool open_ia(struct reply *r, const struct option *ia, size_t len,
		    size_t *ret_at)
{
	struct wire_ia head = {{0}, {0}, {0}};

	if (room(r) < 4 + sizeof(head) + len)
		return false;
	*ret_at = r->len;
	memcpy(head.iaid, ia->data.at, sizeof(head.iaid));
	put32(head.t1, LIFETIME_FOR_EVER);
	put32(head.t2, LIFETIME_FOR_EVER);
	add(r, ia->code, &head, ia_head(ia->code));
	return true;
}

static void close_ia(struct reply *r, size_t at)
{
	put16(r->data + at + 2, (uint16_t)(r->len - at - 4));
}

static void refuse_ia(struct reply *r, const struct option *ia, uint16_t status)
{
	size_t at;

	if (!open_ia(r, ia, 4 + 2, &at))
		return;
	add_status(r, status);
	close_ia(r, at);
}

static struct view ia_options(const struct option *ia)
{
	struct view v = ia->data;

	view_take(&v, ia_head(ia->code));
	return v;
}

static bool has_foreign(const struct option *ia, const struct plan *plan)
{
	struct view v = ia_options(ia);
	struct option o;

	while (next_addr(&v, &o))
		if (!is_lease(plan, &o))
			return true;
	return false;
}

/* Gives the address. If the client had others, @expire tells it that they are
 * over (RFC 8415 18.3.4). */
static void grant_ia(struct reply *r, const struct option *ia,
		     const struct plan *plan, bool expire)
{
	const size_t each = 4 + sizeof(struct wire_ia_addr);
	struct view v = ia_options(ia);
	struct option o;
	size_t at;

	if (!open_ia(r, ia, each, &at))
		return;
	add_addr(r, &plan->guest6, LIFETIME_FOR_EVER);
	while (expire && next_addr(&v, &o) && room(r) >= each)
		if (!is_lease(plan, &o))
			add_addr(r, o.data.at, 0);
	close_ia(r, at);
}

/* Answers one identity association of a client that asks for addresses; @first:
 * the one that gets the address. */
static void add_ia(struct reply *r, const struct message *m,
		   const struct plan *plan, const struct option *ia, bool first)
{
	bool again = m->head->type == RENEW || m->head->type == REBIND;

	if (first && m->head->type == REQUEST && has_foreign(ia, plan))
		refuse_ia(r, ia, STATUS_NOT_ON_LINK);
	else if (first)
		grant_ia(r, ia, plan, again);
	else if (again)
		refuse_ia(r, ia, STATUS_NO_BINDING);
	else
		refuse_ia(r, ia,
			  ia->code == OPT_IA_PD ? STATUS_NO_PREFIX
						: STATUS_NO_ADDRS);
}

static void add_ias(struct reply *r, const struct message *m,
		    const struct plan *plan)
{
	struct view v = m->options;
	bool given = false;
	struct option o;

	while (next_option(&v, &o)) {
		bool first = o.code == OPT_IA_NA && !given;

		if (ia_head(o.code) == 0)
			continue;
		add_ia(r, m, plan, &o, first);
		given = given || first;
	}
}

/* RFC 8415 18.3.7 and 18.3.8: what was never given cannot be given back. */
static void add_returned(struct reply *r, const struct message *m,
			 const struct plan *plan)
{
	struct view v = m->options;
	struct option o;

	add_status(r, STATUS_SUCCESS);
	while (next_option(&v, &o))
		if (ia_head(o.code) > 0 &&
		    (o.code != OPT_IA_NA || has_foreign(&o, plan)))
			refuse_ia(r, &o, STATUS_NO_BINDING);
}

static void add_fqdn(struct reply *r, const char *name, uint8_t asked)
{
	uint8_t option[1 + DOMAIN_MAX] = {FQDN_NO_DNS};
	size_t len = domain_encode(name, option + 1);

	if (asked & FQDN_SERVER)
		option[0] |= FQDN_OVERRIDE;
	if (len > 0)
		add_if_room(r, OPT_FQDN, option, 1 + len);
}

static void add_offer(struct reply *r, const struct plan_offer *offer,
		      const struct message *m)
{
	uint8_t servers[sizeof(offer->dns)];
	size_t len = 0;

	for (unsigned i = 0; i < offer->dns_count; i++) {
		if (addr_is_v4(&offer->dns[i]))
			continue;
		memcpy(servers + len, &offer->dns[i], sizeof(offer->dns[i]));
		len += sizeof(offer->dns[i]);
	}
	if (wants(m, OPT_DNS))
		add_if_room(r, OPT_DNS, servers, len);
	if (wants(m, OPT_SEARCH))
		add_if_room(r, OPT_SEARCH, offer->search, offer->search_len);
	if (m->fqdn || (m->wanted.at && wants(m, OPT_FQDN)))
		add_fqdn(r, offer->fqdn, m->fqdn_flags);
}

static void start(struct reply *r, const struct plan *plan,
		  const struct message *m, enum type type)
{
	struct wire_dhcpv6 head = {.type = (uint8_t)type};
	struct wire_duid duid = our_duid(plan);

	memcpy(head.xid, m->head->xid, sizeof(head.xid));
	r->len = sizeof(struct wire_udp);
	put(r, &head, sizeof(head));
	if (m->client_id.at)
		add(r, OPT_CLIENT_ID, m->client_id.at, m->client_id.left);
	add(r, OPT_SERVER_ID, &duid, sizeof(duid));
}

/* Writes the answer to a message that may have one; false if it gets none. */
static bool build(struct reply *r, const struct plan *plan,
		  const struct message *m)
{
	static const uint8_t preference = PREFERENCE_MAX;

	switch (m->head->type) {
	case SOLICIT:
		start(r, plan, m, m->rapid ? REPLY : ADVERTISE);
		if (m->rapid)
			add(r, OPT_RAPID, NULL, 0);
		else
			add(r, OPT_PREFERENCE, &preference, sizeof(preference));
		break;
	case CONFIRM:
		/* RFC 8415 18.3.3 */
		if (m->addrs == 0)
			return false;
		start(r, plan, m, REPLY);
		add_status(r, m->foreign ? STATUS_NOT_ON_LINK : STATUS_SUCCESS);
		return true;
	case RELEASE:
	case DECLINE:
		start(r, plan, m, REPLY);
		add_returned(r, m, plan);
		return true;
	default:
		start(r, plan, m, REPLY);
		break;
	}
	add_ias(r, m, plan);
	add_offer(r, &plan->offer, m);
	return true;
}

static void respond(struct packet_layer *pl, struct reply *r,
		    const struct in6_addr *dst)
{
	struct packet_out out = {
		.src = &pl->plan->router6,
		.dst = dst,
		.proto = WIRE_PROTO_UDP,
		.ttl = HOP_LIMIT,
	};
	struct iovec iov = {r->data, r->len};
	struct wire_udp udp = {{0}, {0}, {0}, {0}};

	put16(udp.sport, DHCPV6_SERVER_PORT);
	put16(udp.dport, CLIENT_PORT);
	put16(udp.len, (uint16_t)r->len);
	memcpy(r->data, &udp, sizeof(udp));
	put16(r->data + offsetof(struct wire_udp, csum),
	      packet_csum(out.src, dst, WIRE_PROTO_UDP, &iov, 1));
	packet_send(pl, &out, &iov, 1);
}

/* RFC 8415 16: who must be named in a message of its type, and who must not. */
static bool ids_ok(const struct message *m)
{
	bool client = m->client_id.at, server = m->server_id.at;

	switch (m->head->type) {
	case SOLICIT:
	case CONFIRM:
	case REBIND:
		return client && !server;
	case REQUEST:
	case RENEW:
	case RELEASE:
	case DECLINE:
		return client && server;
	case INFORMATION_REQUEST:
		return m->ias == 0;
	default:
		return false;
	}
}

static bool is_for_another(const struct message *m, const struct plan *plan)
{
	struct wire_duid duid = our_duid(plan);

	return m->server_id.at &&
	       (m->server_id.left != sizeof(duid) ||
		memcmp(m->server_id.at, &duid, sizeof(duid)) != 0);
}

void dhcpv6_input(struct packet_layer *pl, const struct packet *p)
{
	size_t head = sizeof(struct wire_udp);
	struct message m;
	struct reply r;

	if (!read_message((struct view){p->l4 + head, p->l4_len - head},
			  pl->plan, &m) ||
	    !ids_ok(&m))
		count(pl->count, COUNT_DROP_DHCP6);
	else if (!is_for_another(&m, pl->plan) && build(&r, pl->plan, &m))
		respond(pl, &r, &p->src);
}
