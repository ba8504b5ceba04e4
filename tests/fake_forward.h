/* Rules that bind nothing, in place of port/forward.c: list fake_forward.c among
 * the SOURCES of a test. */
#ifndef TESTS_FAKE_FORWARD_H
#define TESTS_FAKE_FORWARD_H

#include "port/forward.h"

#define FAKE_FORWARDS_MAX 1100

/* What host port 0 gets. */
#define FAKE_FORWARD_PICKED 40000

struct forward {
	unsigned id;
	struct rule rule;
	const struct forwards *owner;
};

struct forwards {
	struct forward list[FAKE_FORWARDS_MAX];
	unsigned n, last_id;
	unsigned adds, looks;  /* calls, whatever became of them */
	const char *refuse;    /* why forward_add() fails; NULL: it does not */
	const char *note;      /* of all rules */
	struct in6_addr guest; /* where all rules lead */
	struct endpoint extra; /* rules for an interface are bound to this */
	unsigned absent;       /* families that the kernel lacks */
};

#endif
