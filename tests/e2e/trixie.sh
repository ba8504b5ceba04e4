#!/bin/bash
# usage: trixie.sh TREE
# Makes TREE a small Debian trixie with Podman 5, by debootstrap and from the
# machine's own apt sources. Takes minutes the first time and nothing then;
# below TREE.work are the lists and a log.
set -euo pipefail

PACKAGES=(busybox-static crun curl iproute2 iputils-ping libjansson4 libmnl0
	libpcap0.8t64 passt podman procps python3-minimal rootlesskit
	slirp4netns uidmap)

# shellcheck source=../../bootstrap
. "$(dirname "$0")/../../bootstrap"

# download WORK: all packages by apt, which is quicker at it than debootstrap.
download()
{
	local work=$1

	: >"$work/status"
	apt=(apt-get -q -c "$work/apt.conf" -o "Dir::State::status=$work/status"
		-o Dir::Etc::Preferences=/dev/null
		-o Dir::Etc::PreferencesParts=/dev/null)
	"${apt[@]}" update
	"${apt[@]}" install -y --download-only --no-install-recommends \
		'?essential' '?priority(required)' apt "${PACKAGES[@]}"
}

# make_tree WORK TREE URI KEYRING. In memory until it is whole: dpkg writes to
# the disk with much care, of which a tree for tests has no need.
make_tree()
{
	local work=$1 tree=$2 uri=$3 keyring=$4 include

	write_apt_conf "$work" "$uri" "$keyring" deb
	download "$work"
	include=$(
		IFS=,
		echo "${PACKAGES[*]}"
	)
	mkdir -p "$work/root"
	mount -t tmpfs tmpfs "$work/root"
	debootstrap --variant=minbase --cache-dir="$work/cache/archives" \
		${keyring:+--keyring="$keyring"} --include="$include" \
		"$DEBIAN_SUITE" "$work/root" "$uri"
	rm -f "$work"/root/var/cache/apt/archives/*.deb
	rm -rf "$tree"
	cp -a "$work/root" "$tree"
}

# bring_tree TREE
bring_tree()
{
	local tree=$1 work=$1.work want="$DEBIAN_SUITE ${PACKAGES[*]}"
	local uri keyring

	mkdir -p "$work"
	exec 9>"$work/lock"
	flock 9
	[ "$(cat "$work/made" 2>/dev/null)" != "$want" ] || return 0
	command -v debootstrap >/dev/null ||
		{ echo "skipped: no debootstrap" && return 77; }
	say "making a tree of Debian $DEBIAN_SUITE: takes minutes, once"
	while IFS=$'\t' read -r uri keyring; do
		unshare -m "$0" --make "$work" "$tree" "$uri" "$keyring" \
			>"$work/log" 2>&1 </dev/null || continue
		echo "$want" >"$work/made"
		return
	done < <(debian_entries /etc/apt | awk '!seen[$0]++')
	tail -n 20 "$work/log" >&2
	die "no tree of Debian $DEBIAN_SUITE (above: what was said last)"
}

if [ "$1" = --make ]; then
	make_tree "${@:2}"
else
	bring_tree "$(realpath -m "$1")"
fi
