#!/bin/bash
# Has shellcheck judge the shell scripts and bats files.
set -euo pipefail
. tests/lint/lib.bash

command -v shellcheck >/dev/null || skip "no shellcheck"
find . -path ./build -prune -o \( -name bootstrap -o -name '*.sh' \
	-o -path './tests/bench/*' ! -name '*.md' \
	-o -name '*.bash' -o -name '*.bats' \) -print0 |
	xargs -0 shellcheck -x --source-path=SCRIPTDIR
