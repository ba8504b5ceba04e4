/* start_capture, stop_capture, capture_status. */
#include "port/api_request_impl.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* NULL, or the error to answer. */
static json_t *take_config(const json_t *args, struct capturing_config *c)
{
	const char *request = "start_capture", *path, *filter;
	int n;

	if (api_request_string(args, "path", &path) < 0 || path[0] != '/')
		return api_request_error(
			request, "bad arguments.path: want an absolute path");
	if (api_request_string(args, "filter", &filter) < 0)
		return api_request_error(request, "bad arguments.filter: want "
						  "an expression as in "
						  "pcap-filter(7)");
	c->dump.path = path;
	c->dump.filter = *filter ? filter : NULL;
	n = 0;
	if (api_request_number(args, "snaplen", 14, 262144, &n) == -EINVAL)
		return api_request_error(
			request, "bad arguments.snaplen: want 14 to 262144");
	c->dump.snaplen = (unsigned)n;
	n = 0;
	if (api_request_number(args, "size", 1, INT_MAX, &n) == -EINVAL)
		return api_request_error(request, "bad arguments.size: want "
						  "millions of bytes");
	c->dump.size = (uint64_t)n * 1000000;
	n = 0;
	if (api_request_number(args, "files", 1, 1000000, &n) == -EINVAL)
		return api_request_error(
			request, "bad arguments.files: want 1 to 1000000");
	c->dump.files = (unsigned)n;
	if (api_request_bool(args, "segment", &c->segment) < 0)
		return api_request_error(
			request, "bad arguments.segment: want true or false");
	return NULL;
}

json_t *api_request_start_capture(struct api_request_env *env,
				  const json_t *args)
{
	struct capturing_config c = {0};
	json_t *error = take_config(args, &c);
	struct fail why;

	if (error)
		return error;
	if (capturing_start(env->capturing, &c, &why) < 0)
		return api_request_error("start_capture", why.text);
	return json_pack("{s:{}}", "return");
}

static json_t *status_json(const struct capturing *c)
{
	struct dump_stats stats = capture_stats(&c->capture);
	json_t *o = json_pack(
		"{s:b, s:I, s:I, s:I}", "running", capture_running(&c->capture),
		"frames", (json_int_t)stats.frames, "bytes",
		(json_int_t)stats.bytes, "dropped", (json_int_t)stats.dropped);

	if (o && c->path[0])
		json_object_set_new(o, "path", json_string(c->path));
	if (o && c->ended[0])
		json_object_set_new(o, "error", json_string(c->ended));
	return json_pack("{s:o}", "return", o);
}

json_t *api_request_stop_capture(struct api_request_env *env,
				 const json_t *args)
{
	if (capturing_stop(env->capturing) < 0)
		return api_request_error("stop_capture", "nothing is captured");
	return status_json(env->capturing);
}

json_t *api_request_capture_status(struct api_request_env *env,
				   const json_t *args)
{
	return status_json(env->capturing);
}
