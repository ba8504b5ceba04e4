/* What slirp4netns says on stdout when it starts. */
#ifndef PORT_BANNER_H
#define PORT_BANNER_H

#include "port/config.h"
#include "stack/plan.h"

#include <stdio.h>

void banner_print(const struct config *c, const struct plan *plan, FILE *to);

#endif
