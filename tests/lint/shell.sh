#!/bin/bash
# Has shellcheck judge the shell scripts and bats files.
set -euo pipefail
. tests/lint/lib.bash

command -v shellcheck >/dev/null || skip "no shellcheck"
find . -path ./build -prune -o \( -name bootstrap -o -name run -o -name '*.sh' \
	-o -name '*.bash' -o -name '*.bats' \) -print0 |
	xargs -0 shellcheck -x --source-path=SCRIPTDIR
