#!/usr/bin/env bats
# What slirp4netns's own tests ask of it, and asks it more strictly.

load lib

# refused WORDS OPTIONS...: the tool ends with status 1 and says WORDS.
refused()
{
	local words=$1

	shift
	tool_words
	run at_host "${TOOL[@]}" "$@"
	echo "$output"
	[ "$status" = 1 ] && [[ $output == *"$words"* ]]
}

@test "cidr: what is none is refused with the contract's words" {
	local bad

	for bad in 24 foo 10.0.2.0; do
		refused "invalid CIDR" -c --cidr=$bad "$BOX_PID" tap0
	done
	refused "CIDR needs to be a network address like 10.0.2.0/24, not like 10.0.2.100/24" \
		-c --cidr=10.0.2.100/24 "$BOX_PID" tap0
	refused "prefix length needs to be 1-25" \
		-c --cidr=10.0.2.100/26 "$BOX_PID" tap0
}

@test "cidr: another network is used, options after the target too" {
	tool_words
	spawn tool at_host "${TOOL[@]}" -c "$BOX_PID" --cidr 10.0.135.128/25 tap0
	TOOL_PID=$SPAWNED
	wait_for 10 in_box sh -c 'ip address show tap0 | grep 10.0.135.228/25'
	[[ $(in_box ip route show default) == *"via 10.0.135.130 dev tap0"* ]]
	in_box ping -q -c 1 -W 2 10.0.135.130
	[ "$(probe whoami $FAR4 $PORT)" = $HOST4 ]
}

@test "configure: loopback, flags, MTU, address and route are set" {
	tool_start_bare -c --mtu=9000
	[[ $(in_box ip link show lo) == *UP* ]]
	[[ $(in_box ip link show tap0) == *"<BROADCAST,UP,LOWER_UP>"*"mtu 9000"* ]]
	[[ $(in_box ip -4 address show tap0) == *"inet 10.0.2.100/24"* ]]
	[ "$(in_box ip route show default | tr -s ' ')" = \
		"default via 10.0.2.2 dev tap0 " ]
}

@test "without -c nothing is configured, and RA and DHCP are answered" {
	tool_start_bare -6
	[ -z "$(in_box ip -4 address show dev tap0)" ]
	[[ $(in_box ip link show tap0) != *",UP"* ]]
	in_box ip link set tap0 up
	in_box ip link set lo up
	wait_for 5 box_has_ipv6
	[[ $(in_box ip -6 route show default) == *"via fe80::2 dev tap0 proto ra"* ]]
	[[ $(in_box ip -6 address show dev tap0) == *"inet6 fd00::"* ]]
}

@test "dhcp: a client obtains N+15, the gateway and the resolver" {
	command -v udhcpc || skip "no udhcpc"
	tool_start_bare
	in_box ip link set tap0 up
	cat >"$STAGE/dhcp" <<-'END'
		#!/bin/sh
		[ "$1" = bound ] || exit 0
		echo "ip=$ip subnet=$subnet router=$router dns=$dns" >"$OUT"
	END
	chmod +x "$STAGE/dhcp"
	in_box env OUT="$STAGE/lease" udhcpc -q -n -f -t 5 -T 1 -i tap0 \
		-s "$STAGE/dhcp"
	[ "$(cat "$STAGE/lease")" = \
		"ip=10.0.2.15 subnet=255.255.255.0 router=10.0.2.2 dns=10.0.2.3" ]
	in_box ip address add 10.0.2.15/24 dev tap0
	in_box ping -q -c 1 -W 2 $GATEWAY4
}

@test "disable-dns: the alias is silent, the gateway is not" {
	# An address of the outside like any other; who has none there is silent
	at_remote ip route add blackhole 10.0.0.0/8
	tool_start --disable-dns
	in_box ping -q -c 1 -W 2 $GATEWAY4
	run in_box ncat -w 2 $DNS4 53
	echo "ncat: $output"
	[ "$status" != 0 ]
	[[ $output == *[Tt][Ii][Mm][Ee]*[Oo][Uu][Tt]* ]]
}

@test "disable-host-loopback: net unreachable, but pings are answered" {
	peer_up host
	tool_start --disable-host-loopback
	in_box ping -q -c 1 -W 2 $GATEWAY4
	in_box ping -q -c 1 -W 2 $GATEWAY6
	[ "$(probe connect $GATEWAY4 $PORT)" = ENETUNREACH ]
	[ "$(probe connect $GATEWAY6 $PORT)" = ENETUNREACH ]
	# The host's own addresses stay reachable, Podman uses one
	probe download $HOST4 $PORT 1000
	probe download $HOST6 $PORT 1000
}

@test "exit-fd: the tool ends with status 0 when the writer goes" {
	tool_words
	mkfifo "$STAGE/exit"
	# shellcheck disable=SC2016
	spawn tool at_host bash -c '"$@" -e 10 10<"$0"; echo "status $?"' \
		"$STAGE/exit" "${TOOL[@]}" -c "$BOX_PID" tap0
	exec {writer}>"$STAGE/exit"
	wait_for 10 in_box ip link show tap0
	echo data does not matter >&$writer
	sleep 1
	[ "$(grep -c status "$STAGE/tool.log")" = 0 ]
	exec {writer}>&-
	wait_for 5 grep "status 0" "$STAGE/tool.log"
	grep "exitfd event" "$STAGE/tool.log"
}

@test "exit-fd: a descriptor that is not open is an end at once" {
	tool_words
	run timeout 10 nsenter -t "$HOST_PID" -n -m -- \
		"${TOOL[@]}" -e 77 -c "$BOX_PID" tap0
	[ "$status" = 0 ]
}

@test "ready-fd: one byte and the end, after the tap is there" {
	tool_words
	# shellcheck disable=SC2016
	spawn tool at_host sh -c 'exec "$@" -r 5 5>"$0"' "$STAGE/ready-byte" \
		"${TOOL[@]}" -c "$BOX_PID" tap0
	TOOL_PID=$SPAWNED
	wait_for 10 test -s "$STAGE/ready-byte"
	in_box ip -4 address show tap0 | grep -q inet
	[ "$(od -An -c "$STAGE/ready-byte" | tr -d ' ')" = 1 ]
	[ ! -e "/proc/$TOOL_PID/fd/5" ] ||
		[ "$(readlink "/proc/$TOOL_PID/fd/5")" != "$STAGE/ready-byte" ]
}

@test "macaddress: the tap gets it; without -c it is refused" {
	tool_start_bare -c --macaddress 0e:d4:18:d9:38:fb
	[[ $(in_box ip link show tap0) == *"0e:d4:18:d9:38:fb"* ]]
	in_box ping -q -c 1 -W 2 $GATEWAY4
	tool_words
	run at_host "${TOOL[@]}" --macaddress 0e:d4:18:d9:38:fb "$BOX_PID" tap1
	[ "$status" = 1 ]
}

@test "nspath: by user and network namespace, without touching the tap" {
	tool_words
	spawn tool at_host "${TOOL[@]}" --netns-type=path \
		--userns-path="/proc/$BOX_PID/ns/user" \
		"/proc/$BOX_PID/ns/net" tap11
	TOOL_PID=$SPAWNED
	wait_for 10 in_box ip link show tap11
	[ -z "$(in_box ip -4 address show dev tap11)" ]
}

@test "nspath: by path only, when already inside the user namespace" {
	tool_words
	spawn tool nsenter -t "$HOST_PID" -n -m -- nsenter -t "$BOX_PID" -U \
		--preserve-credentials "${TOOL[@]}" -c --netns-type=path \
		"/proc/$BOX_PID/ns/net" tap11
	TOOL_PID=$SPAWNED
	wait_for 10 in_box sh -c 'ip address show tap11 | grep 10.0.2.100'
}

@test "outbound-addr: an address and an interface's name" {
	at_host ip address add 192.0.2.3/24 dev up0 2>/dev/null || true
	tool_start_bare -c --outbound-addr=192.0.2.3
	[ "$(probe whoami $FAR4 $PORT)" = 192.0.2.3 ]
	kill "$TOOL_PID"
	wait_gone "$TOOL_PID"
	tool_start_bare -c --outbound-addr=up0
	[ "$(probe whoami $FAR4 $PORT)" = $HOST4 ]
}

@test "outbound-addr6: an address and an interface's name" {
	at_host ip address add 2001:db8:1::3/64 dev up0 nodad 2>/dev/null || true
	tool_start --outbound-addr6=2001:db8:1::3
	[ "$(probe whoami $FAR6 $PORT)" = 2001:db8:1::3 ]
	only_tapir "takes the name from the other option"
	kill "$TOOL_PID"
	wait_gone "$TOOL_PID"
	tool_start --outbound-addr6=up0
	probe whoami $FAR6 $PORT
}

@test "a persistent tap that somebody made is taken, header or not" {
	in_box ip tuntap add dev tap0 mode tap
	tool_start_bare
	in_box ip address add 10.0.2.100/24 dev tap0
	in_box ip link set tap0 up mtu 65520
	in_box ip route add default via 10.0.2.2
	probe download $FAR4 $PORT 10000000
	probe upload $FAR4 $PORT 10000000
}

@test "the tool stays when its target goes" {
	tool_start_bare -c
	kill "$BOX_PID"
	wait_gone "$BOX_PID"
	sleep 1
	tool_alive
	# Nor does it spin
	local before after
	before=$(awk '{ print $14 + $15 }' "/proc/$TOOL_PID/stat")
	sleep 2
	after=$(awk '{ print $14 + $15 }' "/proc/$TOOL_PID/stat")
	[ $((after - before)) -lt 20 ]
}

@test "SIGTERM and SIGINT end it by the signal" {
	local signal

	for signal in TERM:143 INT:130; do
		tool_words
		spawn tool at_host /usr/bin/python3 -uc '
import signal, subprocess, sys
# A background job of a shell ignores SIGINT
signal.signal(signal.SIGINT, signal.default_int_handler)
child = subprocess.Popen(sys.argv[1:])
print("pid", child.pid)
print("status", child.wait())' \
			"${TOOL[@]}" -c "$BOX_PID" "tap${signal#*:}"
		wait_for 10 in_box ip -4 address show "tap${signal#*:}"
		kill "-${signal%:*}" "$(sed -n 's/^pid //p' "$STAGE/tool.log")"
		# As Python tells it: the signal, negative
		wait_for 5 grep "^status -$((${signal#*:} - 128))$" \
			"$STAGE/tool.log"
	done
}
