#!/bin/bash
# usage: run-bats.sh FILE.bats
# Runs one file for ctest: 77 says that this machine cannot run it at all.
set -euo pipefail

skip()
{
	echo "skipped: $*"
	exit 77
}

command -v bats >/dev/null || skip "no bats (./bootstrap --tests brings it)"
[ "$(id -u)" = 0 ] || skip "needs root, to make namespaces"
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
unshare -rn true 2>/dev/null || skip "user namespaces are not allowed here"
if [ "${E2E_TOOL:-tapir}" = tapir ]; then
	[ -x "${TAPIR:?}" ] || skip "no program $TAPIR"
fi
exec bats --print-output-on-failure "$1"
