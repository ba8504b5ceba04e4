/* Search lists of domain names, resolv.conf(5), as DHCP and router
 * advertisements tell them. */
#ifndef PORT_SEARCHLIST_H
#define PORT_SEARCHLIST_H

#include "stack/plan.h"

/* Names with spaces or tabs between them, up to the end of the line. 0; -EINVAL
 * if one is no name or they are too long in all, and then @ret is as before. */
int searchlist_parse(const char *text, struct plan_offer *ret);
/* That of the last "search" line in the text of a resolv.conf; what cannot be
 * told is left out. */
void searchlist_find(const char *resolvconf, struct plan_offer *ret);

#endif
