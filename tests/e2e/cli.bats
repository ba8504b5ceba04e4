#!/usr/bin/env bats
# The command line of slirp4netns against real namespaces: targets, descriptors,
# exit statuses, streams. What the words of each option must be is
# tests/test_cli_slirp.c.
#
# The scripts in single quotes are for other shells, where $0 is the tool:
# shellcheck disable=SC2016

setup()
{
	HERE=$(cd "$(dirname "$BATS_TEST_FILENAME")" && pwd)
	TAPIR=$(realpath "${TAPIR:-$HERE/../../build/release/tapir}")
	DIR=$(mktemp -d /tmp/cli.XXXXXX)
	ln -s "$TAPIR" "$DIR/slirp4netns"
	SLIRP=$DIR/slirp4netns
	export READY=$DIR/ready
	PIDS=()
	background unshare -rn sleep 300
	BOX=$!
	wait_for 5 sh -c '[ "$(readlink /proc/'$BOX'/ns/net)" != \
		"$(readlink /proc/self/ns/net)" ]'
	wait_for 5 in_box true
}

teardown()
{
	[ "${#PIDS[@]}" = 0 ] || kill -9 "${PIDS[@]}" 2>/dev/null || true
	rm -rf "$DIR"
}

# bats waits for whoever holds its descriptor 3.
background()
{
	"$@" >"$DIR/out" 2>"$DIR/err" </dev/null 3>&- 4>&- &
	PIDS+=($!)
}

wait_for()
{
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

in_box()
{
	nsenter -t "$BOX" -U -n --preserve-credentials -- "$@"
}

# serve WORDS...: the tool in the background, until the ready byte. Sets TOOL.
serve()
{
	background bash -c 'exec "$0" -r 5 "$@" 5>"$READY"' "$SLIRP" "$@"
	TOOL=$!
	wait_for 10 grep -q 1 "$DIR/ready"
}

# lacks PATTERN FILE: no line of it. (A command after "!" fails no test.)
lacks()
{
	if grep -q -- "$1" "$2"; then
		cat "$2"
		return 1
	fi
}

# fails LINES WORDS...: exit status 1, and LINES on stderr.
fails()
{
	local want=$1 status=0

	shift
	"$SLIRP" "$@" >"$DIR/out" 2>"$DIR/err" || status=$?
	diff <(printf '%b\n' "$want") "$DIR/err"
	[ "$status" = 1 ]
}

@test "the name, or the first word, chooses the command line" {
	run "$SLIRP" --version
	[ "$status" = 0 ]
	[[ ${lines[0]} == "slirp4netns version 1.3.3 (tapir "* ]]
	[ "$(grep -c version <<<"$output")" = 1 ]
	run "$TAPIR" slirp4netns --version
	[[ ${lines[0]} == "slirp4netns version 1.3.3 (tapir "* ]]
	run "$TAPIR" --version
	[ "$status" = 0 ]
	[[ ${lines[0]} == "tapir "* ]]
	run "$TAPIR" --help
	[ "$status" = 0 ]
	run "$TAPIR"
	[ "$status" = 1 ]
}

@test "--help goes to stdout with 0, usage after an error with 1" {
	"$SLIRP" --help >"$DIR/out" 2>"$DIR/err"
	[ ! -s "$DIR/err" ]
	grep -qw -- --netns-type "$DIR/out"
	fails "$SLIRP: unrecognized option '--bogus'" --bogus 1 tap0
	grep -q '^Usage: slirp4netns' "$DIR/out"
	fails 'invalid CIDR: 24' --cidr 24 1 tap0
	[ ! -s "$DIR/out" ]
}

@test "a bad target is one clear line and status 1" {
	local gone

	sh -c 'echo $$' >"$DIR/gone"
	read -r gone <"$DIR/gone"
	fails "process $gone is not there: /proc/$gone/ns/net: No such file or \
directory\nchild failed(1)" -c "$gone" tap0
	fails "/etc/passwd is not a network namespace\nchild failed(1)" \
		--netns-type=path /etc/passwd tap0
	fails "interface name 'a-name-of-16-chr': want 1 to 15 characters\n\
child failed(1)" "$BOX" a-name-of-16-chr
	fails "cannot open tap lo: there is an interface of that name that is \
no tap, or it has several queues\nchild failed(1)" "$BOX" lo
	fails "descriptor 0 is no tap device: Inappropriate ioctl for device" \
		--netns-type=tapfd 0 </dev/null
}

@test "no permission for the namespace is one clear line" {
	cp "$TAPIR" "$DIR/copy"
	chmod 755 "$DIR" "$DIR/copy"
	cd /
	run setpriv --reuid 4711 --regid 4711 --clear-groups \
		"$DIR/copy" slirp4netns "$BOX" tap0
	[ "$status" = 1 ]
	[ "${#lines[@]}" = 2 ]
	[[ ${lines[0]} == "/proc/$BOX/ns/net: Permission denied" ]]
	[ "${lines[1]}" = "child failed(1)" ]
}

@test "a tap that is in use is one clear line" {
	serve "$BOX" tap0
	run "$SLIRP" "$BOX" tap0
	[ "$status" = 1 ]
	[ "${lines[0]}" = "tap tap0 is in use" ]
}

@test "a failed start writes no ready byte" {
	run bash -c '"$0" -r 5 999999999 tap0 5>"$1"' "$SLIRP" "$DIR/ready"
	[ "$status" = 1 ]
	[ ! -s "$DIR/ready" ]
}

@test "the banner comes by lines on stdout, descriptors on stderr" {
	serve -m 9000 --cidr=10.41.0.0/16 "$BOX" tap0
	[ "$(sed -n 1p "$DIR/out")" = "Starting slirp" ]
	grep -qx '\* MTU: *9000' "$DIR/out"
	grep -qx '\* Netmask: *255.255.0.0' "$DIR/out"
	grep -qx '\* Recommended IP: *10.41.0.100' "$DIR/out"
	grep -q '^WARNING: 127.0.0.1 .* 10.41.0.2 ' "$DIR/out"
	grep -qx 'sent tapfd=[0-9]* for tap0' "$DIR/err"
	grep -qx 'received tapfd=[0-9]*' "$DIR/err"
}

@test "-c: up, MTU, MAC, address and route, and nothing else" {
	serve -c -m 9000 --macaddress=0e:d4:18:d9:38:fb "$BOX" tap11
	in_box ip link show tap11 >"$DIR/link"
	grep -q '<BROADCAST,UP,LOWER_UP> mtu 9000' "$DIR/link"
	grep -q 0e:d4:18:d9:38:fb "$DIR/link"
	in_box ip address show tap11 | grep -q 'inet 10.0.2.100/24 brd 10.0.2.255'
	[ "$(in_box ip route show default)" = "default via 10.0.2.2 dev tap11 " ]
	in_box ip link show lo | grep -q '<LOOPBACK,UP,LOWER_UP>'
	[ -z "$(in_box ip -6 address show scope global)" ]
}

@test "without -c nothing is configured" {
	serve -6 "$BOX" tap0
	in_box ip link show tap0 | grep -q '<BROADCAST,MULTICAST> mtu 1500'
	in_box ip address show tap0 >"$DIR/addresses"
	lacks inet "$DIR/addresses"
	in_box ip link show lo | grep -q '<LOOPBACK> '
}

@test "-c again on a persistent tap is fine" {
	in_box ip tuntap add name tap0 mode tap
	serve -c "$BOX" tap0
	kill -9 "$TOOL"
	rm "$DIR/ready"
	wait_for 5 sh -c '! nsenter -t '"$BOX"' -U -n ip link show tap0 |
		grep -q LOWER_UP'
	serve -c "$BOX" tap0
	[ "$(in_box ip route show default | wc -l)" = 1 ]
	in_box ping -c 1 -W 2 10.0.2.2
}

@test "RootlessKit: a persistent tap of the child's, joined by paths" {
	in_box ip tuntap add name tap0 mode tap
	in_box ip link set tap0 up
	serve --mtu 65520 --userns-path="/proc/$BOX/ns/user" \
		--netns-type=path "/proc/$BOX/ns/net" tap0
	in_box ip link set tap0 mtu 65520
	in_box ip address add 10.0.2.100/24 dev tap0
	in_box ip route add default via 10.0.2.2
	in_box ping -c 1 -W 2 10.0.2.2
}

@test "a tap descriptor that is handed in, with and without header" {
	local flags

	for flags in 0x1002 0x5002; do
		run unshare -rn python3 - "$SLIRP" $flags <<'PYTHON'
import fcntl, os, select, struct, subprocess, sys

tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"t0", int(sys.argv[2], 0)))
ready, says_ready = os.pipe()
tool = subprocess.Popen(
    [sys.argv[1], "-r", str(says_ready), "--netns-type=tapfd", str(tap)],
    pass_fds=(tap, says_ready), stdout=subprocess.DEVNULL)
os.close(says_ready)
try:
    if os.read(ready, 1) != b"1":
        sys.exit("not ready")
    for words in ("link set t0 up", "address add 10.0.2.100/24 dev t0"):
        subprocess.run(["ip"] + words.split(), check=True)
    subprocess.run("ping -c 1 -W 2 10.0.2.2", shell=True, check=True)
finally:
    tool.kill()
    tool.wait()
PYTHON
		echo "$output"
		[ "$status" = 0 ]
	done
}

@test "exit-fd: numbers of our own descriptors do not end or confuse it" {
	local fd

	# Not open in the caller, so closed for good: an end with 0, at once
	for fd in 3 4 5 6 7 8; do
		run timeout 10 bash -c 'for f in 3 4 5 6 7 8 9; do
				eval "exec $f>&-"; done
			exec "$0" -e "$1" "$2" tap0' "$SLIRP" "$fd" "$BOX"
		[ "$status" = 0 ]
		grep -qx 'exitfd event' <<<"$output"
		grep -qx 'do_slirp is exiting' <<<"$output"
	done
}

@test "exit-fd: data is no reason to end, a hang-up is" {
	run python3 - "$SLIRP" "$BOX" <<'PYTHON'
import os, subprocess, sys, time

exit_fd, writer = os.pipe()
ready, says_ready = os.pipe()
tool = subprocess.Popen(
    [sys.argv[1], "-e", str(exit_fd), "-r", str(says_ready), sys.argv[2],
     "tap0"], pass_fds=(exit_fd, says_ready))
os.close(exit_fd)
os.close(says_ready)
try:
    assert os.read(ready, 2) == b"1", "not ready"
    assert os.read(ready, 1) == b"", "the ready descriptor is still open"
    os.write(writer, b"data")
    time.sleep(1)
    assert tool.poll() is None, "ended by data"
    os.close(writer)
    assert tool.wait(10) == 0, tool.returncode
finally:
    tool.kill()
PYTHON
	echo "$output"
	[ "$status" = 0 ]
	grep -qx 'do_slirp is exiting' <<<"$output"
}

@test "SIGTERM ends it by signal, SIGKILL leaves nothing behind either" {
	local signal code

	for signal in TERM KILL; do
		rm -f "$DIR/ready"
		serve "$BOX" tap0
		kill -$signal "$TOOL"
		code=0
		wait "$TOOL" || code=$?
		[ "$code" = $((128 + $(kill -l $signal))) ]
		wait_for 5 sh -c '! nsenter -t '"$BOX"' -U -n ip link show tap0'
	done
}

@test "it outlives the container, without a sound" {
	local before after

	serve -c "$BOX" tap0
	in_box ip link del tap0
	kill -9 "$BOX"
	sleep 0.5
	before=$(cut -d' ' -f14,15 "/proc/$TOOL/stat")
	sleep 1
	after=$(cut -d' ' -f14,15 "/proc/$TOOL/stat")
	[ "$before" = "$after" ]
	kill -0 "$TOOL"
}

@test "a namespace without IPv6 has IPv4" {
	in_box sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
		echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
	serve -c -6 "$BOX" tap0
	in_box ping -c 1 -W 2 10.0.2.2
}
