#include "stack/count.h"

const char *count_name(enum count_reason why)
{
	static const char *const names[COUNT_REASONS] = {
#define COUNT_NAME(id, name) [COUNT_##id] = (name),
		COUNT_LIST(COUNT_NAME)
#undef COUNT_NAME
	};

	return names[why];
}
