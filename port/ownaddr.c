#include "port/ownaddr.h"

#include "port/hostplan.h"
#include "stack/container_of.h"
#include "tapdev/hostnet.h"
#include "tapdev/hostwatch.h"

#include <sys/epoll.h>
#include <unistd.h>

static void on_look(struct loop_timer *t)
{
	struct ownaddr *o = container_of(t, struct ownaddr, look);
	struct hostnet host;
	struct fail why;

	/* Between two addresses the last one stays. */
	if (hostnet_read(o->how->ifname4, o->how->ifname6, &host, &why) < 0)
		return;
	if (host.v4.found)
		o->policy->own4 = hostplan_own(&host, true);
	if (host.v6.found)
		o->policy->own6 = hostplan_own(&host, false);
	hostnet_fini(&host);
}

static void on_news(struct loop_fd *f, uint32_t events)
{
	struct ownaddr *o = container_of(f, struct ownaddr, watch);

	if (hostwatch_drain(f->fd) && o->look.slot == 0)
		loop_timer_set(o->loop, &o->look,
			       loop_now(o->loop) + OWNADDR_DELAY);
}

int ownaddr_init(struct ownaddr *o, struct loop *loop, struct policy *policy,
		 const struct config_host *how)
{
	int fd = hostwatch_open();
	int err;

	*o = (struct ownaddr){
		.loop = loop,
		.policy = policy,
		.how = how,
		.watch = {.ready = on_news, .fd = -1},
		.look = {.fire = on_look},
	};
	if (fd < 0)
		return fd;
	err = loop_add(loop, &o->watch, fd, EPOLLIN);
	if (err < 0)
		close(fd);
	return err;
}

void ownaddr_fini(struct ownaddr *o)
{
	int fd = o->watch.fd;

	if (fd < 0)
		return;
	loop_timer_clear(o->loop, &o->look);
	loop_del(o->loop, &o->watch);
	close(fd);
}
