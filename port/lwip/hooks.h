/* Functions of stack/engine.c that lwIP calls. */
#ifndef PORT_LWIP_HOOKS_H
#define PORT_LWIP_HOOKS_H

#include "lwip/ip_addr.h"

u32_t engine_isn(const ip_addr_t *local_ip, u16_t local_port,
		 const ip_addr_t *remote_ip, u16_t remote_port);
#define LWIP_HOOK_TCP_ISN engine_isn

#endif
