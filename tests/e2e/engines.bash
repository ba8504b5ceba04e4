# An unprivileged user with its own home, ranges and run directory, inside the
# host of the stage. Nothing of it is left on the machine.
# shellcheck shell=bash

# engines_up: after stage_up. Sets USER_ID, of this run only, and USER_HOME.
engines_up()
{
	local etc=$STAGE/etc

	export USER_ID=$((20000 + $$ % 20000))
	export USER_HOME=$STAGE/home
	mkdir -p "$USER_HOME"
	chmod 755 "$STAGE"
	echo "boxer:x:$USER_ID:$USER_ID::$USER_HOME:/bin/sh" >>"$etc/passwd"
	echo "boxer:x:$USER_ID:" >>"$etc/group"
	echo "boxer:500000:65536" | tee "$etc/subuid" >"$etc/subgid"
	chown $USER_ID:$USER_ID "$USER_HOME"
	# A device of the box's own, since the machine's may be root's only
	at_host sh -ec "
		mount -t tmpfs tmpfs /run
		mkdir -p /run/user/$USER_ID /run/lock
		chown $USER_ID:$USER_ID /run/user/$USER_ID
		mount -t tmpfs tmpfs /dev/net
		mknod -m 666 /dev/net/tun c 10 200
		umount -R /sys/fs/cgroup 2>/dev/null || true
		mount -t cgroup2 none /sys/fs/cgroup"
}

# as_user CMD...: where ENGINES_AT says.
as_user()
{
	"${ENGINES_AT:-at_host}" setpriv --reuid $USER_ID --regid $USER_ID --clear-groups \
		env -i "HOME=$USER_HOME" "XDG_RUNTIME_DIR=/run/user/$USER_ID" \
		PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
		"ASAN_OPTIONS=${ASAN_OPTIONS:-}" \
		"UBSAN_OPTIONS=${UBSAN_OPTIONS:-}" "$@"
}

# The tool under the name that engines know; in its user's reach.
engine_tool()
{
	tool_words
	if [ "$E2E_TOOL" = tapir ]; then
		install -m 755 "$TAPIR" "$USER_HOME/slirp4netns"
		echo "$USER_HOME/slirp4netns"
	else
		command -v "$E2E_TOOL"
	fi
}

# A root file system of busybox, for containers without a registry.
rootfs_up()
{
	local root=$USER_HOME/rootfs applet

	mkdir -p "$root"/{bin,etc,proc,sys,dev,tmp,run}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in sh cat ip ping ping6 wget nslookup sha256sum head \
		httpd nc sleep; do
		ln -sf busybox "$root/bin/$applet"
	done
	echo "root:x:0:0::/:/bin/sh" >"$root/etc/passwd"
	chown -R $USER_ID:$USER_ID "$root"
	echo "$root"
}
