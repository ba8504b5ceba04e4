/* Domain names as DNS and DHCP write them: labels, each behind its length, and
 * the root's empty one at the end (RFC 1035 3.1), uncompressed. */
#ifndef STACK_DOMAIN_H
#define STACK_DOMAIN_H

#include <stddef.h>
#include <stdint.h>

#define DOMAIN_MAX 255 /* bytes of a name, the root included */

/* Writes the name @text ("host.example.org", with or without a dot at the end)
 * into @ret; how many bytes it has, 0 if it is none: an empty label or one of
 * more than 63 bytes, too long in all, nothing but the root. */
size_t domain_encode(const char *text, uint8_t ret[DOMAIN_MAX]);

#endif
