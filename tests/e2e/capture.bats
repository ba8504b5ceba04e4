#!/usr/bin/env bats
# Captures: what tcpdump and tshark read without a complaint, and what becomes
# of them when the disk, the reader or the user has other plans.

load lib

# Of echo(7): neither tcpdump nor tshark finds anything to take apart in it
PORT=7
MB=1000000

setup_file()
{
	command -v tcpdump >/dev/null || skip "no tcpdump"
	command -v tshark >/dev/null || skip "no tshark"
	stage_up
	peer_up remote
}

setup()
{
	only_tapir "has no such capture"
	box_up
	CAPTURE=$STAGE/capture$BATS_TEST_NUMBER
	SOCK=$STAGE/api$BATS_TEST_NUMBER.sock
}

teardown()
{
	box_down
	at_host umount "$STAGE/small" 2>/dev/null || true
	rm -rf "$STAGE"/capture*
}

captured()
{
	/usr/bin/python3 "$HERE/captured.py" "$@"
}

# tool_stop: as a container's end does; what it captured is complete then.
tool_stop()
{
	kill "$TOOL_PID"
	wait_gone "$TOOL_PID" 10
	TOOL_PID=
}

# ask REQUEST [ARGUMENTS]: of the API socket.
ask()
{
	at_host timeout 5 ncat -U "$SOCK" \
		<<<"{\"execute\":\"$1\",\"arguments\":${2:-{\}}}"
}

status_of()
{
	ask capture_status | jq -r ".return.$1"
}

refuses()
{
	run ask "$@"
	echo "$* -> $output"
	[[ $output == *'"error"'* ]]
}

# What neither program may say of a frame.
is_clean()
{
	local said=$STAGE/said

	tcpdump -nn -vv -r "$1" 2>"$said" |
		grep -aE 'incorrect|wrong|[( ]bad |\[\||truncated|invalid|missing' &&
		fail "tcpdump complains"
	grep -vE '^(reading from|tcpdump: )' "$said" && fail "tcpdump fails"
	tshark -n -r "$1" -o tcp.check_checksum:TRUE \
		-o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -Y '
		ip.checksum.status == 0 || tcp.checksum.status == 0 ||
		udp.checksum.status == 0 || icmp.checksum.status == 0 ||
		icmpv6.checksum.status == 0 || _ws.malformed || _ws.short' \
		>"$said" 2>"$said.err" || fail "tshark: $(cat "$said.err")"
	[ ! -s "$said" ] || fail "$(head -n 20 "$said")"
}

# has FILE FILTER: a frame that the display filter of tshark finds, with every
# checksum looked at.
has()
{
	tshark -n -r "$1" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
		-o udp.check_checksum:TRUE -Y "$2" 2>/dev/null | grep -q . ||
		fail "no frame with $2"
}

# Every kind of traffic that a container has.
traffic()
{
	local address size

	for address in $FAR4 $FAR6; do
		probe download $address $PORT "$1"
		probe upload $address $PORT "$1"
		for size in 1 100 1400 9000 60000; do
			probe udp-echo $address $PORT $size
		done
		in_box ping -q -c 2 -W 2 $address
		in_box ping -q -c 2 -W 2 -s 9000 $address
		[ "$(probe connect $address 1)" = ECONNREFUSED ]
		[ "$(probe udp-error $address 1)" = ECONNREFUSED ]
	done
	in_box ping -q -c 1 -W 2 $GATEWAY6
	in_box udhcpc -q -n -f -t 5 -T 1 -i tap0 -s /bin/true
}

# checked MTU OPTIONS...: all of it, captured, and looked at.
checked()
{
	local count=$((100 * MB)) mtu=$1

	tool_sanitized && count=$((10 * MB))
	tool_start --mtu="$mtu" --pcap="$CAPTURE" "${@:2}"
	traffic $count
	tool_stop
	is_clean "$CAPTURE"
	captured bytes "$CAPTURE" $PORT "v4 up $count" "v4 down $count" \
		"v6 up $count" "v6 down $count"
	# Good ones were found, so the bad ones would have been
	has "$CAPTURE" 'ip.checksum.status == 1 && tcp.checksum.status == 1'
	has "$CAPTURE" 'ipv6 && tcp.checksum.status == 1'
	has "$CAPTURE" 'ip && udp.checksum.status == 1 && udp.length > 59000'
	has "$CAPTURE" 'ipv6 && udp.checksum.status == 1 && udp.length > 59000'
	has "$CAPTURE" 'icmp.type == 0 && icmp.checksum.status == 1'
	has "$CAPTURE" 'icmp.type == 3 && icmp.code == 3'
	has "$CAPTURE" 'icmpv6.type == 129 && icmpv6.checksum.status == 1'
	has "$CAPTURE" 'icmpv6.type == 1 && icmpv6.code == 4'
	has "$CAPTURE" 'icmpv6.type == 134 && ipv6.dst == ff02::1'
	has "$CAPTURE" 'icmpv6.type == 135'
	has "$CAPTURE" 'icmpv6.type == 136'
	has "$CAPTURE" 'arp.opcode == 2'
	has "$CAPTURE" 'dhcp.option.dhcp == 2'
}

@test "a capture at MTU 65520 has every byte and no bad checksum" {
	checked 65520
	[ "$(captured longest "$CAPTURE")" -gt 60000 ]
}

@test "a capture at MTU 1500 has every byte and no bad checksum" {
	checked 1500
	# One record for what passed the tap as one frame
	[ "$(captured longest "$CAPTURE")" -gt 15000 ]
}

@test "a capture in segments at MTU 65520 has every byte" {
	checked 65520 --pcap-segment
	[ "$(captured longest "$CAPTURE")" -le 65534 ]
}

@test "a capture in segments at MTU 1500 has frames of 1514 bytes at most" {
	checked 1500 --pcap-segment
	[ "$(captured longest "$CAPTURE")" = 1514 ]
}

@test "the router is announced first, and that is in the capture" {
	tool_start --pcap="$CAPTURE"
	tool_stop
	has "$CAPTURE" 'icmpv6.type == 134 && frame.number <= 3'
}

@test "a filter keeps what it says" {
	tool_start --pcap="$CAPTURE" --pcap-filter "tcp port $PORT and ip6"
	probe download $FAR6 $PORT $MB
	probe download $FAR4 $PORT $MB
	in_box ping -q -c 1 -W 2 $GATEWAY4
	tool_stop
	captured bytes "$CAPTURE" $PORT "v6 down $MB"
	[ -z "$(tcpdump -nn -r "$CAPTURE" "not tcp port $PORT or not ip6")" ]
}

@test "a snap length cuts records, not what they say of their length" {
	tool_start --pcap="$CAPTURE" --pcap-snaplen 96
	probe download $FAR4 $PORT $((10 * MB))
	probe upload $FAR6 $PORT $((10 * MB))
	tool_stop
	captured lengths "$CAPTURE" 96
	tshark -n -r "$CAPTURE" -T fields -e tcp.len \
		"tcp.srcport == $PORT and ip" |
		awk '{ sum += $1 } END { exit sum < 10000000 }'
}

@test "a capture goes on in a next file; a ring keeps so many" {
	local file total=0

	tool_start --pcap="$CAPTURE" --pcap-size 2
	probe download $FAR4 $PORT $((9 * MB))
	tool_stop
	for file in "$CAPTURE"{,1,2,3,4}; do
		is_complete "$file"
		total=$((total + $(stat -c %s "$file")))
		# One frame at most beyond its size
		[ "$(stat -c %s "$file")" -lt $((2 * MB + 70000)) ]
	done
	[ $total -gt $((9 * MB)) ]
	[ ! -e "$CAPTURE"5 ]

	tool_start --pcap="$CAPTURE.ring" --pcap-size 1 --pcap-files 3
	probe download $FAR4 $PORT $((9 * MB))
	tool_stop
	for file in "$CAPTURE.ring"{0,1,2}; do
		is_complete "$file"
	done
	[ "$(find "$STAGE" -name 'capture*.ring*' | wc -l)" = 3 ]
}

is_complete()
{
	captured count "$1"
	tcpdump -nn -r "$1" >/dev/null
}

# ---- live ---------------------------------------------------------------------

# live_start READER OPTIONS...: the tool with its capture piped into READER, a
# script, whose output is $STAGE/live.
live_start()
{
	local reader=$1

	shift
	tool_words
	rm -f "$STAGE/ready"
	mkfifo "$STAGE/ready"
	TOOL+=(-c -6 -r 5 --pcap - --api-socket="$SOCK" "$@" "$BOX_PID" tap0)
	# shellcheck disable=SC2016
	spawn tool at_host bash -c '
		exec 4> >(exec sh -c "$0" >"$1" 5>&-)
		exec "${@:3}" 5>"$2" >&4 4>&-' \
		"$reader" "$STAGE/live" "$STAGE/ready" "${TOOL[@]}"
	export TOOL_PID=$SPAWNED
	read -r -t 20 -n 1 byte <"$STAGE/ready"
	[ "$byte" = 1 ] || fail "not ready: $(log_of tool)"
	wait_for 10 box_has_ipv6
}

lines()
{
	wc -l <"$STAGE/live"
}

more_lines_than()
{
	[ "$(lines)" -gt "$1" ]
}

@test "tcpdump sees a frame while the network idles" {
	live_start "tcpdump -l -nn -r -"
	in_box ping -q -c 1 -W 2 $FAR4
	wait_for 2 grep -q "$FAR4: ICMP echo request" "$STAGE/live"
	wait_for 2 grep -q "$FAR4 > 10.0.2.100: ICMP echo reply" "$STAGE/live"
}

@test "a frame is seen within 200 ms" {
	local before lags=()

	live_start "/usr/bin/python3 $HERE/captured.py lag /dev/stdin"
	for _ in 1 2 3 4 5; do
		sleep 0.3
		before=$(lines)
		in_box ping -q -c 1 -W 2 $FAR4
		wait_for 5 more_lines_than $((before + 1))
	done
	mapfile -t lags < <(sort -n "$STAGE/live")
	echo "ms: ${lags[*]}"
	# Other programs may hold us up, but not each time
	[ "${lags[${#lags[@]} / 2]}" -le 250 ]
	[ "${lags[-1]}" -le 2000 ]
}

@test "a busy network does not hold a capture back" {
	live_start "/usr/bin/python3 $HERE/captured.py lag /dev/stdin" \
		--pcap-filter "icmp" --pcap-snaplen 96
	spawn busy probe slow-download $FAR4 $PORT $((200 * MB)) 0
	in_box ping -q -c 20 -i 0.05 -W 2 $FAR4
	wait_for 5 more_lines_than 39
	mapfile -t lags < <(sort -n "$STAGE/live")
	echo "ms: ${lags[*]}"
	[ "${lags[20]}" -le 300 ]
}

@test "a reader that has gone ends the capture, not the network" {
	live_start "head -c 2000"
	probe download $FAR4 $PORT $((5 * MB))
	wait_for 5 test "$(status_of running)" = false
	[[ "$(status_of error)" == *"roken pipe"* ]]
	[ "$(grep -c 'the network goes on' "$STAGE/tool.log")" = 1 ]
	probe download $FAR6 $PORT $((5 * MB))
	[ "$(grep -c 'the network goes on' "$STAGE/tool.log")" = 1 ]
}

@test "a reader that has stopped loses frames, and holds nothing up" {
	live_start "exec sleep 1000"
	probe download $FAR4 $PORT $((30 * MB))
	probe upload $FAR6 $PORT $((30 * MB))
	[ "$(status_of running)" = true ]
	[ "$(status_of dropped)" -gt 100 ]
	kill "$TOOL_PID"
	# It owes its reader what it has, for a moment only
	wait_gone "$TOOL_PID" 5
	TOOL_PID=
}

@test "run --pcap - leaves stdout to the capture" {
	# shellcheck disable=SC2016
	at_host env "TAPIR=$TAPIR" bash -ec '
		set -o pipefail
		"$TAPIR" run --pcap - -- sh -c "echo said; ping -q -c 1 \$1 >&2" \
			x 10.0.2.2 2>"$0/run.err" | tcpdump -nn -r - \
			>"$0/run.out" 2>/dev/null' "$STAGE"
	cat "$STAGE/run.err" "$STAGE/run.out"
	grep -qx said "$STAGE/run.err"
	grep -q "10.0.2.2: ICMP echo request" "$STAGE/run.out"
}

# ---- what goes wrong ----------------------------------------------------------

# does_not_start WORDS OPTIONS...
does_not_start()
{
	local words=$1

	shift
	tool_words
	run at_host timeout 10 "${TOOL[@]}" -c "$@" "$BOX_PID" tap0
	echo "$* -> $status $output"
	[ "$status" = 1 ]
	[[ $output == *"$words"* ]]
	# Nothing was made in the container
	! in_box ip link show tap0 2>/dev/null
}

@test "what cannot be captured is said at start" {
	does_not_start "$STAGE/none/x: No such file" --pcap "$STAGE/none/x"
	does_not_start "Is a directory" --pcap "$STAGE"
	does_not_start "filter 'tcp prot 80': " --pcap "$CAPTURE" \
		--pcap-filter 'tcp prot 80'
	[ ! -e "$CAPTURE" ]
	does_not_start "pcap-snaplen '1'" --pcap "$CAPTURE" --pcap-snaplen 1
	does_not_start "need --pcap" --pcap-filter tcp
	does_not_start "needs --pcap-size" --pcap "$CAPTURE" --pcap-files 3
}

@test "a full disk ends the capture, not the network" {
	mkdir -p "$STAGE/small"
	at_host mount -t tmpfs -o size=1m tmpfs "$STAGE/small"
	tool_start --pcap="$STAGE/small/x" --api-socket="$SOCK"
	[ "$(status_of running)" = true ]
	probe download $FAR4 $PORT $((5 * MB))
	wait_for 5 test "$(status_of running)" = false
	[[ "$(status_of error)" == *"small/x: No space left on device" ]]
	# Readable to its end, and the numbers are of what is in it
	at_host cp "$STAGE/small/x" "$CAPTURE"
	is_complete "$CAPTURE"
	[ "$(status_of bytes)" = "$(stat -c %s "$CAPTURE")" ]
	[ "$(status_of frames)" = "$(captured count "$CAPTURE")" ]
	[ "$(status_of dropped)" -gt 0 ]
	probe upload $FAR6 $PORT $((5 * MB))
	[ "$(grep -c 'the network goes on' "$STAGE/tool.log")" = 1 ]
	# Room again: another capture may begin
	at_host truncate -s 0 "$STAGE/small/x"
	ask start_capture "{\"path\":\"$STAGE/small/y\",\"snaplen\":64}"
	[ "$(status_of running)" = true ]
	[ "$(status_of error)" = null ]
}

@test "a file that may not grow ends the capture, not the network" {
	tool_start --pcap="$CAPTURE" --api-socket="$SOCK"
	prlimit --pid "$TOOL_PID" --fsize=1000000
	probe download $FAR4 $PORT $((5 * MB))
	wait_for 5 test "$(status_of running)" = false
	[[ "$(status_of error)" == *": File too large" ]]
	is_complete "$CAPTURE"
	probe upload $FAR6 $PORT $((5 * MB))
}

@test "a capture to a stdout that is closed does not start" {
	# shellcheck disable=SC2016
	run at_host sh -c '"$0" run --pcap - -- echo ran >&-' "$TAPIR"
	[ "$status" = 1 ]
	[[ $output == *"cannot write capture stdout: it is closed"* ]]
	[[ $output != *ran* ]]
}

@test "a filter with a name does not wait for a name server" {
	local before

	# One that never answers
	spawn mute at_remote /usr/bin/python3 -c '
import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 53))
time.sleep(1000)'
	tool_start --api-socket="$SOCK"
	before=$(date +%s%N)
	refuses start_capture \
		"{\"path\":\"$CAPTURE\",\"filter\":\"host www.example.com\"}"
	[[ $output == *"no name server is asked"* ]]
	[ $(($(date +%s%N) - before)) -lt 3000000000 ]
	[ ! -e "$CAPTURE" ]
	ask start_capture \
		"{\"path\":\"$CAPTURE\",\"filter\":\"host localhost or port 7\"}"
	[ "$(status_of running)" = true ]
}

# ---- at run time --------------------------------------------------------------

@test "a capture is started, looked at and stopped over the API socket" {
	tool_start --api-socket="$SOCK"
	[ "$(status_of running)" = false ]
	[ "$(status_of path)" = null ]
	probe download $FAR6 $PORT $MB
	run ask start_capture "{\"path\":\"$CAPTURE\",\"snaplen\":1000,
		\"filter\":\"ip\",\"segment\":true}"
	[ "$(jq -c .return <<<"$output")" = {} ]
	[ "$(status_of running)" = true ]
	[ "$(status_of path)" = "$CAPTURE" ]
	refuses start_capture "{\"path\":\"$CAPTURE.2\"}"
	[[ $output == *"running already"* ]]
	[ ! -e "$CAPTURE.2" ]
	probe download $FAR4 $PORT $MB
	probe download $FAR6 $PORT $MB
	[ "$(status_of frames)" -gt 10 ]
	run ask stop_capture
	echo "$output"
	[ "$(jq -r .return.running <<<"$output")" = false ]
	[ "$(jq -r .return.bytes <<<"$output")" = \
		"$(stat -c %s "$CAPTURE")" ]
	[ "$(jq -r .return.frames <<<"$output")" = \
		"$(captured count "$CAPTURE")" ]
	[ "$(jq -r .return.dropped <<<"$output")" = 0 ]
	refuses stop_capture
	[ "$(stat -c %a "$CAPTURE")" = 600 ]
	captured lengths "$CAPTURE" 1000
	[ -z "$(tcpdump -nn -r "$CAPTURE" not ip)" ]
	# And once more, over the same file
	ask start_capture "{\"path\":\"$CAPTURE\"}"
	probe download $FAR6 $PORT $MB
	ask stop_capture
	captured bytes "$CAPTURE" $PORT "v6 down $MB"
}

file_has_more_than()
{
	[ "$(stat -c %s "$CAPTURE")" -gt "$1" ]
}

@test "a capture can be stopped in the middle of a transfer" {
	tool_start --pcap="$CAPTURE" --api-socket="$SOCK"
	# It reads no further than its buffer for now
	spawn busy probe slow-download $FAR4 $PORT $((40 * MB)) 5
	wait_for 5 file_has_more_than 100000
	run ask stop_capture
	[ "$(jq -r .return.running <<<"$output")" = false ]
	[ "$(jq -r .return.frames <<<"$output")" = \
		"$(captured count "$CAPTURE")" ]
	is_complete "$CAPTURE"
	[ "$(stat -c %s "$CAPTURE")" -lt $((40 * MB)) ]
	# The transfer ends well, and nothing of it is added
	wait "$SPAWNED"
	[ "$(jq -r .return.bytes <<<"$output")" = \
		"$(stat -c %s "$CAPTURE")" ]
}

@test "a capture that cannot be is refused with the reason" {
	local arguments

	tool_start_bare -c --api-socket="$SOCK"
	for arguments in '{}' '{"path":5}' '{"path":"x"}' '{"path":"-"}' \
		"{\"path\":\"$STAGE/none/x\"}" \
		"{\"path\":\"$CAPTURE\",\"filter\":\"tcp prot\"}" \
		"{\"path\":\"$CAPTURE\",\"filter\":7}" \
		"{\"path\":\"$CAPTURE\",\"snaplen\":13}" \
		"{\"path\":\"$CAPTURE\",\"snaplen\":\"x\"}" \
		"{\"path\":\"$CAPTURE\",\"size\":0}" \
		"{\"path\":\"$CAPTURE\",\"files\":3}" \
		"{\"path\":\"$CAPTURE\",\"segment\":1}"; do
		refuses start_capture "$arguments"
	done
	refuses start_capture "{\"path\":\"$CAPTURE\",\"files\":3}"
	[[ $output == *"needs a size"* ]]
	[ ! -e "$CAPTURE" ]
	[ "$(status_of running)" = false ]
}

@test "what the tap refused is not in the capture" {
	local before

	tool_start --pcap="$CAPTURE" --api-socket="$SOCK"
	ask add_hostfwd '{"proto":"tcp","host_addr":"127.0.0.1",
		"host_port":8080,"guest_port":80}'
	# The container refuses: a SYN, a RST, and who has its address
	before=$(status_of frames)
	at_host timeout 1 ncat 127.0.0.1 8080 </dev/null || true
	[ "$(status_of frames)" -gt "$before" ]
	in_box ip link set tap0 down
	before=$(status_of frames)
	at_host timeout 1 ncat 127.0.0.1 8080 </dev/null || true
	[ "$(status_of frames)" = "$before" ]
}

@test "a process that captures nothing holds no buffer for it" {
	local before

	tool_sanitized && skip "a sanitizer keeps what was freed"
	tool_start --api-socket="$SOCK"
	before=$(tool_fds)
	ask start_capture "{\"path\":\"$CAPTURE\"}"
	probe download $FAR4 $PORT $((20 * MB))
	[ "$(tool_fds)" -gt "$before" ]
	ask stop_capture
	[ "$(tool_fds)" -le "$before" ]
}
