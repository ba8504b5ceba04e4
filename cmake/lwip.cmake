# lwIP from source, unmodified, configured by port/lwip/lwipopts.h.
set(lwip_core "${LWIP_DIR}/src/core")
if(NOT EXISTS "${lwip_core}/tcp_in.c")
  message(FATAL_ERROR "No lwIP source in '${LWIP_DIR}': run ./bootstrap, or "
                      "name a tree of lwIP 2.2 with -DLWIP_DIR=DIR")
endif()

add_library(lwip STATIC
  ${lwip_core}/def.c ${lwip_core}/inet_chksum.c ${lwip_core}/init.c
  ${lwip_core}/ip.c ${lwip_core}/mem.c ${lwip_core}/memp.c
  ${lwip_core}/netif.c ${lwip_core}/pbuf.c ${lwip_core}/tcp.c
  ${lwip_core}/tcp_in.c ${lwip_core}/tcp_out.c ${lwip_core}/timeouts.c
  ${lwip_core}/udp.c
  ${lwip_core}/ipv4/ip4.c ${lwip_core}/ipv4/ip4_addr.c
  ${lwip_core}/ipv6/ip6.c ${lwip_core}/ipv6/ip6_addr.c
  ${lwip_core}/ipv6/icmp6.c ${lwip_core}/ipv6/nd6.c)
target_include_directories(lwip SYSTEM PUBLIC
  ${LWIP_DIR}/src/include ${CMAKE_SOURCE_DIR}/port/lwip)
target_compile_options(lwip PRIVATE -w)
