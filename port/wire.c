#include "port/wire.h"

#include "port/capturing.h"
#include "port/ownaddr.h"
#include "port/publish.h"
#include "port/relay_icmp.h"
#include "port/relay_tcp.h"
#include "port/relay_udp.h"
#include "port/resolver.h"
#include "port/tapio.h"
#include "stack/container_of.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RESOLV_CONF "/etc/resolv.conf"

/* A connection takes one descriptor: what the process may have open is the
 * first limit that is met. */
#define MAX_TCP  65536
#define MAX_UDP  16384
#define MAX_ECHO 1024
#define MAX_DNS  4096
#define MAX_LANE 32768 /* TCP; takes two */

/* The window that one connection can use is that of a 10 Gbit/s path of 3 ms;
 * all together shall not take a small machine's memory. */
#define FLOW_LIMIT   (4u << 20)
#define MEMORY_LIMIT (256u << 20)

struct wire {
	struct stack_host host;
	struct relay_host relays;
	struct policy policy;
	struct ownaddr ownaddr;
	struct capturing capturing;
	struct tapio tapio;
	struct resolver *resolver;
	struct relay_tcp *tcp;
	struct relay_udp *udp;
	struct relay_icmp *icmp;
	struct publish *publish;
};

static void on_tcp_open(struct stack_host *h, struct stream *s)
{
	relay_tcp_open(container_of(h, struct wire, host)->tcp, s);
}

/* What answers a client goes to the client, whatever else its target could mean:
 * the gateway, say, is the host's loopback to everything that the container
 * begins. */
static void on_udp(struct stack_host *h, const struct dgram *d)
{
	struct wire *w = container_of(h, struct wire, host);

	if (!publish_udp_input(w->publish, d))
		relay_udp_input(w->udp, d);
}

static void on_udp_unreachable(struct stack_host *h,
			       const struct endpoint *container,
			       const struct endpoint *remote)
{
	publish_udp_unreachable(container_of(h, struct wire, host)->publish,
				container, remote);
}

static void on_echo(struct stack_host *h, const struct icmpmsg_echo *e)
{
	relay_icmp_input(container_of(h, struct wire, host)->icmp, e);
}

static int make_stack(struct wire *w, const uint64_t seed[2],
		      struct tapdev *tap)
{
	struct stack_config config = {
		.plan = w->policy.plan,
		.offload = tap->offload,
		.flow_limit = FLOW_LIMIT,
		.memory_limit = MEMORY_LIMIT,
		.max_streams = MAX_TCP,
		.seed = {seed[0], seed[1]},
	};

	tapdev_mac(tap, config.peer);
	w->host.tcp_open = on_tcp_open;
	w->host.udp_input = on_udp;
	w->host.echo_input = on_echo;
	w->host.udp_unreachable = on_udp_unreachable;
	w->relays.stack = stack_new(&config, &w->capturing.capture.sink,
				    &w->host, loop_now(w->relays.loop));
	return w->relays.stack ? 0 : -ENOMEM;
}

static int make_relays(struct wire *w, const uint64_t seed[2],
		       const struct config *config)
{
	static const unsigned max[FLOW_PROTOS] = {
		[FLOW_TCP] = MAX_TCP,       [FLOW_UDP] = MAX_UDP,
		[FLOW_ECHO] = MAX_ECHO,     [FLOW_DNS] = MAX_DNS,
		[FLOW_CLIENT] = MAX_UDP,    [FLOW_PUBLISHED] = MAX_UDP,
		[FLOW_LANE_TCP] = MAX_LANE, [FLOW_LANE_UDP] = MAX_UDP,
	};

	w->relays.flows = flow_table_new(w->relays.loop, seed, max);
	if (!w->relays.flows)
		return -ENOMEM;
	w->resolver = resolver_new(&w->relays, RESOLV_CONF);
	if (w->resolver)
		resolver_ask(w->resolver, config->resolvers,
			     config->resolver_count);
	w->tcp = relay_tcp_new(&w->relays, w->resolver);
	w->udp = relay_udp_new(&w->relays, w->resolver);
	w->icmp = relay_icmp_new(&w->relays);
	return w->resolver && w->tcp && w->udp && w->icmp ? 0 : -ENOMEM;
}

static int make(struct wire *w, struct tapdev *tap, const struct config *config)
{
	uint64_t seed[4];
	int err;

	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -errno;
	err = make_stack(w, seed, tap);
	if (err == 0)
		err = make_relays(w, seed + 2, config);
	if (err == 0)
		err = tapio_init(&w->tapio, w->relays.loop, w->relays.stack,
				 tap, &w->capturing.capture);
	if (err == 0 && config->from_host)
		err = ownaddr_init(&w->ownaddr, w->relays.loop, &w->policy,
				   &config->host);
	if (err == 0)
		capturing_watch(&w->capturing);
	return err;
}

static int capture(struct wire *w, const struct config *config,
		   struct tapdev *tap, struct fail *why)
{
	struct capturing_config c = {config->pcap, config->pcap_segment};

	capturing_init(&w->capturing, w->relays.loop, &tap->sink, stderr);
	w->capturing.capture.trace = config->process.trace ? stderr : NULL;
	return c.dump.path ? capturing_start(&w->capturing, &c, why) : 0;
}

static int publish(struct wire *w, const struct config *config,
		   const struct publish_netns *netns, struct fail *why)
{
	w->publish = publish_new(config, &w->policy.plan, &w->relays, netns,
				 &w->capturing, why);
	return w->publish ? 0 : -EIO;
}

struct wire *wire_new(const struct config *config, const struct netplan *net,
		      struct loop *loop, struct tapdev *tap,
		      const struct publish_netns *netns, struct fail *why)
{
	struct wire *w = calloc(1, sizeof(*w));
	int err;

	if (!w) {
		fail_set(why, -ENOMEM, "cannot start the stack: no memory");
		return NULL;
	}
	w->policy = (struct policy){
		.plan = net->plan,
		.host_loopback = config->host_loopback,
		.own4 = net->own4,
		.own6 = net->own6,
	};
	w->ownaddr.watch.fd = -1;
	w->relays.loop = loop;
	w->relays.policy = &w->policy;
	w->relays.source.v4 = config->outbound4;
	w->relays.source.v6 = config->outbound6;
	w->relays.source.ifname4 = config->outbound_if4;
	w->relays.source.ifname6 = config->outbound_if6;
	/* First, so that nothing is missing. */
	err = capture(w, config, tap, why);
	if (err == 0) {
		err = make(w, tap, config);
		if (err < 0)
			fail_set(why, err, "cannot start the stack: %s",
				 strerror(-err));
	}
	if (err == 0 && publish(w, config, netns, why) == 0)
		return w;
	wire_free(w);
	return NULL;
}

void wire_free(struct wire *w)
{
	if (!w)
		return;
	tapio_fini(&w->tapio);
	ownaddr_fini(&w->ownaddr);
	publish_free(w->publish);
	relay_icmp_free(w->icmp);
	relay_udp_free(w->udp);
	relay_tcp_free(w->tcp);
	resolver_free(w->resolver);
	flow_table_free(w->relays.flows);
	stack_free(w->relays.stack);
	capturing_fini(&w->capturing);
	free(w);
}

bool wire_busy(const struct wire *w)
{
	return flow_count(w->relays.flows, FLOW_TCP) > 0 ||
	       flow_count(w->relays.flows, FLOW_LANE_TCP) > 0;
}

uint64_t wire_frames(const struct wire *w)
{
	return stack_counters(w->relays.stack)->v[COUNT_FRAMES_IN];
}
