#!/bin/sh
# After the files are gone. dpkg calls it with remove, purge, upgrade and the
# like, rpm with the number of versions that are left, apk and pacman with the
# version. pacman makes a function of it: no exit here.
#
# The user goes with a purge, which leaves nothing that is its own; after a
# removal it stays, because the next system user to get its number would own the
# queue.
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
		deb-systemd-helper purge sshnotify.service sshnotify-watch.service sshnotify-codes.service sshnotify-respond.path >/dev/null || :
		deb-systemd-helper unmask sshnotify.service sshnotify-watch.service sshnotify-codes.service sshnotify-respond.path >/dev/null || :
	fi
	if [ "$waiting" -gt 0 ]; then
		echo "sshnotify: $waiting events in /var/spool/sshnotify were not delivered; they are thrown away" >&2
	fi
	# What sshnotify install made and its own purge takes out: files beside the
	# settings, and the folders of a queue that is elsewhere.
	record=/etc/sshnotify/installed.json
	if [ -f "$record" ]; then
		sed -n '/^   "path": "\/[^"\\]*",$/{N;/\n   "created": true,$/{N;s#^   "path": "\([^"]*\)".*\n   "\(sha256\|purge\)".*#\2 \1#p;};}' "$record" |
			while read -r what path; do
				case "$what $path" in
				*/../* | "purge /etc/"*) ;;
				"sha256 /etc/sshnotify/"*) rm -f "$path" ;;
				"purge "*sshnotify*) if [ ! -L "$path" ]; then rm -rf "$path"; fi ;;
				esac
			done
	fi
	rm -rf /var/spool/sshnotify /var/lib/sshnotify /run/sshnotify /var/lib/sshnotify-watch /run/sshnotify-watch /var/lib/sshnotify-respond
	# The second step's secrets and counters; a link, and where it leads.
	rm -rf /var/lib/sshnotify-gate /run/sshnotify-gate /var/lib/sshnotify-codes /var/lib/private/sshnotify-codes
	rm -f "$record" /run/sshnotify-watch.json /etc/systemd/system/multi-user.target.wants/sshnotify-watch.service \
		/etc/systemd/system/multi-user.target.wants/sshnotify-codes.service /etc/systemd/system/multi-user.target.wants/sshnotify-respond.path
	rmdir /etc/sshnotify/conf.d /etc/sshnotify 2>/dev/null || :
	# Settings and secrets that nobody but their owner put there are kept, for
	# root alone: somebody else gets the group's number.
	if [ -d /etc/sshnotify ]; then
		chown -hR root:root /etc/sshnotify
		chmod -R go-rwx /etc/sshnotify
		echo "sshnotify: /etc/sshnotify stays: what is left in it did not come with the package" >&2
	fi
	for user in sshnotify-watch sshnotify; do
		if id -u "$user" >/dev/null 2>&1; then
			# So it is with whatever they have elsewhere, such as what a
			# pattern's program wrote. /run and the like are other file systems.
			# Of somebody else's file that has their group, only that is root's then.
			find / /run /var /srv /home -xdev -user "$user" -exec chown -h root {} + 2>/dev/null || :
			find / /run /var /srv /home -xdev -group "$user" -exec chgrp -h root {} + 2>/dev/null || :
			userdel "$user" || echo "sshnotify: the user $user stays: userdel $user" >&2
		fi
	done
	;;
upgrade | failed-upgrade | abort-install | abort-upgrade | disappear | [1-9]) ;;
*)
	if [ "$waiting" -gt 0 ]; then
		echo "sshnotify: $waiting events in /var/spool/sshnotify were not delivered; they stay there" >&2
	fi
	;;
esac
