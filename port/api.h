/* The API socket of slirp4netns: a UNIX stream socket, one JSON request and one
 * reply a connection. Nothing a client does (or does not) holds up the loop. */
#ifndef PORT_API_H
#define PORT_API_H

#include "port/api_request.h"
#include "port/loop.h"
#include "stack/fail.h"

struct api;

/* The largest request, as slirp4netns. */
#define API_REQUEST_MAX 4095
/* Clients at once; one more ends the one that has been there for longest. */
#define API_CLIENTS_MAX 16
/* How long a client has for its request, and to take the reply. */
#define API_PATIENCE (30 * NSEC_PER_SEC)

/* Listens at @path, mode 0600; what is left of an earlier socket goes. @requests
 * answers. NULL with the reason. All are borrowed; @talk: say on stderr what
 * slirp4netns says of each request. */
struct api *api_new(struct loop *loop, const char *path,
		    struct api_request_env *requests, bool talk,
		    struct fail *why);
/* Closes, and removes the file if it is still ours. Accepts NULL. */
void api_free(struct api *a);

#endif
