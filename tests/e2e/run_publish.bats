#!/usr/bin/env bats
# tapir run -p: ports of the host that lead to the command.

load lib

setup_file()
{
	stage_up
}

setup()
{
	SCOPE=test
	only_tapir "has no run"
}

teardown()
{
	local status=0

	kill_spawned test
	# It wrote its last words just now
	! grep -E 'AddressSanitizer|LeakSanitizer|runtime error:|[Aa]ssert' \
		"$STAGE/job.log" 2>/dev/null >&2 || status=1
	rm -f "$STAGE/job.log"
	return $status
}

# run_peer OPTIONS...: peer.py by tapir run, on port $PORT of all addresses.
run_peer()
{
	spawn job at_host "$TAPIR" run "$@" /usr/bin/python3 "$HERE/peer.py" \
		$PORT
	JOB=$SPAWNED
}

# probe_at NAMESPACE TEST ADDRESS PORT ARGS...; see probe.py.
probe_at()
{
	"at_$1" /usr/bin/python3 "$HERE/probe.py" "${@:2}"
}

closed()
{
	[ "$(probe_at "$@")" = ECONNREFUSED ]
}

@test "-p: both families, from here and from elsewhere, TCP and UDP" {
	local where address

	run_peer -p 8080:$PORT -p 8080:$PORT/udp
	wait_for 10 probe_at host download 127.0.0.1 8080 1000
	for where in host:127.0.0.1 host:::1 host:$HOST4 host:$HOST6 \
		remote:$HOST4 remote:$HOST6; do
		address=${where#*:}
		probe_at "${where%%:*}" download "$address" 8080 1000000
		probe_at "${where%%:*}" upload "$address" 8080 1000000
		probe_at "${where%%:*}" udp-echo "$address" 8080
	done
	[ "$(probe_at remote whoami $HOST4 8080)" = $REMOTE4 ]
	[ "$(probe_at remote whoami $HOST6 8080)" = $REMOTE6 ]
	# Nobody is told what went well
	[ ! -s "$STAGE/job.log" ]
	kill "$JOB"
	wait_gone "$JOB"
	closed host connect 127.0.0.1 8080
}

@test "-p: an address is bound, and no other" {
	run_peer -p 127.0.0.1:8081:$PORT -p "[::1]:8082:$PORT" \
		-p up0:8083:$PORT
	wait_for 10 probe_at host download 127.0.0.1 8081 1000
	closed host connect ::1 8081
	closed remote connect $HOST4 8081
	probe_at host download ::1 8082 1000
	closed host connect 127.0.0.1 8082
	closed remote connect $HOST6 8082
	probe_at remote download $HOST4 8083 1000
	probe_at remote download $HOST6 8083 1000
	closed host connect 127.0.0.1 8083
}

@test "-p: a range is translated port by port" {
	run_peer -p 8090-8092:$((PORT - 1))-$((PORT + 1))
	wait_for 10 probe_at host download 127.0.0.1 8091 1000
	closed host connect 127.0.0.1 8093
	closed host connect 127.0.0.1 8089
}

@test "-4 and -6 limit a rule to a family" {
	run_peer -4 -p 8084:$PORT -6 -p 8085:$PORT
	wait_for 10 probe_at host download 127.0.0.1 8084 1000
	closed host connect ::1 8084
	probe_at host download ::1 8085 1000
	closed host connect 127.0.0.1 8085
}

@test "-p: tcp4 and udp6 do too" {
	run_peer -p 8084:$PORT/tcp4 -p 8085:$PORT/udp6
	wait_for 10 probe_at host download 127.0.0.1 8084 1000
	closed host connect ::1 8084
	probe_at host udp-echo ::1 8085
	[ "$(probe_at host udp-error 127.0.0.1 8085)" = ECONNREFUSED ]
}

@test "-p: port 0 picks one and tells it" {
	local picked

	run_peer -p 0:$PORT
	wait_for 10 grep '^tapir: tcp ' "$STAGE/job.log"
	log_of job
	picked=$(sed -n 's/^tapir: tcp 0\.0\.0\.0:\([0-9]*\) and .*/\1/p' \
		"$STAGE/job.log")
	[ "$(log_of job)" = \
		"tapir: tcp 0.0.0.0:$picked and [::]:$picked -> port $PORT" ]
	wait_for 10 probe_at host download 127.0.0.1 "$picked" 1000
	probe_at host download ::1 "$picked" 1000
}

@test "--follow: refused until the command listens, and again after" {
	# shellcheck disable=SC2016
	spawn job at_host "$TAPIR" run --follow -p 8086:$PORT sh -c '
		: >"$0/up"
		while [ ! -e "$0/go" ]; do sleep 0.02; done
		/usr/bin/python3 "$1" "$2" &
		while [ ! -e "$0/stop" ]; do sleep 0.02; done
		kill $!; wait; sleep 60' "$STAGE" "$HERE/peer.py" $PORT
	wait_for 10 test -e "$STAGE/up"
	closed host connect 127.0.0.1 8086
	closed host connect ::1 8086
	touch "$STAGE/go"
	wait_for 10 probe_at host download 127.0.0.1 8086 1000
	probe_at host download ::1 8086 1000
	touch "$STAGE/stop"
	wait_for 10 closed host connect 127.0.0.1 8086
}

@test "--api-socket: rules come later, the socket goes with the command" {
	run_peer --api-socket "$STAGE/run.sock"
	wait_for 10 test -S "$STAGE/run.sock"
	at_host /usr/bin/python3 -c "
import sys; sys.path.insert(0, '$HERE'); import published
published.add('$STAGE/run.sock', 'tcp', 8087, $PORT)"
	wait_for 10 probe_at host download ::1 8087 1000
	kill "$JOB"
	wait_gone "$JOB"
	[ ! -e "$STAGE/run.sock" ]
}

@test "--api-socket: it goes also with a signal after the command" {
	local sock=$STAGE/run.sock

	# shellcheck disable=SC2016
	spawn job at_host "$TAPIR" run --api-socket "$sock" -p 8089:$PORT \
		sh -c '
		timeout 20 /usr/bin/python3 "$1" "$2" &
		echo $! >"$0/left"
		while [ ! -e "$0/over" ]; do sleep 0.02; done
		echo >"$0/ended"' "$STAGE" "$HERE/peer.py" $PORT
	JOB=$SPAWNED
	wait_for 10 probe_at host download 127.0.0.1 8089 1000
	# What keeps tapir for a while once the command has ended
	spawn client at_host bash -c '
		exec 5<>/dev/tcp/127.0.0.1/8089; echo up; exec sleep 20'
	wait_for 5 grep up "$STAGE/client.log"
	touch "$STAGE/over"
	wait_for 5 test -e "$STAGE/ended"
	sleep 0.3
	kill "$JOB"
	wait_gone "$JOB"
	kill "$(cat "$STAGE/left")"
	[ ! -e "$sock" ]
}

# not_started WORDS OPTIONS...: status 1, one line with WORDS, no command.
not_started()
{
	run at_host "$TAPIR" run "${@:2}" touch "$STAGE/started"
	echo "$output"
	[ "$status" = 1 ]
	[ "${#lines[@]}" = 1 ]
	[[ $output == "tapir: "*"$1"* ]]
	[ ! -e "$STAGE/started" ]
}

@test "a port in use is told exactly, and nothing is started" {
	spawn holder at_host ncat -4 -l 8088
	wait_for 10 listening host 8088
	not_started "address in use: 0.0.0.0:8088 (tcp)" -p 8088:80
	not_started "no such address" -p 192.0.2.99:8088:80
	not_started "nosuch0" -p nosuch0:8088:80
}

@test "a privileged port is told with the remedy" {
	run at_host setpriv --reuid 4711 --regid 4711 --clear-groups \
		--bounding-set=-all --inh-caps=-all "$TAPIR" run -p 80:80 true
	echo "$output"
	# The program, or the machine's device, may be out of an ordinary
	# user's reach
	[[ $output != *"/dev/net/tun"* && $status != 126 ]] || skip "$output"
	[ "$status" = 1 ]
	[[ $output == *"net.ipv4.ip_unprivileged_port_start"* ]]
}

@test "what is no rule is told with the text" {
	local text

	for text in "" : a:b 8080:80/sctp 70000:1 5-3:1-3 1-3:1-2 ::1:80:80 \
		65535-65536:1 1:0 1:2:3:4; do
		run at_host "$TAPIR" run -p "$text" true
		echo "$output"
		[ "$status" != 0 ]
		[[ $output == *"'$text'"* || $output == *"\"$text\""* ]]
	done
	[[ $(at_host "$TAPIR" run -p ::1:80:80 true 2>&1) == *"["* ]]
}
