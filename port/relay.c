#include "port/relay.h"

const char *relay_count_name(enum relay_count what)
{
	static const char *const names[RELAY_COUNTS] = {
#define RELAY_COUNT_NAME(id, name) [RELAY_COUNT_##id] = (name),
		RELAY_COUNT_LIST(RELAY_COUNT_NAME)
#undef RELAY_COUNT_NAME
	};

	return names[what];
}
