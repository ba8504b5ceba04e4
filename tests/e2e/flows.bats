#!/usr/bin/env bats
# tapir flows: the conversations of real captures, held against what tshark says
# of them, and against what was done.

load lib

# What every name leads to
A=$FAR4 AAAA=$FAR6
SIZE=3000000
SILENT=203.0.113.9

setup_file()
{
	command -v tcpdump >/dev/null || skip "no tcpdump"
	command -v tshark >/dev/null || skip "no tshark"
	[ "$E2E_TOOL" = tapir ] || skip "$E2E_TOOL has no such command"
	stage_up
	peer_up remote
	spawn dns4 at_remote /usr/bin/python3 "$HERE/dnsd.py" $REMOTE4 $A $AAAA
	spawn dns6 at_remote /usr/bin/python3 "$HERE/dnsd.py" $REMOTE6 $A $AAAA
	mkdir "$STAGE/www"
	head -c $SIZE /dev/urandom >"$STAGE/www/file"
	spawn www at_remote /usr/bin/python3 -m http.server --bind :: \
		-d "$STAGE/www" 80
	spawn iperf at_remote iperf3 -s -p 5201
	at_host ip route add 203.0.113.0/24 via $REMOTE4
	at_remote ip route add blackhole 203.0.113.0/24
	wait_for 10 listening remote 80
	wait_for 10 listening remote 5201
	wait_for 10 at_remote dig +time=1 +tries=1 "@$REMOTE4" ready.test
	record
}

# try CMD...: whatever comes of it.
try()
{
	"$@" >/dev/null 2>&1 || true
}

# Of everything that a container does; by the program itself.
record()
{
	CAPTURE=$STAGE/capture
	export CAPTURE
	SCOPE=file box_up
	SCOPE=file tool_start --pcap="$CAPTURE"
	traffic
	more_traffic
	kill "$TOOL_PID"
	wait_gone "$TOOL_PID" 10
	unset TOOL_PID
	listed "$CAPTURE"
}

# What any tool can do.
traffic()
{
	printf 'nameserver %s\n' $DNS4 >"$STAGE/resolv.box"
	in_box mount --bind "$STAGE/resolv.box" /etc/resolv.conf
	in_box curl -4 -sS -o /dev/null http://www.example.test/file
	in_box curl -6 -sS -o /dev/null http://six.example.test/file
	try in_box curl -sS http://refused.example.test:1/
	try in_box curl -sS -m 1 http://$SILENT/
	in_box iperf3 -c $FAR4 -p 5201 -n 2M >/dev/null
	in_box iperf3 -c $FAR6 -p 5201 -n 2M -R >/dev/null
	# It answers from the address of its interface
	in_box iperf3 -c $REMOTE4 -p 5201 -u -l 1000 -b 10M -t 1 >/dev/null
	try in_box ping -q -c 1 -W 1 $SILENT
	in_box ping -q -c 2 -i 0.2 -W 2 $FAR4
	in_box dig +short +tcp tcp.example.test >/dev/null
}

# And what tapir can.
more_traffic()
{
	probe reset-by-us $FAR4 $PORT
	probe reset-by-peer $FAR6 $PORT
	probe half-close-box-first $FAR4 $PORT 100000
	probe udp-echo $FAR4 $PORT 500
	probe udp-echo $FAR6 $PORT 500
	[ "$(probe udp-error $FAR4 1)" = ECONNREFUSED ]
	[ "$(probe connect $FAR6 1)" = ECONNREFUSED ]
	in_box ping -q -c 2 -i 0.2 -W 2 $FAR6
}

# listed CAPTURE: what the command says of it, beside it.
listed()
{
	"$TAPIR" flows "$1" >"$1.txt"
	"$TAPIR" flows --json "$1" >"$1.json"
}

setup()
{
	SCOPE=test
}

teardown()
{
	kill_spawned test
}

held_against()
{
	/usr/bin/python3 "$HERE/conversations.py" "$@"
}

# talks FILTER: how many conversations of the capture jq finds.
talks()
{
	jq "[.conversations[] | select($1)] | length" "$CAPTURE.json"
}

# has FILTER [COUNT]
has()
{
	local found

	found=$(talks "$1")
	[ "$found" = "${2:-1}" ] ||
		fail "$found with $1: $(cat "$CAPTURE.txt")"
}

@test "tshark finds the same conversations, frames and bytes" {
	held_against agree "$CAPTURE" <"$CAPTURE.json"
	[ "$(talks true)" -gt 20 ]
}

@test "the text says the same as the JSON, in 80 columns, by bytes" {
	cat "$CAPTURE.txt"
	held_against lines "$CAPTURE.txt" <"$CAPTURE.json"
}

@test "every frame is counted" {
	[ "$(jq .frames "$CAPTURE.json")" = "$(tshark -n -r "$CAPTURE" \
		2>/dev/null | wc -l)" ]
	[ "$(jq '[.conversations[] | .from.frames + .to.frames] | add' \
		"$CAPTURE.json")" -lt "$(jq .frames "$CAPTURE.json")" ]
}

@test "downloads have their size, their end and their name" {
	has '.to.name == "www.example.test" and .to.address == "'$A'" and
		.to.port == 80 and .end == "closed" and
		.to.bytes > '$SIZE' and .to.bytes < '$SIZE' + 1000'
	# A later answer for the same address gives it another name
	has '.to.name == "six.example.test" and .to.address == "'$AAAA'" and
		.to.port == 80 and .end == "closed" and .to.bytes > '$SIZE
	grep -qE '^tcp +10\.0\.2\.100:[0-9]+ +www\.example\.test:80 .* 3\.0M .* closed$' \
		"$CAPTURE.txt"
}

@test "uploads and UDP streams have their size" {
	# Its client has written 2 MB, and does not wait until they are there
	has '.protocol == "tcp" and .to.port == 5201 and .from.bytes >= 500000'
	has '.protocol == "tcp" and .to.port == 5201 and .to.bytes >= 2000000'
	has '.protocol == "udp" and .to.port == 5201 and
		.from.bytes > 1000000 and .end == "answered"'
}

@test "refused, reset, half-closed, silent and unreachable are told apart" {
	has '.protocol == "tcp" and .to.port == 1 and .end == "refused"' 3
	has '.protocol == "tcp" and .to.port == 1 and .end != "refused"' 0
	has '.protocol == "ping" and .to.address == "'$SILENT'" and
		.end == "silent"'
	has '.to.port == '$PORT' and .end == "reset" and .from.resets > 0 and
		.to.resets == 0'
	has '.to.port == '$PORT' and .end == "reset" and .to.resets > 0'
	has '.to.port == '$PORT' and .end == "closed" and
		.to.bytes == 100000'
	has '.protocol == "udp" and .to.port == 1 and .end == "unreachable" and
		.unreachable >= 1'
	has '.protocol == "udp" and .to.port == '$PORT' and .from.bytes == 500
		and .to.bytes == 500 and .end == "answered"' 2
}

@test "pings are conversations" {
	has '.protocol == "ping" and .end == "answered" and
		.from.frames == 2 and .to.frames == 2 and .from.bytes == 112' 2
}

@test "a capture from a pipe and one of pcapng are listed, too" {
	"$TAPIR" flows - <"$CAPTURE" | diff - "$CAPTURE.txt"
	editcap -F pcapng "$CAPTURE" "$STAGE/ng" 2>/dev/null
	"$TAPIR" flows "$STAGE/ng" | diff - "$CAPTURE.txt"
	# Cut frames say how long they were
	editcap -s 96 "$CAPTURE" "$STAGE/cut" 2>/dev/null
	"$TAPIR" flows --json "$STAGE/cut" |
		jq -c '.conversations[] | del(.from.name, .to.name)' >"$STAGE/a"
	jq -c '.conversations[] | del(.from.name, .to.name)' \
		"$CAPTURE.json" | diff - "$STAGE/a"
}

@test "what is lost on the way is sent again, and counted" {
	local file=$STAGE/lossy

	box_up
	tool_start --pcap="$file"
	# Behind where the program sees it, and so each frame of one size or
	# another: what tapir sends may be lost, and what the box does, not
	in_box nft -f - <<-END
		table inet lossy {
			chain in {
				type filter hook input priority 0
				iifname tap0 numgen inc mod 20 == 9 drop
			}
		}
	END
	probe download $FAR4 $PORT $((5 * 1000000))
	probe upload $FAR6 $PORT $((5 * 1000000))
	kill "$TOOL_PID"
	wait_gone "$TOOL_PID" 10
	unset TOOL_PID
	listed "$file"
	cat "$file.txt"
	held_against agree "$file" <"$file.json"
	held_against lines "$file.txt" <"$file.json"
	[ "$(jq '[.conversations[].to.retransmits] | add' "$file.json")" -gt 0 ]
}

# settled FILE: nothing was written for a second.
settled()
{
	local before

	before=$(stat -c %s "$1")
	sleep 1
	[ "$(stat -c %s "$1")" = "$before" ]
}

@test "a capture by tcpdump of a container of slirp4netns is listed" {
	local file=$STAGE/other

	command -v slirp4netns >/dev/null || skip "no slirp4netns"
	box_up
	E2E_TOOL=slirp4netns tool_start
	# By root of the machine, whom alone tcpdump can stay
	spawn dump nsenter -t "$BOX_PID" -n -- \
		tcpdump -Z root -B 65536 -U -i tap0 -n -w "$file"
	wait_for 10 grep -q "listening on" "$STAGE/dump.log" ||
		fail "$(log_of dump)"
	traffic
	wait_for 20 settled "$file"
	kill -INT "$SPAWNED"
	wait_gone "$SPAWNED" 10
	listed "$file"
	cat "$file.txt"
	held_against agree "$file" <"$file.json"
	held_against lines "$file.txt" <"$file.json"
	CAPTURE=$file
	has '.to.name == "www.example.test" and .end == "closed" and
		.to.bytes > '$SIZE
	has '.to.name == "six.example.test" and .end == "closed"'
	has '.to.address == "'$SILENT'" and .end == "silent"' 2
}

# fails WORDS ARGUMENTS...: exit status 1, and a line that has WORDS.
fails()
{
	local words=$1

	shift
	run "$TAPIR" flows "$@"
	echo "$* -> $status $output"
	[ "$status" = 1 ]
	[[ $output == *"$words"* ]]
	[[ ${lines[0]} == "tapir flows: "* ]]
}

@test "what cannot be listed is said in a line" {
	fails "want one capture, got 0"
	[ "${lines[1]}" = "Try 'tapir flows --help'." ]
	fails "want one capture, got 2" "$CAPTURE" "$CAPTURE"
	fails "$STAGE/none: No such file" "$STAGE/none"
	[ ${#lines[@]} = 1 ]
	fails "" "$STAGE"
	[ ${#lines[@]} = 1 ]
	fails "" /dev/null
	[ ${#lines[@]} = 1 ]
	fails "$HERE/flows.bats: unknown file format" "$HERE/flows.bats"
	[ ${#lines[@]} = 1 ]
	held_against other-link "$STAGE/raw"
	fails "want Ethernet frames, not link type RAW" "$STAGE/raw"
	[ ${#lines[@]} = 1 ]
}

@test "of a file that is cut off the rest is listed, and that is said" {
	head -c 2000000 "$CAPTURE" >"$STAGE/short"
	run "$TAPIR" flows "$STAGE/short"
	[ "$status" = 1 ]
	[[ $output == *"conversations, "* ]]
	[[ $output == *"tapir flows: $STAGE/short: after frame "*truncated* ]]
	"$TAPIR" flows --json "$STAGE/short" >"$STAGE/short.json" && false
	jq -e '.frames > 50' "$STAGE/short.json"
}

@test "a reader that has gone is no crash" {
	# shellcheck disable=SC2016
	run bash -c '"$0" flows "$1" | head -n 1; echo "${PIPESTATUS[0]}"' \
		"$TAPIR" "$CAPTURE"
	[[ $output == PROT* ]]
	[ "${lines[1]}" -le 141 ]
	run bash -c '"$0" flows "$1" >/dev/full' "$TAPIR" "$CAPTURE"
	[ "$status" = 1 ]
	[[ $output == "tapir flows: cannot write"* ]]
}
