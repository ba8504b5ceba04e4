#!/usr/bin/env bats
# The loopback lane: services on the container's own 127.0.0.1 and ::1, and the
# host's for the container.

load lib

RULE=15000 # the port that leads to peer.py

setup_file()
{
	stage_up
}

setup()
{
	SCOPE=test
	only_tapir "has no lane"
}

teardown()
{
	local status=0

	kill_spawned test
	! grep -E 'AddressSanitizer|LeakSanitizer|runtime error:|[Aa]ssert' \
		"$STAGE/job.log" 2>/dev/null >&2 || status=1
	rm -f "$STAGE/job.log"
	return $status
}

# run_peer ADDRESS OPTIONS...: peer.py by tapir run, on that address of it.
run_peer()
{
	local address=$1

	shift
	spawn job at_host "$TAPIR" run -p $RULE:$PORT -p $RULE:$PORT/udp "$@" \
		/usr/bin/python3 "$HERE/peer.py" $PORT "$address"
	JOB=$SPAWNED
}

# probe_at NAMESPACE TEST ADDRESS PORT ARGS...; see probe.py.
probe_at()
{
	"at_$1" timeout 100 /usr/bin/python3 "$HERE/probe.py" "${@:2}"
}

# A child of the program, by its name.
lane_pid()
{
	pgrep -P "$JOB" -x tapir-lane
}

up()
{
	wait_for 10 probe_at host download 127.0.0.1 $RULE 1000
}

reached_from_everywhere()
{
	local where address

	for where in host:127.0.0.1 host:::1 host:$HOST4 host:$HOST6 \
		remote:$HOST4 remote:$HOST6; do
		address=${where#*:}
		probe_at "${where%%:*}" download "$address" $RULE 1000000
		probe_at "${where%%:*}" upload "$address" $RULE 1000000
		probe_at "${where%%:*}" udp-echo "$address" $RULE
		[ "$(probe_at "${where%%:*}" whoami "$address" $RULE)" = "$1" ]
	done
}

@test "a service on 127.0.0.1 or ::1 is reached by its published port" {
	local address

	for address in 127.0.0.1 ::1; do
		run_peer $address --loopback
		up
		reached_from_everywhere $address
		[ ! -s "$STAGE/job.log" ]
		kill "$JOB"
		wait_gone "$JOB"
	done
}

@test "without --loopback there is no lane, and it is not reached" {
	run_peer 127.0.0.1
	wait_for 10 pgrep -P "$JOB" python3
	sleep 0.5
	run probe_at host download 127.0.0.1 $RULE 1000
	[ "$status" != 0 ]
	run lane_pid
	[ "$status" != 0 ]
}

@test "a service on every address still sees its real clients" {
	run_peer :: --loopback
	up
	[ "$(probe_at remote whoami $HOST4 $RULE)" = $REMOTE4 ]
	[ "$(probe_at remote whoami $HOST6 $RULE)" = $REMOTE6 ]
	[ "$(probe_at host whoami 127.0.0.1 $RULE)" = $GATEWAY4 ]
}

@test "--splice: clients on the host's loopback, and no others, go by it" {
	run_peer :: --splice
	up
	[ "$(probe_at host whoami 127.0.0.1 $RULE)" = 127.0.0.1 ]
	[ "$(probe_at host whoami ::1 $RULE)" = ::1 ]
	[ "$(probe_at remote whoami $HOST4 $RULE)" = $REMOTE4 ]
}

@test "--loopback --follow: open while somebody listens there" {
	run_peer 127.0.0.1 --loopback --follow
	up
	[ "$(probe_at host connect ::1 $RULE)" = ECONNREFUSED ]
}

@test "half-closes, resets and slow readers are as without it" {
	run_peer 127.0.0.1 --loopback
	up
	probe_at host half-close-box-first 127.0.0.1 $RULE 3000000
	probe_at host half-close-host-first 127.0.0.1 $RULE 3000000
	probe_at host reset-by-peer 127.0.0.1 $RULE
	probe_at host reset-by-us 127.0.0.1 $RULE
	probe_at host slow-download ::1 $RULE 20000000 2
	probe_at host slow-upload ::1 $RULE 20000000 2
	probe_at host download-closed 127.0.0.1 $RULE 5000000
	probe_at host upload-closed 127.0.0.1 $RULE 5000000
	probe_at host udp-echo 127.0.0.1 $RULE 60000
}

@test "the process is confined, idle, and out of the container's reach" {
	local lane before

	# shellcheck disable=SC2016
	spawn job at_host "$TAPIR" run --loopback -p $RULE:$PORT sh -c '
		/usr/bin/python3 "$1" "$2" 127.0.0.1 &
		while [ ! -e "$0/lane" ]; do sleep 0.05; done
		exec >"$0/attack" 2>&1
		pid=$(cat "$0/lane")
		cat "/proc/$pid/environ" && echo environ
		readlink "/proc/$pid/fd/"* && echo fd
		cat "/proc/$pid/mem" && echo mem
		timeout 2 strace -p "$pid" && echo strace
		nsenter -t "$pid" -n true && echo nsenter
		echo attacked
		wait' "$STAGE" "$HERE/peer.py" $PORT
	JOB=$SPAWNED
	up
	lane=$(lane_pid)
	grep -E '^(Cap|NoNew|Seccomp:)' "/proc/$lane/status"
	[ "$(grep -cE '^Cap(Inh|Prm|Eff|Bnd|Amb):.0{16}$' \
		"/proc/$lane/status")" = 5 ]
	grep -q '^NoNewPrivs:.1$' "/proc/$lane/status"
	grep -q '^Seccomp:.2$' "/proc/$lane/status"
	[ "$(find "/proc/$lane/fd" -mindepth 1 | wc -l)" = 1 ]
	before=$(grep ctxt "/proc/$lane/status")
	sleep 1
	[ "$(grep ctxt "/proc/$lane/status")" = "$before" ]
	echo "$lane" >"$STAGE/lane.new"
	mv "$STAGE/lane.new" "$STAGE/lane"
	wait_for 10 grep attacked "$STAGE/attack"
	cat "$STAGE/attack"
	run grep -xE 'environ|fd|mem|strace|nsenter' "$STAGE/attack"
	[ "$status" != 0 ]
	up
}

@test "killed or not, it goes with the program" {
	local signal lane

	for signal in TERM KILL; do
		run_peer 127.0.0.1 --loopback
		up
		lane=$(lane_pid)
		kill -$signal "$JOB"
		wait_gone "$JOB"
		wait_gone "$lane" 2
	done
}

@test "8,000 connections within 20,000 descriptors" {
	local count=8000

	! ldd "$TAPIR" | grep -q libasan || count=500
	spawn job at_host prlimit --nofile=20000:20000 "$TAPIR" run \
		--splice -p $RULE:5300 \
		/usr/bin/python3 "$HERE/lane_crowd.py" serve 5300
	JOB=$SPAWNED
	at_host prlimit --nofile=20000:20000 timeout 200 /usr/bin/python3 \
		"$HERE/lane_crowd.py" hold $RULE "$count"
	[ "$(find "/proc/$JOB/fd" -mindepth 1 | wc -l)" -lt 200 ]
}

@test "-T and -U: named ports of the host's loopback, and no others" {
	spawn service at_host /usr/bin/python3 "$HERE/peer.py" $PORT 127.0.0.1
	spawn six at_host /usr/bin/python3 "$HERE/peer.py" $PORT ::1
	wait_for 10 listening host $PORT
	# shellcheck disable=SC2016
	run at_host "$TAPIR" pasta -q --config-net -t none -u none \
		-T 7100:$PORT -U 7100:$PORT -- sh -ec '
		for a in 127.0.0.1 ::1; do
			/usr/bin/python3 "$0" download $a 7100 1000000
			/usr/bin/python3 "$0" upload $a 7100 1000000
			/usr/bin/python3 "$0" udp-echo $a 7100 30000
			/usr/bin/python3 "$0" half-close-box-first $a 7100 3000000
			/usr/bin/python3 "$0" reset-by-peer $a 7100
			/usr/bin/python3 "$0" connect $a 7101
		done' "$HERE/probe.py"
	echo "$output"
	[ "$status" = 0 ]
	[ "$(grep -c ECONNREFUSED <<<"$output")" = 2 ]
}

@test "-T: a port that the container cannot have is named" {
	run at_host "$TAPIR" pasta -q --config-net -t none -u none \
		-T 7100:1 -T 7100:2 -- true
	echo "$output"
	[ "$status" != 0 ]
	[[ $output == *7100* ]]
}

# speed PORT: Gbit/s from here into the container.
speed()
{
	at_host iperf3 -c 127.0.0.1 -p "$1" -t 3 --json |
		jq '.end.sum_received.bits_per_second / 1e9'
}

@test "it is not slower than 0.9 of pasta's" {
	local round ours theirs all_ours=() all_theirs=()

	command -v pasta >/dev/null || skip "no pasta"
	! ldd "$TAPIR" | grep -q libasan || skip "with a sanitizer"
	spawn ours at_host "$TAPIR" run --splice -p 5301:5300 iperf3 -s -p 5300
	spawn theirs at_host pasta --runas 0 -f -q --config-net -t 5302 \
		-u none -T none -U none -- iperf3 -s -p 5302
	wait_for 10 speed 5301
	wait_for 10 speed 5302
	for round in 1 2 3 4 5; do
		ours=$(speed 5301)
		theirs=$(speed 5302)
		echo "round $round: $ours Gbit/s, pasta $theirs"
		all_ours+=("$ours")
		all_theirs+=("$theirs")
	done
	ours=$(printf '%s\n' "${all_ours[@]}" | sort -g | sed -n 3p)
	theirs=$(printf '%s\n' "${all_theirs[@]}" | sort -g | sed -n 3p)
	echo "medians: $ours, pasta $theirs"
	awk "BEGIN { exit !($ours >= 0.9 * $theirs) }"
}
