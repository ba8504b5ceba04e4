#!/bin/bash
# usage: manual.sh PROGRAM PAGE
# The manual page renders without a warning, names every option that --help has,
# and no other but those that the program answers.
set -euo pipefail
. tests/lint/lib.bash

program=$1
page=$2
fronts=(run slirp4netns pasta replay flows)
command -v groff >/dev/null || skip "no groff"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

groff -man -Tascii -P-cbou -ww -rHY=0 "$page" \
	>"$tmp/page" 2>"$tmp/warnings"
if [ -s "$tmp/warnings" ]; then
	cat "$tmp/warnings"
	exit 1
fi

# The options that the lines of a list begin with: in the page, its paragraphs.
options()
{
	grep -oE '^ *(-[a-zA-Z0-9], )?--[a-z][-a-z0-9]+' "$1" |
		sed 's/^ *//' | sort -u
}

long_names()
{
	grep -ohE -e '--[a-z][-a-z0-9]+' "$1" | sort -u
}

# Those that --help leaves out are answered by themselves, or not in the way of
# the version.
is_known()
{
	local front

	for front in "${fronts[@]}"; do
		"$program" "$front" "$1" --version >"$tmp/said" 2>&1 || true
		grep -q "unrecognized option '$1'" "$tmp/said" || return 0
	done
	return 1
}

for front in "" "${fronts[@]}"; do
	# shellcheck disable=SC2086
	"$program" $front --help
done >"$tmp/help"
[ "$(options "$tmp/help" | wc -l)" -gt 20 ]
awk 'last == "" { print } { last = $0 }' "$tmp/page" >"$tmp/paragraphs"
if ! diff <(options "$tmp/help") <(options "$tmp/paragraphs"); then
	echo "$page: < are missing, > does --help not have"
	exit 1
fi
# In the text
long_names "$tmp/help" >"$tmp/names"
for name in $(long_names "$tmp/page" | comm -23 - "$tmp/names"); do
	if ! is_known "$name"; then
		echo "$page: $name: there is no such option"
		exit 1
	fi
done
