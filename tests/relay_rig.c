#include "tests/relay_rig.h"

#include "tests/fake_hostsock.h"
#include "tests/fake_stack.h"
#include "tests/test.h"

#include <string.h>

static struct {
	struct relay_host host;
	struct policy policy;
	nsec_t now;
} rig;

static nsec_t rig_clock(void)
{
	return rig.now;
}

struct relay_host *relay_rig_start(void)
{
	static const uint8_t mac[WIRE_MAC_LEN] = {0x52, 0x55, 10, 0, 2, 2};
	static const uint64_t secret[2] = {3, 4};
	static const unsigned max[FLOW_PROTOS] = {
		[FLOW_TCP] = 100,
		[FLOW_UDP] = RELAY_RIG_UDP_MAX,
		[FLOW_ECHO] = 10,
		[FLOW_DNS] = 20,
		[FLOW_CLIENT] = RELAY_RIG_CLIENTS_MAX,
		[FLOW_PUBLISHED] = RELAY_RIG_CLIENTS_MAX,
	};

	fake_start();
	memset(&rig, 0, sizeof(rig));
	rig.now = 1000 * NSEC_PER_SEC;
	rig.policy.plan = plan_make(addr_from_v4(0x0a000200), 24, 1500, mac);
	rig.policy.host_loopback = true;
	rig.host.loop = loop_new(rig_clock);
	assert_non_null(rig.host.loop);
	rig.host.flows = flow_table_new(rig.host.loop, secret, max);
	assert_non_null(rig.host.flows);
	rig.host.policy = &rig.policy;
	rig.host.source.v4 = addr_from_v4(0);
	return &rig.host;
}

void relay_rig_finish(void)
{
	size_t timers;

	flow_table_free(rig.host.flows);
	timers = loop_timers(rig.host.loop);
	loop_free(rig.host.loop);
	fake_stack_clear();
	fake_finish();
	assert_int_equal(timers, 0);
}

struct policy *relay_rig_policy(void)
{
	return &rig.policy;
}

void relay_rig_settle(void)
{
	/* bursts are bounded, so one turn need not be enough */
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_turn(rig.host.loop, 0), 0);
}

void relay_rig_advance(nsec_t by)
{
	rig.now += by;
	relay_rig_settle();
}

struct endpoint relay_rig_endpoint(const char *addr, uint16_t port)
{
	struct endpoint e = {.port = port};

	assert_int_equal(addr_parse(addr, &e.addr), 0);
	return e;
}
