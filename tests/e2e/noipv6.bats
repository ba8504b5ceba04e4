#!/usr/bin/env bats
# Hosts and containers that lack something: IPv6, or any route at all.

load lib

no_ipv6()
{
	"$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1
}

@test "a container without IPv6 has IPv4" {
	no_ipv6 in_box
	tool_start_bare -c -6
	probe download $FAR4 $PORT 1000000
	probe udp-echo $FAR4 $PORT
	tool_alive
}

@test "IPv6 that is off in the tool leaves IPv4 alone" {
	tool_start_bare -c
	probe download $FAR4 $PORT 1000000
	[ -z "$(in_box ip -6 address show dev tap0 scope global)" ]
}

@test "a host without any route works as soon as there is one" {
	at_host ip route del default
	at_host ip -6 route del default
	tool_start
	[ "$(probe connect $FAR4 $PORT)" = ENETUNREACH ]
	[ "$(probe connect $FAR6 $PORT)" = ENETUNREACH ]
	probe udp-error $FAR4 $PORT
	at_host ip route add default via $REMOTE4
	at_host ip -6 route add default via $REMOTE6
	probe download $FAR4 $PORT 1000000
	probe download $FAR6 $PORT 1000000
	probe udp-echo $FAR4 $PORT
	probe udp-echo $FAR6 $PORT
}

@test "a host without IPv6 has IPv4, and says so of IPv6" {
	no_ipv6 at_host
	tool_start
	probe download $FAR4 $PORT 1000000
	probe udp-echo $FAR4 $PORT
	in_box ping -q -c 1 -W 2 $FAR4
	only_tapir "has other words for it"
	run probe connect $FAR6 $PORT 5
	echo "TCP: $output"
	[ "$output" = ENETUNREACH ]
	run probe udp-error $FAR6 $PORT
	echo "UDP: $output"
	[ "$output" = ENETUNREACH ]
	tool_alive
}
