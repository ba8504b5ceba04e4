#ifndef TAPDEV_FAIL_H
#define TAPDEV_FAIL_H

#include "stack/fail.h"

#endif
