/* Ties the parts together: tap, stack and relays on one loop. */
#ifndef PORT_WIRE_H
#define PORT_WIRE_H

#include "port/config.h"
#include "port/loop.h"
#include "port/netplan.h"
#include "port/publish.h"
#include "stack/fail.h"
#include "tapdev/tapdev.h"

struct wire;

/* From here on turns of @loop move packets, and the ports of @config are
 * published. All are borrowed. NULL with the reason. */
struct wire *wire_new(const struct config *config, const struct netplan *net,
		      struct loop *loop, struct tapdev *tap,
		      const struct publish_netns *netns, struct fail *why);
/* Ends all flows; accepts NULL. No turn of the loop may follow. */
void wire_free(struct wire *w);

/* Are there TCP connections that have not ended on both sides? */
bool wire_busy(const struct wire *w);
/* Frames that came from the container so far. */
uint64_t wire_frames(const struct wire *w);

#endif
