#!/bin/bash
# usage: tidy.sh BUILD_DIR
# clang-tidy over the program's sources, with .clang-tidy.
set -euo pipefail
. tests/lint/lib.bash

tool=$(need_clang_tool clang-tidy) || skip "no clang-tidy 14"
c_files | grep -v '^tests/' | grep '\.c$' |
	xargs -P 2 -n 3 "$tool" -p "$1" --quiet
