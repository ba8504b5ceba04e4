#include "port/capturing.h"

#include "stack/container_of.h"

#include <errno.h>
#include <string.h>

static void on_failed(struct capture *capture, const char *why)
{
	struct capturing *c = container_of(capture, struct capturing, capture);

	snprintf(c->ended, sizeof(c->ended), "%s", why);
	fprintf(c->log, "tapir: the capture ends, the network goes on: %s\n",
		why);
}

static void arm(struct capturing *c)
{
	c->seen = capture_stats(&c->capture).frames;
	loop_timer_set(c->loop, &c->flush, loop_now(c->loop));
}

/* The timer fires in the turn after the one that set it. Had that turn no frame
 * for us, the loop is about to sleep. */
static void on_flush(struct loop_timer *t)
{
	struct capturing *c = container_of(t, struct capturing, flush);

	if (!capture_waiting(&c->capture))
		return;
	if (capture_stats(&c->capture).frames != c->seen &&
	    loop_now(c->loop) - c->since < CAPTURING_LATEST) {
		arm(c);
		return;
	}
	capture_flush(&c->capture);
	c->since = loop_now(c->loop);
}

static void on_end(struct loop_hook *h)
{
	struct capturing *c = container_of(h, struct capturing, end);

	if (!capture_waiting(&c->capture)) {
		c->since = loop_now(c->loop);
		return;
	}
	/* What a slow reader did not take has its turn later, and no sooner. */
	if (c->flush.slot == 0 && c->since == loop_now(c->loop))
		loop_timer_set(c->loop, &c->flush,
			       loop_now(c->loop) + CAPTURING_LATEST / 2);
	else if (c->flush.slot == 0)
		arm(c);
}

void capturing_init(struct capturing *c, struct loop *loop,
		    struct frame_sink *to, FILE *log)
{
	*c = (struct capturing){
		.loop = loop,
		.end.run = on_end,
		.flush.fire = on_flush,
		.log = log,
	};
	capture_init(&c->capture, to, loop_wall_clock, on_failed);
}

void capturing_watch(struct capturing *c)
{
	loop_hook_add(c->loop, &c->end);
}

void capturing_fini(struct capturing *c)
{
	uint64_t dropped;
	bool running;

	if (!c->loop)
		return;
	loop_timer_clear(c->loop, &c->flush);
	running = capture_running(&c->capture);
	capture_fini(&c->capture);
	dropped = capture_stats(&c->capture).dropped;
	if (running && dropped > 0)
		fprintf(c->log,
			"tapir: the capture %s lacks frames, since its reader "
			"was too slow: %llu\n",
			c->path, (unsigned long long)dropped);
}

int capturing_start(struct capturing *c, const struct capturing_config *config,
		    struct fail *why)
{
	int err =
		capture_start(&c->capture, &config->dump, config->segment, why);

	if (err < 0)
		return err;
	snprintf(c->path, sizeof(c->path), "%s", config->dump.path);
	c->ended[0] = '\0';
	c->since = loop_now(c->loop);
	return 0;
}

int capturing_stop(struct capturing *c)
{
	if (!capture_running(&c->capture))
		return -ENOENT;
	capture_stop(&c->capture);
	return 0;
}
