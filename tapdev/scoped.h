/* Set-up code closes what it opened on every path; ownership leaves by
 * steal_fd(). */
#ifndef TAPDEV_SCOPED_H
#define TAPDEV_SCOPED_H

#include <unistd.h>

static inline void scoped_fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define scoped_fd __attribute__((cleanup(scoped_fd_close)))

static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#endif
