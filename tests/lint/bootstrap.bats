#!/usr/bin/env bats
# bootstrap's own pieces, on files made here: no network, no root.

setup()
{
	root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	. "$root/bootstrap"
	trap - EXIT INT TERM
	etc=$BATS_TEST_TMPDIR/etc
	mkdir -p "$etc/sources.list.d"
}

@test "a deb822 main entry is found, updates and security are not" {
	cat >"$etc/sources.list.d/debian.sources" <<-'END'
		# the machine's
		Types: deb deb-src
		URIs: http://one.invalid/debian http://two.invalid/debian
		Suites: bookworm bookworm-updates
		Components: main contrib
		Signed-By: /keys/debian.gpg

		Types: deb
		URIs: http://one.invalid/security
		Suites: bookworm-security
		Components: main
	END
	run debian_entries "$etc"
	[ "$output" = $'http://one.invalid/debian\t/keys/debian.gpg' ]
}

@test "disabled, source-only and foreign deb822 entries are not found" {
	cat >"$etc/sources.list.d/more.sources" <<-'END'
		Types: deb
		URIs: http://a.invalid/debian
		Suites: bookworm
		Components: main
		Enabled: no

		Types: deb-src
		URIs: http://b.invalid/debian
		Suites: bookworm
		Components: main

		Types: deb
		URIs: http://c.invalid/tool
		Suites: nodistro
		Components: main

		Types: deb
		URIs: http://d.invalid/debian
		Suites: bookworm
		Components: contrib
	END
	run debian_entries "$etc"
	[ "$output" = "" ]
}

@test "one-line entries are found, with their key" {
	cat >"$etc/sources.list" <<-'END'
		# deb http://no.invalid/debian bookworm main
		deb [arch=amd64 signed-by=/keys/d.gpg] http://a.invalid/debian bookworm main non-free
		deb http://a.invalid/debian bookworm-updates main
		deb http://security.invalid/ bookworm-security main
		deb-src http://b.invalid/debian bookworm main
	END
	echo 'deb http://c.invalid/debian stable main # why not' \
		>"$etc/sources.list.d/c.list"
	run debian_entries "$etc"
	[ "${lines[0]}" = $'http://a.invalid/debian\t/keys/d.gpg' ]
	[ "${lines[1]}" = $'http://c.invalid/debian\t' ]
	[ ${#lines[@]} = 2 ]
}

@test "a wrong hash is an error that names both" {
	echo something else >"$BATS_TEST_TMPDIR/file"
	run check_hash "$BATS_TEST_TMPDIR/file" 0123abc
	[ "$status" = 1 ]
	[[ $output == *0123abc* ]]
	[[ $output == *"$(sha256sum <"$BATS_TEST_TMPDIR/file" | cut -c -64)"* ]]
}

@test "the given lwIP tree must be lwIP 2.2" {
	cd "$BATS_TEST_TMPDIR"
	LWIP_DIR=$BATS_TEST_TMPDIR/none
	run use_given_lwip
	[ "$status" = 1 ]
	[[ $output == *"no lwIP source in"* ]]

	LWIP_DIR=$BATS_TEST_TMPDIR/old
	mkdir -p "$LWIP_DIR/src/include/lwip"
	printf '#define LWIP_VERSION_MAJOR %s\n#define LWIP_VERSION_MINOR %s\n' \
		2 1 >"$LWIP_DIR/src/include/lwip/init.h"
	run use_given_lwip
	[ "$status" = 1 ]
	[[ $output == *"is not lwIP 2.2"* ]]

	sed -i 's/MINOR 1/MINOR 2/' "$LWIP_DIR/src/include/lwip/init.h"
	use_given_lwip
	[ build/lwip -ef "$LWIP_DIR" ]
}

@test "an unknown argument is refused" {
	run "$root/bootstrap" --test
	[ "$status" = 1 ]
	[[ $output == *"unknown argument '--test'"* ]]
}
