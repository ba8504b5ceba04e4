/* Conversations for a reader's eyes, and for a program's. */
#ifndef PORT_FLOWLIST_H
#define PORT_FLOWLIST_H

#include "pcap/flows.h"

#include <stdio.h>

/* No line is longer. */
#define FLOWLIST_COLUMNS 80

/* One line each, with a headline, and one for the rest of the frames. 0, or
 * -ENOMEM. */
int flowlist_text(struct flows *f, FILE *to);
/* The same as one JSON object. */
int flowlist_json(struct flows *f, FILE *to);

#endif
