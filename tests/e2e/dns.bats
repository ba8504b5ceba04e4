#!/usr/bin/env bats
# The resolver alias: the host's resolvers, in order, as they are now.

load lib

A=198.51.100.7 AAAA=2001:db8:2::7
OTHER=198.51.100.8 # what the second resolver answers

setup_file()
{
	stage_up
	at_remote ip address add 192.0.2.54/24 dev up0
	dns_up $REMOTE4 $A
	dns_up $REMOTE6 $A
	dns_up 192.0.2.54 $OTHER
	# Swallows what it gets
	at_host ip route add 203.0.113.0/24 via $REMOTE4
	at_remote ip route add blackhole 203.0.113.0/24
}

# dns_up ADDRESS A
dns_up()
{
	spawn "dns-$1" at_remote /usr/bin/python3 "$HERE/dnsd.py" \
		"$1" "$2" $AAAA
	wait_for 10 at_remote dig +time=1 +tries=1 "@$1" ready.test
}

setup()
{
	resolvers $REMOTE4 $REMOTE6
	box_up
}

# resolvers ADDRESS...: the host's resolv.conf, by a rename over it.
resolvers()
{
	printf 'nameserver %s\n' "$@" >"$STAGE/etc/resolv.conf.new"
	mv "$STAGE/etc/resolv.conf.new" "$STAGE/etc/resolv.conf"
}

# ask ALIAS DIG_ARGS...
ask()
{
	local alias=$1

	shift
	in_box dig "@$alias" +short +tries=1 +time=5 "$@"
}

@test "names are resolved, over UDP and TCP" {
	tool_start
	[ "$(ask $DNS4 www.test)" = $A ]
	[ "$(ask $DNS4 www.test AAAA)" = $AAAA ]
	[ "$(ask $DNS4 +tcp www.test)" = $A ]
	# Truncated, then asked again over TCP by dig
	[ "$(ask $DNS4 long.test | grep -c $A)" = 200 ]
}

@test "names are resolved by the IPv6 alias" {
	tool_start
	[ "$(ask $DNS6 www.test)" = $A ]
	[ "$(ask $DNS6 +tcp www.test AAAA)" = $AAAA ]
}

@test "a change of resolv.conf by rename is followed" {
	tool_start
	[ "$(ask $DNS4 one.test)" = $A ]
	resolvers 192.0.2.54
	# slirp4netns looks again after a second
	sleep 1.5
	[ "$(ask $DNS4 two.test)" = $OTHER ]
}

@test "a change in place is followed" {
	tool_start
	[ "$(ask $DNS4 one.test)" = $A ]
	sleep 1.5
	echo "nameserver 192.0.2.54" >"$STAGE/etc/resolv.conf"
	sleep 1.5
	[ "$(ask $DNS4 two.test)" = $OTHER ]
}

@test "a dead resolver is passed over within 3 s, and remembered" {
	local start

	only_tapir "asks the first one only"
	resolvers 203.0.113.53 192.0.2.54
	tool_start
	start=${EPOCHREALTIME/./}
	[ "$(ask $DNS4 one.test)" = $OTHER ]
	[ $((${EPOCHREALTIME/./} - start)) -lt 3000000 ]
	start=${EPOCHREALTIME/./}
	[ "$(ask $DNS4 two.test)" = $OTHER ]
	[ $((${EPOCHREALTIME/./} - start)) -lt 1000000 ]
	[ "$(ask $DNS6 three.test)" = $OTHER ]
}

@test "a dead resolver is passed over for TCP too" {
	only_tapir "asks the first one only"
	resolvers 203.0.113.53 192.0.2.54
	tool_start
	[ "$(ask $DNS4 +tcp one.test)" = $OTHER ]
}

@test "a resolver that refuses is passed over at once" {
	local start

	only_tapir "asks the first one only"
	resolvers $FAR4 192.0.2.54
	tool_start
	start=${EPOCHREALTIME/./}
	[ "$(ask $DNS4 one.test)" = $OTHER ]
	[ "$(ask $DNS4 +tcp one.test)" = $OTHER ]
	[ $((${EPOCHREALTIME/./} - start)) -lt 1500000 ]
}

@test "a resolver on the host's loopback works, as systemd-resolved's" {
	at_host ip address add 127.0.0.53/8 dev lo 2>/dev/null || true
	spawn resolved at_host /usr/bin/python3 "$HERE/dnsd.py" 127.0.0.53 $A $AAAA
	wait_for 10 at_host dig +time=1 +tries=1 @127.0.0.53 ready.test
	resolvers 127.0.0.53
	tool_start --disable-host-loopback
	[ "$(ask $DNS4 www.test)" = $A ]
	[ "$(ask $DNS4 +tcp www.test)" = $A ]
}

@test "--disable-dns leaves the alias an ordinary address" {
	tool_start --disable-dns
	run ask $DNS4 +time=2 disabled.test
	[ "$status" != 0 ]
	[ "$(grep -c disabled.test "$STAGE/dns-$REMOTE4.log")" = 0 ]
}
