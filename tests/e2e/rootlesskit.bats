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

# published SPEC CMD...: in the background, through the API socket.
published()
{
	spawn child rootlesskit --port-driver=slirp4netns --publish "$@"
}

@test "a published TCP port is reached over IPv4" {
	published 127.0.0.1:8080:$PORT/tcp \
		/usr/bin/python3 "$HERE/peer.py" $PORT
	answers()
	{
		at_host /usr/bin/python3 "$HERE/probe.py" download 127.0.0.1 \
			8080 100000
	}
	wait_for 20 answers
	at_host /usr/bin/python3 "$HERE/probe.py" upload 127.0.0.1 8080 100000
	[ "$(at_host /usr/bin/python3 "$HERE/probe.py" whoami 127.0.0.1 8080)" \
		= $GATEWAY4 ]
	# There and nowhere else
	[ "$(at_remote /usr/bin/python3 "$HERE/probe.py" connect $HOST4 8080)" \
		= ECONNREFUSED ]
}

@test "a port published everywhere shows the real client" {
	published 0.0.0.0:8080:$PORT/tcp \
		/usr/bin/python3 "$HERE/peer.py" $PORT
	shows()
	{
		[ "$(at_remote /usr/bin/python3 "$HERE/probe.py" whoami \
			$HOST4 8080)" = $REMOTE4 ]
	}
	wait_for 20 shows
}

@test "a published UDP port is reached over IPv4" {
	published 127.0.0.1:8080:$PORT/udp \
		/usr/bin/python3 "$HERE/peer.py" $PORT
	echoed()
	{
		at_host /usr/bin/python3 "$HERE/probe.py" udp-echo 127.0.0.1 8080
	}
	wait_for 20 echoed
}
