package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The watcher as a service: real systemd, journal and sshd, and what its
// hardening leaves of the host.
func TestWatchedHost(t *testing.T) {
	g := newGuest(t)
	before := g.etc()
	g.run("dpkg", "--install", g.put())
	if out, _ := g.try("systemctl", "is-enabled", "sshnotify-watch"); out != "disabled\n" {
		t.Errorf("the watcher is %s, unasked", out)
	}
	if err := os.WriteFile(filepath.Join(g.dir, "root/slack.url"), []byte(g.reachSlack()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", g.run("sshnotify", "install", "--system", "--watch", "--yes", "--webhook-url-file", "/root/slack.url"))
	set := g.etc()
	for _, more := range [][]string{{"--watch"}, nil} {
		g.run(append([]string{"sshnotify", "install", "--system", "--yes"}, more...)...)
		if diff := cmp.Diff(set, g.etc()); diff != "" {
			t.Errorf("installed again, with %v, it is not the same:\n%s", more, diff)
		}
	}
	if got := g.run("systemctl", "is-active", "sshnotify-watch"); got != "active\n" {
		t.Errorf("the watcher is %s", got)
	}

	// Somebody tries names, and then gets in.
	for _, user := range []string{"admin", "oracle", "git", "test", "deploy", "pi"} {
		c := g.ssh("true")
		c.Args[len(c.Args)-2] = user + "@" + guestEnd
		if out, err := c.CombinedOutput(); err == nil {
			t.Fatalf("%s got in: %s", user, out)
		}
	}
	g.login()
	g.told(2) // the login, and that it came after failures
	var all strings.Builder
	for _, m := range g.slack.Messages() {
		all.WriteString(string(m.Raw) + "\n")
	}
	if !strings.Contains(all.String(), "CRITICAL") || !strings.Contains(all.String(), "&gt;alice&lt;") {
		t.Errorf("messages:\n%s", all.String())
	}

	g.eventually("doctor that is content with the watcher", func() bool { return len(g.doctor()) == 0 })

	// What somebody could do who broke the watcher.
	pid := strings.TrimSpace(g.run("systemctl", "show", "-p", "MainPID", "--value", "sshnotify-watch"))
	as := func(command string) (string, error) {
		return g.try("nsenter", "--target", pid, "--mount", "--net", "--", "setpriv", "--reuid=sshnotify-watch", "--regid=sshnotify-watch",
			"--groups=adm,systemd-journal", "--no-new-privs", "--bounding-set=-all", "sh", "-c", command)
	}
	for _, command := range []string{
		"touch /var/spool/sshnotify/new/x", "ls /var/spool/sshnotify/new", "ls /var/spool/sshnotify/cur", "ls /run/sshnotify",
		"touch /var/spool/sshnotify/watch/x", "touch /var/lib/sshnotify/x", "touch /etc/sshnotify/x", "cat /etc/sshnotify/config.toml", "touch /tmp/../var/tmp/../log/x",
		"ls /root", "ls /home/alice", "echo >/dev/tcp/" + hostEnd + "/22",
	} {
		if out, err := as(command); err == nil {
			t.Errorf("the watcher may: %s: %s", command, out)
		}
	}
	for _, command := range []string{
		"touch /var/spool/sshnotify/watch/tmp/x && mv /var/spool/sshnotify/watch/tmp/x /var/spool/sshnotify/watch/new/.x && rm /var/spool/sshnotify/watch/new/.x",
		"cat /run/sshnotify-watch.json", "journalctl -n 1 -o json", "touch /var/lib/sshnotify-watch/x && rm /var/lib/sshnotify-watch/x",
		"mkfifo /run/sshnotify-watch/x && rm /run/sshnotify-watch/x",
	} {
		if out, err := as(command); err != nil {
			t.Errorf("the watcher may not: %s: %v %s", command, err, out)
		}
	}
	if out := g.run("journalctl", "-u", "sshnotify-watch", "-p", "warning", "-o", "cat", "--no-pager"); strings.Contains(out, "error") {
		t.Errorf("the watcher's log:\n%s", out)
	}
	t.Logf("%s", g.run("systemctl", "status", "--no-pager", "-n", "5", "sshnotify-watch"))

	g.run("systemctl", "reload", "sshnotify-watch")
	g.run("systemctl", "restart", "sshnotify-watch")
	g.reboot()
	if got := g.run("systemctl", "is-active", "sshnotify-watch"); got != "active\n" {
		t.Errorf("after a reboot the watcher is %s", got)
	}

	g.run("sshnotify", "uninstall", "--system", "--purge", "--yes")
	g.run("dpkg", "--purge", "sshnotify")
	if diff := cmp.Diff(before, g.etc()); diff != "" {
		t.Errorf("something is left in /etc:\n%s", diff)
	}
	for _, left := range []string{"var/spool/sshnotify", "var/lib/sshnotify", "var/lib/sshnotify-watch", "run/sshnotify", "run/sshnotify-watch"} {
		if _, err := os.Lstat(filepath.Join(g.dir, left)); err == nil {
			t.Errorf("%s is left", left)
		}
	}
}
