#!/usr/bin/env bats
# Rules that follow: the port of the host is open while the container listens.

load lib
load publish

@test "the port opens and closes within 250 ms" {
	publish_start
	in_box sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
	if tool_sanitized; then
		skip "a sanitizer slows it down"
	fi
	run ask follow-times 12
	echo "$output"
	[ "$status" = 0 ]
}

@test "connections stay when the container stops listening" {
	publish_start
	ask follow-keep
}

@test "what listens already is open with the answer" {
	publish_start
	ask follow-add
}

@test "a look at 1,000 listeners costs at most 1 ms" {
	publish_start
	if tool_sanitized; then
		skip "a sanitizer slows it down"
	fi
	run ask follow-cost "$TOOL_PID" 1000
	echo "$output"
	[ "$status" = 0 ]
}

@test "--follow makes rules follow that do not say" {
	publish_start --follow
	peer_in_box
	ask add tcp $RULE $PORT
	ask add tcp $((RULE + 1)) $((PORT + 1))
	outside download $HOST4 $RULE 1000
	[ "$(outside connect $HOST4 $((RULE + 1)))" = ECONNREFUSED ]
}

# calls SECONDS: the tool's system calls in that time.
calls()
{
	local pid

	spawn strace strace -f -o "$STAGE/trace" -p "$TOOL_PID"
	pid=$SPAWNED
	wait_for 5 grep attached "$STAGE/strace.log"
	sleep "$1"
	kill -INT "$pid"
	wait_gone "$pid"
	grep -cvE '(unfinished|detached|resumed)|restart_syscall|^[0-9]+ +(---|\+\+\+|strace)' \
		"$STAGE/trace" || true
}

@test "nobody polls when no rule follows" {
	local id

	publish_start
	ask add tcp $RULE $PORT
	ask add tcp $((RULE + 1)) $PORT follow=1
	ask add udp $((RULE + 1)) $PORT follow=1
	# The container's own neighbour checks come to an end
	sleep 6
	[ "$(calls 1)" -gt 10 ]
	for id in 2 3; do
		at_host /usr/bin/python3 -c "
import sys; sys.path.insert(0, '$HERE'); import published
published.remove('$SOCK', $id)"
	done
	run calls 3
	head -n 20 "$STAGE/trace"
	[ "$output" = 0 ]
}
