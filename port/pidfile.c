#include "port/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int pidfile_open(const char *path, struct fail *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 ? fail_errno(why, "pid file %s", path) : fd;
}

int pidfile_write(int fd, struct fail *why)
{
	int n = dprintf(fd, "%d\n", (int)getpid());
	int err = n < 0 ? fail_errno(why, "pid file") : 0;

	close(fd);
	return err;
}
