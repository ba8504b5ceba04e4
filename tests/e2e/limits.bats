#!/usr/bin/env bats
# Too few descriptors: what cannot be had is refused, everything else goes on.

load lib

# holders FILE: how many of the 100 came, then how the others failed.
hold_all()
{
	mkfifo "$STAGE/hold.in"
	# shellcheck disable=SC2016
	spawn hold in_box sh -c 'exec "$@" <"$0"' "$STAGE/hold.in" \
		/usr/bin/python3 "$HERE/probe.py" hold-all "$1" $PORT 100
	exec {holding}>"$STAGE/hold.in"
	wait_for 60 grep '^[0-9]' "$STAGE/hold.log"
}

@test "without descriptors flows are refused, and come back" {
	local count errors fds

	only_tapir "resets, and says nothing"
	tool_start
	spawn keep probe hold $FAR4 $PORT 1 30
	wait_for 10 grep holding "$STAGE/keep.log"
	keep=$SPAWNED
	fds=$(tool_fds)
	prlimit --pid "$TOOL_PID" --nofile=$((fds + 40)):$((fds + 40))
	hold_all $FAR4
	read -r count errors <"$STAGE/hold.log"
	echo "$count came, the others: $errors"
	[ "$count" -ge 30 ] && [ "$count" -le 45 ]
	[ -n "$errors" ]
	tool_alive
	# Not spinning over what it cannot accept
	before=$(awk '{ print $14 + $15 }' "/proc/$TOOL_PID/stat")
	sleep 2
	after=$(awk '{ print $14 + $15 }' "/proc/$TOOL_PID/stat")
	[ $((after - before)) -lt 20 ]
	# UDP and ping fail without harm, those that are open go on
	probe udp-error $FAR4 $PORT
	in_box ping -q -c 1 -W 1 $FAR4 || true
	in_box ping -q -c 1 -W 2 $GATEWAY4
	exec {holding}>&-
	wait_for 10 probe download $FAR4 $PORT 1000000
	probe udp-echo $FAR4 $PORT
	wait "$keep"
}
