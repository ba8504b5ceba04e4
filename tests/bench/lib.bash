# What the benches share: the stage of the end-to-end tests with an iperf3
# server in `remote`, and medians of what was measured. Sourced by each.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
# shellcheck source=../e2e/lib.bash
. tests/e2e/lib.bash

bench_down()
{
	kill_spawned test
	stage_down
	rm -f "$RESULTS"
}

# From here to the script's end there is a stage. Results are lines of words in
# $RESULTS, of which the first ones, the key, say what was measured.
bench_up()
{
	RESULTS=$(mktemp)
	trap bench_down EXIT
	stage_up
	spawn iperf3 at_remote iperf3 -s
	wait_for 10 listening remote 5201
}

# CPU time of the tool's own process so far, in clock ticks.
cpu_ticks()
{
	awk '{ print $14 + $15 }' "/proc/$TOOL_PID/stat"
}

# bench_iperf3 OPTIONS...: from the box to the server; prints Gbit/s as the
# receiver counted, and the tool's CPU seconds for each 10^9 bytes.
bench_iperf3()
{
	local before

	before=$(cpu_ticks)
	in_box iperf3 -J -c "$FAR4" "$@" >"$STAGE/iperf"
	jq -r --argjson hz "$(getconf CLK_TCK)" \
		--argjson ticks $(($(cpu_ticks) - before)) '
		.end.sum_received |
		"\(.bits_per_second / 1e9) \(
			if .bytes > 0 then $ticks / $hz / (.bytes / 1e9)
			else 0 end)"' "$STAGE/iperf"
}

# values KEY COLUMN: of the results with that key, smallest first.
values()
{
	awk -v key="$1 " -v col="$2" 'index($0, key) == 1 { print $col }' \
		"$RESULTS" | sort -g
}

# median KEY COLUMN
median()
{
	values "$1" "$2" | awk '{ v[NR] = $1 } END {
		m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
		printf "%.2f", m }'
}

# spread KEY COLUMN: "least to most".
spread()
{
	values "$1" "$2" | awk 'NR == 1 { least = $1 } { most = $1 }
		END { printf "%.2f to %.2f", least, most }'
}
