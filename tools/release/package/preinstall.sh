#!/bin/sh
# Before an rpm, apk or Arch package is unpacked: the settings' group must be
# known by then. (Debian's package makes the user after unpacking, when the
# packages that it depends on are there.)
set -e

nologin=/usr/sbin/nologin
[ -x "$nologin" ] || nologin=/sbin/nologin

if id -u sshnotify >/dev/null 2>&1; then
	:
elif command -v useradd >/dev/null 2>&1; then
	useradd --system --user-group --no-create-home --home-dir /var/lib/sshnotify \
		--shell "$nologin" --comment sshnotify sshnotify
else
	# busybox
	addgroup -S sshnotify 2>/dev/null || :
	adduser -S -D -H -h /var/lib/sshnotify -s "$nologin" -G sshnotify -g sshnotify sshnotify
fi
