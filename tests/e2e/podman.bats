#!/usr/bin/env bats
# Rootless Podman runs a container whose network is the tool.

load lib
load engines

A=$FAR4 AAAA=$FAR6
SIZE=100000000

setup_file()
{
	command -v podman >/dev/null || skip "no podman"
	stage_up
	engines_up
	spawn dns at_remote /usr/bin/python3 "$HERE/dnsd.py" $REMOTE4 $A $AAAA
	mkdir "$STAGE/www"
	/usr/bin/python3 -c "
import sys; sys.path.insert(0, '$HERE'); import pattern
with open('$STAGE/www/file', 'wb') as f:
    for at in range(0, $SIZE, 1000000):
        f.write(pattern.piece(at, 1000000))"
	SUM=$(sha256sum <"$STAGE/www/file" | cut -c -64)
	ROOTFS=$(rootfs_up)
	export SUM ROOTFS
	spawn www at_remote /usr/bin/python3 -m http.server --bind :: \
		-d "$STAGE/www" 80
	wait_for 10 listening remote 80
	mkdir -p "$USER_HOME/.config/containers"
	cat >"$USER_HOME/.config/containers/containers.conf" <<-END
		[engine]
		network_cmd_path = "$(engine_tool)"
	END
	chown -R $USER_ID:$USER_ID "$USER_HOME/.config"
}

setup()
{
	SCOPE=test
}

teardown()
{
	published_end || true
	kill_spawned test
}

teardown_file()
{
	# Ends Podman's pause process, which keeps its namespaces
	podman system migrate || true
	stage_down
}

podman()
{
	as_user podman --cgroup-manager cgroupfs --runtime crun "$@"
}

# published [OPTIONS --] CMD...: in the background, port 80 published as 8080,
# TCP and UDP, over the API socket.
published()
{
	local more=()

	while [[ " $* " == *" -- "* ]]; do
		[ "$1" = -- ] || more+=("$1")
		shift
	done
	PUBLISHED=yes
	spawn container podman run --rm --name published --cgroups=disabled \
		--network slirp4netns:port_handler=slirp4netns,enable_ipv6=true \
		-p 8080:80 -p 8080:80/udp "${more[@]}" \
		--rootfs "$ROOTFS" "$@"
}

published_end()
{
	[ -z "${PUBLISHED:-}" ] || podman rm -f -t 0 published >/dev/null
	PUBLISHED=
}

udp_echo()
{
	at_remote /usr/bin/python3 "$HERE/probe.py" udp-echo "$1" 8080
}

# page NAMESPACE ADDRESS: what the published server says.
page()
{
	"at_$1" curl -sS --max-time 5 "http://$2:8080/page"
}

# in_container NETWORK_OPTIONS CMD...
in_container()
{
	local options=$1

	shift
	podman run --rm --cap-add net_raw --cgroups=disabled --network "slirp4netns$options" \
		--rootfs "$ROOTFS" "$@"
}

@test "a container resolves a name" {
	run in_container "" nslookup www.test
	echo "$output"
	[[ $output == *$A* ]]
}

@test "a container downloads 100 MB over IPv4 with the right hash" {
	run in_container "" sh -c \
		"wget -q -O - http://www.test/file | sha256sum"
	echo "$output"
	[[ $output == *$SUM* ]]
}

@test "a container downloads 100 MB over IPv6 with the right hash" {
	run in_container ":enable_ipv6=true" sh -c \
		"wget -q -O - 'http://[$FAR6]/file' | sha256sum"
	echo "$output"
	[[ $output == *$SUM* ]]
}

@test "a container pings" {
	run in_container "" ping -c 1 -W 2 $GATEWAY4
	echo "$output"
	[[ $output == *" 0% packet loss"* ]]
	run in_container "" ping -c 1 -W 2 $FAR4
	echo "$output"
	[[ $output == *" 0% packet loss"* ]]
}

@test "a container has its IPv6 address at once" {
	run in_container ":enable_ipv6=true" ip -6 address show dev tap0
	echo "$output"
	[[ $output == *"inet6 fd00::"* ]]
}

@test "mtu and cidr arrive" {
	run in_container ":mtu=9000,cidr=192.168.0.0/24" ip address show dev tap0
	echo "$output"
	[[ $output == *"mtu 9000"* ]]
	[[ $output == *"inet 192.168.0.100/24"* ]]
}

@test "localhost just works: a server on IPv4 is reached by every name" {
	local name

	mkdir -p "$ROOTFS/www"
	echo "the page" >"$ROOTFS/www/page"
	published httpd -f -v -p 0.0.0.0:80 -h /www
	wait_for 20 page host 127.0.0.1
	[ "$(page host 127.0.0.1)" = "the page" ]
	[ "$(page host $HOST4)" = "the page" ]
	[ "$(page remote $HOST4)" = "the page" ]
	# The server sees who asks: the real client from outside
	log_of container
	grep -q "$REMOTE4:.*200" "$STAGE/container.log"
	if [ "$E2E_TOOL" = tapir ]; then
		for name in '[::1]' localhost "[$HOST6]"; do
			[ "$(page host "$name")" = "the page" ]
		done
		[ "$(page remote "[$HOST6]")" = "the page" ]
		grep -q "$GATEWAY4:.*200" "$STAGE/container.log"
	fi
	published_end
}

@test "a published port without a service is refused or reset at once" {
	published sleep 60
	wait_for 20 at_host sh -c "ss -Hltn 'sport = 8080' | grep -q ."
	for name in 127.0.0.1 '[::1]'; do
		run page host "$name"
		echo "$output"
		# 7: cannot connect; 56: reset
		[ "$status" = 7 ] || [ "$status" = 56 ]
	done
	published_end
}

@test "a published UDP port is reached" {
	# busybox has no UDP server: the machine's own Python
	cp "$HERE/peer.py" "$HERE/pattern.py" "$ROOTFS/"
	mkdir -p "$ROOTFS/usr"
	ln -sfn usr/lib "$ROOTFS/lib"
	ln -sfn usr/lib64 "$ROOTFS/lib64"
	published -v /usr:/usr:ro -- /usr/bin/python3 /peer.py 80
	wait_for 20 udp_echo $HOST4
	[ "$E2E_TOOL" != tapir ] || udp_echo $HOST6
	published_end
}

@test "nothing is left running when the container is gone" {
	in_container "" cat /proc/uptime
	gone()
	{
		! pgrep -U $USER_ID -f tap0
	}
	wait_for 10 gone
}
