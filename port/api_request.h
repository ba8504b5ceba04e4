/* The requests of the API socket: JSON in, JSON out. The contract is that of
 * slirp4netns 1.3.3 (slirp4netns(1), "API SOCKET"), with more proto words, IPv6,
 * picked ports, ranges and following. */
#ifndef PORT_API_REQUEST_H
#define PORT_API_REQUEST_H

#include "port/capturing.h"
#include "port/forward.h"
#include "stack/plan.h"

#include <stdbool.h>
#include <stddef.h>

struct api_request_env {
	struct forwards *forwards; /* borrowed */
	const struct plan *plan;   /* borrowed */
	bool any_is_ipv4; /* --api-any=ipv4: no host address means 0.0.0.0 only */
	struct capturing *capturing; /* borrowed */
	bool follow; /* --follow: every rule that does not say follows */
};

/* Is there a whole JSON text in @text, or one that no further byte can mend?
 * False: more may come. A NUL ends the text, as in slirp4netns. */
bool api_request_complete(const char *text, size_t len);
/* Acts on the request and answers it: a reply of its own memory, to be freed;
 * NULL without memory. */
char *api_request_answer(struct api_request_env *env, const char *text,
			 size_t len);
/* The reply to a request that exceeds API_REQUEST_MAX; likewise. */
char *api_request_too_large(void);

#endif
