#!/bin/sh
# After sshnotify-nats came, changed or went: the service runs the other program.
# pacman makes a function of it: no exit here.
set -e

if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
	systemctl --system daemon-reload >/dev/null || :
	systemctl --system try-restart sshnotify.service >/dev/null || :
fi
