#include "port/version.h"

/* Both come from port/CMakeLists.txt; in a file of their own, so that a new
 * commit compiles no more than this. */
const char version[] = TAPIR_VERSION;
const char version_commit[] = TAPIR_COMMIT;
