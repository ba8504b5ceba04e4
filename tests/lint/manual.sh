#!/bin/bash
# usage: manual.sh PROGRAM
# The manual page renders without a warning, names every option that --help has,
# and no other.
set -euo pipefail
. tests/lint/lib.bash

page=doc/tapir.1
command -v groff >/dev/null || skip "no groff"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

groff -man -Tascii -P-cbou -ww -rHY=0 "$page" \
	>"$tmp/page" 2>"$tmp/warnings"
if [ -s "$tmp/warnings" ]; then
	cat "$tmp/warnings"
	exit 1
fi

# The options that the lines of a list begin with.
options()
{
	grep -oE '^ *(-[a-zA-Z0-9], )?--[a-z][-a-z0-9]+' "$1" |
		sed 's/^ *//' | sort -u
}

long_names()
{
	grep -ohE -e '--[a-z][-a-z0-9]+' "$1" | sort -u
}

for front in "" run slirp4netns replay flows; do
	# shellcheck disable=SC2086
	"$1" $front --help
done >"$tmp/help"
[ "$(options "$tmp/help" | wc -l)" -gt 20 ]
if ! diff <(options "$tmp/help") <(options "$tmp/page"); then
	echo "$page: < are missing, > does --help not have"
	exit 1
fi
# In the text
if ! diff <(long_names "$tmp/help") <(long_names "$tmp/page"); then
	echo "$page: > does --help not have"
	exit 1
fi
