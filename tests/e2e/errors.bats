#!/usr/bin/env bats
# What fails for the host fails for the box, with the same error.

load lib

setup_file()
{
	stage_up
	peer_up remote
	# Two SYNs, then the end: or a black hole would take two minutes
	at_host sysctl -qw net.ipv4.tcp_syn_retries=1 \
		net.ipv4.tcp_syn_linear_timeouts=0 2>/dev/null || true
	at_host sh -ec '
		ip route add throw 203.0.113.0/28
		ip route add unreachable 203.0.113.16/28
		ip route add prohibit 203.0.113.32/28
		ip -6 route add throw 2001:db8:a::/48
		ip -6 route add unreachable 2001:db8:b::/48
		ip -6 route add prohibit 2001:db8:c::/48'
	at_remote sh -ec '
		ip route add unreachable 203.0.113.64/28
		ip route add prohibit 203.0.113.80/28
		ip route add blackhole 203.0.113.96/28
		ip -6 route add unreachable 2001:db8:d::/48
		ip -6 route add prohibit 2001:db8:e::/48
		ip -6 route add blackhole 2001:db8:f::/48
		ip route add throw 203.0.113.112/28
		ip -6 route add throw 2001:db8:10::/48
		sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0'
}

setup()
{
	box_up
	in_box sysctl -qw net.ipv4.tcp_syn_retries=1 \
		net.ipv4.tcp_syn_linear_timeouts=0 2>/dev/null || true
}

probe_host()
{
	at_host /usr/bin/python3 "$HERE/probe.py" "$@"
}

# same ADDRESS PORT WANT [WANT_IN_BOX]: the host sees WANT, and the box too.
same()
{
	local host box

	host=$(probe_host connect "$1" "$2")
	box=$(probe connect "$1" "$2")
	echo "$1: host $host, box $box"
	[ "$host" = "$3" ] && [ "$box" = "${4:-$3}" ]
}

@test "refused is refused" {
	tool_start
	same $FAR4 1 ECONNREFUSED
	same $FAR6 1 ECONNREFUSED
	[ "$(probe connect $GATEWAY4 1)" = ECONNREFUSED ]
	[ "$(probe connect $GATEWAY6 1)" = ECONNREFUSED ]
}

@test "no route is net unreachable" {
	tool_start
	same 203.0.113.1 80 ENETUNREACH
	same 2001:db8:a::1 80 ENETUNREACH
}

@test "an unreachable host is unreachable" {
	only_tapir "has net unreachable or nothing for some"
	tool_start
	same 203.0.113.17 80 EHOSTUNREACH
	same 2001:db8:b::1 80 EHOSTUNREACH
	# Told by a router on the way
	same 203.0.113.65 80 EHOSTUNREACH
	# IPv6 routers have one word for this and for no route
	same 2001:db8:d::1 80 ENETUNREACH
}

@test "a router without a route is told as the host is told" {
	only_tapir "does not tell the two apart"
	tool_start
	same 203.0.113.113 80 ENETUNREACH
	same 2001:db8:10::1 80 ENETUNREACH
}

@test "nobody on the host's own link is host unreachable" {
	only_tapir "takes longer than its host"
	tool_start
	# Longer than ARP needs to give up
	at_host sysctl -qw net.ipv4.tcp_syn_retries=4
	in_box sysctl -qw net.ipv4.tcp_syn_retries=4
	same 192.0.2.77 80 EHOSTUNREACH
	same 2001:db8:1::77 80 EHOSTUNREACH
	at_host sysctl -qw net.ipv4.tcp_syn_retries=1
}

@test "prohibited is prohibited" {
	only_tapir "resets instead"
	tool_start
	# No ICMP message makes an IPv4 connect() say EACCES
	same 203.0.113.33 80 EACCES EHOSTUNREACH
	same 2001:db8:c::1 80 EACCES
	same 203.0.113.81 80 EHOSTUNREACH
	same 2001:db8:e::1 80 EACCES
}

@test "a black hole times out, and no SYN was answered before" {
	tool_start
	same 203.0.113.97 80 ETIMEDOUT
	only_tapir "gives IPv6 half the time"
	same 2001:db8:f::1 80 ETIMEDOUT
}

@test "a SYN is answered only after the host's connect() succeeded" {
	local start took address

	tool_start
	at_host sysctl -qw net.ipv4.tcp_syn_retries=5
	for address in $FAR4 $FAR6; do
		# shellcheck disable=SC2016
		spawn "late-$address" at_host sh -c '
			for tables in iptables ip6tables; do
				$tables -I OUTPUT -p tcp --dport 7000 -j DROP
			done
			sleep 2
			iptables -F; ip6tables -F'
		wait_for 5 at_host sh -c 'ip6tables -S | grep -q DROP'
		start=${EPOCHREALTIME/./}
		in_box sysctl -qw net.ipv4.tcp_syn_retries=5
		[ "$(probe connect $address $PORT 20)" = connected ]
		took=$((${EPOCHREALTIME/./} - start))
		echo "$address: $took us"
		[ $took -gt 1000000 ]
	done
	at_host sysctl -qw net.ipv4.tcp_syn_retries=1
}

@test "a datagram to a closed port is refused" {
	tool_start
	[ "$(probe udp-error $FAR4 1)" = ECONNREFUSED ]
	[ "$(probe udp-error $FAR6 1)" = ECONNREFUSED ]
	only_tapir "is silent for the gateway"
	[ "$(probe udp-error $GATEWAY4 1)" = ECONNREFUSED ]
	[ "$(probe udp-error $GATEWAY6 1)" = ECONNREFUSED ]
}

@test "a datagram to nowhere brings the host's error back" {
	only_tapir "sends port unreachable for all"
	tool_start
	[ "$(probe udp-error 203.0.113.1 80)" = ENETUNREACH ]
	[ "$(probe udp-error 2001:db8:a::1 80)" = ENETUNREACH ]
	[ "$(probe udp-error 203.0.113.65 80)" = EHOSTUNREACH ]
	[ "$(probe udp-error 2001:db8:d::1 80)" = ENETUNREACH ]
}

@test "a datagram larger than the path's MTU teaches that MTU" {
	only_tapir "lets the host fragment"
	tool_start --mtu=65520
	at_host ip route add 198.51.100.9/32 via $REMOTE4 mtu lock 1400
	at_host ip -6 route add 2001:db8:2::9/128 via $REMOTE6 mtu 1300
	[ "$(probe udp-mtu $FAR4 $PORT 3000)" = "EMSGSIZE 1500" ]
	[ "$(probe udp-mtu $FAR6 $PORT 3000)" = "EMSGSIZE 1500" ]
	[ "$(probe udp-mtu 198.51.100.9 $PORT 1450)" = "EMSGSIZE 1400" ]
	[ "$(probe udp-mtu 2001:db8:2::9 $PORT 1450)" = "EMSGSIZE 1300" ]
}
