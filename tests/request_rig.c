#include "tests/request_rig.h"

#include "port/api.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t mac[WIRE_MAC_LEN] = {0x52, 0x55, 10, 0, 2, 2};

struct in6_addr request_rig_address(const char *text)
{
	struct in6_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

int request_rig_setup(void **state)
{
	struct request_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->plan = plan_make(addr_from_v4(0x0a000200), 24, 1500, mac);
	rig->env.plan = &rig->plan;
	rig->env.forwards = forward_new(NULL);
	assert_non_null(rig->env.forwards);
	rig->env.forwards->guest = in6addr_any;
	*state = rig;
	return 0;
}

int request_rig_teardown(void **state)
{
	struct request_rig *rig = *state;

	forward_free(rig->env.forwards);
	free(rig);
	return 0;
}

char *request_rig_ask(struct request_rig *rig, const char *text, size_t len)
{
	/* at the end of its memory, so that reading on is found out */
	char *copy = malloc(len ? len : 1);
	char *reply;

	assert_non_null(copy);
	memcpy(copy, text, len);
	api_request_complete(copy, len);
	reply = api_request_answer(&rig->env, copy, len);
	assert_non_null(reply);
	free(copy);
	return reply;
}

void request_rig_expect_bytes(struct request_rig *rig, const char *text,
			      size_t len, const char *want)
{
	char *reply = request_rig_ask(rig, text, len);

	if (strcmp(reply, want) != 0)
		print_message("asked: %.*s\n", (int)len, text);
	assert_string_equal(reply, want);
	free(reply);
}

void request_rig_expect(struct request_rig *rig, const char *text,
			const char *want)
{
	request_rig_expect_bytes(rig, text, strlen(text), want);
}

void request_rig_expect_error(struct request_rig *rig, const char *text,
			      size_t len, const char *want, bool exact)
{
	char *reply = request_rig_ask(rig, text, len);
	json_t *json = json_loads(reply, 0, NULL);
	const char *desc = json_string_value(
		json_object_get(json_object_get(json, "error"), "desc"));

	if (!desc || strncmp(desc, want, strlen(want)) != 0 ||
	    (exact && strcmp(desc, want) != 0))
		fail_msg("%.*s: got %s, expected %s", (int)len, text, reply,
			 want);
	assert_int_equal(json_object_size(json), 1);
	assert_int_equal(json_object_size(json_object_get(json, "error")), 1);
	json_decref(json);
	free(reply);
}

const char *request_rig_addition(const char *args)
{
	static char text[API_REQUEST_MAX];

	snprintf(text, sizeof(text),
		 "{\"execute\":\"add_hostfwd\",\"arguments\":{%s}}", args);
	for (char *c = text; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	return text;
}

void request_rig_refused(struct request_rig *rig, const char *args,
			 const char *want)
{
	const char *text = request_rig_addition(args);
	unsigned adds = rig->env.forwards->adds;
	char whole[256];

	snprintf(whole, sizeof(whole), "bad request: add_hostfwd: %s", want);
	request_rig_expect_error(rig, text, strlen(text), whole, false);
	assert_int_equal(rig->env.forwards->adds, adds);
}

const struct rule *request_rig_added(struct request_rig *rig, const char *args,
				     const char *want)
{
	struct forwards *fs = rig->env.forwards;
	unsigned n = fs->n;

	request_rig_expect(rig, request_rig_addition(args), want);
	assert_int_equal(fs->n, n + 1);
	return &fs->list[n].rule;
}

/* As request_rig_added() with no more looked at than that it worked. */
const struct rule *request_rig_add(struct request_rig *rig, const char *args)
{
	struct forwards *fs = rig->env.forwards;
	const char *text = request_rig_addition(args);
	char *reply = request_rig_ask(rig, text, strlen(text));

	if (fs->n == 0 || strncmp(reply, "{\"return\":{\"id\":", 16) != 0)
		fail_msg("%s: %s", text, reply);
	free(reply);
	return &fs->list[fs->n - 1].rule;
}

json_t *request_rig_entry(struct request_rig *rig)
{
	static const char text[] = "{\"execute\":\"list_hostfwd\"}";
	char *reply = request_rig_ask(rig, text, sizeof(text) - 1);
	json_t *json = json_loads(reply, 0, NULL);
	json_t *list = json_object_get(json, "entries");
	json_t *entry = json_array_get(list, 0);

	assert_int_equal(json_array_size(list), 1);
	json_incref(entry);
	json_decref(json);
	free(reply);
	return entry;
}

const char *request_rig_string(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}
