/* A file with the number of this process, for whoever will send it a signal. */
#ifndef PORT_PIDFILE_H
#define PORT_PIDFILE_H

#include "stack/fail.h"

/* Creates (0600) or truncates @path and opens it. It may be a pipe. The
 * descriptor or -errno. */
int pidfile_open(const char *path, struct fail *why);
/* Writes this process's number and a newline, and closes @fd. 0 or -errno. */
int pidfile_write(int fd, struct fail *why);

#endif
