package main

import (
	"os"
	"os/exec"
	"syscall"
)

// cleaner clears up after a test that can't any more: one that was interrupted,
// killed, or ran into its time limit, which runs no cleanup. It must not leave a
// machine with a user and an sshd that nobody knows of. It waits until the other
// end of its input is closed, by whatever means; where the lab's folder is gone
// by then there is nothing left to do.
const cleaner = `cat >/dev/null
cd "$LAB_DIR" 2>/dev/null || exit 0
# The lab's sshd and clients, and whatever runs the tests' own binary.
for p in /proc/[0-9]*; do
	if [ "$(readlink "$p/exe")" = "$LAB_BINARY" ] || grep -qsF "$LAB_DIR/" "$p/cmdline"; then
		kill -9 "${p#/proc/}"
	fi
done
sleep 1 # the sessions end with their clients
while read -r user; do
	uid=$(id -u "$user") || continue
	for p in /proc/[0-9]*; do
		[ "$(stat -c %u "$p")" != "$uid" ] || kill -9 "${p#/proc/}"
	done
	userdel -f "$user"
done <users
rm -f "/etc/pam.d/$LAB_SERVICE"
rm -rf "$LAB_DIR"`

// guard starts the cleaner, which sees to it that nothing of the lab stays. It
// is the first thing that a lab does, so that its cleanup is the last.
func (l *lab) guard() {
	l.t.Helper()
	c := exec.Command("sh", "-c", cleaner)
	c.Env = append(os.Environ(), "LAB_DIR="+l.dir, "LAB_BINARY="+binary, "LAB_SERVICE="+l.service)
	// Ctrl-C is for the test alone.
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := c.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		if err := os.RemoveAll(l.dir); err != nil {
			l.t.Error(err)
		}
		in.Close()
		_ = c.Wait()
	})
}
