# The stage of the end-to-end tests. Sourced by every .bats file.
# shellcheck shell=bash
#
#   remote ---- up0, 192.0.2.0/24 and 2001:db8:1::/64 ---- host ---- box
#
# `host` and `remote` are network namespaces joined by a veth pair; the tool
# under test runs in `host` and gives `box`, a user and network namespace as a
# container engine makes it, its network. Nothing leaves these namespaces.
#
# E2E_TOOL is tapir (the program $TAPIR) or slirp4netns. What the latter cannot
# do is skipped by name: `only_tapir WHY`.

E2E_TOOL=${E2E_TOOL:-tapir}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TAPIR=${TAPIR:-$HERE/../../build/release/tapir}
[ ! -x "$TAPIR" ] || TAPIR=$(realpath "$TAPIR")

HOST4=192.0.2.2 HOST6=2001:db8:1::2
REMOTE4=192.0.2.1 REMOTE6=2001:db8:1::1
# Of the remote too, but behind it: what is reached by the default route
FAR4=198.51.100.1 FAR6=2001:db8:2::1
GATEWAY4=10.0.2.2 GATEWAY6=fd00::2
DNS4=10.0.2.3 DNS6=fd00::3
PORT=7000 # of peer.py

# ---- words for the tests ------------------------------------------------------

only_tapir()
{
	[ "$E2E_TOOL" = tapir ] || skip "$E2E_TOOL: $*"
}

fail()
{
	echo "$*" >&2
	return 1
}

# wait_for SECONDS CMD...: CMD succeeds within the time.
wait_for()
{
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || fail "gave up waiting for: $*" || return
		sleep 0.05
	done
}

# Empty, or exec within spawn(): the process that is spawned shall be the
# program itself, not a shell that waits for it.
EXEC=

at_host()
{
	$EXEC nsenter -t "$HOST_PID" -n -m -- "$@"
}

at_remote()
{
	$EXEC nsenter -t "$REMOTE_PID" -n -m -- "$@"
}

in_box()
{
	$EXEC nsenter -t "$BOX_PID" -U -n -m --preserve-credentials -- "$@"
}

# peer ADDRESS TEST ARGS... from the box; see probe.py.
probe()
{
	in_box /usr/bin/python3 "$HERE/probe.py" "$@"
}

# spawn NAME CMD...: in the background, output to $STAGE/NAME.log, killed at the
# end of the test (or of the file, when spawned by setup_file). Sets SPAWNED.
# bats waits for whoever holds its descriptor 3.
spawn()
{
	local log=$STAGE/$1.log

	shift
	EXEC=exec "$@" >"$log" 2>&1 </dev/null 3>&- 4>&- &
	SPAWNED=$!
	echo $SPAWNED >>"$STAGE/pids.$SCOPE"
}

log_of()
{
	cat "$STAGE/$1.log"
}

kill_spawned()
{
	local pids pid

	[ -f "$STAGE/pids.$1" ] || return 0
	mapfile -t pids < <(tac "$STAGE/pids.$1")
	rm -f "$STAGE/pids.$1"
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in "${pids[@]}"; do
		wait_gone "$pid" || kill -9 "$pid" 2>/dev/null || true
	done
}

# A zombie is gone too: its parent may be bats, which does not reap at once.
wait_gone()
{
	local end=$((SECONDS + ${2:-5})) state

	while state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" \
		2>/dev/null) && [ "$state" != Z ]; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# ---- the stage ----------------------------------------------------------------

# spawn_namespace NAME UNSHARE_OPTIONS...: a process that holds namespaces.
# It ends by itself, should the test be killed before its teardown.
spawn_namespace()
{
	local name=$1 enter=()

	shift
	[ "$name" != box ] || enter=(nsenter -t "$HOST_PID" -n -m --)
	rm -f "$STAGE/$name.up"
	# shellcheck disable=SC2016
	spawn "$name" "${enter[@]}" unshare "$@" \
		sh -c 'echo >"$0"; exec sleep 1200' "$STAGE/$name.up"
	wait_for 10 test -e "$STAGE/$name.up"
}

# A private /etc, so that the tests may rename what they like there.
private_etc()
{
	local file

	mkdir "$STAGE/etc"
	for file in passwd group nsswitch.conf protocols services ssl \
		ld.so.cache ld.so.conf ld.so.conf.d alternatives login.defs \
		pam.d containers localtime; do
		[ ! -e "/etc/$file" ] || cp -a "/etc/$file" "$STAGE/etc/"
	done
	printf '127.0.0.1 localhost\n::1 localhost\n' >"$STAGE/etc/hosts"
	printf 'nameserver %s\n' $REMOTE4 $REMOTE6 >"$STAGE/etc/resolv.conf"
	at_host mount --bind "$STAGE/etc" /etc
}

stage_up()
{
	# Short, since a UNIX socket's path is
	STAGE=$(mktemp -d /tmp/e2e.XXXXXX)
	SCOPE=file
	export STAGE SCOPE HOST_PID REMOTE_PID
	spawn_namespace host -n -m
	HOST_PID=$SPAWNED
	spawn_namespace remote -n -m
	REMOTE_PID=$SPAWNED
	private_etc
	# Link-local addresses shall be there at once, too
	at_host sysctl -qw net.ipv6.conf.default.accept_dad=0 || true
	at_remote sysctl -qw net.ipv6.conf.default.accept_dad=0 || true
	ip link add up0 netns "$HOST_PID" type veth \
		peer name up0 netns "$REMOTE_PID"
	at_host sh -ec "
		ip link set lo up
		ip address add $HOST4/24 dev up0
		ip address add $HOST6/64 dev up0 nodad
		ip link set up0 up
		ip route add default via $REMOTE4
		ip -6 route add default via $REMOTE6
		sysctl -qw net.ipv4.ping_group_range='0 2147483647'"
	at_remote sh -ec "
		ip link set lo up
		ip address add $REMOTE4/24 dev up0
		ip address add $REMOTE6/64 dev up0 nodad
		ip address add $FAR4/32 dev lo
		ip address add $FAR6/128 dev lo nodad
		ip link set up0 up
		sysctl -qw net.ipv4.ip_forward=1 \
			net.ipv6.conf.all.forwarding=1"
	wait_for 10 at_host ping -c 1 -W 1 $REMOTE6
}

stage_down()
{
	kill_spawned file
	# What the last test left, had its teardown not come to that
	kill_spawned test
	rm -rf "$STAGE"
}

# peer_up NAMESPACE: peer.py on all addresses of `host` or `remote`.
peer_up()
{
	spawn "peer-$1" "at_$1" /usr/bin/python3 "$HERE/peer.py" $PORT
	wait_for 10 listening "$1" $PORT
}

# listening NAMESPACE PORT
listening()
{
	"at_$1" ss -Hltn "sport = $2" | grep -q .
}

# ---- the box and its tool -----------------------------------------------------

box_up()
{
	SCOPE=test
	export BOX_PID
	spawn_namespace box -r -n -m
	BOX_PID=$SPAWNED
	# As Podman does, or SLAAC's address takes a second to be usable. There
	# is no such file where IPv6 is off
	in_box sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad' \
		2>/dev/null || true
	in_box sysctl -qw net.ipv4.ping_group_range='0 0'
}

# The tool's program and the words before its options.
tool_words()
{
	case $E2E_TOOL in
	tapir) TOOL=("$TAPIR" slirp4netns) ;;
	*) TOOL=("$E2E_TOOL") ;;
	esac
}

# tool_start OPTIONS...: for the box, with -c and -6 and, after the ready byte,
# IPv6 up. Sets TOOL_PID.
tool_start()
{
	tool_start_bare -c -6 "$@"
	wait_for 10 box_has_ipv6
}

# tool_start_bare OPTIONS...: nothing but -r.
tool_start_bare()
{
	local byte=

	tool_words
	rm -f "$STAGE/ready"
	mkfifo "$STAGE/ready"
	TOOL+=(-r 5 "$@" "$BOX_PID" tap0)
	# The redirection is the child's: opening a FIFO waits for its reader
	# shellcheck disable=SC2016
	spawn tool at_host sh -c 'exec "$@" 5>"$0"' "$STAGE/ready" "${TOOL[@]}"
	export TOOL_PID=$SPAWNED
	read -r -t 20 -n 1 byte <"$STAGE/ready" || true
	[ "$byte" = 1 ] || fail "not ready: $(log_of tool)"
}

box_has_ipv6()
{
	in_box ip -6 route show default | grep -q . &&
		in_box ip -6 address show dev tap0 scope global | grep -q inet6
}

tool_alive()
{
	local state

	state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$TOOL_PID/status")
	case $state in
	Z | "") fail "the tool died: $(log_of tool)" ;;
	esac
}

# Does the tool carry a sanitizer, which changes its size and speed?
tool_sanitized()
{
	tool_words
	ldd "$(command -v "${TOOL[0]}")" | grep -q libasan
}

tool_fds()
{
	find "/proc/$TOOL_PID/fd" -mindepth 1 | wc -l
}

tool_rss_kb()
{
	awk '/^VmRSS:/ { print $2 }' "/proc/$TOOL_PID/status"
}

# For teardown(): the tool must not have died, nor a sanitizer have spoken.
box_down()
{
	local status=0

	if [ -n "${TOOL_PID:-}" ]; then
		tool_alive || status=1
	fi
	if [ -f "$STAGE/tool.log" ]; then
		! grep -E 'AddressSanitizer|LeakSanitizer|runtime error:|[Aa]ssert' \
			"$STAGE/tool.log" >&2 || status=1
	fi
	kill_spawned test
	return $status
}

# What most files want.
setup_file()
{
	stage_up
	peer_up remote
}

teardown_file()
{
	stage_down
}

setup()
{
	box_up
}

teardown()
{
	box_down
}
