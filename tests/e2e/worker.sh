#!/bin/sh
# usage: worker.sh GATEWAY ADDRESS IPV6
# What containers do all day, between /tmp/go and /tmp/done: names, downloads
# one by one and by connections that are kept, parts of files, uploads, what is
# not there, what is given up.
gateway=$1 address=$2 address6=$3
www=http://www.test

# want STATUS CMD...: it ends so.
want()
{
	status=$1 got=0
	shift
	"$@" || got=$?
	[ $got = "$status" ] || {
		echo "$got: $*"
		all=badly
	}
}

get()
{
	want 0 curl -sSf --max-time 20 -o /tmp/got "$@"
}

# As apt-get install does: one connection, and several requests on the way.
get_as_apt_does()
{
	test -x /usr/lib/apt/apt-helper || return 0
	set --
	for n in 1 2 3 4 5 6 7 8; do
		set -- "$@" $www/file$n /tmp/apt$n ''
	done
	want 0 /usr/lib/apt/apt-helper -q -o APT::Sandbox::User=root \
		download-file "$@"
}

work()
{
	for n in 1 2 3; do
		want 0 nslookup file$n.test
		get $www/file$n
	done
	get $www/file1 -o /tmp/got $www/file2 -o /tmp/got $www/file3 \
		-o /tmp/got $www/file4 -o /tmp/got $www/file5
	get -r 1000-200999 $www/file9
	get -r 100000- $www/file4
	get "http://[$address6]/file9"
	want 0 curl -sS --max-time 20 -T /tmp/got -o /tmp/said $www/file
	want 22 curl -sf --max-time 20 $www/none
	want 7 curl -s --max-time 20 $www:81/file
	# Given up halfway
	want 0 sh -c "curl -s $www/file200 | head -c 100000 >/tmp/got"
	get_as_apt_does
	want 0 ping -c 2 -W 1 "$gateway"
	ping -c 1 -W 1 "$address"
}

until test -e /tmp/go; do sleep 0.1; done
all=well
work
echo $all >/tmp/done
until test -e /tmp/end; do sleep 0.1; done
