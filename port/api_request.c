/* A request becomes a struct rule, argument by argument in the order in which
 * slirp4netns looks at them, since that decides which error a client sees. */
#include "port/api_request.h"

#include "port/api_request_impl.h"

#include "port/forward_addrs.h"
#include "port/hostsock.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Clients may send more than one value; the first counts, as in slirp4netns. A
 * number too large for an integer is no reason to refuse the whole. */
#define LOAD_FLAGS                                                             \
	(JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES |   \
	 JSON_DECODE_INT_AS_REAL)

#define UTF8_MAX 4 /* bytes of a character */

static json_t *error_reply(const char *desc)
{
	return json_pack("{s:{s:s}}", "error", "desc", desc);
}

json_t *api_request_error(const char *request, const char *detail)
{
	return json_pack("{s:{s:o}}", "error", "desc",
			 json_sprintf("bad request: %s: %s", request, detail));
}

/* With what is wrong behind the words that clients know. */
static json_t *bad_argument(const char *name, const char *detail)
{
	return json_pack("{s:{s:o}}", "error", "desc",
			 json_sprintf("bad request: add_hostfwd: bad "
				      "arguments.%s%s%s",
				      name, *detail ? ": " : "", detail));
}

static json_t *add_failed(const char *detail)
{
	return json_pack("{s:{s:o}}", "error", "desc",
			 json_sprintf("bad request: add_hostfwd: "
				      "slirp_add_hostfwd failed: %s",
				      detail));
}

/* Jansson takes a word, a number, an escape or a character that the text cuts
 * short for a wrong one. */
static bool may_be_mended(const json_error_t *error, const char *text,
			  size_t len)
{
	enum json_error_code code = json_error_code(error);
	size_t at = (size_t)error->position; /* not negative: jansson counts */
	unsigned char last;

	if (code == json_error_premature_end_of_input)
		return true;
	if (code == json_error_invalid_utf8)
		return len - at < UTF8_MAX;
	if (code != json_error_invalid_syntax || at < len)
		return false;
	last = (unsigned char)text[len - 1]; /* an empty text is premature */
	return isalnum(last) || strchr("+-.\\", last);
}

bool api_request_complete(const char *text, size_t len)
{
	json_error_t error;
	json_t *json;

	if (memchr(text, '\0', len))
		return true;
	json = json_loadb(text, len, LOAD_FLAGS, &error);
	if (!json)
		return !may_be_mended(&error, text, len);
	json_decref(json);
	return true;
}

/* Reading arguments. */

/* NULL if it is not there; null is as good as nothing. */
static const json_t *get(const json_t *args, const char *name)
{
	const json_t *v = json_object_get(args, name);

	return json_is_null(v) ? NULL : v;
}

int api_request_number(const json_t *args, const char *name, int min, int max,
		       int *ret)
{
	const json_t *v = get(args, name);
	double number;

	if (!v)
		return -ENOENT;
	if (!json_is_number(v))
		return -EINVAL;
	number = json_number_value(v);
	if (!(number >= min && number <= max) || floor(number) != number)
		return -EINVAL;
	*ret = (int)number;
	return 0;
}

int api_request_string(const json_t *args, const char *name, const char **ret)
{
	const json_t *v = get(args, name);

	if (v && !json_is_string(v))
		return -EINVAL;
	*ret = v ? json_string_value(v) : "";
	return 0;
}

int api_request_bool(const json_t *args, const char *name, bool *ret)
{
	const json_t *v = get(args, name);

	if (v && !json_is_boolean(v))
		return -EINVAL;
	if (v)
		*ret = json_is_true(v);
	return 0;
}

/* A literal, an IPv6 one also in brackets. */
static int parse_addr(const char *text, struct in6_addr *ret)
{
	char bare[ADDR_STRLEN];
	size_t len = strlen(text);

	if (len < 3 || text[0] != '[' || text[len - 1] != ']' ||
	    len - 2 >= sizeof(bare))
		return addr_parse(text, ret);
	memcpy(bare, text + 1, len - 2);
	bare[len - 2] = '\0';
	if (addr_parse(bare, ret) < 0 || addr_is_v4(ret))
		return -EINVAL;
	return 0;
}

/* As parse_addr(), or a link-local literal with %INTERFACE. */
static int parse_host_addr(const char *text, struct in6_addr *ret)
{
	char bare[HOSTSOCK_STRLEN];
	const char *zone = strchr(text, '%');
	size_t len = zone ? (size_t)(zone - text) : 0;
	struct in6_addr a;

	if (!zone)
		return parse_addr(text, ret);
	if (len >= sizeof(bare))
		return -EINVAL;
	memcpy(bare, text, len);
	bare[len] = '\0';
	if (addr_parse(bare, &a) < 0 || addr_is_v4(&a) ||
	    !addr_is_linklocal(&a))
		return -EINVAL;
	return hostsock_scoped(&a, zone + 1, ret) < 0 ? -EINVAL : 0;
}

/* No address, and 0.0.0.0, which is what engines send then, are every address of
 * both families, unless the protocol names one. */
static int take_host_addr(const struct api_request_env *env, const json_t *args,
			  struct rule *r)
{
	const char *text;
	struct in6_addr a;
	unsigned family;

	if (api_request_string(args, "host_addr", &text) < 0)
		return -EINVAL;
	if (*text == '\0' || strcmp(text, "0.0.0.0") == 0) {
		if (*text && r->families == RULE_IPV6)
			return -EINVAL;
		if (env->any_is_ipv4 && r->families == (RULE_IPV4 | RULE_IPV6))
			r->families = RULE_IPV4;
		return 0;
	}
	if (parse_host_addr(text, &a) < 0) {
		if (strlen(text) >= sizeof(r->ifname) ||
		    if_nametoindex(text) == 0)
			return -EINVAL;
		memcpy(r->ifname, text, strlen(text) + 1);
		return 0;
	}
	family = addr_is_v4(&a) ? RULE_IPV4 : RULE_IPV6;
	if (!(r->families & family))
		return -EINVAL;
	r->families = family;
	r->host_addr = a;
	return 0;
}

static int take_guest_addr(const json_t *args, struct rule *r)
{
	const char *text;

	if (api_request_string(args, "guest_addr", &text) < 0)
		return -EINVAL;
	if (*text == '\0')
		return 0;
	if (parse_addr(text, &r->guest_addr) < 0)
		return -EINVAL;
	if (addr_is_unspecified(&r->guest_addr))
		r->guest_addr = in6addr_any;
	return 0;
}

static int take_port(const json_t *args, const char *name, int min,
		     uint16_t *ret)
{
	int port;
	int err = api_request_number(args, name, min, UINT16_MAX, &port);

	if (err == 0)
		*ret = (uint16_t)port;
	return err;
}

/* NULL with *@r filled in, or the error to answer. */
static json_t *take_rule(const struct api_request_env *env, const json_t *args,
			 struct rule *r)
{
	const char *proto;

	*r = rule_default(RULE_TCP);
	r->follow = env->follow;
	if (api_request_string(args, "proto", &proto) < 0 ||
	    rule_parse_proto(proto, r) < 0)
		return bad_argument("proto", "want tcp, udp, tcp4, udp4, tcp6 "
					     "or udp6");
	if (take_host_addr(env, args, r) < 0)
		return bad_argument("host_addr",
				    "want an address of the protocol's family "
				    "or the name of an interface");
	if (take_port(args, "host_port", 0, &r->host_port) < 0)
		return bad_argument("host_port", "want 0 (any that is free) "
						 "to 65535");
	if (take_guest_addr(args, r) < 0)
		return bad_argument("guest_addr", "want an address");
	if (take_port(args, "guest_port", 1, &r->guest_port) < 0)
		return bad_argument("guest_port", "want 1 to 65535");
	r->host_port_end = r->host_port;
	if (take_port(args, "host_port_end", r->host_port, &r->host_port_end) ==
	    -EINVAL)
		return bad_argument("host_port_end", "want host_port to 65535");
	if (api_request_bool(args, "follow", &r->follow) < 0)
		return bad_argument("follow", "want true or false");
	return NULL;
}

/* Writing replies. */

static json_t *addr_json(const struct in6_addr *a)
{
	char text[HOSTSOCK_STRLEN];

	return json_string(hostsock_format(a, text));
}

/* The addresses that the host listens on. */
static json_t *bound_json(const struct forward *f)
{
	struct endpoint bound[FORWARD_ADDRS_MAX];
	unsigned n = forward_bound(f, bound, FORWARD_ADDRS_MAX);
	json_t *list = json_array();

	for (unsigned i = 0; i < n && i < FORWARD_ADDRS_MAX; i++)
		json_array_append_new(list, addr_json(&bound[i].addr));
	return list;
}

/* What both the reply to an addition and a list's entry have. */
static void add_common(json_t *o, const struct forward *f)
{
	const struct rule *r = forward_rule(f);

	json_object_set_new(o, "host_addrs", bound_json(f));
	if (r->host_port_end != r->host_port)
		json_object_set_new(o, "host_port_end",
				    json_integer(r->host_port_end));
	if (r->follow)
		json_object_set_new(o, "follow", json_true());
}

/* By --api-any=ipv4 a list is what it was before there was more: tcp and udp are
 * IPv4. */
static const char *proto_of(const struct api_request_env *env,
			    const struct rule *r)
{
	struct rule old = *r;

	if (env->any_is_ipv4 && r->families == RULE_IPV4 && !r->ifname[0])
		old.families |= RULE_IPV6;
	return rule_proto_name(&old);
}

static json_t *host_addr_json(const struct rule *r)
{
	if (r->ifname[0] && addr_is_unspecified(&r->host_addr))
		return json_string(r->ifname);
	if (addr_is_unspecified(&r->host_addr))
		return json_string(r->families & RULE_IPV4 ? "0.0.0.0" : "::");
	return addr_json(&r->host_addr);
}

static json_t *guest_addr_json(const struct api_request_env *env,
			       const struct forward *f)
{
	struct in6_addr guest = forward_guest(f);

	/* As slirp4netns fills it in, while the container has none. */
	if (addr_is_unspecified(&guest))
		guest = env->plan->ipv4 ? env->plan->guest4 : env->plan->guest6;
	return addr_json(&guest);
}

static json_t *entry_json(const struct api_request_env *env,
			  const struct forward *f)
{
	const struct rule *r = forward_rule(f);
	const char *note = forward_note(f);
	json_t *o = json_pack(
		"{s:i, s:s, s:o, s:i, s:o, s:i}", "id", (int)forward_id(f),
		"proto", proto_of(env, r), "host_addr", host_addr_json(r),
		"host_port", (int)r->host_port, "guest_addr",
		guest_addr_json(env, f), "guest_port", (int)r->guest_port);

	if (!o)
		return NULL;
	add_common(o, f);
	if (note)
		json_object_set_new(o, "note", json_string(note));
	return o;
}

/* The requests. */

static json_t *add_hostfwd(struct api_request_env *env, const json_t *args)
{
	const struct forward *f;
	struct rule r;
	struct fail why;
	json_t *error = take_rule(env, args, &r);
	json_t *ret;

	if (error)
		return error;
	if (rule_check(&r, &why) < 0 ||
	    forward_add(env->forwards, &r, &f, &why) < 0)
		return add_failed(why.text);
	ret = json_pack("{s:i, s:i}", "id", (int)forward_id(f), "host_port",
			(int)forward_rule(f)->host_port);
	if (ret)
		add_common(ret, f);
	return json_pack("{s:o}", "return", ret);
}

/* The manual of slirp4netns shows one shape, its programs have always sent the
 * other: both. */
static json_t *list_hostfwd(struct api_request_env *env, const json_t *args)
{
	json_t *entries = json_array();
	const struct forward *f = NULL;

	forward_look(env->forwards);
	while ((f = forward_next(env->forwards, f)))
		json_array_append_new(entries, entry_json(env, f));
	return json_pack("{s:{s:O}, s:o}", "return", "entries", entries,
			 "entries", entries);
}

static json_t *remove_hostfwd(struct api_request_env *env, const json_t *args)
{
	int id;

	if (api_request_number(args, "id", 0, INT32_MAX, &id) < 0 ||
	    forward_remove(env->forwards, (unsigned)id) < 0)
		return error_reply(
			"bad request: remove_hostfwd: bad arguments.id");
	return json_pack("{s:{}}", "return");
}

static const struct {
	const char *name;
	json_t *(*answer)(struct api_request_env *env, const json_t *args);
} requests[] = {
	{"add_hostfwd", add_hostfwd},
	{"list_hostfwd", list_hostfwd},
	{"remove_hostfwd", remove_hostfwd},
	{"start_capture", api_request_start_capture},
	{"stop_capture", api_request_stop_capture},
	{"capture_status", api_request_capture_status},
};

static json_t *execute(struct api_request_env *env, const json_t *request)
{
	const char *name =
		json_string_value(json_object_get(request, "execute"));
	const json_t *args = json_object_get(request, "arguments");

	if (!json_is_object(request))
		return error_reply("bad request: json_object() failed");
	if (!name)
		return error_reply("bad request: no execute found");
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (strcmp(requests[i].name, name) == 0)
			return requests[i].answer(env, args);
	}
	return error_reply("bad request: unknown execute");
}

/* Takes over @reply. */
static char *dump(json_t *reply)
{
	char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;

	json_decref(reply);
	return text;
}

char *api_request_answer(struct api_request_env *env, const char *text,
			 size_t len)
{
	json_t *request =
		json_loadb(text, strnlen(text, len), LOAD_FLAGS, NULL);
	char *reply;

	if (!request)
		return dump(error_reply("bad request: cannot parse JSON"));
	reply = dump(execute(env, request));
	json_decref(request);
	return reply;
}

char *api_request_too_large(void)
{
	return dump(error_reply("bad request: too large message"));
}
