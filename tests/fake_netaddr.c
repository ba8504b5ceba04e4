#include "tests/fake_netaddr.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void fake_netaddr_init(struct netaddr *na)
{
	*na = (struct netaddr){.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	assert_true(na->event >= 0);
}

void fake_netaddr_fini(struct netaddr *na)
{
	close(na->event);
}

static void tell(struct netaddr *na)
{
	assert_int_equal(eventfd_write(na->event, 1), 0);
}

struct netaddr_entry *fake_netaddr_add(struct netaddr *na, const char *ifname,
				       const char *addr, uint8_t bits)
{
	struct netaddr_entry *e = &na->is[na->n++];

	assert_true(na->n <= sizeof(na->is) / sizeof(na->is[0]));
	*e = (struct netaddr_entry){.bits = bits, .usable = true};
	assert_int_equal(addr_parse(addr, &e->addr), 0);
	snprintf(e->ifname, sizeof(e->ifname), "%s", ifname);
	tell(na);
	return e;
}

void fake_netaddr_remove(struct netaddr *na)
{
	assert_true(na->n > 0);
	na->n--;
	tell(na);
}

int netaddr_fd(const struct netaddr *na)
{
	return na->event;
}

int netaddr_refresh(struct netaddr *na)
{
	eventfd_t news;

	eventfd_read(na->event, &news);
	na->refreshes++;
	if (na->err)
		return -na->err;
	memcpy(na->seen, na->is, sizeof(na->is));
	na->n_seen = na->n;
	return 0;
}

const struct netaddr_entry *netaddr_list(const struct netaddr *na,
					 size_t *ret_n)
{
	*ret_n = na->n_seen;
	return na->seen;
}
