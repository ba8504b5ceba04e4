#!/usr/bin/env bats
# An idle tapir never wakes.

load lib

@test "100 idle connections cost no system call in 30 s" {
	local holder

	only_tapir "wakes several times a second"
	tool_start --mtu=65520
	probe udp-echo $FAR4 $PORT
	spawn hold probe hold $FAR4 $PORT 100 45
	holder=$SPAWNED
	wait_for 10 grep holding "$STAGE/hold.log"
	# The last acknowledgements, the container's own neighbour checks
	sleep 8
	spawn strace strace -f -o "$STAGE/trace" -p "$TOOL_PID"
	wait_for 5 grep attached "$STAGE/strace.log"
	sleep 30
	kill -INT "$SPAWNED"
	wait_gone "$SPAWNED"
	# What attaching itself interrupted and restarts is no call of ours
	calls=$(grep -vE 'epoll_(p)?wait2?\(.*(unfinished|detached|resumed)|restart_syscall|^[0-9]+ +(---|\+\+\+|strace)' \
		"$STAGE/trace" || true)
	echo "$calls"
	[ -z "$calls" ]
	# And all are alive
	wait "$holder"
}
