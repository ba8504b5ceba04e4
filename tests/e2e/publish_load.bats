#!/usr/bin/env bats
# Published ports under load: many rules, many clients, clients that go, too few
# descriptors.

load lib
load publish

@test "10,000 rules come and go beside a transfer" {
	local client fds rss count=10000

	publish_start
	spawn iperf-box in_box iperf3 -s -p 5201
	wait_for 10 in_box sh -c "ss -Hltn 'sport = 5201' | grep -q ."
	ask add tcp $RULE 5201
	spawn iperf at_remote iperf3 -c $HOST4 -p $RULE -t 300 --json
	client=$SPAWNED
	tool_sanitized && count=1000
	wait_for 10 at_host sh -c \
		"[ \$(ss -Htn state established 'sport = $RULE' | wc -l) = 2 ]"
	ask churn 500
	fds=$(tool_fds)
	rss=$(tool_rss_kb)
	ask churn $count
	[ "$(tool_fds)" = "$fds" ]
	echo "$rss kB before, $(tool_rss_kb) kB after"
	tool_sanitized || [ "$(tool_rss_kb)" -le $((rss + 2048)) ]
	# Still at it, until it is told to stop
	kill "$client"
	wait_gone "$client" 10
	jq -e '.error | startswith("interrupt")' "$STAGE/iperf.log"
	jq -e '[.intervals[].sum.bytes] | length > 0 and min > 0' \
		"$STAGE/iperf.log"
}

@test "a range of 10,000 ports works, or the limit is named" {
	publish_start
	prlimit --pid "$TOOL_PID" --nofile=1024:
	run ask big-range 10000
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *1024* ]]
	calm
	prlimit --pid "$TOOL_PID" --nofile=12000:
	run ask big-range 10000
	echo "$output"
	[ "$status" = 0 ]
	[ "${lines[-1]}" = all ]
	no_more_fds 100
}

@test "1,000 clients at once are all answered" {
	local fds

	publish_start
	fds=$(tool_fds)
	run ask burst 1000
	echo "$output"
	[ "$status" = 0 ]
	# Two listeners stay
	no_more_fds $((fds + 2))
}

@test "clients that go before the container answers leave nothing" {
	local fds

	publish_start
	fds=$(tool_fds)
	ask vanish 200
	# Two rules of both families stay
	no_more_fds $((fds + 4))
}

@test "a container that is gone ends nothing, and the tool is calm" {
	publish_start
	peer_in_box
	ask add tcp $RULE $PORT
	spawn hold outside hold $HOST4 $RULE 20 60
	wait_for 10 grep holding "$STAGE/hold.log"
	kill -9 "$PEER_PID" "$BOX_PID"
	wait_gone "$BOX_PID"
	wait_gone "$PEER_PID"
	outside connect $HOST4 $RULE
	calm
	tool_alive
	ask add tcp $((RULE + 1)) $PORT
}

@test "without descriptors clients wait calmly, and are served later" {
	local fds crowd

	publish_start
	fds=$(tool_fds)
	mkfifo "$STAGE/crowd.in"
	# shellcheck disable=SC2016
	spawn crowd at_host sh -c 'exec "$@" <"$0"' "$STAGE/crowd.in" \
		/usr/bin/python3 "$HERE/publish_probe.py" crowd "$SOCK" \
		"$HOST_PID" "$REMOTE_PID" "$BOX_PID" 100
	crowd=$SPAWNED
	exec {say}>"$STAGE/crowd.in"
	wait_for 10 grep published "$STAGE/crowd.log"
	# 64 are kept for everything else
	prlimit --pid "$TOOL_PID" --nofile=$((fds + 64 + 20)):20000
	echo >&$say
	wait_for 20 grep full "$STAGE/crowd.log"
	calm
	in_box ping -q -c 1 -W 2 $GATEWAY4
	echo >&$say
	exec {say}>&-
	wait "$crowd" || fail "$(log_of crowd)"
	no_more_fds $((fds + 1))
}

@test "the first connection to the other family costs less than 1 ms more" {
	publish_start
	if tool_sanitized; then
		skip "a sanitizer slows it down"
	fi
	run ask other-family 100
	echo "$output"
	[ "$status" = 0 ]
}
