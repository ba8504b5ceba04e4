#!/usr/bin/env bats
# Ping, and datagrams as large as there are.

load lib

largest_pass()
{
	local address

	for address in "$@"; do
		# The first may have to find the path's MTU
		in_box ping -q -c 3 -i 0.2 -W 2 -s 65507 "$address" |
			grep -E ' [1-3] received'
	done
}

@test "the gateway answers pings, v4 and v6" {
	tool_start
	in_box ping -q -c 2 -i 0.2 -W 2 $GATEWAY4
	in_box ping -q -c 2 -i 0.2 -W 2 $GATEWAY6
	in_box ping -q -c 2 -i 0.2 -W 2 fe80::2%tap0
}

@test "pings reach the outside, v4 and v6" {
	tool_start
	in_box ping -q -c 2 -i 0.2 -W 2 $FAR4
	only_tapir "sends no IPv6 echo"
	in_box ping -q -c 2 -i 0.2 -W 2 $FAR6
}

@test "a ping to nowhere says so" {
	only_tapir "is silent"
	tool_start
	at_remote ip route add unreachable 203.0.113.0/24
	at_remote ip route add unreachable 2001:db8:d::/48
	run in_box ping -c 1 -W 2 203.0.113.1
	[ "$status" = 1 ]
	[[ $output == *"Host Unreachable"* ]]
	run in_box ping -c 1 -W 2 2001:db8:d::1
	[ "$status" = 1 ]
	[[ $output == *"unreachable"* ]]
}

@test "a ping whose TTL ends on the way says where" {
	only_tapir "does not pass the TTL on"
	tool_start
	at_remote ip route add 198.18.0.0/24 via $HOST4
	at_remote ip route add 2001:db8:e::/48 via $HOST6
	run in_box ping -n -c 1 -W 2 -t 1 198.18.0.1
	[[ $output == *"From $REMOTE4 "*"Time to live exceeded"* ]]
	run in_box ping -n -c 1 -W 2 -t 1 2001:db8:e::1
	[[ $output == *"From $REMOTE6 "*"Hop limit"* ]]
}

# By Linux's default both ends set DF; the path's MTU is learned.
datagrams_of_all_sizes()
{
	local size

	for size in 0 1 1472 1473 9000 65507; do
		probe udp-echo $FAR4 $PORT $size
		probe udp-echo $FAR6 $PORT $size
	done
}

@test "65,507 bytes pass, ping and UDP, at MTU 1500" {
	tool_start --mtu=1500
	largest_pass $GATEWAY4
	only_tapir "drops large IPv6 echoes, and more"
	largest_pass $GATEWAY6 $FAR4 $FAR6
	datagrams_of_all_sizes
}

@test "65,507 bytes pass, ping and UDP, at MTU 65520" {
	tool_start --mtu=65520
	largest_pass $GATEWAY4
	only_tapir "drops large IPv6 echoes, and more"
	largest_pass $GATEWAY6 $FAR4 $FAR6
	datagrams_of_all_sizes
}
