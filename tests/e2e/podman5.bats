#!/usr/bin/env bats
# Rootless Podman 5 of Debian trixie, for which the tool is pasta.

load lib
load engines
load trixie

setup_file()
{
	stage_up
	trixie_tree
	trixie_up
	podman_up
	export ENGINES_AT=in_tree ROOTFS BATS_TEST_TIMEOUT=200
	ROOTFS=$(rootfs_up)
	spawn dns at_remote /usr/bin/python3 "$HERE/dnsd.py" $REMOTE4 $FAR4 $FAR6
	peer_up remote
	at_host sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
}

# podman_up: a user in the tree, and Podman that takes the tool for pasta.
podman_up()
{
	export USER_ID=$((20000 + $$ % 20000)) USER_HOME=$STAGE/home
	mkdir -p "$USER_HOME/.config/containers" "$USER_HOME/bin"
	chmod 755 "$STAGE"
	in_tree sh -ec "
		echo 'boxer:x:$USER_ID:$USER_ID::$USER_HOME:/bin/sh' >>/etc/passwd
		echo 'boxer:x:$USER_ID:' >>/etc/group
		echo 'boxer:500000:65536' | tee /etc/subuid >/etc/subgid
		echo 'nameserver $REMOTE4' >/etc/resolv.conf
		printf '127.0.0.1 localhost\n::1 localhost\n' >/etc/hosts
		mkdir -p /run/user/$USER_ID /run/lock
		chown $USER_ID:$USER_ID /run/user/$USER_ID"
	[ "$E2E_TOOL" != tapir ] ||
		ln -s /usr/local/bin/tapir "$USER_HOME/bin/pasta"
	containers_conf
}

# containers_conf LINES: with these in its table [network].
containers_conf()
{
	cat >"$USER_HOME/.config/containers/containers.conf" <<-END
		[engine]
		helper_binaries_dir = ["$USER_HOME/bin", "/usr/lib/podman", "/usr/bin"]
		cgroup_manager = "cgroupfs"
		runtime = "crun"
		events_logger = "file"
		[containers]
		cgroups = "disabled"
		[network]
		$1
	END
	chown -R $USER_ID:$USER_ID "$USER_HOME"
}

setup()
{
	SCOPE=test
	NAME=box
}

teardown()
{
	local status=0

	podman rm -f -t 0 -a >/dev/null 2>&1 || status=1
	kill_spawned test
	containers_conf ""
	nothing_left || status=1
	return $status
}

teardown_file()
{
	podman system migrate || true
	stage_down
}

podman()
{
	as_user podman "$@" 3>&- 4>&-
}

# nothing_left: of the program and of the containers' namespaces.
nothing_left()
{
	wait_for 5 no_tools || fail "left: $(tools)" || return
	[ -z "$(in_tree ls "/run/user/$USER_ID/netns" 2>/dev/null)" ] ||
		fail "a network namespace is left" || return
	! at_host ss -Hltnup | grep -v -E ':(53|7000) ' | grep . ||
		fail "a port is left open"
}

tools()
{
	pgrep -U $USER_ID -a '^(pasta|passt|tapir)'
}

no_tools()
{
	! tools
}

# container NETWORK OPTIONS...: in the background, sleeping. Sets BOX_PID.
container()
{
	local network=$1

	shift
	podman run -d --name $NAME --network "$network" "$@" \
		--rootfs "$ROOTFS" sleep 300 >"$STAGE/run.log" 2>&1 ||
		fail "$(cat "$STAGE/run.log")" || return
	export BOX_PID
	BOX_PID=$(podman inspect -f '{{.State.Pid}}' $NAME)
}

# As root of the machine: the container has neither tools nor Python.
in_box()
{
	nsenter -t "$BOX_PID" -n -- "$@"
}

# in_container NETWORK CMD...: to the end of CMD.
in_container()
{
	podman run --rm --network "$1" --rootfs "$ROOTFS" "${@:2}"
}

# published: ports for the services of the table.
published()
{
	local n

	for n in 0 1 2 3 4 5; do
		echo "-p $((8001 + n)):$((9001 + n))" \
			"-p $((8001 + n)):$((9001 + n))/udp"
	done
}

# table WORDS...: see pasta_ports.py.
table()
{
	at_host timeout 60 /usr/bin/python3 "$HERE/pasta_ports.py" table \
		"$HOST_PID" "$REMOTE_PID" "$BOX_PID" "$E2E_TOOL" "$@"
}

# ---- the seed -----------------------------------------------------------------

@test "Podman is the one that starts pasta" {
	[[ $(podman --version) == *" 5."* ]]
	container pasta
	[ "$(tools | wc -l)" = 1 ]
	tools | grep -q -- '--map-guest-addr 169.254.1.2'
	[ "$E2E_TOOL" != tapir ] ||
		[ "$(realpath "/proc/$(tools | cut -d ' ' -f 1)/exe" |
			sed 's,.*/,,')" = tapir ]
}

@test "localhost just works: a page, by every name" {
	local name

	mkdir -p "$ROOTFS/www"
	echo "the page" >"$ROOTFS/www/page"
	podman run -d --name $NAME -p 8080:80 --rootfs "$ROOTFS" \
		httpd -f -v -p 0.0.0.0:80 -h /www
	for name in 127.0.0.1 $HOST4; do
		wait_for 5 page host $name
	done
	[ "$(page remote $HOST4)" = "the page" ]
	podman logs $NAME 2>&1 | grep -q "$REMOTE4:.*200"
	only_tapir "keeps the family, and resets"
	for name in localhost '[::1]' "[$HOST6]"; do
		[ "$(page host "$name")" = "the page" ]
	done
	[ "$(page remote "[$HOST6]")" = "the page" ]
}

# page NAMESPACE ADDRESS: what the published server says.
page()
{
	"at_$1" curl -sS --max-time 5 "http://$2:8080/page"
}

@test "every service is reached from everywhere, and sees who asks" {
	# shellcheck disable=SC2046
	container pasta $(published)
	table
}

@test "a service on the container's loopback is reached, if that is asked for" {
	# shellcheck disable=SC2046
	container pasta:--host-lo-to-ns-lo $(published)
	table lo
}

@test "--ipv4-only leaves no IPv6 anywhere" {
	# shellcheck disable=SC2046
	container pasta:--ipv4-only $(published)
	no_ipv6
	table ipv4
}

@test "--ipv4-only of containers.conf leaves no IPv6 anywhere" {
	containers_conf 'pasta_options = ["--ipv4-only"]'
	# shellcheck disable=SC2046
	container pasta $(published)
	no_ipv6
	table ipv4
}

no_ipv6()
{
	[ -z "$(in_box ip -6 -o address show scope global)" ]
	[ -z "$(in_box ip -6 route show default)" ]
	! at_host ss -Hltn6 'sport >= 8001 and sport <= 8006' | grep -q .
}

@test "--follow refuses where nobody listens" {
	only_tapir "cannot follow"
	# shellcheck disable=SC2046
	container pasta:--follow $(published)
	[ "$(follow_asked 127.0.0.1)" = ECONNREFUSED ]
	[ "$(follow_asked ::1)" = ECONNREFUSED ]
	table follow
}

follow_asked()
{
	at_host /usr/bin/python3 "$HERE/probe.py" connect "$1" 8001
}

# ---- what the container gets --------------------------------------------------

@test "addresses, routes, MTU and name are the host's" {
	container pasta
	[ "$(in_box ip -j -4 address show up0 |
		jq -r '.[0].addr_info[0].local')" = $HOST4 ]
	in_box ip -6 -o address show scope global | grep -q " $HOST6/64 "
	in_box ip route show default | grep -q "via $REMOTE4 dev up0"
	in_box ip -6 route show default | grep -q "via $REMOTE6 dev up0"
	[ "$(in_box cat /sys/class/net/up0/mtu 2>/dev/null ||
		in_box ip -j link show up0 | jq '.[0].mtu')" = 65520 ]
	podman exec $NAME cat /etc/hosts | grep -q "^$HOST4"
	probe download $FAR4 $PORT 1000000
	probe download $FAR6 $PORT 1000000
	probe udp-echo $FAR4 $PORT
}

@test "names are resolved, by the resolver in /etc/resolv.conf" {
	run in_container pasta cat /etc/resolv.conf
	echo "$output"
	[[ ${lines[*]} == *"nameserver 169.254.1.1"* ]]
	run in_container pasta nslookup www.test
	echo "$output"
	[[ $output == *$FAR4* ]]
}

@test "host.containers.internal is the host" {
	run in_container pasta cat /etc/hosts
	echo "$output"
	[[ $output == *169.254.1.2*host.containers.internal* ]]
	mkdir -p "$STAGE/www"
	echo "the host" >"$STAGE/www/page"
	spawn www at_host /usr/bin/python3 -m http.server --bind $HOST4 \
		-d "$STAGE/www" 9000
	wait_for 10 listening host 9000
	run in_container pasta wget -q -O - \
		http://host.containers.internal:9000/page
	echo "$output"
	[[ $output == *"the host"* ]]
}

@test "options of the command line win over those of containers.conf" {
	containers_conf 'pasta_options = ["-I", "conf0", "--ns-mac-addr", "02:00:00:00:00:07"]'
	container pasta:-I,word0
	[ "$(in_box ip -j link show word0 | jq -r '.[0].address')" = \
		02:00:00:00:00:07 ]
}

@test "an option that pasta does not know ends with its words" {
	run container pasta:--no-such-word
	echo "$output"
	[ "$status" != 0 ]
	[[ $output == *"unrecognized option '--no-such-word'"* ]]
}

@test "a port in use is told, and nothing is left" {
	spawn user at_host /usr/bin/python3 "$HERE/peer.py" 8080
	wait_for 10 listening host 8080
	run container pasta -p 8080:80
	echo "$output"
	[ "$status" != 0 ]
	[[ $output == *8080* ]]
	[[ $output == *"in use"* ]]
}

# ---- many ---------------------------------------------------------------------

@test "nothing is left when a container has run" {
	local before

	# Podman's own pause process stays after the first
	in_container pasta cat /proc/uptime
	wait_for 5 cleaned_up
	before=$(held)
	podman run --rm -p 8080:80 --rootfs "$ROOTFS" cat /proc/uptime
	as_before()
	{
		diff <(echo "$before") <(held)
	}
	wait_for 5 as_before || as_before
}

# Podman cleans up behind its caller's back.
cleaned_up()
{
	! pgrep -U $USER_ID -r R,S,D -f '/conmon|container cleanup'
}

# held: what a container could leave: processes, sockets, files of the user.
held()
{
	ps -U $USER_ID -o stat=,args= | sed "/^Z/d"
	at_host ss -Hltnup
	in_tree find "/run/user/$USER_ID" -name '*.pid' -o -name '*netns*' |
		sort
}

@test "containers one after the other" {
	local n count=10

	[ -z "${E2E_MANY:-}" ] || count=100
	for n in $(seq $count); do
		podman run --rm -p 8080:80 --rootfs "$ROOTFS" \
			wget -q -O - "http://$FAR4:8000/$n" >/dev/null 2>&1 ||
			true
	done
	nothing_left
}

@test "containers at once" {
	local n count=5 pids=()

	[ -z "${E2E_MANY:-}" ] || count=20
	mkdir -p "$ROOTFS/www"
	echo "the page" >"$ROOTFS/www/page"
	for n in $(seq $count); do
		podman run -d --name box$n -p $((8100 + n)):80 \
			--rootfs "$ROOTFS" httpd -f -p '[::]:80' -h /www \
			>"$STAGE/at-once.$n" 2>&1 &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n" || fail "$(cat "$STAGE"/at-once.*)"
	done
	[ "$(tools | wc -l)" = $count ]
	for n in $(seq $count); do
		wait_for 5 at_remote curl -sS --max-time 5 -o /dev/null \
			"http://$HOST4:$((8100 + n))/page"
	done
	podman rm -f -t 0 -a >/dev/null
	nothing_left
}
