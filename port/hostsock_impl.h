/* What the files behind hostsock.h share, and nobody else uses. */
#ifndef PORT_HOSTSOCK_IMPL_H
#define PORT_HOSTSOCK_IMPL_H

#include "port/hostsock.h"

#include <sys/socket.h>

union hostsock_sockaddr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Room for one extended error with the offender's address, and to spare. */
union hostsock_control {
	struct cmsghdr align;
	char room[256];
};

/* Fills in *@ret and returns its length. */
socklen_t hostsock_to_sockaddr(const struct in6_addr *a, uint16_t port,
			       union hostsock_sockaddr *ret);
/* Unspecified, port 0, if it is of neither family. */
struct endpoint hostsock_from_sockaddr(const union hostsock_sockaddr *sa);

/* The interface in a link-local IPv6 address. */
uint32_t hostsock_scope(const struct in6_addr *a);
void hostsock_set_scope(struct in6_addr *a, uint32_t index);
/* Does @a have room for one? */
bool hostsock_is_scoped(const struct in6_addr *a);

/* The address of @source that goes with the family of @to. */
const struct in6_addr *
hostsock_source_for(const struct in6_addr *to,
		    const struct hostsock_source *source);

/* A socket of the family of @of. The descriptor or -errno. */
int hostsock_open(const struct in6_addr *of, int type, int proto);
/* To the interface of @source for the family of @to, if there is one. 0 or
 * -errno. */
int hostsock_bind_if(int fd, const struct in6_addr *to,
		     const struct hostsock_source *source);
int hostsock_bind_to(int fd, const struct in6_addr *a, uint16_t port);
/* Failure is not told: an option that some kernel lacks (or that a race with the
 * peer made pointless) must not cost the flow. */
void hostsock_option(int fd, int level, int name, int value);

/* @msg goes from @local: the control message, into room that it has. */
void hostsock_write_source(struct msghdr *msg, const struct in6_addr *local);

ssize_t hostsock_send_message(int fd, const struct msghdr *msg);
ssize_t hostsock_recv_message(int fd, struct msghdr *msg, int flags);

#endif
