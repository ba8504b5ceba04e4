/* Whether there is to be a loopback lane, and for which ports. */
#ifndef PORT_LANESTART_H
#define PORT_LANESTART_H

#include "port/config.h"
#include "tapdev/lane.h"

/* Starts the lane into @t for what @c asks for. *@ret is NULL if that is
 * nothing. 0 or -errno. */
int lanestart(const struct config *c, const struct netns_target *t,
	      struct lane **ret, struct fail *why);

#endif
