#ifndef STACK_CONTAINER_OF_H
#define STACK_CONTAINER_OF_H

#include <stddef.h>

/* The struct of @type whose member @member is at @ptr: how a callback finds
 * the owner of the hook that it was called with. */
#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
