#!/usr/bin/env bats
# {127.0.0.1, ::1, localhost, the host's addresses, a remote host, addresses
# like the container's own} x {what the service listens on} x {tcp, udp} x {the
# shape of the rule}: data arrives with the right peer address, or the client is
# refused. In the default mode alone, and where no family answers, it may be
# accepted and then reset, or hear nothing of its datagram.

load lib

API=api.sock

setup_file()
{
	stage_up
	# Clients that the container would take for its neighbours
	at_host sh -ec '
		ip address add 10.0.2.77/32 dev lo
		ip address add 10.0.2.100/32 dev lo
		ip address add fd00::77/128 dev lo nodad'
	icmp_at_will at_host
}

# Kernels tell the same host of a closed port once a second only.
icmp_at_will()
{
	"$@" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
}

# matrix SHAPE OPTIONS...
matrix()
{
	icmp_at_will in_box
	if [ "$E2E_TOOL" = tapir ]; then
		tool_start --api-socket="$STAGE/$API"
	else
		tool_start_bare -c --api-socket="$STAGE/$API"
		set -- "$@" --ipv4
	fi
	at_host /usr/bin/python3 "$HERE/publish_matrix.py" "$1" "$STAGE/$API" \
		"$HOST_PID" "$REMOTE_PID" "$BOX_PID" "${@:2}"
}

@test "a single port reaches every service from everywhere" {
	matrix single
}

@test "a range of three ports does" {
	matrix range
}

@test "a range that is translated does" {
	matrix translated
}

@test "a port bound to an address is open there and nowhere else" {
	matrix bound
}

@test "following: a single port is data or refused" {
	only_tapir "cannot follow"
	matrix single --follow
}

@test "following: a range of three ports is data or refused" {
	only_tapir "cannot follow"
	matrix range --follow
}

@test "following: a range that is translated is data or refused" {
	only_tapir "cannot follow"
	matrix translated --follow
}

@test "following: a port bound to an address is data or refused" {
	only_tapir "cannot follow"
	matrix bound --follow
}
