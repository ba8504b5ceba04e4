/* What is said when a container is connected: by slirp4netns on stdout. */
#ifndef PORT_BANNER_H
#define PORT_BANNER_H

#include "port/config.h"
#include "stack/plan.h"

#include <stdio.h>

void banner_print(const struct config *c, const struct plan *plan, FILE *to);
/* What a container of the host's own network is given, for whoever started it:
 * the interface's name, addresses, gateways. */
void banner_plan(const struct config *c, const struct plan *plan, FILE *to);

#endif
