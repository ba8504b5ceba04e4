#!/usr/bin/env bats
# Every byte arrives, and every end is told.

load lib

MB=1000000

# both_families TEST ARGS...: the probe, to the remote's far addresses.
both_families()
{
	local test=$1

	shift
	probe "$test" $FAR4 $PORT "$@"
	probe "$test" $FAR6 $PORT "$@"
}

everything_arrives()
{
	both_families download $((100 * MB))
	both_families upload $((100 * MB))
}

@test "100 MB arrive unharmed, up and down, at MTU 1500" {
	tool_start --mtu=1500
	everything_arrives
}

@test "100 MB arrive unharmed, up and down, at MTU 65520" {
	tool_start --mtu=65520
	everything_arrives
}

@test "iperf3 runs both ways, both families" {
	local address options

	spawn iperf3 at_remote iperf3 -s
	tool_start --mtu=65520
	wait_for 10 listening remote 5201
	for address in $FAR4 $FAR6; do
		for options in "" -R "-P 8"; do
			# shellcheck disable=SC2086
			in_box iperf3 -c $address -t 2 -J $options |
				jq -e '.end.sum_received.bits_per_second > 1e7'
		done
	done
}

@test "half-close works in both orders, with data flowing the other way" {
	tool_start --mtu=65520
	both_families half-close-box-first $((20 * MB))
	both_families half-close-host-first $((20 * MB))
}

@test "a close right after 100 MB loses nothing" {
	tool_start --mtu=65520
	both_families download-closed $((100 * MB))
	both_families upload-closed $((100 * MB))
}

@test "a RST of the peer arrives within a second" {
	tool_start
	both_families reset-by-peer
}

@test "a RST of the box arrives within a second" {
	only_tapir "makes a plain end of it"
	tool_start
	both_families reset-by-us
}

@test "the gateway's address is the host's loopback" {
	peer_up host
	tool_start
	probe download $GATEWAY4 $PORT $MB
	probe download $GATEWAY6 $PORT $MB
	[ "$(probe whoami $GATEWAY4 $PORT)" = 127.0.0.1 ]
	[ "$(probe whoami $GATEWAY6 $PORT)" = ::1 ]
}

@test "no descriptor is left when all flows have ended" {
	local before

	tool_start
	before=$(tool_fds)
	both_families download $MB
	both_families upload $MB
	both_families reset-by-peer
	[ "$E2E_TOOL" != tapir ] || both_families reset-by-us
	probe connect $FAR4 1 | grep ECONNREFUSED
	probe hold $FAR4 $PORT 50 0.1
	no_more_fds()
	{
		[ "$(tool_fds)" -le "$before" ]
	}
	wait_for 10 no_more_fds || fail "before $before, now $(tool_fds)"
}
