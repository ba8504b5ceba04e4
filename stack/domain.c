#include "stack/domain.h"

#include <string.h>

#define LABEL_MAX 63

size_t domain_encode(const char *text, uint8_t ret[DOMAIN_MAX])
{
	size_t len = 0;

	while (*text) {
		size_t label = strcspn(text, ".");

		/* Room for its length before it, and for the root behind. */
		if (label == 0 || label > LABEL_MAX ||
		    len + 1 + label + 1 > DOMAIN_MAX)
			return 0;
		ret[len++] = (uint8_t)label;
		memcpy(ret + len, text, label);
		len += label;
		text += label;
		if (*text)
			text++;
	}
	if (len == 0)
		return 0;
	ret[len++] = 0;
	return len;
}
