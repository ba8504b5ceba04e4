#!/bin/bash
# usage: clang.sh BUILD_DIR LWIP_DIR
# clang builds everything without a warning. (gcc is what CI builds with.)
set -euo pipefail
. tests/lint/lib.bash

command -v clang >/dev/null || skip "no clang"
cmake -G Ninja -S . -B "$1" -DCMAKE_C_COMPILER=clang -DTAPIR_WERROR=ON \
	-DCMAKE_BUILD_TYPE=RelWithDebInfo -DLWIP_DIR="$2"
cmake --build "$1"
