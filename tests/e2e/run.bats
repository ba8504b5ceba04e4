#!/usr/bin/env bats
# tapir run: namespaces, network, signals and exit status of a command. Nothing
# leaves the machine: what is talked to is tapir itself and the host's loopback.
#
# The scripts in single quotes are for other shells; each test has its own JOB:
# shellcheck disable=SC2016,SC2030,SC2031

setup()
{
	HERE=$(cd "$(dirname "$BATS_TEST_FILENAME")" && pwd)
	TAPIR=$(realpath "${TAPIR:-$HERE/../../build/release/tapir}")
	DIR=$(mktemp -d /tmp/run.XXXXXX)
	JOB=
}

teardown()
{
	[ -z "$JOB" ] || kill -9 "$JOB" 2>/dev/null || true
	rm -rf "$DIR"
}

# start CMD...: tapir run CMD in the background, its output in $DIR/out. Sets
# JOB. bats waits for whoever holds its descriptor 3.
start()
{
	# Or what the last job said would be taken for this one's
	rm -f "$DIR/out"
	"$TAPIR" run "$@" >"$DIR/out" 2>&1 </dev/null 3>&- 4>&- &
	JOB=$!
}

# wait_for SECONDS CMD...: CMD succeeds within the time.
wait_for()
{
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# lacks PATTERN FILE: no line of it. (A command after "!" fails no test.)
lacks()
{
	if grep -qE -- "$1" "$2"; then
		cat "$2"
		return 1
	fi
}

# in_mounts SCRIPT: with a mount namespace of its own; $0 is tapir, $1 is DIR.
in_mounts()
{
	unshare -m sh -ec "$1" "$TAPIR" "$DIR"
}

@test "the command's exit status is tapir's" {
	run "$TAPIR" run true
	[ "$status" = 0 ]
	[ -z "$output" ]
	run "$TAPIR" run sh -c 'exit 42'
	[ "$status" = 42 ]
	run "$TAPIR" run sh -c 'kill -9 $$'
	[ "$status" = 137 ]
}

@test "what cannot be run is 127 or 126, with one line that names it" {
	# By way of sh, since bats has an opinion on 127 itself
	run sh -c '"$0" run "$1" || { echo $?; exit 1; }' "$TAPIR" "$DIR/none"
	[ "${lines[1]}" = 127 ]
	[ "${lines[0]}" = "tapir: $DIR/none: No such file or directory" ]
	: >"$DIR/none"
	run "$TAPIR" run "$DIR/none"
	[ "$status" = 126 ]
	[ "$output" = "tapir: $DIR/none: Permission denied" ]
	run "$TAPIR" pasta -q -t none -u none "$DIR/none"
	[ "$status" = 126 ]
	[ "$output" = "pasta: $DIR/none: Permission denied" ]
}

@test "the network is complete when the command starts" {
	run "$TAPIR" run sh -ec '
		ip -4 address show dev lo | grep -q 127.0.0.1/8
		ip -4 address show dev tap0 | grep -q 10.0.2.100/24
		ip -6 address show dev tap0 scope global | grep -q fd00::64/64
		[ -z "$(ip address show tentative)" ]
		ip -4 route show default | grep -q "via 10.0.2.2 dev tap0"
		ip -6 route show default | grep -q "via fd00::2 dev tap0"
		grep -q 65520 /sys/class/net/tap0/mtu || ip link show tap0 |
			grep -q "mtu 65520"
		ping -c 1 -W 2 10.0.2.2
		ping -c 1 -W 2 fd00::2'
	[ "$status" = 0 ]
}

@test "the options change network, MTU and families" {
	run "$TAPIR" run --mtu=1500 --cidr=192.168.77.0/24 sh -ec '
		ip link show tap0 | grep -q "mtu 1500"
		ip address show tap0 | grep -q 192.168.77.100/24
		grep -q "^nameserver 192.168.77.3$" /etc/resolv.conf
		ping -c 1 -W 2 192.168.77.2'
	[ "$status" = 0 ]
	run "$TAPIR" run --ipv4-only sh -ec '
		ping -c 1 -W 2 10.0.2.2
		[ -z "$(ip -6 route show default)" ]
		[ "$(grep -c nameserver /etc/resolv.conf)" = 1 ]'
	[ "$status" = 0 ]
	run "$TAPIR" run --ipv6-only sh -ec '
		ping -c 1 -W 2 fd00::2
		[ -z "$(ip -4 address show dev tap0)" ]
		[ "$(grep nameserver /etc/resolv.conf)" = "nameserver fd00::3" ]'
	[ "$status" = 0 ]
}

@test "the host's loopback is the gateway, unless it is forbidden" {
	socat TCP-LISTEN:17077,bind=127.0.0.1,reuseaddr,fork SYSTEM:'echo here' \
		3>&- 4>&- &
	JOB=$!
	wait_for 5 bash -c 'exec 9<>/dev/tcp/127.0.0.1/17077'
	run "$TAPIR" run bash -c 'head -c 4 </dev/tcp/10.0.2.2/17077'
	[ "$status" = 0 ]
	[ "$output" = here ]
	run "$TAPIR" run bash -c 'head -c 4 </dev/tcp/10.0.2.2/17078'
	[ "$status" = 1 ]
	[[ $output == *"Connection refused"* ]]
	run "$TAPIR" run --no-host-loopback bash -c \
		'head -c 4 </dev/tcp/10.0.2.2/17077'
	[ "$status" = 1 ]
	[[ $output == *"Network is unreachable"* ]]
}

@test "what was written last arrives, though the command has ended" {
	head -c 50000000 /dev/urandom >"$DIR/blob"
	# A reader that is slower than the writer
	socat -u TCP-LISTEN:17079,bind=127.0.0.1,reuseaddr \
		SYSTEM:"sleep 1; cat >$DIR/got; touch $DIR/done" 3>&- 4>&- &
	JOB=$!
	wait_for 5 sh -c 'ss -Htln | grep -q :17079'
	run "$TAPIR" run bash -c "cat $DIR/blob >/dev/tcp/10.0.2.2/17079"
	[ "$status" = 0 ]
	wait_for 10 test -e "$DIR/done"
	cmp "$DIR/blob" "$DIR/got"
}

@test "the command has no descriptor of tapir's" {
	run "$TAPIR" run bash -c \
		'for f in /proc/self/fd/*; do readlink "$f" || :; done' 3>&- 4>&-
	[ "$status" = 0 ]
	echo "$output" >"$DIR/seen"
	lacks 'tun|eventpoll|signalfd|socket' "$DIR/seen"
}

@test "limits and ignored signals are as they were" {
	run sh -c 'ulimit -Sn 777; "$0" run sh -c "ulimit -Sn;
		grep SigIgn /proc/self/status; grep SigBlk /proc/self/status"' \
		"$TAPIR"
	[ "$status" = 0 ]
	[ "${lines[0]}" = 777 ]
	# SIGPIPE is bit 12
	[ $((0x${lines[1]##*[[:space:]]} & 0x1000)) = 0 ]
	[ $((0x${lines[2]##*[[:space:]]})) = 0 ]
}

@test "signals are passed on, and the end is told by 128 + N" {
	local signal

	for signal in HUP INT QUIT TERM USR1 USR2; do
		# A background job of a script ignores INT and QUIT
		start bash -c 'trap - INT QUIT; echo up; exec -a x python3 -c "
import signal, time
for s in (signal.SIGINT, signal.SIGQUIT): signal.signal(s, signal.SIG_DFL)
print(\"ready\", flush=True)
time.sleep(30)"'
		wait_for 10 grep -q ready "$DIR/out"
		kill -"$signal" "$JOB"
		code=0
		wait "$JOB" || code=$?
		[ "$code" = $((128 + $(kill -l "$signal"))) ]
		JOB=
	done
}

@test "a signal that the command handles does not end tapir" {
	start bash -c 'trap "echo caught; exit 7" TERM; echo ready
		while :; do sleep 0.05; done'
	wait_for 10 grep -q ready "$DIR/out"
	kill -TERM "$JOB"
	code=0
	wait "$JOB" || code=$?
	[ "$code" = 7 ]
	grep -q caught "$DIR/out"
	JOB=
}

@test "the command dies with tapir" {
	local child

	start sh -c 'echo $$; exec sleep 300'
	wait_for 10 test -s "$DIR/out"
	read -r child <"$DIR/out"
	kill -9 "$JOB"
	JOB=
	wait_for 5 sh -c '! grep -q "^State:.*[^Z] (" /proc/'"$child"'/status'
}

@test "job control: stopped by the terminal, continued by fg" {
	run python3 - "$TAPIR" <<'PYTHON'
import os, pty, re, select, sys, time

pid, tty = pty.fork()
if pid == 0:
    os.environ["PS1"] = "$ "
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
seen = b""

def expect(what):
    global seen
    end = time.monotonic() + 10
    while not re.search(what, seen, re.S):
        if time.monotonic() > end:
            sys.exit("no %r in %r" % (what, seen))
        if select.select([tty], [], [], 0.2)[0]:
            try:
                seen += os.read(tty, 4096)
            except OSError:
                pass
    seen = re.split(what, seen, maxsplit=1, flags=re.S)[-1]

def say(what):
    os.write(tty, what)

expect(rb"\$ ")
say(sys.argv[1].encode() + b" run sh -c 'echo up; exec cat'\n")
expect(rb"\rup\r")
say(b"one\n")
expect(rb"one\r\none")
say(b"\x1a")
expect(rb"Stopped.*exec cat'\r\n.*\$ ")
say(b"fg\n")
# What is typed before the terminal's mode has changed back is lost
expect(rb"exec cat'\r\n")
time.sleep(0.2)
say(b"two\n")
expect(rb"two\r\ntwo")
say(b"\x03")
expect(rb"\$ ")
say(b"echo status=$?\n")
expect(rb"status=130")
say(b"exit\n")
os.waitpid(pid, 0)
PYTHON
	echo "$output"
	[ "$status" = 0 ]
}

@test "resolv.conf: ours for the command alone, search and options kept" {
	in_mounts '
		mkdir "$1/etc" "$1/elsewhere"
		printf "nameserver 192.0.2.53\nsearch example.org\n" \
			>"$1/elsewhere/real"
		cp -a /etc/passwd /etc/group "$1/etc"
		mount --bind "$1/etc" /etc
		# as systemd-resolved has it: a symlink out of /etc
		ln -s "$1/elsewhere/real" /etc/resolv.conf
		"$0" run cat /etc/resolv.conf >"$1/seen"
		cat /etc/resolv.conf >"$1/after"
		ls /tmp >"$1/tmp"'
	grep -qx 'nameserver 10.0.2.3' "$DIR/seen"
	grep -qx 'nameserver fd00::3' "$DIR/seen"
	grep -qx 'search example.org' "$DIR/seen"
	lacks 192.0.2.53 "$DIR/seen"
	grep -qx 'nameserver 192.0.2.53' "$DIR/after"
	lacks resolv.conf "$DIR/tmp"
}

@test "resolv.conf: none at all is a warning, no failure" {
	run in_mounts '
		mkdir "$1/etc"
		cp -a /etc/passwd /etc/group "$1/etc"
		mount --bind "$1/etc" /etc
		"$0" run echo ran'
	[ "$status" = 0 ]
	[ "${#lines[@]}" = 2 ]
	[[ ${lines[0]} == *"names will not resolve: /etc/resolv.conf: No such"* ]]
	[ "${lines[1]}" = ran ]
}

@test "an unprivileged user has a network, and root's rights in it" {
	run in_mounts '
		mount -t tmpfs none "$1"
		mknod "$1/tun" c 10 200
		chmod 666 "$1/tun"
		mount --bind "$1/tun" /dev/net/tun
		cp "$0" "$1/tapir"
		chmod 755 "$1" "$1/tapir"
		cd /
		setpriv --reuid 4711 --regid 4711 --clear-groups "$1/tapir" \
			run sh -ec "id -u; ping -c 1 -W 2 10.0.2.2 >/dev/null
			ping -c 1 -W 2 fd00::2 >/dev/null"'
	[ "$status" = 0 ]
	[ "$output" = 0 ]
}

@test "/dev/net/tun missing or forbidden: one line with the remedy" {
	run in_mounts 'mount -t tmpfs none /dev/net; "$0" run true'
	[ "$status" = 1 ]
	[ "${#lines[@]}" = 1 ]
	[[ $output == "tapir: cannot open /dev/net/tun (the kernel module is"* ]]
	run in_mounts '
		mount -t tmpfs none "$1"
		mknod "$1/tun" c 10 200
		chmod 600 "$1/tun"
		mount --bind "$1/tun" /dev/net/tun
		cp "$0" "$1/tapir"
		chmod 755 "$1" "$1/tapir"
		cd /
		setpriv --reuid 4711 --regid 4711 --clear-groups "$1/tapir" \
			run true'
	[ "$status" = 1 ]
	[ "${#lines[@]}" = 1 ]
	[[ $output == *"chmod 666 /dev/net/tun): Permission denied" ]]
}

@test "in a namespace without IPv6 there is IPv4" {
	run unshare -n sh -c '
		echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
		echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
		"$0" run ping -c 1 -W 2 10.0.2.2' "$TAPIR"
	[ "$status" = 0 ]
}
