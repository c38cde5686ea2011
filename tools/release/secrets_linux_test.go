package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// spy tries to read all that holds a secret, and says what it got.
const spy = `#!/bin/sh
worker=$(pgrep -o -f 'sshnotify deliver')
{
	id
	env
	cat /etc/sshnotify/* /etc/sshnotify/conf.d/* /run/credentials/*/* /run/sshnotify-watch.json \
		/proc/$worker/environ /proc/$worker/fd/* /proc/$PPID/environ \
		/var/spool/sshnotify/new/* /var/spool/sshnotify/cur/* /var/spool/sshnotify/failed/* /run/sshnotify/new/*
	grep -rs . /var/lib/sshnotify /etc/sshnotify /run/credentials
	ls -la /etc/sshnotify /var/lib/sshnotify /var/spool/sshnotify /var/spool/sshnotify/cur
} 2>&1
echo spied
`

// The watcher, and what a pattern of its runs, sees no secret of the worker's;
// and it works without.
func TestSecretsHost(t *testing.T) {
	g := newGuest(t)
	g.run("dpkg", "--install", g.put())
	url := g.reachSlack()
	g.write("root/slack.url", url+"\n", 0o600)
	g.run("sshnotify", "install", "--system", "--watch", "--yes", "--webhook-url-file", "/root/slack.url")
	g.write("usr/local/bin/spy", spy, 0o755)
	g.write("usr/local/bin/act", "#!/bin/sh\n/usr/local/bin/spy >/var/lib/sshnotify-watch/spied.tmp 2>&1\nmv /var/lib/sshnotify-watch/spied.tmp /var/lib/sshnotify-watch/spied\n", 0o755)
	g.write("var/log/app.log", "", 0o644)
	g.write("etc/sshnotify/conf.d/more.toml", fmt.Sprintf(`
[destination.second]
type = "slack"
webhook_url = "%s/SECRET-INLINE"
min_severity = "critical"

[provider.abuseipdb]
api_key_file = "credential:SECRET-NAME"

[source.app]
path = "/var/log/app.log"

[source.journal]
type = "journal"
match = ["_COMM=sshd"]

[[pattern]]
name = "act"
source = ["app"]
match = 'act (?P<what>\w+)'
title = "act ${what}"
exec = {command = ["/usr/local/bin/act"]}
`, url), 0o640)
	g.run("chgrp", "sshnotify", "/etc/sshnotify/conf.d/more.toml")
	g.write("root/key", "SECRET-KEY\n", 0o600)
	g.write("etc/systemd/system/sshnotify.service.d/key.conf", "[Service]\nLoadCredential=SECRET-NAME:/root/key\nEnvironment=TOKEN=SECRET-ENV\n", 0o600)
	g.write("var/lib/sshnotify/kept.json", "SECRET-STATE\n", 0o600)
	g.run("chown", "sshnotify:sshnotify", "/var/lib/sshnotify/kept.json")
	g.run("systemctl", "daemon-reload")
	g.run("systemctl", "restart", "sshnotify", "sshnotify-watch")

	// Root's commands have the service's credentials while it runs, and say none.
	for _, command := range []string{"queue", "history", "config check", "policy test --user alice --ip 192.0.2.1", "install --system --yes", "doctor --system"} {
		if out, err := g.try("sh", "-c", "sshnotify "+command); strings.Contains(out, "credential") && !strings.Contains(out, "not tried") || strings.Contains(out, "SECRET-KEY") || err != nil && !strings.HasPrefix(command, "doctor") {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}

	judge := func(who, out string) {
		t.Helper()
		if !strings.Contains(out, "spied") {
			t.Fatalf("%s did not get as far as to spy: %s", who, out)
		}
		secret := strings.TrimPrefix(url, "http://127.0.0.1:8088")
		for line := range strings.Lines(out) {
			if strings.Contains(line, secret) || strings.Contains(line, "SECRET-") || strings.Contains(line, "(sshnotify)") {
				t.Errorf("%s gets: %s", who, line)
			}
		}
	}
	// The test is good for something: root sees them.
	if out := g.run("/usr/local/bin/spy"); !strings.Contains(out, "SECRET-INLINE") || !strings.Contains(out, "SECRET-KEY") || !strings.Contains(out, "SECRET-ENV") || !strings.Contains(out, "SECRET-STATE") {
		t.Fatalf("root spies: %s", out)
	}
	// As a pattern's program, in all of the service's hardening.
	g.run("sh", "-c", "echo act one >>/var/log/app.log")
	g.eventually("spying", func() bool {
		_, err := os.Stat(filepath.Join(g.dir, "var/lib/sshnotify-watch/spied"))
		return err == nil
	})
	spied := g.read("var/lib/sshnotify-watch/spied")
	judge("the pattern's program", spied)
	for line := range strings.Lines(spied) {
		if name, _, ok := strings.Cut(line, "="); ok && strings.ToUpper(name) == name && !strings.HasPrefix(name, "SSHNOTIFY_") && name != "PATH" && name != "LANG" && name != "PWD" {
			if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == "" {
				t.Errorf("the program's environment has %s", line)
			}
		}
	}
	if m := g.told(1); !strings.Contains(m, "act one") {
		t.Errorf("the match: %s", m)
	}
	// As its user, inside and outside of the service.
	pid := strings.TrimSpace(g.run("systemctl", "show", "-p", "MainPID", "--value", "sshnotify-watch"))
	user := []string{"setpriv", "--reuid=sshnotify-watch", "--regid=sshnotify-watch", "--init-groups", "--no-new-privs", "/usr/local/bin/spy"}
	out, _ := g.try(append([]string{"nsenter", "--target", pid, "--mount", "--net", "--"}, user...)...)
	judge("the watcher", out)
	out, _ = g.try(user...)
	judge("the watcher's user", out)

	// What is wrong with the settings is said of them, not of what is made of
	// them, and leaves the watcher as it is.
	g.write("etc/sshnotify/conf.d/wrong.toml", "[watch]\nnotify = \"never\"\n", 0o640)
	if out, err := g.try("systemctl", "reload", "sshnotify-watch"); err == nil {
		t.Errorf("reloaded what is wrong: %s", out)
	}
	if got := g.run("systemctl", "is-active", "sshnotify-watch"); got != "active\n" {
		t.Errorf("the watcher is %s", got)
	}
	if out := g.run("journalctl", "-u", "sshnotify-watch", "-o", "cat", "--no-pager"); !strings.Contains(out, "/etc/sshnotify/conf.d/wrong.toml:2") {
		t.Errorf("the watcher's log:\n%s", out)
	}
	g.run("rm", "/etc/sshnotify/conf.d/wrong.toml")
	g.run("systemctl", "reload", "sshnotify-watch")

	// An older version's user was let into the group: an update takes it out.
	g.run("gpasswd", "-a", "sshnotify-watch", "sshnotify")
	if failed := g.doctor(); len(failed) != 1 || !strings.Contains(failed[0], "may read the secrets") {
		t.Errorf("doctor: %q", failed)
	}
	g.run("dpkg", "--install", "/opt/sshnotify.deb")
	if out := g.run("id", "-Gn", "sshnotify-watch"); strings.Contains(" "+strings.TrimSpace(out)+" ", " sshnotify ") {
		t.Errorf("after an update it is in %s", out)
	}
}
