/* What the files of api_request.h share, and nobody else includes. */
#ifndef PORT_API_REQUEST_IMPL_H
#define PORT_API_REQUEST_IMPL_H

#include "port/api_request.h"

#include <jansson.h>

/* {"error":{"desc":"bad request: REQUEST: DETAIL"}} */
json_t *api_request_error(const char *request, const char *detail);

/* Arguments: a whole number from @min to @max, a string ("" if it is not there),
 * true or false (*@ret stays if it is not there). 0; -EINVAL if it is something else;
 * of a number -ENOENT if it is not there. */
int api_request_number(const json_t *args, const char *name, int min, int max,
		       int *ret);
int api_request_string(const json_t *args, const char *name, const char **ret);
int api_request_bool(const json_t *args, const char *name, bool *ret);

/* In api_request_capture.c. */
json_t *api_request_start_capture(struct api_request_env *env,
				  const json_t *args);
json_t *api_request_stop_capture(struct api_request_env *env,
				 const json_t *args);
json_t *api_request_capture_status(struct api_request_env *env,
				   const json_t *args);

#endif
