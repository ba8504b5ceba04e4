#!/usr/bin/env bats
# pasta's -t auto and -u auto: the host listens on what the container listens on.

load lib

# auto_start OPTIONS...: pasta for the box, in the foreground.
auto_start()
{
	only_tapir "by another command line"
	rm -f "$STAGE/pid"
	spawn tool at_host "$TAPIR" pasta -f --config-net -a 10.0.2.100 -n 24 \
		-g 10.0.2.2 -a fd00::64 -P "$STAGE/pid" -T none -U none "$@" \
		"$BOX_PID"
	export TOOL_PID=$SPAWNED
	wait_for 10 test -s "$STAGE/pid" || fail "not ready: $(log_of tool)"
}

# serve_in_box NAME TYPE ADDRESS PORT: a socket that is bound there. Sets SPAWNED.
serve_in_box()
{
	spawn "$1" in_box /usr/bin/python3 -c "
import socket, sys, time
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET,
                  getattr(socket, 'SOCK_' + sys.argv[1]))
if ':' in sys.argv[2]:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind((sys.argv[2], int(sys.argv[3])))
if sys.argv[1] == 'STREAM':
    s.listen()
time.sleep(600)
" "$2" "$3" "$4"
	wait_for 5 in_box sh -c "ss -Hltun 'sport = $4' | grep -q ."
}

# The host's own sockets of @PORT, one ADDRESS:PORT a line.
host_ports()
{
	at_host ss -Hltun "sport = $1" | awk '{ print $1, $5 }' | sort
}

# changes_to PORT WORDS: within 250 ms, and what it takes to ask.
changes_to()
{
	local got i

	for i in 1 2 3 4 5 6; do
		sleep 0.05
		got=$(host_ports "$1" | tr '\n' ' ')
		[ "$got" != "$2" ] || return 0
	done
	fail "after $i looks \"$got\", not \"$2\""
}

@test "the host listens as the container does, by family" {
	local four six

	auto_start -t auto -u auto
	serve_in_box four STREAM 0.0.0.0 8080
	four=$SPAWNED
	changes_to 8080 "tcp 0.0.0.0:8080 "
	serve_in_box six STREAM :: 8080
	six=$SPAWNED
	changes_to 8080 "tcp 0.0.0.0:8080 tcp [::]:8080 "
	kill "$four"
	wait_gone "$four"
	changes_to 8080 "tcp [::]:8080 "
	serve_in_box udp DGRAM 0.0.0.0 8080
	changes_to 8080 "tcp [::]:8080 udp 0.0.0.0:8080 "
	kill "$six"
	wait_gone "$six"
	changes_to 8080 "udp 0.0.0.0:8080 "
}

@test "what no tap reaches, is ephemeral or excluded stays closed" {
	local closed

	auto_start -t auto,~8081 -u none
	serve_in_box lo STREAM 127.0.0.1 8080
	serve_in_box lo6 STREAM ::1 8080
	serve_in_box out STREAM 0.0.0.0 8081
	serve_in_box ephemeral STREAM 0.0.0.0 40000
	serve_in_box udp DGRAM 0.0.0.0 8082
	serve_in_box seen STREAM 0.0.0.0 8083
	changes_to 8083 "tcp 0.0.0.0:8083 "
	for closed in 8080 8081 8082 40000; do
		[ -z "$(host_ports $closed)" ]
	done
}

@test "clients come through, and a rule that names its port wins" {
	auto_start -t auto -t "8080:$PORT" -u auto
	spawn peer-box in_box /usr/bin/python3 "$HERE/peer.py" $PORT
	wait_for 5 listening host $PORT
	at_remote /usr/bin/python3 "$HERE/probe.py" download $HOST4 $PORT 100000
	at_remote /usr/bin/python3 "$HERE/probe.py" download $HOST6 $PORT 100000
	at_remote /usr/bin/python3 "$HERE/probe.py" udp-echo $HOST4 $PORT
	serve_in_box taken STREAM 0.0.0.0 8080
	at_remote /usr/bin/python3 "$HERE/probe.py" download $HOST4 8080 1000
}

@test "a port that the host has in use is opened when it is free" {
	local taken

	spawn taken at_host /usr/bin/python3 -c "
import socket, time
s = socket.socket()
s.bind(('127.0.0.1', 8080))
s.listen()
time.sleep(600)"
	taken=$SPAWNED
	wait_for 5 listening host 8080
	auto_start -t auto -u none
	serve_in_box four STREAM 0.0.0.0 8080
	sleep 0.3
	[ "$(host_ports 8080)" = "tcp 127.0.0.1:8080" ]
	kill "$taken"
	wait_for 3 changes_to 8080 "tcp 0.0.0.0:8080 "
	log_of tool | grep -q 'auto: address in use: 0.0.0.0:8080 (tcp)'
}

@test "an address limits where the host listens" {
	auto_start -t "$HOST4/auto" -u none
	serve_in_box four STREAM 0.0.0.0 8080
	serve_in_box six STREAM :: 8080
	changes_to 8080 "tcp $HOST4:8080 "
}
