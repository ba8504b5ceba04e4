#include "port/follow.h"

#include "stack/container_of.h"

#include <errno.h>

/* A look that fails leaves the last answer, and the next is soon. */
static void look(struct follow *f)
{
	for (int p = 0; p < SOCKDIAG_PROTOS; p++) {
		if (f->users[p] > 0)
			sockdiag_look(f->diag, (enum sockdiag_proto)p);
	}
	f->looked(f);
}

static int arm(struct follow *f)
{
	return loop_timer_set(f->loop, &f->timer,
			      loop_now(f->loop) + FOLLOW_PERIOD);
}

static void on_timer(struct loop_timer *t)
{
	struct follow *f = container_of(t, struct follow, timer);

	arm(f);
	look(f);
}

void follow_init(struct follow *f, struct loop *loop, struct sockdiag *diag,
		 void (*looked)(struct follow *f))
{
	*f = (struct follow){
		.looked = looked,
		.diag = diag,
		.loop = loop,
		.timer.fire = on_timer,
	};
}

int follow_use(struct follow *f, enum sockdiag_proto proto)
{
	int err;

	if (!f->diag)
		return -EOPNOTSUPP;
	err = sockdiag_look(f->diag, proto);
	if (err == 0)
		err = arm(f);
	if (err < 0)
		return err;
	f->users[proto]++;
	f->looked(f);
	return 0;
}

void follow_unuse(struct follow *f, enum sockdiag_proto proto)
{
	f->users[proto]--;
	for (int p = 0; p < SOCKDIAG_PROTOS; p++) {
		if (f->users[p] > 0)
			return;
	}
	loop_timer_clear(f->loop, &f->timer);
}

void follow_fini(struct follow *f)
{
	loop_timer_clear(f->loop, &f->timer);
}
