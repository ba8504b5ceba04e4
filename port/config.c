#include "port/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config config_default(void)
{
	return (struct config){
		.target = CONFIG_TARGET_PID,
		.tapfd = -1,
		.mtu = 1500,
		.ipv4 = true,
		.net4 = addr_from_v4(0x0a000200), /* 10.0.2.0 */
		.bits4 = 24,
		.host_loopback = true,
		.dns = true,
		.outbound4 = addr_from_v4(0),
		.ready_fd = -1,
		.exit_fd = -1,
		.process = {.name = "tapir"},
	};
}

void config_fini(struct config *c)
{
	free(c->rules);
	free(c->autos);
	c->autos = NULL;
	c->auto_count = 0;
	free(c->owned_path);
	c->owned_path = NULL;
	for (size_t i = 0; i < sizeof(c->absolute) / sizeof(char *); i++) {
		free(c->absolute[i]);
		c->absolute[i] = NULL;
	}
	c->rules = NULL;
	c->rule_count = 0;
	free(c->lane_rules);
	c->lane_rules = NULL;
	c->lane_rule_count = 0;
}

int config_make_absolute(struct config *c)
{
	const char **paths[] = {&c->netns_path, &c->api_path, &c->pcap.path};
	char *here = getcwd(NULL, 0);
	int err = here ? 0 : -errno;

	for (size_t i = 0; err == 0 && i < sizeof(paths) / sizeof(*paths);
	     i++) {
		const char *path = *paths[i];

		if (!path || path[0] == '/' || strcmp(path, "-") == 0)
			continue;
		if (asprintf(&c->absolute[i], "%s/%s", here, path) < 0) {
			c->absolute[i] = NULL;
			err = -ENOMEM;
		} else {
			*paths[i] = c->absolute[i];
		}
	}
	free(here);
	return err;
}

bool config_captures_to_stdout(const struct config *c)
{
	return c->pcap.path && strcmp(c->pcap.path, "-") == 0;
}

static int append(struct rule **rules, size_t *count, const struct rule *r)
{
	struct rule *more = realloc(*rules, (*count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	*rules = more;
	more[(*count)++] = *r;
	return 0;
}

int config_add_rule(struct config *c, const struct rule *r)
{
	return append(&c->rules, &c->rule_count, r);
}

int config_add_lane_rule(struct config *c, const struct rule *r)
{
	return append(&c->lane_rules, &c->lane_rule_count, r);
}

int config_take_ports(struct config *c, struct portspec *s)
{
	size_t n = c->auto_count + s->auto_count;
	struct portspec_auto *autos;

	for (size_t i = 0; i < s->rule_count; i++) {
		if (config_add_rule(c, &s->rules[i]) < 0)
			return -ENOMEM;
	}
	if (s->auto_count == 0)
		return 0;
	autos = realloc(c->autos, n * sizeof(*autos));
	if (!autos)
		return -ENOMEM;
	memcpy(autos + c->auto_count, s->autos, s->auto_count * sizeof(*autos));
	c->autos = autos;
	c->auto_count = n;
	return 0;
}
