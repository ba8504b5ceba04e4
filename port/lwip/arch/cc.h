/* lwIP's compiler port: gcc and clang on Linux. */
#ifndef PORT_LWIP_ARCH_CC_H
#define PORT_LWIP_ARCH_CC_H

#include <stdint.h>
#include <stdlib.h>

/* An assert of lwIP's is a bug of ours: say where and stop, also in release
 * builds, since going on would corrupt memory. */
_Noreturn void engine_assert_failed(const char *what, const char *file,
				    int line);
#define LWIP_PLATFORM_ASSERT(x) engine_assert_failed((x), __FILE__, __LINE__)
#define LWIP_PLATFORM_DIAG(x)   ((void)0)

uint32_t engine_random(void);
#define LWIP_RAND() engine_random()

#endif
