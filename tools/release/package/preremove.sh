#!/bin/sh
# Before the files go. dpkg calls it with remove, upgrade and the like, rpm
# with the number of versions that will be left, apk and pacman with the
# version. pacman makes a function of it: no exit here.
set -e

case "$1" in
upgrade | failed-upgrade | deconfigure | [1-9]) going=no ;;
*) going=yes ;;
esac

# Back to 1.x, which has neither the small program nor the second step: PAM must not
# run what goes. Only dpkg says where it goes, and nothing stops it: it would ask 1.x's
# script next. docs/one-host.md says what to do elsewhere.
if [ "$1" = upgrade ]; then this=$(dpkg-query --show --showformat='${Version}' sshnotify); fi
if [ "$1" = upgrade ] && dpkg --compare-versions "$2" lt 2 && dpkg --compare-versions "$2" lt "$this"; then
	echo "sshnotify: warning: $2 can't read what $this remembers. It leaves that alone, and tells logins" >&2
	echo "sshnotify: warning: without; what waits now is told once $this is installed again." >&2
	echo "sshnotify: hint: settings that $2 does not know must go: sshnotify config check names them then" >&2
	if grep -qs '# >>> sshnotify gate >>>' /etc/pam.d/*; then
		sshnotify uninstall --system --gate --yes
		echo "sshnotify: warning: logins need no second step any more, which $2 does not have" >&2
	fi
	for file in $(grep -ls '/usr/libexec/sshnotify/hook' /etc/pam.d/* /var/lib/pam/session /var/lib/pam/session-noninteractive || :); do
		sed -i --follow-symlinks 's,/usr/libexec/sshnotify/hook,/usr/bin/sshnotify hook,' "$file"
	done
fi

if [ "$going" = yes ]; then
	# What install put in goes while the program is there to do it: the hook
	# first, wherever it is. What is left after that was put in by hand, or
	# into a file that is broken since.
	enabled=no
	if command -v deb-systemd-helper >/dev/null 2>&1 && deb-systemd-helper --quiet was-enabled sshnotify.service; then
		enabled=yes
	fi
	# What sshd's PAM runs at each login must not go before its lines: nobody would
	# get in. If they can't be taken out, nothing goes.
	if grep -qs '# >>> sshnotify gate >>>' /etc/pam.d/*; then
		sshnotify uninstall --system --gate --yes
	fi
	# 75: all is out, and it has said which events wait.
	sshnotify uninstall --system --yes || [ $? = 75 ] ||
		echo "sshnotify: hint: not all that sshnotify install put in could be taken out" >&2
	# Removing is not disabling: installed again, the service is started again.
	if [ "$enabled" = yes ]; then
		systemctl --quiet --no-reload enable sshnotify.service || :
	fi
	if command -v pam-auth-update >/dev/null 2>&1 &&
		grep -qs -e '/usr/bin/sshnotify' -e '/usr/libexec/sshnotify/' /etc/pam.d/common-session /etc/pam.d/common-session-noninteractive; then
		pam-auth-update --package --remove sshnotify || :
	fi
	# Each login would log that it can't be run.
	for file in $(grep -ls -e '^[^#]*/usr/bin/sshnotify hook' -e '^[^#]*/usr/libexec/sshnotify/hook' /etc/pam.d/* || :); do
		# A rule may go on behind a backslash: the rest of it, left alone, would
		# keep everybody out.
		sed -i --follow-symlinks -e ':rule' -e '/^[^#]*\\$/{N;b rule' -e '}' \
			-e '\|^session.*/usr/bin/sshnotify hook|d' -e '\|^session.*/usr/libexec/sshnotify/hook|d' "$file" || :
	done
	for file in $(grep -ls -e '^[^#]*/usr/bin/sshnotify' -e '^[^#]*/usr/libexec/sshnotify/' /etc/pam.d/* /etc/bash.bashrc || :); do
		echo "sshnotify: hint: $file still runs sshnotify, which goes; logins go on, untold." >&2
		echo "sshnotify: hint: take the line out, or install the package again and run: sshnotify uninstall --system" >&2
	done

	if command -v deb-systemd-invoke >/dev/null 2>&1; then
		if [ -d /run/systemd/system ]; then
			# The watcher before who tells what it found.
			deb-systemd-invoke stop sshnotify-respond.path sshnotify-codes.service sshnotify-watch.service >/dev/null || :
			deb-systemd-invoke stop sshnotify.service >/dev/null || :
		fi
	elif command -v systemctl >/dev/null 2>&1; then
		systemctl --quiet --no-reload disable sshnotify-respond.path sshnotify-codes.service sshnotify-watch.service sshnotify.service || :
		if [ -d /run/systemd/system ]; then
			systemctl stop sshnotify-respond.path sshnotify-codes.service sshnotify-watch.service || :
			systemctl stop sshnotify.service || :
		fi
	elif [ -x /etc/init.d/sshnotify ] && command -v rc-update >/dev/null 2>&1; then
		if [ -e /run/openrc/softlevel ]; then
			rc-service --quiet --ifstarted sshnotify stop || :
		fi
		rc-update --quiet del sshnotify default || :
	fi
fi
