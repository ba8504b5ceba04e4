#include "tapdev/hostwatch.h"

#include "tapdev/nldump.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

/* Messages read at a time. */
#define BURST 256

int hostwatch_open(void)
{
	return nldump_socket(NETLINK_ROUTE, RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
						    RTMGRP_IPV6_IFADDR |
						    RTMGRP_IPV4_ROUTE |
						    RTMGRP_IPV6_ROUTE);
}

static bool route_matters(const struct nlmsghdr *h)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *table;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return false;
	table = nldump_attr(h, sizeof(*m), RTA_TABLE);
	if (table && mnl_attr_get_payload_len(table) == 4)
		return mnl_attr_get_u32(table) == RT_TABLE_MAIN;
	return m->rtm_table == RT_TABLE_MAIN;
}

/* Not what a bridge says of its ports, nor a radio of its reception. */
static bool link_matters(const struct nlmsghdr *h)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);

	return mnl_nlmsg_get_payload_len(h) >= sizeof(*m) &&
	       m->ifi_family == AF_UNSPEC &&
	       !nldump_attr(h, sizeof(*m), IFLA_WIRELESS);
}

bool hostwatch_matters(const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_matters(h);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return true;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return route_matters(h);
	default:
		return false;
	}
}

static bool any_matters(const char *buf, int len)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

	for (; mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len)) {
		if (hostwatch_matters(h))
			return true;
	}
	return false;
}

bool hostwatch_drain(int fd)
{
	_Alignas(struct nlmsghdr) char buf[16384];
	bool matters = false;

	for (int i = 0; i < BURST; i++) {
		ssize_t len =
			recv(fd, buf, sizeof(buf), MSG_TRUNC | MSG_DONTWAIT);

		if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		/* News that do not fit, or that there was no room for. */
		if (len < 0 || len > (ssize_t)sizeof(buf))
			matters = true;
		else
			matters |= any_matters(buf, (int)len);
	}
	return matters;
}
