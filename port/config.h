/* What every command line parses into, and the only thing start-up reads
 * (DESIGN D13). Plain data: parsing has no side effects. */
#ifndef PORT_CONFIG_H
#define PORT_CONFIG_H

#include "pcap/dump.h"
#include "port/portspec.h"
#include "port/rule.h"
#include "stack/addr.h"
#include "stack/plan.h"
#include "stack/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum config_target {
	CONFIG_TARGET_PID,   /* the namespaces of a process */
	CONFIG_TARGET_PATH,  /* a network namespace's path */
	CONFIG_TARGET_TAPFD, /* a tap that somebody opened for us */
	CONFIG_TARGET_RUN,   /* namespaces we make for a command */
};

/* A plan that is the host's, as the interface of a default route has it, but for
 * what is given: :: and 0 are not given. */
struct config_host {
	const char *ifname4, *ifname6; /* the interfaces to look at */
	struct in6_addr addr4, addr6;
	uint8_t bits4;
	struct in6_addr gateway4, gateway6;
	bool gateway_is_loopback; /* if loop4 and loop6 are not given */
	struct in6_addr loop4, loop6, self4, self6, dns4, dns6;
	bool has_mac;
	uint8_t mac[WIRE_MAC_LEN]; /* ours */
	/* Without a list in the offer: that of resolv.conf. */
	bool offer_dns, offer_search;
};

/* How the program goes on. */
struct config_process {
	const char *name; /* begins what it says */
	bool background;  /* once everything is ready */
	bool verbose;     /* says what it set up */
	bool trace;       /* says every frame */
	const char *pid_path, *log_path;
	long log_size;
	bool stays;     /* when the namespace's path is gone */
	bool clean_end; /* a signal that ends it is exit status 0 */
	bool drops;     /* to @uid and @gid */
	uid_t uid;
	gid_t gid;
};

struct config {
	enum config_target target;
	pid_t pid;               /* CONFIG_TARGET_PID */
	int tapfd;               /* CONFIG_TARGET_TAPFD */
	int ready_fd, exit_fd;   /* -1: none */
	const char *netns_path;  /* CONFIG_TARGET_PATH */
	const char *userns_path; /* NULL: /proc/PID/ns/user, or none for
				  * paths */
	const char *ifname;      /* of the tap inside the namespace; NULL: as
				  * the host's interface, else tap0 */
	char *const *command;    /* CONFIG_TARGET_RUN; ends with NULL */
	char *shell[2];          /* that, if none was given */
	char *owned_path;        /* freed by config_fini(); may be NULL */
	char *absolute[3];       /* the same; of config_make_absolute() */

	bool netns_only; /* CONFIG_TARGET_PID: not its user namespace */
	bool configure;  /* bring lo and the tap up, addresses, routes */
	bool configure6; /* IPv6 address and route too, without DAD
				   * (else SLAAC does it) */
	uint16_t mtu;    /* 0: whatever the tap has */
	bool has_mac;
	uint8_t mac[WIRE_MAC_LEN]; /* of the container's end, with configure */

	bool ipv4, ipv6;
	bool no_tcp, no_udp, no_icmp; /* with from_host */
	bool host_loopback;   /* loop4 and loop6 of the plan lead there */
	bool dns;             /* the resolver alias answers */
	struct in6_addr net4; /* network address, v4 mapped */
	uint8_t bits4;
	bool from_host; /* the plan is the host's, with @host, and net4 not
			 * looked at */
	struct config_host host;
	struct plan_offer offer; /* with from_host */
	/* Resolvers to ask instead of those of resolv.conf. */
	struct in6_addr resolvers[PLAN_DNS_MAX];
	unsigned resolver_count;
	struct in6_addr outbound4; /* 0.0.0.0 (mapped) when not given */
	struct in6_addr outbound6; /* :: when not given */
	const char *outbound_if4, *outbound_if6; /* NULL: any */

	struct rule *rules; /* published from the start; owned */
	size_t rule_count;
	/* Opened and closed as the container's services are; owned. */
	struct portspec_auto *autos;
	size_t auto_count;
	/* The loopback lane (DESIGN D14); with none of these there is none. A
	 * client that nobody answers through the tap is led to the container's
	 * own 127.0.0.1 or ::1: */
	bool loopback;
	/* Clients on the host's loopback are led there first; TCP. */
	bool splice;
	bool api_any_is_ipv4; /* on the API socket no address means 0.0.0.0
			       * alone */
	bool follow;          /* rules follow unless they say otherwise */
	bool pcap_segment;    /* with @pcap */
	bool talk;            /* what slirp4netns says while it runs: the banner
			       * on stdout, descriptors and exit on stderr */
	/* The other way round: the container's clients are listened for on its
	 * own 127.0.0.1 and ::1, of ->families, at ->host_port to
	 * ->host_port_end, and led to the host's, from ->guest_port on. The
	 * rest of such a rule is not looked at. Owned. */
	struct rule *lane_rules;
	size_t lane_rule_count;
	const char *api_path;    /* NULL: no API socket */
	struct dump_config pcap; /* path NULL: no capture from the start */

	struct config_process process;
};

/* slirp4netns' defaults: 10.0.2.0/24, MTU 1500, IPv4 only, host loopback and
 * dns on, no descriptors. */
struct config config_default(void);
/* Frees what is owned. */
void config_fini(struct config *c);
/* Paths that are looked at while the program runs, or at its end, shall lead
 * where they do now when the working directory is another. 0 or -errno. */
int config_make_absolute(struct config *c);
/* Is stdout a capture's, where nobody else may write? */
bool config_captures_to_stdout(const struct config *c);
/* Copies what @s asks for into @c: its rules, those of best_effort behind all
 * others, and its autos. 0 or -ENOMEM. */
int config_take_ports(struct config *c, struct portspec *s);
/* One more of ->rules; one more of ->lane_rules. 0 or -ENOMEM. */
int config_add_rule(struct config *c, const struct rule *r);
int config_add_lane_rule(struct config *c, const struct rule *r);

#endif
