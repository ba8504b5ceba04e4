#ifndef STACK_NSEC_H
#define STACK_NSEC_H

#include <stdint.h>

/* A point on, or a distance along, a monotonic clock, in nanoseconds. */
typedef int64_t nsec_t;

#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_SEC  INT64_C(1000000000)
#define NSEC_NEVER    INT64_MAX

#endif
