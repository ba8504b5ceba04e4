#include "tests/netspace.h"

#include "tests/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ifreq request(const char *ifname)
{
	struct ifreq ifr = {.ifr_flags = 0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	return ifr;
}

static void set_up(const char *ifname)
{
	struct ifreq ifr = request(ifname);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags |= IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

bool netspace_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0 &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	set_up("lo");
	return true;
}

int netspace_tap(const char *ifname)
{
	struct ifreq ifr = request(ifname);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return fd;
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	set_up(ifname);
	return fd;
}

static void change(const char *ifname, const char *addr, uint8_t bits,
		   uint16_t type, uint8_t flags)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg m;
		struct rtattr a;
		uint8_t addr[16];
	} r = {.h = {.nlmsg_type = type,
		     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE},
	       .m = {.ifa_prefixlen = bits,
		     .ifa_flags = flags,
		     .ifa_index = if_nametoindex(ifname)},
	       .a = {.rta_type = IFA_LOCAL}};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char quoted[1024];
	} answer = {.e = {.error = -1}};
	bool v4 = !strchr(addr, ':');
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	r.m.ifa_family = v4 ? AF_INET : AF_INET6;
	r.a.rta_len = (unsigned short)RTA_LENGTH(v4 ? 4 : 16);
	r.h.nlmsg_len = (uint32_t)(sizeof(r) - (v4 ? 12 : 0));
	assert_int_equal(inet_pton(r.m.ifa_family, addr, r.addr), 1);
	assert_int_equal(send(fd, &r, r.h.nlmsg_len, 0), r.h.nlmsg_len);
	assert_true(recv(fd, &answer, sizeof(answer), 0) > 0);
	assert_int_equal(answer.e.error, 0);
	close(fd);
}

void netspace_add(const char *ifname, const char *addr, uint8_t bits)
{
	change(ifname, addr, bits, RTM_NEWADDR, IFA_F_NODAD);
}

void netspace_del(const char *ifname, const char *addr, uint8_t bits)
{
	change(ifname, addr, bits, RTM_DELADDR, 0);
}

void netspace_add_probed(const char *ifname, const char *addr, uint8_t bits)
{
	change(ifname, addr, bits, RTM_NEWADDR, 0);
}

void netspace_run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

unsigned netspace_count(const char *command, const char *text)
{
	FILE *out = popen(command, "r");
	unsigned n = 0;
	char *line = NULL;
	size_t room = 0;

	assert_non_null(out);
	while (getline(&line, &room, out) >= 0) {
		for (char *at = strstr(line, text); at;
		     at = strstr(at + 1, text))
			n++;
	}
	free(line);
	assert_int_equal(pclose(out), 0);
	return n;
}

bool netspace_has_ip(void)
{
	return system("ip -V >/dev/null 2>&1") == 0;
}

static void bind4(int fd, struct in_addr addr, uint16_t *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_addr = addr,
				  .sin_port = htons(*port)};
	socklen_t len = sizeof(sin);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
}

static void bind6(int fd, struct in6_addr addr, uint16_t *port, int v6only)
{
	struct sockaddr_in6 sin = {.sin6_family = AF_INET6,
				   .sin6_addr = addr,
				   .sin6_port = htons(*port)};
	socklen_t len = sizeof(sin);

	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin6_port);
}

int netspace_bind(int type, const char *addr, uint16_t *port, bool v6only)
{
	bool v4 = !strchr(addr, ':');
	int fd = socket(v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
	struct in6_addr six;
	struct in_addr four;

	assert_true(fd >= 0);
	if (v4) {
		assert_int_equal(inet_pton(AF_INET, addr, &four), 1);
		bind4(fd, four, port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, addr, &six), 1);
		bind6(fd, six, port, v6only);
	}
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 16), 0);
	return fd;
}
