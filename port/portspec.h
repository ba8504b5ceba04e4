/* Which ports pasta's -t, -u, -T and -U ask for: their arguments taken apart into
 * rules. The grammar of one argument:
 *   none
 *   [ADDR[%IF]/]ITEM[,ITEM]...
 *   %IF/ITEM[,ITEM]...
 * where an ITEM is
 *   PORT[-LAST]                      the same ports of the container
 *   PORT[-LAST]:[TO/]PORT[-LAST]     as many others, and of its address TO
 *   ~PORT[-LAST]                     not these, of whatever else is asked for
 *   all[:TO]                         every port, as far as can be had
 *   auto                             whatever the container listens on
 * Exclusions alone mean all but these. "all" and "auto" leave out the ephemeral
 * ports. ADDR and TO are literals, of IPv6 with or without brackets; TO of IPv6
 * wants them, as 8080:fd00::1 is an address itself. Without ADDR every address
 * of both families, with 0.0.0.0 or :: those of one. Of a link-local ADDR %IF is
 * the scope; else the address must be one of that interface. */
#ifndef PORT_PORTSPEC_H
#define PORT_PORTSPEC_H

#include "port/portset.h"
#include "port/rule.h"

#include <stddef.h>

/* One "auto". */
struct portspec_auto {
	struct rule where;  /* protocol, families, host_addr and ifname; ports
			     * are 0 */
	struct portset but; /* what is left out, ephemeral ports too */
};

struct portspec {
	const char *option; /* borrowed; for messages, "-t" */
	bool given;         /* there was an argument, if only "none" */
	struct rule *rules; /* owned; those with best_effort behind all others,
			     * which must be opened first: they win */
	size_t rule_count, rule_room;
	struct portspec_auto *autos; /* owned */
	size_t auto_count;
	struct portset ephemeral; /* of the host */
};

/* Nothing asked for. */
void portspec_init(struct portspec *s, const char *option);
void portspec_fini(struct portspec *s);
/* One more argument of the option. What is asked for twice, for one protocol at
 * overlapping addresses, is refused; but what is named wins over "all" and
 * "auto". 0; -EINVAL with a reason that names the option, its argument and the
 * word; or -ENOMEM. Then @s is as before. */
int portspec_add(struct portspec *s, const char *text, enum rule_proto proto,
		 struct fail *why);
/* From now on the host listens in @families (RULE_IPV4, RULE_IPV6) alone: rules
 * for every address lose the other. 0, or -EINVAL with the reason if one names
 * an address of the other. After the last portspec_add(). */
int portspec_limit(struct portspec *s, unsigned families, struct fail *why);

#endif
