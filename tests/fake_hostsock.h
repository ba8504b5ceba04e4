/* A scripted host in place of port/hostsock.c: list fake_hostsock.c among the
 * SOURCES of a test, and fake_hostsock_bind.c if it uses hostsock_bind() and
 * what follows hostsock_local() in hostsock.h, as listeners do. Descriptors are real (socket pairs, loopback UDP), so the
 * real loop works with them; what the host does is what the test said. */
#ifndef TESTS_FAKE_HOSTSOCK_H
#define TESTS_FAKE_HOSTSOCK_H

#include "port/hostsock.h"

enum fake_how {
	FAKE_OK,       /* connects at once; datagrams are taken */
	FAKE_LATER,    /* TCP: nothing, until fake_accept() or fake_refuse() */
	FAKE_FAIL_NOW, /* the call itself fails */
	FAKE_FAIL_LATER, /* TCP: connect() fails once the loop looks; datagrams
			  * are taken and come back in the error queue */
};

enum fake_kind {
	FAKE_TCP,
	FAKE_UDP,
	FAKE_PING,
	FAKE_BOUND_TCP, /* of hostsock_bind() */
	FAKE_BOUND_UDP,
};

/* A datagram that was sent to the host. */
struct fake_sent {
	struct endpoint to;
	struct in6_addr from; /* of hostsock_send_from(), else unspecified */
	struct hostsock_opts opts;
	uint8_t *buf;
	size_t len;
};

/* A host socket of the code under test, and what is at its other end. For
 * reading. */
struct fake_sock {
	enum fake_kind kind;
	int fd;             /* -1 once it was closed */
	struct endpoint to; /* FAKE_TCP: where to, or of fake_client() its
			     * client; FAKE_BOUND_*: where it is bound; else:
			     * family asked for, port asked for */
	struct hostsock_source from;
	/* FAKE_TCP */
	int peer;        /* the far end; -1 once that is closed */
	bool pending;    /* FAKE_LATER, undecided */
	int err;         /* the error that waits for the code under test */
	bool shut;       /* the code under test sent FIN */
	bool was_reset;  /* it closed with RST */
	size_t send_max; /* most bytes that one send takes; 0: EAGAIN */
	/* FAKE_BOUND_TCP */
	bool listening;
	/* FAKE_UDP, FAKE_PING, FAKE_BOUND_UDP */
	struct fake_sent *sent;
	size_t sent_count;
	struct fake_error *errors;
	size_t error_count;
};

/* For setup and teardown of each test. fake_finish() asserts that the code
 * under test closed every socket. */
void fake_start(void);
void fake_finish(void);

/* What happens to connections and datagrams to @to from now on (FAKE_OK unless
 * told); @err is a positive errno, for FAKE_FAIL_*. */
void fake_script(const struct endpoint *to, enum fake_how how, int err);
/* Every call that makes a socket fails with @err; 0: works again. */
void fake_no_sockets(int err);
/* Every send fails with @err, any target; 0: works again. */
void fake_no_sends(int err);
/* What hostsock_mtu() says; 0 unless told. */
void fake_mtu(uint32_t mtu);

/* How many sockets were made since fake_start(), and the @n-th of them. */
size_t fake_made(void);
struct fake_sock *fake_get(size_t n);
struct fake_sock *fake_last(void);
/* How many are open. */
size_t fake_open(void);

/* TCP, as the host's peer. */
void fake_accept(struct fake_sock *s);
void fake_refuse(struct fake_sock *s, int err);
/* Returns how many bytes fitted. */
size_t fake_write(struct fake_sock *s, const void *buf, size_t len);
/* What came, without waiting: bytes, 0 at FIN (or after the close), -EAGAIN. */
ssize_t fake_read(struct fake_sock *s, void *buf, size_t len);
/* FIN; bytes the other way still pass. */
void fake_shutdown(struct fake_sock *s);
void fake_reset(struct fake_sock *s);
/* From now on a send takes at most @max bytes; 0: none (EAGAIN). */
void fake_limit(struct fake_sock *s, size_t max);

/* UDP and ping, as the host. A payload of at most 65,000 bytes. */
void fake_deliver(struct fake_sock *s, const struct endpoint *from,
		  const void *buf, size_t len);
/* Puts an entry into the error queue; e->len bytes of @buf are the payload. */
void fake_deliver_error(struct fake_sock *s, const struct hostsock_err *e,
			const void *buf);

/* Published ports, in fake_hostsock_bind.c. A client that was accepted, for the
 * code under test to take over: hostsock_close() and fake_read() and the like
 * work with it as with one that connected. */
struct fake_sock *fake_client(const struct endpoint *client);
/* One that waits to be accepted by listening FAKE_BOUND_TCP socket @s. */
void fake_connect(struct fake_sock *s, const struct endpoint *client);
/* What @client sent to @local (an address of) FAKE_BOUND_UDP socket @s. */
void fake_deliver_at(struct fake_sock *s, const struct endpoint *client,
		     const struct in6_addr *local, const void *buf, size_t len);

#endif
