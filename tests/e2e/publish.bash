# What the tests of published ports do again and again.
# shellcheck shell=bash

RULE=15000 # the port that rules for peer.py publish

setup_file()
{
	stage_up
	at_host sysctl -qw net.ipv4.icmp_ratelimit=0 \
		net.ipv6.icmp.ratelimit=0
}

# publish_start OPTIONS...: the tool with its API socket, $SOCK.
publish_start()
{
	only_tapir "the API knows less"
	SOCK=$STAGE/api.sock
	tool_start --api-socket="$SOCK" --mtu=65520 "$@"
}

# ask TEST ARGS...: see publish_probe.py.
ask()
{
	at_host timeout 120 /usr/bin/python3 "$HERE/publish_probe.py" "$1" \
		"$SOCK" "$HOST_PID" "$REMOTE_PID" "$BOX_PID" "${@:2}"
}

# peer.py on all addresses of the box.
peer_in_box()
{
	spawn peer-box in_box /usr/bin/python3 "$HERE/peer.py" $PORT
	PEER_PID=$SPAWNED
	wait_for 10 in_box sh -c "ss -Hltn 'sport = $PORT' | grep -q ."
}

# outside TEST ADDRESS PORT ARGS...: from the remote; see probe.py.
outside()
{
	at_remote /usr/bin/python3 "$HERE/probe.py" "$@"
}

# no_more_fds COUNT: that many and no more, or soon.
no_more_fds()
{
	wait_for 20 at_most_fds "$1" || fail "$(tool_fds) descriptors, not $1"
}

at_most_fds()
{
	[ "$(tool_fds)" -le "$1" ]
}

tool_jiffies()
{
	awk '{ print $14 + $15 }' "/proc/$TOOL_PID/stat"
}

# It uses little of the processor for two seconds.
calm()
{
	local before

	before=$(tool_jiffies)
	sleep 2
	before=$(($(tool_jiffies) - before))
	echo "$before ticks in 2 s"
	[ "$before" -lt 20 ]
}
