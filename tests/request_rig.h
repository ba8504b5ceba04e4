/* What the tests of port/api_request.c ask and expect, on rules that bind
 * nothing. Setup and teardown are cmocka's. */
#ifndef TESTS_REQUEST_RIG_H
#define TESTS_REQUEST_RIG_H

#include "port/api_request.h"
#include "tests/fake_forward.h"

#include <jansson.h>

struct request_rig {
	struct plan plan;
	struct api_request_env env;
};

/* Arguments that are fine, for request_rig_addition(). */
#define REQUEST_RIG_GOOD "'proto':'tcp','host_port':8080,'guest_port':80"

int request_rig_setup(void **state);
int request_rig_teardown(void **state);

struct in6_addr request_rig_address(const char *text);

/* The answer to @text[0..@len), of its own memory. */
char *request_rig_ask(struct request_rig *rig, const char *text, size_t len);
/* It is @want. */
void request_rig_expect_bytes(struct request_rig *rig, const char *text,
			      size_t len, const char *want);
void request_rig_expect(struct request_rig *rig, const char *text,
			const char *want);
/* It is an error and nothing else, whose text begins with @want; is @want, if
 * @exact. */
void request_rig_expect_error(struct request_rig *rig, const char *text,
			      size_t len, const char *want, bool exact);

/* An add_hostfwd with @args, in which ' stands for "; valid until the next. */
const char *request_rig_addition(const char *args);
/* The error of that begins with @want behind "bad request: add_hostfwd: ", and
 * nobody was asked to bind anything. */
void request_rig_refused(struct request_rig *rig, const char *args,
			 const char *want);
/* The answer to that is @want; the rule that it made. */
const struct rule *request_rig_added(struct request_rig *rig, const char *args,
				     const char *want);
/* The same of any answer that is not an error. */
const struct rule *request_rig_add(struct request_rig *rig, const char *args);

/* The one entry of list_hostfwd; to be freed with json_decref(). */
json_t *request_rig_entry(struct request_rig *rig);
/* NULL if there is no such string. */
const char *request_rig_string(const json_t *o, const char *name);

#endif
