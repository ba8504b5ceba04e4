#include "port/publish.h"

#include "port/api.h"
#include "port/autoport.h"
#include "port/forward.h"
#include "port/guestaddr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct publish {
	struct guestaddr *guest;
	struct inbound_tcp *tcp;
	struct inbound_udp *udp;
	struct lanes *lanes; /* NULL: none was asked for */
	struct forwards *forwards;
	struct autoport *autoport; /* NULL: nothing is automatic */
	struct api_request_env requests;
	struct api *api;
};

static int make_relays(struct publish *p, const struct config *config,
		       const struct plan *plan, struct relay_host *relays,
		       const struct publish_netns *netns)
{
	struct forward_deps deps = {
		.loop = relays->loop, .diag = netns->diag, .log = stderr};

	p->guest = guestaddr_new(relays->loop, netns->addrs, config->ifname,
				 relays->stack, plan);
	if (!p->guest)
		return -ENOMEM;
	p->tcp = inbound_tcp_new(relays, p->guest);
	p->udp = inbound_udp_new(relays, p->guest);
	if (!p->tcp || !p->udp)
		return -ENOMEM;
	if (netns->lane) {
		struct lanes_wish wish = {config->loopback, config->splice};

		p->lanes = lanes_new(relays, netns->lane, wish);
		if (!p->lanes)
			return -ENOMEM;
		inbound_tcp_use_lanes(p->tcp, p->lanes);
		deps.lanes = p->lanes;
		deps.loopback = config->loopback || config->splice;
		deps.local_only = !config->loopback;
	}
	deps.tcp = p->tcp;
	deps.udp = p->udp;
	deps.guest = p->guest;
	p->forwards = forward_new(&deps);
	return p->forwards ? 0 : -ENOMEM;
}

static int add_rules(struct publish *p, const struct config *config,
		     struct fail *why)
{
	char text[RULE_STRLEN];

	for (size_t i = 0; i < config->rule_count; i++) {
		struct rule r = config->rules[i];
		const struct forward *f;
		int err;

		r.follow = r.follow || (config->follow && !r.best_effort);
		err = forward_add(p->forwards, &r, &f, why);
		if (err < 0)
			return err;
		if (r.host_port == 0)
			fprintf(stderr, "tapir: %s\n",
				rule_format(forward_rule(f), text));
	}
	return 0;
}

/* After the rules, which win. */
static int add_autos(struct publish *p, const struct config *config,
		     struct loop *loop, struct sockdiag *diag, struct fail *why)
{
	struct autoport_deps deps = {
		.loop = loop,
		.forwards = p->forwards,
		.guest = p->guest,
		.diag = diag,
		.log = stderr,
		.loopback = config->loopback || config->splice,
	};

	if (config->auto_count == 0)
		return 0;
	p->autoport =
		autoport_new(&deps, config->autos, config->auto_count, why);
	return p->autoport ? 0 : -EIO;
}

static int add_lane_rules(struct publish *p, const struct config *config,
			  struct fail *why)
{
	int err = 0;

	if (config->lane_rule_count > 0 && !p->lanes)
		return fail_set(why, -EINVAL,
				"no way to the container's loopback: its "
				"namespaces were not named");
	for (size_t i = 0; i < config->lane_rule_count && err == 0; i++)
		err = lanes_listen(p->lanes, &config->lane_rules[i], why);
	return err;
}

static int open_api(struct publish *p, const struct config *config,
		    const struct plan *plan, struct loop *loop,
		    struct fail *why)
{
	p->requests = (struct api_request_env){
		.forwards = p->forwards,
		.plan = plan,
		.any_is_ipv4 = config->api_any_is_ipv4,
		.follow = config->follow,
		.capturing = p->requests.capturing,
	};
	if (!config->api_path)
		return 0;
	p->api = api_new(loop, config->api_path, &p->requests, config->talk,
			 why);
	return p->api ? 0 : -EIO;
}

struct publish *publish_new(const struct config *config,
			    const struct plan *plan, struct relay_host *relays,
			    const struct publish_netns *netns,
			    struct capturing *capturing, struct fail *why)
{
	struct publish *p = calloc(1, sizeof(*p));

	if (!p || make_relays(p, config, plan, relays, netns) < 0) {
		fail_set(why, -ENOMEM, "no memory for published ports");
		publish_free(p);
		return NULL;
	}
	p->requests.capturing = capturing;
	if (add_rules(p, config, why) == 0 &&
	    add_autos(p, config, relays->loop, netns->diag, why) == 0 &&
	    add_lane_rules(p, config, why) == 0 &&
	    open_api(p, config, plan, relays->loop, why) == 0)
		return p;
	publish_free(p);
	return NULL;
}

void publish_free(struct publish *p)
{
	if (!p)
		return;
	api_free(p->api);
	autoport_free(p->autoport);
	forward_free(p->forwards);
	inbound_udp_free(p->udp);
	/* whom it missed would be led back to the tap */
	lanes_free(p->lanes);
	inbound_tcp_free(p->tcp);
	guestaddr_free(p->guest);
	free(p);
}

bool publish_udp_input(struct publish *p, const struct dgram *d)
{
	return inbound_udp_input(p->udp, d);
}

void publish_udp_unreachable(struct publish *p,
			     const struct endpoint *container,
			     const struct endpoint *remote)
{
	inbound_udp_unreachable(p->udp, container, remote);
}
