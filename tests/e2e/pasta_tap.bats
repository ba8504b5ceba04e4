#!/usr/bin/env bats
# pasta and a tap that is there already: RootlessKit before 2.3 makes and sets up
# its tap by itself, and names it.

load lib

# words OPTIONS...: pasta for the box in the foreground, as RootlessKit has it.
words()
{
	PASTA=("$TAPIR" pasta --foreground --stderr --mtu=65520 --no-dhcp
		--no-ra --address=10.0.2.100 --netmask=24 --gateway=10.0.2.2
		--ipv4-only --tcp-ports=none --udp-ports=none "$@" "$BOX_PID")
}

setup_tap()
{
	only_tapir "by another command line"
	in_box sh -ec "ip tuntap add name $1 mode tap
		ip link set lo up
		ip link set $1 address 02:50:00:00:00:01
		ip link set $1 up
		ip address add 10.0.2.100/24 dev $1
		ip route add default via 10.0.2.2 dev $1"
}

@test "one that is named is used as it is" {
	setup_tap tap0
	words --ns-ifname=tap0 --pid "$STAGE/pid"
	spawn tool at_host "${PASTA[@]}"
	export TOOL_PID=$SPAWNED
	wait_for 10 test -s "$STAGE/pid" || fail "not ready: $(log_of tool)"
	in_box ping -q -c 1 -W 2 10.0.2.2
}

@test "one that happens to have the name of the host's interface is not" {
	local name

	name=$(at_host ip -o -4 route show default | sed 's/.* dev \([^ ]*\).*/\1/')
	setup_tap "$name"
	words
	run at_host timeout 5 "${PASTA[@]}"
	[ "$status" = 1 ]
	[[ $output == *"there is an interface of that name already"* ]]
}
