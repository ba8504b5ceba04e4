#include "port/lanestart.h"

#include <errno.h>
#include <stdlib.h>

static enum lane_proto proto_of(const struct rule *r)
{
	return r->proto == RULE_UDP ? LANE_UDP : LANE_TCP;
}

/* Who may be led in: to the ports that the rules lead to. */
static void name_services(const struct config *c, struct lane_ports *ports)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		const struct rule *r = &c->rules[i];

		for (unsigned n = 0; n < rule_ports(r); n++)
			lane_ports_add(ports, LANE_CONNECT, proto_of(r),
				       (uint16_t)(r->guest_port + n));
	}
}

static void name_listeners(const struct config *c, struct lane_ports *ports)
{
	for (size_t i = 0; i < c->lane_rule_count; i++) {
		const struct rule *r = &c->lane_rules[i];

		for (unsigned n = 0; n < rule_ports(r); n++)
			lane_ports_add(ports, LANE_LISTEN, proto_of(r),
				       (uint16_t)(r->host_port + n));
	}
}

int lanestart(const struct config *c, const struct netns_target *t,
	      struct lane **ret, struct fail *why)
{
	bool in = c->loopback || c->splice;
	struct lane_ports *ports;

	*ret = NULL;
	if (!in && c->lane_rule_count == 0)
		return 0;
	ports = calloc(1, sizeof(*ports));
	if (!ports)
		return fail_set(why, -ENOMEM, "no memory for the lane");
	if (in)
		name_services(c, ports);
	name_listeners(c, ports);
	/* Only rules that come later can want more. */
	*ret = lane_start(t, ports, in && (c->api_path || c->auto_count > 0),
			  why);
	free(ports);
	return *ret ? 0 : -ECHILD;
}
