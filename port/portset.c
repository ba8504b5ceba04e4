#include "port/portset.h"

#include <stdio.h>
#include <stdlib.h>

#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST  60999

void portset_add(struct portset *s, uint16_t first, uint16_t last)
{
	for (uint32_t p = first; p <= last; p++)
		s->bits[p / 64] |= UINT64_C(1) << p % 64;
}

bool portset_has(const struct portset *s, uint16_t port)
{
	return s->bits[port / 64] >> port % 64 & 1;
}

bool portset_gap(const struct portset *s, uint16_t first, uint16_t last,
		 uint16_t *ret_first, uint16_t *ret_last)
{
	uint32_t from = first, to;

	while (from <= last && portset_has(s, (uint16_t)from))
		from++;
	if (from > last)
		return false;
	to = from;
	while (to < last && !portset_has(s, (uint16_t)(to + 1)))
		to++;
	*ret_first = (uint16_t)from;
	*ret_last = (uint16_t)to;
	return true;
}

/* "32768\t60999"; false if it is something else. */
static bool parse_range(const char *text, uint16_t *ret_first,
			uint16_t *ret_last)
{
	char *end;
	unsigned long first = strtoul(text, &end, 10);
	unsigned long last = strtoul(end, NULL, 10);

	if (first == 0 || last < first || last > UINT16_MAX)
		return false;
	*ret_first = (uint16_t)first;
	*ret_last = (uint16_t)last;
	return true;
}

void portset_add_ephemeral(struct portset *s)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	uint16_t first = EPHEMERAL_FIRST, last = EPHEMERAL_LAST;
	char text[32];

	if (file && fgets(text, sizeof(text), file))
		parse_range(text, &first, &last);
	if (file)
		fclose(file);
	portset_add(s, first, last);
}
