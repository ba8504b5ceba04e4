/* A network namespace of its own for a test: list netspace.c among its
 * SOURCES. */
#ifndef TESTS_NETSPACE_H
#define TESTS_NETSPACE_H

#include <stdbool.h>
#include <stdint.h>

/* Moves the test into a new network namespace, with nothing but lo, which is up.
 * False if that is not allowed: the test exits with NETSPACE_SKIP. */
bool netspace_enter(void);
#define NETSPACE_SKIP 77

/* Lets the kernel make a tap called @ifname (up); the descriptor holds it. */
int netspace_tap(const char *ifname);
/* Gives @ifname the address at once, takes it away, or gives it an IPv6 address
 * that the kernel goes on to probe. */
void netspace_add(const char *ifname, const char *addr, uint8_t bits);
void netspace_del(const char *ifname, const char *addr, uint8_t bits);
void netspace_add_probed(const char *ifname, const char *addr, uint8_t bits);

/* Runs a command of the shell in the namespace ("ip link set tap0 down"), which
 * must not fail. */
void netspace_run(const char *command);
/* How often @text is in what @command puts out. */
unsigned netspace_count(const char *command, const char *text);
/* Is there ip(8)? */
bool netspace_has_ip(void);

/* A socket of SOCK_STREAM (listening) or SOCK_DGRAM bound to @addr; IPv4
 * addresses "::ffff:a.b.c.d" are bound through an IPv6 socket. @port 0: any;
 * *@port then has it. */
int netspace_bind(int type, const char *addr, uint16_t *port, bool v6only);

#endif
