#!/bin/sh
# After unpacking: the user, the folders, and the service, which is enabled and
# started. PAM is left alone: that is asked for with
#   sshnotify install --system
# or, on Debian and its kin,
#   pam-auth-update --enable sshnotify
# So is the watcher's service: sshnotify install --system --watch
# what carries out orders of a hub: sshnotify install --system --respond
# and that of codes for other programs: systemctl enable --now sshnotify-codes
# A line of the profile that is in use already follows the package's at an
# upgrade.
#
# dpkg calls it with "configure OLD-VERSION", rpm with the number of versions
# that are installed now, apk and pacman with "NEW-VERSION OLD-VERSION".
# pacman makes a function of it: no exit here.
set -e

if ! id -u sshnotify >/dev/null 2>&1; then
	if command -v systemd-sysusers >/dev/null 2>&1; then
		systemd-sysusers sshnotify.conf
	else
		adduser --system --group --quiet --no-create-home --home /var/lib/sshnotify \
			--gecos sshnotify sshnotify
	fi
fi

# The watcher's user, where systemd could run the watcher.
if command -v systemd-sysusers >/dev/null 2>&1; then
	systemd-sysusers sshnotify-watch.conf
fi
# It was let into the service's group by hand, or by an older version's unit: it
# must not read secrets.
if id -Gn sshnotify-watch 2>/dev/null | grep -Eq '(^| )sshnotify( |$)'; then
	gpasswd -d sshnotify-watch sshnotify >/dev/null || :
fi

# The list of folders is that of tmpfiles.d, with systemd or without.
if ! { command -v systemd-tmpfiles >/dev/null 2>&1 && systemd-tmpfiles --create sshnotify.conf; }; then
	while read -r what path mode user group _; do
		[ "$what" = d ] || continue
		mkdir -p "$path"
		chown "$user:$group" "$path"
		chmod "$mode" "$path"
	done </usr/lib/tmpfiles.d/sshnotify.conf
fi

if command -v systemd-tmpfiles >/dev/null 2>&1 && id -u sshnotify-watch >/dev/null 2>&1; then
	systemd-tmpfiles --create sshnotify-watch.conf || :
fi

# Where the group was not known when the file was unpacked it is root's. An
# owner that somebody chose stays.
settings=/etc/sshnotify/config.toml
if [ -f "$settings" ] && [ ! -L "$settings" ] && [ "$(stat -c %U:%G "$settings")" = root:root ]; then
	chgrp sshnotify "$settings"
	chmod 0640 "$settings"
fi

case "$1:$2" in
configure: | 1:*) fresh=yes ;;
[!a-z]*.*:) fresh=yes ;;
*) fresh=no ;;
esac

# What the settings leave unsaid stays as it was, where logins were told before its
# default became another. It has to be there before the new service starts.
if [ "$fresh" = no ]; then
	sshnotify config upgrade --system ||
		echo "sshnotify: hint: sudo sshnotify doctor --system says whether that matters" >&2
fi

if [ "$fresh" = no ] && command -v pam-auth-update >/dev/null 2>&1 &&
	grep -qs '/usr/bin/sshnotify hook' /etc/pam.d/common-session; then
	pam-auth-update --package || :
fi

if command -v deb-systemd-helper >/dev/null 2>&1; then
	# What its owner disabled or masked stays so.
	deb-systemd-helper unmask sshnotify.service >/dev/null || :
	if deb-systemd-helper --quiet was-enabled sshnotify.service; then
		deb-systemd-helper enable sshnotify.service >/dev/null || :
	else
		deb-systemd-helper update-state sshnotify.service >/dev/null || :
	fi
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || :
		# Which takes policy-rc.d and a disabled unit into account.
		if [ "$fresh" = yes ]; then action=start; else action=restart; fi
		deb-systemd-invoke "$action" sshnotify.service >/dev/null || :
		if [ "$fresh" = no ]; then
			systemctl --system try-restart sshnotify-watch.service sshnotify-codes.service sshnotify-respond.path >/dev/null || :
		fi
	fi
elif command -v systemctl >/dev/null 2>&1; then
	# Enabling is links only, and works in a chroot or an image.
	if [ "$fresh" = yes ]; then
		systemctl --quiet enable sshnotify.service || :
	fi
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload || :
		if [ "$fresh" = yes ]; then
			systemctl start sshnotify.service || :
		else
			systemctl try-restart sshnotify.service || :
			systemctl try-restart sshnotify-watch.service sshnotify-codes.service sshnotify-respond.path || :
		fi
	fi
elif [ -x /etc/init.d/sshnotify ] && command -v rc-update >/dev/null 2>&1; then
	if [ "$fresh" = yes ]; then
		rc-update --quiet add sshnotify default || :
	fi
	# Is there a running OpenRC, or is this an image?
	if [ -e /run/openrc/softlevel ]; then
		if [ "$fresh" = yes ]; then
			rc-service --quiet sshnotify start || :
		else
			rc-service --quiet --ifstarted sshnotify restart || :
		fi
	fi
fi
