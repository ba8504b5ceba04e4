/* Arrays that grow while a list of unknown length is read. */
#ifndef TAPDEV_GROW_H
#define TAPDEV_GROW_H

#include <stdlib.h>

/* Room for one more of @size in the array @at of @n; the array, which takes the
 * place of @at, or NULL, then that one stays. */
static inline void *grow_array(void *at, size_t n, size_t *room, size_t size)
{
	size_t more = n < *room ? *room : *room ? 2 * *room : 16;
	void *bigger = more == *room ? at : realloc(at, more * size);

	if (bigger)
		*room = more;
	return bigger;
}

#endif
