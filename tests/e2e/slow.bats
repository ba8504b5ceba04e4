#!/usr/bin/env bats
# Readers that stop for 30 s, in both directions and families at once: nothing
# is lost, nothing grows, and nobody else is held up.

load lib

MB=1000000
PAUSE=30

# The best of three: other programs of the machine are not what is measured.
best_speed()
{
	local n

	for n in 1 2 3; do
		probe speed $FAR4 $PORT $((150 * MB))
	done | sort -n | tail -n 1
}

@test "slow readers lose nothing and slow nobody down" {
	local before after rss test address pid pids=()

	tool_start --mtu=65520
	before=$(best_speed)
	for address in $FAR4 $FAR6; do
		for test in slow-download slow-upload; do
			spawn "$test-$address" probe $test $address $PORT \
				$((60 * MB)) $PAUSE
			pids+=("$SPAWNED")
		done
	done
	sleep 10
	rss=$(tool_rss_kb)
	after=$(best_speed)
	probe udp-echo $FAR4 $PORT
	for pid in "${pids[@]}"; do
		wait "$pid" || fail "$(tail -n 5 "$STAGE"/slow-*.log)"
	done
	echo "MB/s before: $before, beside the slow: $after; RSS: $rss KiB"
	[ $((after * 2)) -ge "$before" ]
	tool_sanitized || [ "$rss" -lt 65536 ]
}
