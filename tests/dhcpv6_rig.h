/* A DHCPv6 client in a test's hands, on a front of frames_shared_plan(). */
#ifndef TESTS_DHCPV6_RIG_H
#define TESTS_DHCPV6_RIG_H

#include "stack/dhcpv6.h"
#include "tests/front.h"
#include "tests/test.h"

enum {
	DHCPV6_SOLICIT = 1,
	DHCPV6_ADVERTISE,
	DHCPV6_REQUEST,
	DHCPV6_CONFIRM,
	DHCPV6_RENEW,
	DHCPV6_REBIND,
	DHCPV6_REPLY,
	DHCPV6_RELEASE,
	DHCPV6_DECLINE,
	DHCPV6_RECONFIGURE,
	DHCPV6_INFORMATION_REQUEST,
};

#define DHCPV6_CLIENT  "fe80::11:22ff:fe33:4455"
#define DHCPV6_SERVERS "ff02::1:2"

extern const uint8_t dhcpv6_our_duid[10];
extern const uint8_t dhcpv6_client_duid[10];

/* A message of a client being written. */
struct dhcpv6_ask {
	uint8_t data[1500];
	size_t len;
};

/* Starts a message of @type, with our identifiers if @client and @server. */
void dhcpv6_start(struct dhcpv6_ask *a, uint8_t type, bool client, bool server);
void dhcpv6_put(struct dhcpv6_ask *a, uint16_t code, const void *data,
		size_t len);
/* An association of @code with @id as the last byte of its identifier, for @addr
 * and @other if they are not NULL. */
void dhcpv6_put_ia(struct dhcpv6_ask *a, uint16_t code, uint8_t id,
		   const char *addr, const char *other);
void dhcpv6_put_wanted(struct dhcpv6_ask *a, uint16_t code);
void dhcpv6_send(struct front *f, const struct dhcpv6_ask *a);

/* Option @code of the options in @v, the first or the @nth after it; empty at
 * NULL if there is none. */
struct view dhcpv6_option(struct view v, uint16_t code);
struct view dhcpv6_nth(struct view v, uint16_t code, unsigned nth);
/* The one answer, of @type, with our identifier; its options. */
struct view dhcpv6_answer(struct front *f, uint8_t type);

void dhcpv6_assert_client(struct view v);
void dhcpv6_assert_status(struct view v, uint16_t want);
/* The @nth address of the association @ia: @text for @lifetime. */
void dhcpv6_assert_addr(struct view ia, unsigned nth, const char *text,
			uint32_t lifetime);
/* The only address, for ever, under the client's identifier. */
void dhcpv6_assert_lease(struct view v);
/* The association @nth of @code, without address but with a status. */
void dhcpv6_assert_refused(struct view v, uint16_t code, unsigned nth,
			   uint16_t status);
void dhcpv6_assert_silence(struct front *f);
/* Sends @a and sees it dropped. */
void dhcpv6_assert_dropped(struct front *f, const struct dhcpv6_ask *a);

/* For cmocka: *state is the front. */
int dhcpv6_setup(void **state);

#endif
