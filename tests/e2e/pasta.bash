# The tool as engines run pasta: by an unprivileged user, for a box that this
# user made. E2E_TOOL is tapir, trixie (its pasta is the control) or a command.
# shellcheck shell=bash

load engines
load trixie

setup_file()
{
	stage_up
	engines_up
	peer_up remote
	spawn dns at_remote /usr/bin/python3 "$HERE/dnsd.py" $REMOTE4 $FAR4 $FAR6
	export PASTA BATS_TEST_TIMEOUT=120
	case $E2E_TOOL in
	tapir)
		# As it is installed for engines: they call it by that name
		PASTA=$STAGE/bin/pasta
		install -D -m 755 "$TAPIR" "$STAGE/bin/tapir"
		ln -s tapir "$PASTA"
		;;
	trixie)
		trixie_tree
		PASTA=$(trixie_pasta)
		;;
	*) PASTA=$(command -v "$E2E_TOOL") ;;
	esac
}

setup()
{
	pasta_box_up
}

teardown()
{
	pasta_box_down
}

# As in box_up(), but the user's.
pasta_box_up()
{
	SCOPE=test
	export BOX_PID NETNS=$STAGE/netns
	rm -f "$USER_HOME"/*
	# shellcheck disable=SC2016
	spawn box as_user unshare -r -n -m \
		sh -c 'echo >"$0"; exec sleep 1200' "$USER_HOME/box.up"
	BOX_PID=$SPAWNED
	wait_for 10 test -e "$USER_HOME/box.up"
	in_box sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'
	in_box sysctl -qw net.ipv4.ping_group_range='0 0' \
		net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
	touch "$NETNS"
	at_host mount --bind "/proc/$BOX_PID/ns/net" "$NETNS"
}

pasta_box_down()
{
	local status=0

	if [ -n "${TOOL_PID:-}" ] && ! tool_alive; then
		status=1
	fi
	netns_gone 2>/dev/null
	kill_spawned test
	return $status
}

# As Podman lets go of it.
netns_gone()
{
	at_host umount -l "$NETNS"
	rm -f "$NETNS"
}

# As root of the box, which is the user outside.
in_box()
{
	as_user nsenter -t "$BOX_PID" -U -n -m --preserve-credentials -- "$@"
}

# as_engine CMD...: in the box's user namespace and the host's network, where
# Podman is when it starts pasta.
as_engine()
{
	as_user nsenter -t "$BOX_PID" -U --preserve-credentials -- "$@"
}

# pasta OPTIONS...: as Podman calls it, ports closed where nothing else is said.
# Returns when the launcher has ended and let go of its output.
pasta()
{
	local none=()

	[[ " $*" == *" -t "* || " $*" == *" --tcp-ports"* ]] || none=(-t none)
	[[ " $*" == *" -u "* || " $*" == *" --udp-ports"* ]] || none+=(-u none)
	pasta_bare --config-net --quiet "$@" "${none[@]}" -T none -U none \
		--netns "$NETNS"
}

pasta_bare()
{
	pasta_at as_engine "$@"
}

# pasta_at as_engine|as_user OPTIONS...
pasta_at()
{
	rm -f "$USER_HOME/pid"
	"$1" timeout 20 "$PASTA" --pid "$USER_HOME/pid" "${@:2}" 3>&- 4>&-
}

# words_of CMD...: what it says, but for pasta's complaint that its loader is
# not in its place. Ends when nobody can say any more.
words_of()
(
	set -o pipefail
	"$@" 2>&1 | { grep -v "Can't run AVX2 build" || true; }
)

# pasta_start OPTIONS...: TOOL_PID is what remains in the background.
pasta_start()
{
	pasta "$@"
	pasta_started
}

pasta_started()
{
	export TOOL_PID
	TOOL_PID=$(cat "$USER_HOME/pid")
	echo "$TOOL_PID" >>"$STAGE/pids.test"
}

# pasta_again OPTIONS...: in place of the one that runs.
pasta_again()
{
	kill "$TOOL_PID"
	wait_gone "$TOOL_PID"
	pasta_start "$@"
}

# pasta_fails OPTIONS...: with exit status 1, $output, and leaving nothing.
pasta_fails()
{
	run words_of pasta "$@"
	echo "$output"
	[ "$status" = 1 ] || return
	[ -n "$output" ] || return
	[ -z "$(box_device)" ] || return
	if [ -s "$USER_HOME/pid" ]; then
		wait_gone "$(cat "$USER_HOME/pid")" || return
	fi
}

# box_ip FILTER IP_ARGS...: what the box says, by jq.
box_ip()
{
	local filter=$1

	shift
	in_box ip -j "$@" | jq -r "$filter"
}

# box_address 4|6: address/prefix, of global scope.
box_address()
{
	box_ip '.[].addr_info[] | select(.scope == "global") |
		"\(.local)/\(.prefixlen)"' "-$1" address show
}

# box_gateway 4|6
box_gateway()
{
	box_ip '.[] | .gateway // empty' "-$1" route show default
}

# box_device: the name of what is there beside lo.
box_device()
{
	box_ip '.[] | select(.ifname != "lo") | .ifname' link show
}

# host_listens tcp|udp PORT
host_listens()
{
	at_host ss -Hln "--$1" "sport = $2" | grep -q .
}

host_closed()
{
	! host_listens "$@"
}
