/* The one way from a configuration to a running program, whatever command line
 * it came from (DESIGN D13). */
#ifndef PORT_START_H
#define PORT_START_H

#include "port/config.h"

/* Opens /dev/null where stdin, stdout or stderr are closed: a socket or the tap
 * would get that number, and then what we print. */
void start_hold_stdio(void);

/* Opens the tap, starts stack and relays, says that it is ready, and runs until
 * the exit descriptor hangs up or the command ends. The program's exit status;
 * reasons go to stderr. */
int start(const struct config *config);

#endif
