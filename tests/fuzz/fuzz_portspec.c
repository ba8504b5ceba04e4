/* Arguments of -t and its kin as anybody may write them. Input: texts, each of
 * which ends with a NUL or with the input. */
#include "port/portspec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Longer ones only say the same more often. */
#define TEXT_MAX 2048

static void check_rules(const struct portspec *s)
{
	bool best = false;
	struct fail why;

	for (size_t i = 0; i < s->rule_count; i++) {
		const struct rule *r = &s->rules[i];
		char text[RULE_STRLEN];

		assert(rule_check(r, &why) == 0);
		assert(r->host_port > 0);
		assert(!best || r->best_effort);
		best = r->best_effort;
		assert(strlen(rule_format(r, text)) < sizeof(text) - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct portspec s;

	if (len > TEXT_MAX)
		return 0;
	portspec_init(&s, "-t");
	while (len > 0) {
		size_t n = strnlen((const char *)data, len);
		char *text = strndup((const char *)data, n);
		size_t rules = s.rule_count;
		struct fail why = {.text = ""};

		assert(text);
		if (portspec_add(&s, text, RULE_TCP, &why)) {
			assert(s.rule_count == rules);
			assert(strncmp(why.text, "-t ", 3) == 0);
		}
		check_rules(&s);
		free(text);
		n = n < len ? n + 1 : n;
		data += n;
		len -= n;
	}
	portspec_fini(&s);
	return 0;
}
