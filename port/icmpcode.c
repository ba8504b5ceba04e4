#include "port/icmpcode.h"

#include "stack/frame.h"

#include <errno.h>

static const struct code {
	uint8_t type, code;
	enum icmpmsg_why why;
	int err;
} v4_codes[] =
	{
		{3, 0, ICMPMSG_NET_UNREACH, ENETUNREACH},
		{3, 1, ICMPMSG_HOST_UNREACH, EHOSTUNREACH},
		{3, 2, ICMPMSG_HOST_UNREACH, EHOSTUNREACH},
		{3, 3, ICMPMSG_PORT_UNREACH, ECONNREFUSED},
		{3, 4, ICMPMSG_TOO_BIG, 0},
		{3, 9, ICMPMSG_ADMIN_PROHIB, EACCES},
		{3, 10, ICMPMSG_ADMIN_PROHIB, EACCES},
		{3, 13, ICMPMSG_ADMIN_PROHIB, EACCES},
		{11, 0, ICMPMSG_TIME_EXCEEDED, 0},
},
  v6_codes[] = {
	  {1, 0, ICMPMSG_NET_UNREACH, ENETUNREACH},
	  {1, 1, ICMPMSG_ADMIN_PROHIB, EACCES},
	  {1, 2, ICMPMSG_HOST_UNREACH, EHOSTUNREACH},
	  {1, 3, ICMPMSG_HOST_UNREACH, EHOSTUNREACH},
	  {1, 4, ICMPMSG_PORT_UNREACH, ECONNREFUSED},
	  {2, 0, ICMPMSG_TOO_BIG, 0},
	  {3, 0, ICMPMSG_TIME_EXCEEDED, 0},
};

bool icmpcode_read(const struct wire_icmp *icmp, bool v4, struct icmpcode *ret)
{
	const struct code *codes = v4 ? v4_codes : v6_codes;
	size_t n = v4 ? sizeof(v4_codes) / sizeof(codes[0])
		      : sizeof(v6_codes) / sizeof(codes[0]);

	for (size_t i = 0; i < n; i++) {
		const struct code *c = &codes[i];

		if (c->type != icmp->type || c->code != icmp->code)
			continue;
		*ret = (struct icmpcode){c->why, 0, c->err};
		if (c->why == ICMPMSG_TOO_BIG)
			ret->mtu =
				v4 ? get16(icmp->rest + 2) : get32(icmp->rest);
		return true;
	}
	return false;
}
