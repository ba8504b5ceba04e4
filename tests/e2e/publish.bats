#!/usr/bin/env bats
# Published ports one thing at a time: what passes, what is refused, and what is
# told when something cannot be.

load lib
load publish

# ---- data ---------------------------------------------------------------------

@test "every way that a connection can go, in both families" {
	local address test

	publish_start
	peer_in_box
	ask add tcp $RULE $PORT
	ask add udp $RULE $PORT
	for address in $HOST4 $HOST6; do
		for test in download upload download-closed upload-closed \
			half-close-box-first half-close-host-first; do
			outside $test $address $RULE 5000000
		done
		outside reset-by-peer $address $RULE
		outside reset-by-us $address $RULE
		outside udp-echo $address $RULE 1200
	done
}

@test "datagrams of all sizes pass" {
	publish_start
	ask udp-sizes
}

@test "100 UDP clients are told apart" {
	publish_start
	ask udp-clients 100
}

@test "a rule for one address of the container leads nowhere else" {
	publish_start
	ask fixed-guest
}

# ---- rules that come and go ---------------------------------------------------

@test "a rule that is removed keeps its connections" {
	publish_start
	ask keep
}

@test "a port that the host uses is named, in either family" {
	publish_start
	ask taken
}

# ---- families -----------------------------------------------------------------

@test "UDP finds the other family though kernels say little" {
	publish_start
	ask udp-other-family 12
}

# ---- services that cannot be reached ------------------------------------------

@test "a service on the container's loopback: reset, and the remedy is told" {
	local address

	for address in 127.0.0.1 ::1; do
		publish_start
		ask loopback-only $address
		log_of tool
		[ "$(grep -c "listens on $address only" "$STAGE/tool.log")" = 1 ]
		grep -q "^tapir: tcp .*:21000.* port 8000: .*$address" \
			"$STAGE/tool.log"
		kill "$TOOL_PID"
		wait_gone "$TOOL_PID"
	done
	TOOL_PID=
}

# ---- hosts that lack something ------------------------------------------------

@test "a host without IPv6 publishes IPv4, and that is no error" {
	publish_start
	at_host sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1 \
		net.ipv6.conf.lo.disable_ipv6=1
	peer_in_box
	ask add tcp $RULE $PORT
	ask add udp $RULE $PORT
	outside download $HOST4 $RULE 1000
	outside udp-echo $HOST4 $RULE
}
