#!/usr/bin/env bats
# RootlessKit: a tap that is there already, and no -c.

load lib
load engines

setup_file()
{
	command -v rootlesskit >/dev/null || skip "no rootlesskit"
	stage_up
	peer_up remote
	engines_up
}

setup()
{
	SCOPE=test
}

teardown()
{
	kill_spawned test
}

rootlesskit()
{
	as_user rootlesskit --net=slirp4netns \
		--slirp4netns-binary="$(engine_tool)" \
		--slirp4netns-sandbox=false --slirp4netns-seccomp=false "$@"
}

@test "its child has the network" {
	run rootlesskit --mtu=65520 /usr/bin/python3 "$HERE/probe.py" \
		download $FAR4 $PORT 10000000
	echo "$output"
	[ "$status" = 0 ]
	run rootlesskit --mtu=1500 /usr/bin/python3 "$HERE/probe.py" \
		upload $FAR4 $PORT 10000000
	echo "$output"
	[ "$status" = 0 ]
}

@test "its child has the network without the host's loopback" {
	run rootlesskit --disable-host-loopback /usr/bin/python3 \
		"$HERE/probe.py" connect $GATEWAY4 $PORT
	echo "$output"
	[[ $output == *ENETUNREACH* ]]
}

@test "its child pings the gateway" {
	run rootlesskit ping -c 1 -W 2 $GATEWAY4
	[ "$status" = 0 ]
}
