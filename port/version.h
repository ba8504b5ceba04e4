#ifndef PORT_VERSION_H
#define PORT_VERSION_H

extern const char version[];
/* The commit this was built from, "unknown" outside a repository. */
extern const char version_commit[];

#endif
