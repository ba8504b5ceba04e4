# Shared by the lint scripts, which run in the source tree's root.
# shellcheck shell=bash

# Our C files, whether or not they are committed yet.
c_files()
{
	find . -path ./build -prune -o -name '*.[ch]' -print |
		sed 's,^\./,,' | sort
}

skip()
{
	echo "skipped: $*"
	exit 77
}

# need_clang_tool NAME: print the tool's program, version 14. Others format and
# judge differently.
need_clang_tool()
{
	local program

	for program in "$1-14" "$1"; do
		if "$program" --version 2>/dev/null | grep -q 'version 14\.'
		then
			echo "$program"
			return
		fi
	done
	return 1
}
