#!/bin/sh
# After the files are gone. dpkg calls it with remove, purge, upgrade and the
# like, rpm with the number of versions that are left, apk and pacman with the
# version. pacman makes a function of it: no exit here.
#
# The user goes with a purge, which leaves nothing of it; after a removal it
# stays, because the next system user to get its number would own the queue.
set -e

if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
	systemctl --system daemon-reload >/dev/null || :
fi

# Events that nobody was told of are not dropped in silence.
waiting=0
for file in /var/spool/sshnotify/new/*.json /var/spool/sshnotify/cur/*.json \
	/var/spool/sshnotify/failed/*.json /var/spool/sshnotify/watch/new/*.json /run/sshnotify/new/*.json; do
	if [ -f "$file" ]; then waiting=$((waiting + 1)); fi
done

case "$1" in
purge)
	if command -v deb-systemd-helper >/dev/null 2>&1; then
		deb-systemd-helper purge sshnotify.service sshnotify-watch.service >/dev/null || :
		deb-systemd-helper unmask sshnotify.service sshnotify-watch.service >/dev/null || :
	fi
	if [ "$waiting" -gt 0 ]; then
		echo "sshnotify: $waiting events in /var/spool/sshnotify were not delivered; they are thrown away" >&2
	fi
	rm -rf /var/spool/sshnotify /var/lib/sshnotify /run/sshnotify /var/lib/sshnotify-watch /run/sshnotify-watch
	rm -f /etc/sshnotify/installed.json /etc/systemd/system/multi-user.target.wants/sshnotify-watch.service
	for user in sshnotify-watch sshnotify; do
		if id -u "$user" >/dev/null 2>&1; then
			userdel "$user" || echo "sshnotify: the user $user stays: userdel $user" >&2
		fi
	done
	# Secrets and settings that the package did not bring are their owner's.
	rmdir /etc/sshnotify/conf.d /etc/sshnotify 2>/dev/null || :
	if [ -d /etc/sshnotify ]; then
		echo "sshnotify: /etc/sshnotify stays: what is left in it did not come with the package" >&2
	fi
	;;
upgrade | failed-upgrade | abort-install | abort-upgrade | disappear | [1-9]) ;;
*)
	if [ "$waiting" -gt 0 ]; then
		echo "sshnotify: $waiting events in /var/spool/sshnotify were not delivered; they stay there" >&2
	fi
	;;
esac
