#!/usr/bin/env bats
# A container that lies: nothing it sends ends the program, or reaches the
# host's loopback when that is closed.

load lib

LISTEN=7777

setup_file()
{
	stage_up
	peer_up remote
	spawn listener at_host /usr/bin/python3 -u -c '
import selectors, socket, sys
port, wait = int(sys.argv[1]), selectors.DefaultSelector()
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    wait.register(sock, selectors.EVENT_READ, kind)
while True:
    for key, _ in wait.select():
        if key.data == socket.SOCK_STREAM:
            print("connection from", key.fileobj.accept()[1])
        else:
            print("datagram from", key.fileobj.recvfrom(2000)[1])
' $LISTEN
	wait_for 10 listening host $LISTEN
}

gateway_mac()
{
	in_box ip neighbour show $GATEWAY4 | sed -n 's/.*lladdr \([^ ]*\).*/\1/p'
}

attack()
{
	in_box ping -q -c 1 -W 2 $GATEWAY4
	in_box /usr/bin/python3 "$HERE/rawframes.py" tap0 "$(gateway_mac)" \
		10.0.2.100 "$(box_address6)" $LISTEN
}

box_address6()
{
	in_box ip -6 -json address show dev tap0 scope global |
		jq -r '.[].addr_info[].local | select(. != null)' | head -n 1
}

@test "hostile frames do not end the program, and others go on" {
	local rss

	# 1.2.0 connects to loopback for some of these
	tool_start --disable-host-loopback
	attack
	rss=$(tool_rss_kb)
	attack
	tool_alive
	probe download $FAR4 $PORT 1000000
	probe download $FAR6 $PORT 1000000
	probe udp-echo $FAR4 $PORT
	in_box ping -q -c 1 -W 2 $GATEWAY4
	tool_sanitized || [ "$(tool_rss_kb)" -le $((rss + 8192)) ]
}

@test "no frame reaches the host's loopback when that is closed" {
	only_tapir "dials what a frame names"
	: >"$STAGE/listener.log"
	tool_start --disable-host-loopback
	attack
	sleep 1
	cat "$STAGE/listener.log"
	[ ! -s "$STAGE/listener.log" ]
}

@test "the listener would have told" {
	tool_start
	: >"$STAGE/listener.log"
	probe connect $GATEWAY4 $LISTEN
	wait_for 5 grep connection "$STAGE/listener.log"
}
