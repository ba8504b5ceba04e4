#!/usr/bin/env bats
# Captures of real traffic, made by tcpdump on a tap that slirp4netns or tapir
# served, go through tapir replay: every conversation to its end, the same bytes
# each time, without root and without a tap.
# E2E_LARGE_MB: the size of the largest of them, 2200 if unset, 0 for none.

load lib
load engines

PORT=7
MB=1000000
NOBODY=(setpriv --reuid 65534 --regid 65534 --clear-groups)

setup_file()
{
	command -v tcpdump >/dev/null || skip "no tcpdump"
	stage_up
	peer_up remote
	if command -v podman >/dev/null && command -v curl >/dev/null; then
		podman_up
	fi
	# Whoever replays reads and writes here
	mkdir -m 777 "$STAGE/at"
	chmod 755 "$STAGE"
	if [ "$E2E_TOOL" = tapir ]; then
		install -m 755 "$TAPIR" "$STAGE/at/tapir"
		record_box "$STAGE/at/tapir.pcap"
	fi
}

setup()
{
	only_tapir "has no replay"
	SCOPE=test
	AT=$STAGE/at
	IN=$AT/tapir.pcap
	OUT=$AT/out$BATS_TEST_NUMBER.pcap
}

teardown()
{
	[ -z "${LARGE:-}" ] || rm -f "$LARGE"
	box_down
}

teardown_file()
{
	# Ends Podman's pause process, which keeps its namespaces
	[ -z "${ROOTFS:-}" ] || as_user podman system migrate || true
	rm -f "/dev/shm/libpod_rootless_lock_${USER_ID:-}"
	stage_down
}

# replay OPTIONS... FILE: as nobody, who may open no tap.
replay()
{
	"${NOBODY[@]}" "$AT/tapir" replay "$@"
}

forms()
{
	/usr/bin/python3 "$HERE/capture_forms.py" "$@"
	chmod 644 "$3"
}

# ---- recording ----------------------------------------------------------------

# tcpdump_start PID FILE: on tap0 of the namespace of PID, from before its
# network is up. By root as it is outside: within a user namespace tcpdump
# could not give up its rights.
tcpdump_start()
{
	spawn tcpdump nsenter -t "$1" -n -- tcpdump -Z root -U -B 65536 -s 0 \
		-i tap0 -w "$2"
	TCPDUMP=$SPAWNED
	wait_for 10 grep -q 'listening on' "$STAGE/tcpdump.log"
}

tcpdump_stop()
{
	# What is on its way has its moment
	sleep 0.5
	kill -INT "$TCPDUMP"
	wait_gone "$TCPDUMP" 10
	chmod 644 "$1"
	grep -q '^0 packets dropped by kernel' "$STAGE/tcpdump.log" ||
		fail "$(log_of tcpdump)"
}

# record_box FILE: all that the probe can do, in a box served by $E2E_TOOL.
record_box()
{
	local scope=$SCOPE address

	box_up
	tool_start --mtu="${2:-65520}"
	tcpdump_start "$BOX_PID" "$1"
	for address in $FAR4 $FAR6; do
		conversations $address
	done
	in_box ping -q -c 2 -W 2 $GATEWAY4
	in_box ping -q -c 1 -W 2 $FAR4 || [ "$E2E_TOOL" != tapir ]
	tcpdump_stop "$1"
	kill_spawned test
	TOOL_PID=
	SCOPE=$scope
}

# As many as CONVERSATIONS to ADDRESS, and some datagrams.
conversations()
{
	probe download "$1" $PORT $((3 * MB))
	probe upload "$1" $PORT $((3 * MB))
	probe download-closed "$1" $PORT 100000
	probe upload-closed "$1" $PORT 100000
	probe half-close-box-first "$1" $PORT 300000
	probe half-close-host-first "$1" $PORT 300000
	probe reset-by-peer "$1" $PORT
	[ "$E2E_TOOL" != tapir ] || probe reset-by-us "$1" $PORT
	probe connect "$1" 1
	probe hold "$1" $PORT 20 0.1
	probe udp-echo "$1" $PORT 100
	probe udp-echo "$1" $PORT 1400
	probe udp-error "$1" 1 >/dev/null
}

# followed REPORT LEAST: all conversations, and there are so many.
followed()
{
	local all

	all=$(sed -n 's/^\([0-9]*\) TCP conversations, \([0-9]*\) followed.*, 0 parted$/\1 \2/p' \
		<<<"$1")
	if [ -z "$all" ] || [ "${all% *}" != "${all#* }" ] ||
		[ "${all% *}" -lt "$2" ]; then
		fail "$(grep -E 'parted|follow' <<<"$1" | tail -n 20)"
	fi
}

# replays FILE LEAST [OPTIONS...]: to the end, twice the same, as expected.
replays()
{
	local file=$1 least=$2

	shift 2
	rm -f "$OUT" "$OUT.2"
	run replay "$@" -o "$OUT" "$file"
	echo "$output" | tail -n 60
	[ "$status" = 0 ]
	followed "$output" "$least"
	replay "$@" -o "$OUT.2" "$file" >/dev/null
	cmp "$OUT" "$OUT.2"
	run replay "$@" --expect "$OUT" "$file"
	[ "$status" = 0 ]
	[[ $output == *"all as expected"* ]]
}

# ---- captures made elsewhere --------------------------------------------------

@test "a box served by tapir replays, every conversation to its end" {
	replays "$IN" 56
	# It downloaded, uploaded, was reset and was refused, in both families
	[ "$(grep -c ' 3000000 down, closed' <<<"$(replay "$IN")")" -ge 2 ]
	[ "$(grep -cE ' 30000[0-9]{2} up, .*closed' <<<"$(replay "$IN")")" -ge 2 ]
	[ "$(grep -c 'reset$' <<<"$(replay "$IN")")" -ge 4 ]
}

@test "a box of MTU 1500 served by tapir replays" {
	record_box "$AT/tapir1500.pcap" 1500
	replays "$AT/tapir1500.pcap" 56 --mtu 1500
}

@test "a box served by slirp4netns replays, every conversation to its end" {
	command -v slirp4netns >/dev/null || skip "no slirp4netns"
	E2E_TOOL=slirp4netns record_box "$AT/slirp.pcap"
	replays "$AT/slirp.pcap" 54
}

# ---- a container at work -------------------------------------------------------

# podman_up, in setup_file: names and files for containers, with the machine's own curl and
# apt, at an engine of the stage's user.
podman_up()
{
	engines_up
	spawn dns at_remote /usr/bin/python3 "$HERE/dnsd.py" $REMOTE4 $FAR4 \
		$FAR6
	spawn www at_remote /usr/bin/python3 "$HERE/webd.py" 80
	wait_for 10 listening remote 80
	ROOTFS=$(rootfs_up)
	export ROOTFS
	ln -sf busybox "$ROOTFS/bin/sleep"
	ln -sf busybox "$ROOTFS/bin/test"
	ln -sfn usr/lib "$ROOTFS/lib"
	ln -sfn usr/lib64 "$ROOTFS/lib64"
	mkdir -p "$ROOTFS"/{usr,var/lib/dpkg,etc/apt/apt.conf.d} \
		"$USER_HOME/.config/containers"
	install -m 755 "$HERE/worker.sh" "$ROOTFS/bin/worker"
	chmod 777 "$ROOTFS/tmp"
	chown -R $USER_ID:$USER_ID "$USER_HOME/.config"
}

# record_podman TOOL FILE OPTIONS...: what a rootless container does, while
# tcpdump looks on, whose network is TOOL with OPTIONS.
record_podman()
{
	local tool=$1 file=$2 pid

	shift 2
	rm -f "$ROOTFS"/tmp/{go,done,end} "$USER_HOME/pid"
	cat >"$USER_HOME/network" <<-END
		#!/bin/sh
		case \$* in
		*--help*) exec $tool "\$@" ;;
		*) exec $tool $* "\$@" ;;
		esac
	END
	chmod 755 "$USER_HOME/network"
	cat >"$USER_HOME/.config/containers/containers.conf" <<-END
		[engine]
		network_cmd_path = "$USER_HOME/network"
	END
	spawn container as_user podman --cgroup-manager cgroupfs \
		--runtime crun run --rm --name worker --cap-add net_raw \
		--cgroups=disabled --network slirp4netns:enable_ipv6=true \
		-v /usr:/usr:ro --pidfile "$USER_HOME/pid" \
		--rootfs "$ROOTFS" sh /bin/worker $GATEWAY4 $FAR4 "$FAR6"
	wait_for 20 test -s "$USER_HOME/pid"
	pid=$(cat "$USER_HOME/pid")
	wait_for 20 nsenter -t "$pid" -n ip link show dev tap0 up
	tcpdump_start "$pid" "$file"
	: >"$ROOTFS/tmp/go"
	wait_for 60 test -e "$ROOTFS/tmp/done" || fail "$(log_of container)"
	tcpdump_stop "$file"
	: >"$ROOTFS/tmp/end"
	wait_for 20 test ! -e "/proc/$pid"
	log_of container
	[ "$(cat "$ROOTFS/tmp/done")" = well ]
}

# worked FILE: everything that a worker does is in it, and is replayed.
worked()
{
	local size

	replays "$1" 12
	# Files one by one, several by one connection, and what PUT sent
	for size in 100 200 300 1500 900; do
		grep -qE ":80: .* ${size}[0-9]{3} down, closed" <<<"$output"
	done
	grep -qE ":80: 900[0-9]{3} up, [0-9]+ down, closed" <<<"$output"
	grep -qE ":81: .*refused" <<<"$output"
	grep -qE ":80: .*reset" <<<"$output"
	# A name is asked for before
	[ "$(tcpdump -nn -r "$OUT" "udp src port 53" 2>/dev/null |
		grep -c "A $FAR4")" -ge 8 ]
}

@test "a rootless Podman container at work replays, served by slirp4netns" {
	command -v slirp4netns >/dev/null || skip "no slirp4netns"
	[ -n "${ROOTFS:-}" ] || skip "no podman, or no curl"
	record_podman "$(command -v slirp4netns)" "$AT/podman.pcap"
	worked "$AT/podman.pcap"
}

@test "a rootless Podman container at work replays, served by tapir" {
	[ -n "${ROOTFS:-}" ] || skip "no podman, or no curl"
	record_podman "$(engine_tool)" "$AT/podman.pcap" \
		"--pcap=$USER_HOME/own.pcap"
	worked "$AT/podman.pcap"
	install -m 644 "$USER_HOME/own.pcap" "$AT/own.pcap"
	worked "$AT/own.pcap"
}

# ---- what it says -------------------------------------------------------------

@test "what is not as expected is told by frame and field, and is exit 1" {
	local number

	replay -o "$OUT" "$IN" >/dev/null
	number=$(forms changed "$OUT" "$OUT.changed")
	run replay --expect "$OUT.changed" "$IN"
	[ "$status" = 1 ]
	[[ $output =~ "frame $number: "byte\ [0-9]+:\ wanted\ 0x[0-9a-f]{2},\ got\ 0x ]]
	[ "$(grep -c wanted <<<"$output")" = 1 ]
	[[ $output != *"all as expected"* ]]
	number=$(forms changed-fields "$OUT" "$OUT.changed")
	run replay --expect "$OUT.changed" "$IN"
	[ "$status" = 1 ]
	grep -qx "frame $number: ip.ttl: wanted 77, got [0-9]*" <<<"$output"
	grep -qx "frame $number: time: wanted [0-9]* ns, got [0-9]* ns" \
		<<<"$output"
	[ "$(grep -c wanted <<<"$output")" = 2 ]
	# Cut short, there is more than wanted, or less
	forms empty "$OUT" "$OUT.empty"
	run replay --expect "$OUT.empty" "$IN"
	[ "$status" = 1 ]
	[[ $output == *"one more than wanted"* ]]
	forms container "$IN" "$OUT.asked"
	run replay --expect "$OUT" "$OUT.asked"
	[ "$status" = 1 ]
}

@test "only a container's frames meet an echo, or what the script says" {
	forms container "$IN" "$OUT.asked"
	chmod 644 "$OUT.asked"
	run replay "$OUT.asked"
	[ "$status" = 0 ]
	# What it acknowledges is taken for ours
	[[ $output != *"reset here"* ]]
	[ "$(grep -c 'down, closed' <<<"$output")" -ge 10 ]
	echo "tcp * refuse" >"$OUT.host"
	run replay --host "$OUT.host" "$OUT.asked"
	[ "$status" = 0 ]
	[[ $output == *"TCP conversations"* ]]
	echo "tcp * dance" >"$OUT.host"
	run replay --host "$OUT.host" "$OUT.asked"
	[ "$status" = 1 ]
	[[ $output == *"$OUT.host"*dance* ]]
}

# ---- forms of files -----------------------------------------------------------

@test "microseconds, either byte order and pcapng are read" {
	local form

	forms round "$IN" "$OUT.round"
	replay -o "$OUT" "$OUT.round" >/dev/null
	for form in micro micro-big big little; do
		forms $form "$OUT.round" "$OUT.form"
		! cmp -s "$OUT.round" "$OUT.form" || [ $form = little ]
		same_output "$OUT.form"
	done
	command -v editcap >/dev/null || skip "no editcap"
	for form in pcap nsecpcap pcapng; do
		editcap -F $form "$OUT.round" "$OUT.form"
		chmod 644 "$OUT.form"
		same_output "$OUT.form"
	done
}

# same_output FILE: as $OUT, to the byte.
same_output()
{
	replay -o "$OUT.same" "$1" >/dev/null
	cmp "$OUT" "$OUT.same"
}

# refused WORDS OPTIONS... FILE
refused()
{
	local words=$1

	shift
	run replay "$@"
	echo "$* -> $status $output" | tail -n 3
	[ "$status" = 1 ]
	[[ $output == "tapir replay: "*"$words"* ]]
	[[ $output != *$'\n'* ]]
}

@test "files that are none are refused in words" {
	refused "$AT/none: No such file" "$AT/none"
	refused "want a file" - <"$IN"
	refused "$AT: error reading dump file: Is a directory" "$AT"
	refused "$AT/tapir: unknown file format" "$AT/tapir"
	: >"$OUT.nothing"
	refused "$OUT.nothing: truncated dump file" "$OUT.nothing"
	forms cut-header "$IN" "$OUT.head"
	refused "$OUT.head: truncated dump file" "$OUT.head"
	install -m 600 "$IN" "$OUT.secret"
	refused "$OUT.secret: Permission denied" "$OUT.secret"
	refused "$AT/none/x: No such file" -o "$AT/none/x" "$IN"
	refused "$AT/none: No such file" --expect "$AT/none" "$IN"
	refused "$AT/none: No such file" --host "$AT/none" "$IN"
	refused "$OUT.secret: Permission denied" --expect "$OUT.secret" "$IN"
}

@test "frames of another link than Ethernet are refused by its name" {
	local form

	forms raw-ip "$IN" "$OUT.form"
	refused "want Ethernet frames, not link type RAW" "$OUT.form"
	command -v editcap >/dev/null || skip "no editcap"
	for form in linux-sll:LINUX_SLL ieee-802-11:IEEE802_11 ppp:PPP; do
		editcap -T ${form%:*} "$IN" "$OUT.form"
		chmod 644 "$OUT.form"
		refused "want Ethernet frames, not link type ${form#*:}" \
			"$OUT.form"
	done
}

@test "a file without frames replays" {
	forms empty "$IN" "$OUT.empty"
	run replay -o "$OUT" "$OUT.empty"
	[ "$status" = 0 ]
	[[ $output == "0 frames of the container fed, 0 of"* ]]
	[ -s "$OUT" ]
}

@test "what there is of a file that is cut off is replayed" {
	forms cut "$IN" "$OUT.cut"
	run replay "$OUT.cut"
	echo "$output" | tail -n 3
	[ "$status" = 1 ]
	[[ $output == *"$OUT.cut: after frame "*": truncated dump file"* ]]
	followed "$output" 50
}

@test "frames of 256 KiB, frames of no length and a clock that steps back" {
	local form

	forms huge "$IN" "$OUT.huge"
	run replay "$OUT.huge"
	echo "$output" | tail -n 5
	[ "$status" = 0 ]
	followed "$output" 56
	[[ $output == *"not fed: larger than any frame of a tap"* ]]
	for form in backwards jumping; do
		forms $form "$IN" "$OUT.form"
		run replay "$OUT.form"
		echo "$output" | tail -n 5
		[ "$status" = 0 ]
		[[ $output == *"with a time before the last"* ]]
	done
}

@test "it wants no privilege, no tap and no network" {
	replay -o "$OUT" "$IN" >/dev/null
	run unshare -n -m sh -c 'mount -t tmpfs none /dev/net && exec "$@"' x \
		"${NOBODY[@]}" --inh-caps=-all --bounding-set=-all --no-new-privs \
		"$AT/tapir" replay --expect "$OUT" "$IN"
	echo "$output" | tail -n 3
	[ "$status" = 0 ]
	[[ $output == *"all as expected"* ]]
}

# ---- size ---------------------------------------------------------------------

# replay_peak OPTIONS...: as nobody; the report and, last, the most KiB that it
# had in memory.
replay_peak()
{
	/usr/bin/python3 -c '
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)' "${NOBODY[@]}" "$AT/tapir" replay "$@"
}

@test "a capture of more than 2 GiB is replayed in little memory" {
	local size=${E2E_LARGE_MB:-2200} place=/dev/shm room count

	! tool_sanitized || size=$((size / 20))
	[ "$size" -gt 0 ] || skip "E2E_LARGE_MB is 0"
	room=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
	[ "$room" -gt $((3 * size)) ] || place=/tmp
	room=$(df --output=avail -BM $place | tail -n 1 | tr -dc 0-9)
	[ "$room" -gt $((size + 500)) ] || skip "no room for $size MB"
	LARGE=$(mktemp "$place/e2e.XXXXXX")
	count=$(/usr/bin/python3 "$HERE/capture_large.py" "$size" "$LARGE")
	chmod 644 "$LARGE"
	SECONDS=0
	run replay_peak --mtu 1500 "$LARGE"
	echo "# $size MB: $SECONDS s, ${lines[-1]} KiB" >&3
	[ "$status" = 0 ]
	followed "$output" "$count"
	[ "$(grep -c ' 1022000 down, closed$' <<<"$output")" = "$count" ]
	tool_sanitized || [ "${lines[-1]}" -lt 40000 ]
}

# ---- speed --------------------------------------------------------------------

# seconds CMD...: the best of five.
seconds()
{
	local n start

	for n in 1 2 3 4 5; do
		start=$(date +%s%N)
		"$@" >/dev/null
		echo $(($(date +%s%N) - start))
	done | sort -n | head -n 1
}

@test "100,000 frames of MTU 1500 are replayed in 0.2 s" {
	local ours theirs

	box_up
	tool_start --mtu=1500 --pcap="$OUT.raw" --pcap-segment
	probe download $FAR4 $PORT $((100 * MB))
	probe upload $FAR4 $PORT $((100 * MB))
	kill "$TOOL_PID"
	wait_gone "$TOOL_PID"
	TOOL_PID=
	forms many "$OUT.raw" "$OUT.many"
	rm "$OUT.raw"
	run replay --mtu 1500 "$OUT.many"
	echo "$output" | tail -n 5
	[[ $output == *", 0 parted"* ]]
	ours=$(seconds replay --mtu 1500 "$OUT.many")
	theirs=$(seconds tcpdump -r "$OUT.many" -w /dev/null)
	echo "# $((100000 * 1000000000 / ours)) frames/s," \
		"$((ours * 100 / theirs)) % of the time of tcpdump -w" >&3
	tool_sanitized && skip "a sanitizer is not to be measured"
	# A machine that is too busy for tcpdump is no measure of us
	[ "$ours" -lt 200000000 ] || [ "$theirs" -gt 100000000 ]
}
