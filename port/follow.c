#include "port/follow.h"

#include "stack/container_of.h"

#include <assert.h>
#include <errno.h>

static bool in_use(const struct follow *f)
{
	for (int p = 0; p < SOCKDIAG_PROTOS; p++) {
		if (f->users[p] > 0)
			return true;
	}
	return false;
}

static int arm(struct follow *f)
{
	size_t sockets = 0;

	for (int p = 0; p < SOCKDIAG_PROTOS; p++) {
		if (f->users[p] > 0)
			sockets +=
				sockdiag_count(f->diag, (enum sockdiag_proto)p);
	}
	return loop_timer_set(
		f->loop, &f->timer,
		loop_now(f->loop) +
			FOLLOW_PERIOD * (nsec_t)(1 + sockets / FOLLOW_MANY));
}

static void on_timer(struct loop_timer *t)
{
	struct follow *f = container_of(t, struct follow, timer);
	bool seen = false;

	for (int p = 0; p < SOCKDIAG_PROTOS; p++) {
		if (f->users[p] > 0 &&
		    sockdiag_look(f->diag, (enum sockdiag_proto)p) == 0)
			seen = true;
	}
	/* There is room for it: it was armed a moment ago. */
	arm(f);
	if (seen)
		f->looked(f);
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
	bool first = !in_use(f);
	int err;

	if (!f->diag)
		return -EOPNOTSUPP;
	err = sockdiag_look(f->diag, proto);
	if (err < 0)
		return err;
	f->users[proto]++;
	/* Whoever comes and goes all the time must not put off the next look
	 * for those who stay. */
	if (first)
		err = arm(f);
	if (err < 0) {
		f->users[proto]--;
		return err;
	}
	f->looked(f);
	return 0;
}

void follow_unuse(struct follow *f, enum sockdiag_proto proto)
{
	assert(f->users[proto] > 0);
	f->users[proto]--;
	if (!in_use(f))
		loop_timer_clear(f->loop, &f->timer);
}

void follow_fini(struct follow *f)
{
	loop_timer_clear(f->loop, &f->timer);
}
