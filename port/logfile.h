/* What a program says on stderr, into a file of bounded size: the oldest lines
 * make room for the newest. */
#ifndef PORT_LOGFILE_H
#define PORT_LOGFILE_H

#include "port/loop.h"
#include "stack/fail.h"

struct logfile;

/* Creates (0600) or truncates @path, which will never be larger than @size
 * bytes, 4096 or more, and begins with the line @header, which stays. NULL with
 * the reason. */
struct logfile *logfile_open(const char *path, long size, const char *header,
			     struct fail *why);
/* One line or several, each with the seconds since logfile_open() in front. What
 * cannot be written is lost. */
void logfile_write(struct logfile *l, const char *text, size_t len);
/* From here on stderr is the file, written to in turns of @loop. 0 or -errno. */
int logfile_take_stderr(struct logfile *l, struct loop *loop, struct fail *why);
/* With what was said last; stderr leads nowhere then. Accepts NULL. */
void logfile_close(struct logfile *l);

#endif
