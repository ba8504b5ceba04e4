/* A capture file read back by libpcap alone, to prove what was written. */
#ifndef TESTS_SAVEFILE_H
#define TESTS_SAVEFILE_H

#include "stack/nsec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct savefile_record {
	nsec_t when;
	size_t caplen, len;
	uint8_t *data;
};

struct savefile {
	size_t n;
	struct savefile_record *rec;
	int snaplen;
	bool nano;      /* by its magic number */
	bool truncated; /* the last record is not whole */
};

/* Asserts that it is a capture of Ethernet. */
struct savefile savefile_read(const char *path);
void savefile_free(struct savefile *s);
/* A directory for a test's files in cmocka's *state, and its end with all that
 * is in it. */
int savefile_mkdir(void **state);
int savefile_rmdir(void **state);
/* DIR/NAME in @path, which is returned. */
#define SAVEFILE_PATH 128
const char *savefile_path(void **state, const char *name,
			  char path[SAVEFILE_PATH]);
/* Open descriptors of this process. */
unsigned savefile_count_fds(void);

#endif
