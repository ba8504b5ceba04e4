/* Why something in start-up failed, in words for the user, gathered on the way
 * up without allocation. */
#ifndef STACK_FAIL_H
#define STACK_FAIL_H

struct fail {
	char text[512]; /* one line, no newline */
};

/* Sets the text and returns @err (negative). */
int fail_set(struct fail *why, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* As fail_set() with -errno, and ": strerror" behind the text. */
int fail_errno(struct fail *why, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
