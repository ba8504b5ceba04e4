# A tree of Debian trixie, whose Podman and pasta are newer than the machine's:
# made once, kept below build/, and entered over a layer that takes the changes.
# shellcheck shell=bash

TRIXIE_TREE=$(realpath -m "${TRIXIE_TREE:-$HERE/../../build/trixie}")

# trixie_tree: it is there, or the test is skipped.
trixie_tree()
{
	local status=0

	"$HERE/trixie.sh" "$TRIXIE_TREE" || status=$?
	[ $status != 77 ] || skip "no tree of Debian trixie"
	return $status
}

# trixie_pasta: the path of a program that is the tree's pasta, run where the
# machine's files are.
trixie_pasta()
{
	local loader=("$TRIXIE_TREE"/lib64/ld-linux-*)

	cat >"$STAGE/pasta" <<-END
		#!/bin/sh
		exec ${loader[0]} --argv0 pasta --library-path \
			$(echo "$TRIXIE_TREE"/usr/lib/*-linux-gnu*) \
			$TRIXIE_TREE/usr/bin/passt "\$@"
	END
	chmod 755 "$STAGE/pasta"
	echo "$STAGE/pasta"
}

# trixie_up: after stage_up. The tree as the root of a mount namespace in the
# network of `host`, with the stage and the tests at the places that they have.
trixie_up()
{
	rm -f "$STAGE/tree.up"
	spawn tree at_host unshare -m sh "$HERE/trixie_root.sh" "$TRIXIE_TREE" \
		"$STAGE" "$HERE"
	export TREE_PID=$SPAWNED
	wait_for 10 test -e "$STAGE/tree.up" || fail "$(log_of tree)" || return
	# Whatever a build needs beyond the tree's packages
	[ ! -x "$TAPIR" ] || trixie_install "$TAPIR"
}

in_tree()
{
	$EXEC nsenter -t "$TREE_PID" -n -m -- "$@"
}

# trixie_install PROGRAM: to /usr/local/bin of the tree, with those of its
# libraries that the tree has not.
trixie_install()
{
	local program=$1 lib path

	cp "$program" "$STAGE/program"
	in_tree install "$STAGE/program" "/usr/local/bin/$(basename "$program")"
	rm -f "$STAGE/program"
	ldd "$program" | awk '$3 ~ /^\// { print $1, $3 }' |
		while read -r lib path; do
			in_tree sh -c "/sbin/ldconfig -p | grep -qF '$lib '" ||
				cp "$path" "$STAGE/$lib.extra"
		done
	for path in "$STAGE"/*.extra; do
		[ -e "$path" ] || continue
		in_tree install -D "$path" \
			"/usr/local/lib/$(basename "$path" .extra)"
		rm -f "$path"
	done
	in_tree /sbin/ldconfig
}
