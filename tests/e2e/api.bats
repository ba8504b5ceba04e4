#!/usr/bin/env bats
# The API socket: slirp4netns's requests, replies and errors to the letter, what
# is ours besides, and clients that nobody would invite.

load lib

# api_start OPTIONS...: the tool with its API socket, $SOCK.
api_start()
{
	SOCK=$STAGE/api$BATS_TEST_NUMBER.sock
	tool_start_bare -c --api-socket="$SOCK" "$@"
}

# ask TEST ARGS...: see api_probe.py.
ask()
{
	at_host timeout 60 /usr/bin/python3 "$HERE/api_probe.py" "$1" "$SOCK" \
		"${@:2}"
}

# ---- the contract -------------------------------------------------------------

@test "ids count from 1 and are never used again; lists are in their order" {
	api_start
	ask ids
}

@test "a list has every field, the defaults filled in" {
	api_start
	if [ "$E2E_TOOL" = tapir ]; then
		ask list both-shapes
	else
		ask list
	fi
}

@test "errors have the contract's words, the first thing wrong is told" {
	api_start
	if [ "$E2E_TOOL" = tapir ]; then
		ask errors strict
	else
		ask errors
	fi
}

@test "a port in use is told, and why; TCP and UDP are independent" {
	api_start
	if [ "$E2E_TOOL" = tapir ]; then
		ask in-use ": address in use: 0.0.0.0:21000 (tcp)"
	else
		ask in-use
	fi
}

@test "unknown members and white space do not matter" {
	api_start
	ask tolerant
}

@test "the answer is one write without a newline" {
	api_start
	ask one-write
}

@test "a client that does not end its request is answered" {
	api_start
	ask no-half-close
	run timeout 5 ncat -U "$SOCK" <<<'{"execute":"list_hostfwd"}'
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *'"entries"'* ]]
}

@test "the socket is there with the ready byte, and goes with exit-fd" {
	tool_words
	mkfifo "$STAGE/exit"
	SOCK=$STAGE/api$BATS_TEST_NUMBER.sock
	# shellcheck disable=SC2016
	spawn tool at_host bash -c '"$@" -e 10 10<"$0"; echo "status $?"' \
		"$STAGE/exit" "${TOOL[@]}" -c -a "$SOCK" "$BOX_PID" tap0
	exec {writer}>"$STAGE/exit"
	wait_for 10 test -S "$SOCK"
	exec {writer}>&-
	wait_for 5 grep "status 0" "$STAGE/tool.log"
	[ ! -e "$SOCK" ]
}

@test "what an earlier tool left behind is taken over" {
	api_start
	kill -9 "$TOOL_PID"
	wait_gone "$TOOL_PID"
	[ -S "$SOCK" ]
	api_start
	ask one-write
}

@test "a path that does not fit is told, not cut" {
	local long

	long=$STAGE/$(printf '%0100d' 0).sock
	tool_words
	run at_host "${TOOL[@]}" -c -a "$long" "$BOX_PID" tap0
	echo "$output"
	[ "$status" = 1 ]
	only_tapir "has other words for it"
	[[ $output == *107* ]]
	[[ $output == *"${#long}"* ]]
}

# ---- files and signals --------------------------------------------------------

@test "only its owner may connect" {
	only_tapir "leaves it to the umask"
	umask 0
	api_start
	[ "$(stat -c %a "$SOCK")" = 600 ]
}

@test "the socket is removed when a signal ends the tool" {
	local signal

	only_tapir "leaves it behind"
	SOCK=$STAGE/api$BATS_TEST_NUMBER.sock
	for signal in TERM:143 INT:130 HUP:129; do
		tool_words
		spawn tool at_host /usr/bin/python3 -uc '
import signal, subprocess, sys
# A background job of a shell ignores SIGINT
signal.signal(signal.SIGINT, signal.default_int_handler)
child = subprocess.Popen(sys.argv[1:])
print("pid", child.pid)
print("status", child.wait())' \
			"${TOOL[@]}" -c -a "$SOCK" "$BOX_PID" "tap${signal#*:}"
		wait_for 10 test -S "$SOCK"
		wait_for 10 ask no-half-close
		kill "-${signal%:*}" "$(sed -n 's/^pid //p' "$STAGE/tool.log")"
		wait_for 5 grep "^status -$((${signal#*:} - 128))$" \
			"$STAGE/tool.log"
		[ ! -e "$SOCK" ]
	done
}

@test "the socket is removed however early the signal comes" {
	only_tapir "leaves it behind"
	SOCK=$STAGE/api$BATS_TEST_NUMBER.sock
	tool_words
	at_host timeout 60 /usr/bin/python3 -c '
import os, signal, subprocess, sys
path = sys.argv[1]
for _ in range(20):
    child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL)
    while not os.path.lexists(path) and child.poll() is None:
        pass
    child.send_signal(signal.SIGTERM)
    if child.wait() != -signal.SIGTERM or os.path.lexists(path):
        sys.exit(f"status {child.returncode}, the socket may be there")' \
		"$SOCK" "${TOOL[@]}" -c -a "$SOCK" "$BOX_PID" tap0
}

@test "a file that is no socket is left alone" {
	only_tapir "removes it"
	echo precious >"$STAGE/precious"
	tool_words
	run at_host "${TOOL[@]}" -c -a "$STAGE/precious" "$BOX_PID" tap0
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"$STAGE/precious"* ]]
	[ "$(cat "$STAGE/precious")" = precious ]
}

@test "another tool's socket at the same path is not removed at the end" {
	only_tapir "removes it"
	api_start
	rm "$SOCK"
	: >"$SOCK"
	kill "$TOOL_PID"
	wait_gone "$TOOL_PID"
	[ -f "$SOCK" ]
	TOOL_PID=
}

# ---- what is ours besides -----------------------------------------------------

@test "protocols limited to a family bind that family" {
	only_tapir "knows tcp and udp"
	api_start
	ask more-protos
}

@test "no address, an empty one and 0.0.0.0 are every address of both families" {
	only_tapir "has IPv4 alone"
	api_start
	ask any 0.0.0.0 ::
}

@test "with --api-any=ipv4 they are 0.0.0.0 alone" {
	only_tapir "has nothing else"
	api_start --api-any=ipv4
	ask any 0.0.0.0
}

@test "IPv6 addresses and interfaces can be bound to" {
	only_tapir "knows IPv4 literals"
	at_host ip address replace 192.0.2.2/24 dev up0
	api_start
	ask addresses
}

@test "port 0 picks one and reports it" {
	only_tapir "has no such thing"
	api_start
	ask pick
}

@test "a range is bound as a whole or not at all" {
	only_tapir "has no ranges"
	api_start
	ask range
}

# ---- clients that misbehave ---------------------------------------------------

has_fds()
{
	[ "$(tool_fds)" = "$1" ]
}

# ping_worst: the worst of many round trips to the gateway through the tap, µs.
ping_worst()
{
	in_box ping -q -i 0.01 -c 300 $GATEWAY4 |
		sed -n 's|^rtt.*= [^/]*/[^/]*/\([^/]*\)/.*|\1|p' |
		awk '{ printf "%d\n", $1 * 1000 }'
}

@test "a byte at a time is a request" {
	only_tapir "reads once"
	api_start
	ask bytewise
}

@test "10 MB are too large, which is said, and nothing is kept" {
	only_tapir "answers the first 4 kB"
	api_start
	ask no-half-close
	before=$(tool_rss_kb)
	ask flood 10000000
	tool_sanitized || [ "$(tool_rss_kb)" -le $((before + 2048)) ]
	ask no-half-close
}

@test "clients that go away leave nothing" {
	only_tapir "waits for them"
	api_start
	ask no-half-close
	before=$(tool_fds)
	ask vanish 300
	wait_for 5 has_fds "$before"
}

@test "40 silent clients keep nobody waiting, least of all a packet" {
	only_tapir "waits for each"
	api_start
	ask no-half-close
	before=$(tool_fds)
	spawn silent at_host /usr/bin/python3 "$HERE/api_probe.py" silent \
		"$SOCK" 40 8
	silent=$SPAWNED
	wait_for 5 grep silent "$STAGE/silent.log"
	worst=$(ping_worst)
	echo "the worst round trip took $worst µs"
	[ "$worst" -gt 0 ]
	tool_sanitized || [ "$worst" -lt 200000 ]
	[ "$(tool_fds)" -le $((before + 17)) ]
	wait_gone "$silent" 15
	[ "$(log_of silent)" = silent ]
	wait_for 5 has_fds "$before"
}
