/* What lwIP 2.2.1 leaves behind on a PCB and would stumble over later: pieces
 * that are acknowledged or out of order, a timer without purpose, a window of
 * congestion where there is none. */
#ifndef STACK_ENGINE_MEND_H
#define STACK_ENGINE_MEND_H

#include <lwip/tcp.h>

/* For engine_leave(), while the PCB is on its list: may send. */
void engine_mend(struct tcp_pcb *pcb);

#endif
