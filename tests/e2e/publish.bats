#!/usr/bin/env bats
# Published ports under load, with clients that go, with too few descriptors,
# following the container, and what is told when something cannot be.

load lib

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
	needs_option --api-socket
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
	wait_for 10 at_most_fds "$1" || fail "$(tool_fds) descriptors, not $1"
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

# ---- data ---------------------------------------------------------------------

@test "every way that a connection can go, in both families" {
	local address test

	publish_start
	peer_in_box
	ask add tcp $RULE $PORT
	ask add udp $RULE $PORT
	for address in $HOST4 $HOST6; do
		for test in download upload download-closed upload-closed \
			half-close-box-first half-close-host-first; do
			outside $test $address $RULE 5000000
		done
		outside reset-by-peer $address $RULE
		outside reset-by-us $address $RULE
		outside udp-echo $address $RULE 1200
	done
}

@test "datagrams of all sizes pass" {
	publish_start
	ask udp-sizes
}

@test "100 UDP clients are told apart" {
	publish_start
	ask udp-clients 100
}

@test "a rule for one address of the container leads nowhere else" {
	publish_start
	ask fixed-guest
}

# ---- rules that come and go ---------------------------------------------------

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

@test "a rule that is removed keeps its connections" {
	publish_start
	ask keep
}

@test "a port that the host uses is named, in either family" {
	publish_start
	ask taken
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

# ---- many clients, clients that go --------------------------------------------

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

# ---- families -----------------------------------------------------------------

@test "the first connection to the other family costs less than 1 ms more" {
	publish_start
	if tool_sanitized; then
		skip "a sanitizer slows it down"
	fi
	run ask other-family 100
	echo "$output"
	[ "$status" = 0 ]
}

@test "UDP finds the other family though kernels say little" {
	publish_start
	ask udp-other-family 12
}

# ---- services that cannot be reached ------------------------------------------

@test "a service on the container's loopback: reset, and the remedy is told" {
	local address

	for address in 127.0.0.1 ::1; do
		publish_start
		ask loopback-only $address
		log_of tool
		[ "$(grep -c "listens on $address only" "$STAGE/tool.log")" = 1 ]
		grep -q "^tapir: tcp .*:21000.* port 8000: .*$address" \
			"$STAGE/tool.log"
		kill "$TOOL_PID"
		wait_gone "$TOOL_PID"
	done
	TOOL_PID=
}

# ---- following ----------------------------------------------------------------

@test "following: the port opens and closes within 250 ms" {
	publish_start
	in_box sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
	if tool_sanitized; then
		skip "a sanitizer slows it down"
	fi
	run ask follow-times 12
	echo "$output"
	[ "$status" = 0 ]
}

@test "following: connections stay when the container stops listening" {
	publish_start
	ask follow-keep
}

@test "following: what listens already is open with the answer" {
	publish_start
	ask follow-add
}

@test "following: a look at 1,000 listeners costs at most 1 ms" {
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

@test "following: nobody polls when no rule follows" {
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

# ---- hosts that lack something ------------------------------------------------

@test "a host without IPv6 publishes IPv4, and that is no error" {
	publish_start
	at_host sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1 \
		net.ipv6.conf.lo.disable_ipv6=1
	peer_in_box
	ask add tcp $RULE $PORT
	ask add udp $RULE $PORT
	outside download $HOST4 $RULE 1000
	outside udp-echo $HOST4 $RULE
}
