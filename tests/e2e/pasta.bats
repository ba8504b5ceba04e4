#!/usr/bin/env bats
# The pasta command line, without an engine: what the container gets, its ports,
# how the program starts and ends, and what it refuses.

load lib
load pasta

# Some tests change the host: afterwards it is as it was.
teardown()
{
	[ -z "${HOST_CHANGED:-}" ] || host_routes
	pasta_box_down
}

# ---- addresses and links ------------------------------------------------------

@test "the container has the host's addresses, gateways and interface name" {
	pasta_start
	[ "$(box_device)" = up0 ]
	[ "$(box_address 4)" = $HOST4/24 ]
	[ "$(box_address 6)" = $HOST6/64 ]
	[ "$(box_gateway 4)" = $REMOTE4 ]
	[ "$(box_gateway 6)" = $REMOTE6 ]
	[ "$(box_ip '.[].mtu' link show up0)" = 65520 ]
	in_box ip -o link show up | grep -q ' lo:'
	probe download $FAR4 $PORT 100000
	probe download $FAR6 $PORT 100000
}

@test "address, prefix, gateway and MTU are as they are told" {
	pasta_start -a 198.18.0.7 -n 255.255.0.0 -g 198.18.0.1 \
		-a 2001:db8:5::7 -g 2001:db8:5::1 -m 1280
	[ "$(box_address 4)" = 198.18.0.7/16 ]
	[ "$(box_address 6)" = 2001:db8:5::7/64 ]
	[ "$(box_gateway 4)" = 198.18.0.1 ]
	[ "$(box_gateway 6)" = 2001:db8:5::1 ]
	[ "$(box_ip '.[].mtu' link show up0)" = 1280 ]
	probe download $FAR4 $PORT 100000
	probe download $FAR6 $PORT 100000
}

@test "-4 leaves no IPv6" {
	pasta_start -4 -t 8080
	[ "$(box_address 4)" = $HOST4/24 ]
	[ -z "$(box_address 6)" ]
	[ -z "$(box_gateway 6)" ]
	[ "$(probe connect $FAR6 $PORT)" = ENETUNREACH ]
	[ -z "$(at_host ss -Hltn6 'sport = 8080')" ]
	host_listens tcp 8080
}

@test "-6 leaves no IPv4" {
	pasta_start -6 -t 8080
	[ -z "$(box_address 4)" ]
	[ "$(box_address 6)" = $HOST6/64 ]
	[ "$(probe connect $FAR4 $PORT)" = ENETUNREACH ]
	probe download $FAR6 $PORT 100000
	[ "$(at_host /usr/bin/python3 "$HERE/probe.py" connect $HOST4 8080)" = \
		ECONNREFUSED ]
}

@test "the interface's name and both ends' MAC addresses are as they are told" {
	pasta_start -I eth7 --ns-mac-addr 02:00:00:00:00:07 -M 02:00:00:00:00:08
	[ "$(box_device)" = eth7 ]
	[ "$(box_ip '.[].address' link show eth7)" = 02:00:00:00:00:07 ]
	probe download $FAR4 $PORT 1000
	in_box ip neigh show $REMOTE4 | grep -q 02:00:00:00:00:08
}

@test "-i takes another interface as the template" {
	second_link
	pasta_start -i up1
	[ "$(box_device)" = up1 ]
	[ "$(box_address 4)" = 203.0.113.5/28 ]
}

# host_routes: the host as stage_up() leaves it.
host_routes()
{
	at_host sh -c "
		ip link del up1 2>/dev/null
		ip address flush dev up0 scope global
		ip -6 route flush default
		ip address add $HOST4/24 dev up0
		ip address add $HOST6/64 dev up0 nodad
		ip route add default via $REMOTE4
		ip -6 route add default via $REMOTE6"
}

# second_link: up1 of the host, for this test.
second_link()
{
	at_host sh -ec '
		ip link add up1 type veth peer name up1peer
		ip address add 203.0.113.5/28 dev up1
		ip link set up1peer up
		ip link set up1 up
		ip route add 198.18.7.0/24 via 203.0.113.1'
	HOST_CHANGED=yes
}

@test "a host with more than 500 routes is a host" {
	only_tapir "says that there are too many"
	HOST_CHANGED=yes
	many_routes
	pasta_start
	[ "$(box_address 4)" = $HOST4/24 ]
	[ "$(box_gateway 4)" = $REMOTE4 ]
	probe download $FAR4 $PORT 1000
}

many_routes()
{
	local n

	for n in $(seq 0 599); do
		echo "route add 198.18.$((n / 250)).$((n % 250))/32 via $REMOTE4"
	done | at_host ip -b -
}

@test "a host without any route has a container in local mode" {
	HOST_CHANGED=yes
	at_host sh -c 'ip address flush dev up0 scope global
		ip -6 route flush default'
	pasta_start -t 8080
	[ "$(box_device)" = tap0 ]
	[ "$(box_address 4)" = 169.254.2.1/16 ]
	[ "$(box_gateway 4)" = 169.254.2.2 ]
	spawn served in_box /usr/bin/python3 "$HERE/peer.py" 8080
	wait_for 10 at_host /usr/bin/python3 "$HERE/probe.py" download \
		127.0.0.1 8080 1000
}

# ---- resolver and host --------------------------------------------------------

@test "the address of --dns-forward is the host's resolver" {
	pasta_start --dns-forward 169.254.1.1
	[ "$(in_box dig @169.254.1.1 +short +tries=2 +time=3 www.test)" = $FAR4 ]
	[ "$(in_box dig @169.254.1.1 +tcp +short +tries=2 +time=3 www.test)" = \
		$FAR4 ]
}

@test "the gateway is the host's loopback, unless --no-map-gw" {
	spawn served at_host /usr/bin/python3 "$HERE/peer.py" 9000 127.0.0.1
	wait_for 10 host_listens tcp 9000
	pasta_start
	probe download $REMOTE4 9000 1000
	pasta_again --no-map-gw
	[ "$(probe connect $REMOTE4 9000)" = ECONNREFUSED ]
}

@test "--map-guest-addr and --map-host-loopback lead to the host" {
	spawn served at_host /usr/bin/python3 "$HERE/peer.py" 9000 127.0.0.1
	spawn served2 at_host /usr/bin/python3 "$HERE/peer.py" 9001 $HOST4
	wait_for 10 host_listens tcp 9000
	wait_for 10 host_listens tcp 9001
	pasta_start --no-map-gw --map-guest-addr 169.254.1.2 \
		--map-host-loopback 169.254.1.3
	probe download 169.254.1.2 9001 1000
	probe download 169.254.1.3 9000 1000
	[ "$(probe connect 169.254.1.2 9000)" = ECONNREFUSED ]
}

# ---- ports --------------------------------------------------------------------

# ports SHAPE
ports()
{
	local options

	read -r -a options \
		< <(/usr/bin/python3 "$HERE/pasta_ports.py" options "$1")
	at_host sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
	pasta_start "${options[@]}"
	at_host timeout 60 /usr/bin/python3 "$HERE/pasta_ports.py" ask "$1" \
		"$HOST_PID" "$REMOTE_PID" "$BOX_PID" "$E2E_TOOL"
}

@test "a port, TCP and UDP, IPv4 and IPv6, by tap and by loopback" {
	ports single
}

@test "a range of three ports" {
	ports range
}

@test "a port that is translated" {
	ports translated
}

@test "a range that is translated" {
	ports translated-range
}

@test "a port bound to an address" {
	ports address
}

@test "a port bound to an interface" {
	ports interface
}

@test "whatever a service listens on, it is reached from everywhere" {
	pasta_start --no-map-gw --map-guest-addr 169.254.1.2 \
		-t 8001-8006:9001-9006 -u 8001-8006:9001-9006
	at_host timeout 60 /usr/bin/python3 "$HERE/pasta_ports.py" table \
		"$HOST_PID" "$REMOTE_PID" "$BOX_PID" "$E2E_TOOL"
}

@test "what is transferred arrives whole" {
	local address test

	pasta_start -t 8080:$PORT -u 8080:$PORT
	spawn served in_box /usr/bin/python3 "$HERE/peer.py" $PORT
	wait_for 10 in_box sh -c "ss -Hltn 'sport = $PORT' | grep -q ."
	for address in 127.0.0.1 ::1 $HOST4 $HOST6; do
		for size in 2000 10000000; do
			for test in upload download udp-transfer; do
				echo "$test of $size by $address"
				client $test $address 8080 $size
			done
		done
	done
}

# client TEST ADDRESS PORT ARGS...: where that address is reached as others do.
client()
{
	case $2 in
	127.* | ::1) at_host /usr/bin/python3 "$HERE/probe.py" "$@" ;;
	*) at_remote /usr/bin/python3 "$HERE/probe.py" "$@" ;;
	esac
}

# ---- life ---------------------------------------------------------------------

@test "the launcher returns when all is there, and lets go of its output" {
	local fd

	[ -z "$(words_of pasta -t 8080 -u 8081)" ]
	host_listens tcp 8080
	host_listens udp 8081
	[ "$(box_address 4)" = $HOST4/24 ]
	[ "$(box_address 6)" = $HOST6/64 ]
	[ -z "$(in_box ip -6 address show scope global tentative)" ]
	pasta_started
	for fd in 0 1 2; do
		[ "$(readlink "/proc/$TOOL_PID/fd/$fd")" = /dev/null ]
	done
	# Its session is its own
	[ "$(ps -o sid= -p "$TOOL_PID" | tr -d ' ')" != \
		"$(ps -o sid= -p $$ | tr -d ' ')" ]
}

@test "the pid file is whole when the launcher returns, and private" {
	pasta_start
	[ "$(stat -c %a "$USER_HOME/pid")" = 600 ]
	[ "$(cat "$USER_HOME/pid"; echo x)" = "$TOOL_PID"$'\n'x ]
	tool_alive
	[ "$(stat -c %u "/proc/$TOOL_PID")" = "$(stat -c %u "$USER_HOME/pid")" ]
}

@test "it ends within a second after the namespace's path is gone" {
	pasta_start -t 8080
	netns_gone
	ended
	host_closed tcp 8080
}

# ended: TOOL_PID, which is thereafter nobody's concern.
ended()
{
	local pid=$TOOL_PID

	TOOL_PID=
	wait_gone "$pid" "${1:-1}"
}

@test "with --no-netns-quit it stays" {
	pasta_start --no-netns-quit
	netns_gone
	sleep 1.5
	tool_alive
}

@test "it ends when the last process of its namespaces has ended, by a PID" {
	pasta_at as_user --config-net -t 8080 "$BOX_PID"
	pasta_started
	kill "$BOX_PID"
	ended 3
	host_closed tcp 8080
}

@test "in the foreground, SIGTERM is a clean end" {
	spawn fore as_engine "$PASTA" -f -q --config-net -t 8080 -u none -T none \
		-U none --netns "$NETNS"
	wait_for 10 host_listens tcp 8080
	kill "$SPAWNED"
	wait "$SPAWNED"
	host_closed tcp 8080
}

@test "in the background, SIGTERM ends it at once" {
	pasta_start -t 8080
	kill "$TOOL_PID"
	ended
	host_closed tcp 8080
}

@test "with a command it makes the namespaces, and exits as the command does" {
	run words_of as_user timeout 20 "$PASTA" -q --config-net -t none -u none -T none \
		-U none -- sh -c 'ip -4 -o address show; exit 7'
	echo "$output"
	[ "$status" = 7 ]
	[[ $output == *"inet $HOST4/24"* ]]
}

@test "two containers have their ports, each" {
	local first

	pasta_start -t 8080
	first=$TOOL_PID
	as_engine timeout 20 "$PASTA" --pid "$USER_HOME/pid2" --config-net -I two \
		-t 8081 -u none -T none -U none --netns "$NETNS"
	host_listens tcp 8080
	host_listens tcp 8081
	cat "$USER_HOME/pid2" >>"$STAGE/pids.test"
	kill -0 "$first"
}

# ---- what is refused ----------------------------------------------------------

@test "port specifications that make no sense are named" {
	local spec

	for spec in 99999 80-70 abc 80: 80:90-91 80-82:90-91 1-2-3 127.0.0.1/ \
		300.1.1.1/80 127.0.0.1/80/81 0x50 -5; do
		echo "-t $spec"
		pasta_fails "--tcp-ports=$spec"
		[[ $output == *"$spec"* ]]
	done
}

@test "ports that overlap are refused" {
	pasta_fails -t 8080-8090:80-90 -t 8085
	[[ $output == *8085* ]]
}

@test "a port in use is named, with the cause, and nothing is left" {
	spawn user at_host /usr/bin/python3 "$HERE/peer.py" 8080
	wait_for 10 host_listens tcp 8080
	pasta_fails -t 8081 -t 8080
	[[ $output == *8080* ]]
	[[ $output == *"in use"* ]]
	host_closed tcp 8081
	pasta_fails -u 8080
	[[ $output == *8080* ]]
	[[ $output == *"in use"* ]]
}

@test "an interface that is not there is named" {
	pasta_fails -i nope0
	[[ $output == *nope0* ]]
	pasta_fails -t %nope1/8080
	[[ $output == *nope1* ]]
}

@test "a namespace that is not there is named" {
	run pasta_bare --config-net --netns "$STAGE/no-such-netns"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *no-such-netns* ]]
}

@test "an unknown option is told in the words that Podman looks for" {
	pasta_fails --xyz
	[[ $output == *"unrecognized option '--xyz'"* ]]
	pasta_fails --map-guest-addr-2 169.254.1.2
	[[ $output == *"unrecognized option '--map-guest-addr-2'"* ]]
}

@test "addresses that make no sense are refused" {
	pasta_fails -a 300.1.2.3
	[[ $output == *300.1.2.3* ]]
	pasta_fails -g nonsense
	[[ $output == *nonsense* ]]
	pasta_fails -m 70000
	[[ $output == *70000* ]]
}

@test "--version and --help answer and do nothing" {
	only_tapir "its last words are lost in a pipe"
	run words_of as_user "$PASTA" --version
	[ "$status" = 0 ]
	[[ ${lines[0]} == pasta* ]]
	run words_of as_user "$PASTA" --help
	[ "$status" = 0 ]
	[[ $output == *--map-host-loopback* ]]
	[[ $output == *--config-net* ]]
}

# ---- as RootlessKit calls it --------------------------------------------------

@test "RootlessKit 2.3 and later: in the background, by a PID" {
	pasta_at as_user --stderr --ns-ifname=tap0 --mtu=65520 --config-net \
		--address=10.0.2.100 --netmask=24 --gateway=10.0.2.2 \
		--dns-forward=10.0.2.3 --no-map-gw --ipv4-only \
		--tcp-ports=auto --udp-ports=auto "$BOX_PID"
	pasta_started
	rootlesskit_child
}

@test "RootlessKit 2.3 and later: by the namespaces' paths" {
	pasta_at as_user --stderr --ns-ifname=tap0 --mtu=65520 --config-net \
		--address=10.0.2.100 --netmask=24 --gateway=10.0.2.2 \
		--dns-forward=10.0.2.3 --no-map-gw --ipv4-only \
		--tcp-ports=none --udp-ports=none \
		"--userns=/proc/$BOX_PID/ns/user" "--netns=$NETNS"
	pasta_started
	rootlesskit_network
}

@test "RootlessKit 2.0 to 2.2: in the foreground, the child configures" {
	spawn fore as_user "$PASTA" --foreground --stderr --ns-ifname=tap0 \
		--mtu=65520 --no-dhcp --no-ra --address=10.0.2.100 --netmask=24 \
		--gateway=10.0.2.2 --dns-forward=10.0.2.3 --no-map-gw \
		--ipv4-only --tcp-ports=auto --udp-ports=auto "$BOX_PID"
	wait_for 10 in_box ip link show tap0
	in_box sh -ec 'ip link set lo up
		ip link set tap0 up
		ip address add 10.0.2.100/24 dev tap0
		ip route add default via 10.0.2.2'
	rootlesskit_child
}

# rootlesskit_child: its network works, and what it listens on is open.
rootlesskit_child()
{
	rootlesskit_network
	spawn served in_box /usr/bin/python3 "$HERE/peer.py" 8080
	wait_for 5 client download 127.0.0.1 8080 1000
	wait_for 5 client udp-echo $HOST4 8080
	kill "$SPAWNED"
	wait_for 5 host_closed tcp 8080
}

rootlesskit_network()
{
	[ "$(box_device)" = tap0 ]
	[ "$(box_address 4)" = 10.0.2.100/24 ]
	[ "$(box_gateway 4)" = 10.0.2.2 ]
	probe download $FAR4 $PORT 100000
	[ "$(in_box dig @10.0.2.3 +short +tries=2 +time=3 www.test)" = $FAR4 ]
	[ "$(probe connect 10.0.2.2 $PORT)" != connected ]
}
