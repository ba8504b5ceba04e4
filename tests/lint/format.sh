#!/bin/bash
# Every C file is as clang-format leaves it, but lwIP's options: those are a
# table, set by hand.
set -euo pipefail
. tests/lint/lib.bash

tool=$(need_clang_tool clang-format) || skip "no clang-format 14"
c_files | grep -v '^port/lwip/' | xargs "$tool" --dry-run -Werror
