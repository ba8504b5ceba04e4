#!/bin/sh
# usage: trixie_root.sh TREE STAGE TESTS
# Makes TREE the root of this mount namespace, which must be our own, and holds
# it. Changes go to a layer in memory; STAGE and TESTS keep their places.
set -e
tree=$1 stage=$2 tests=$3
layer=$stage/layer

mkdir "$layer"
mount -t tmpfs tmpfs "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$layer/upper,workdir=$layer/work" \
	overlay "$layer/root"
cd "$layer/root"
mkdir -p ".$stage" ".$tests"
mount --bind "$stage" ".$stage"
mount --bind "$tests" ".$tests"
mount --rbind /dev dev
mount -t tmpfs tmpfs dev/net
# The machine's may be root's only
mknod -m 666 dev/net/tun c 10 200
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs tmpfs run
pivot_root . .
umount -l .
cd /
# As on a machine; Podman wants it
mount --make-rshared /
echo >"$stage/tree.up"
exec sleep 1200
