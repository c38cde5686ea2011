package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packed makes the package, once for all guests, and returns its place.
var packed = sync.OnceValues(func() (string, error) {
	if err := errors.Join(trial.files(context.Background(), "build"), trial.pack(context.Background(), "build", []string{"deb"}, "amd64", "")); err != nil {
		return "", err
	}
	all, err := filepath.Glob("build/sshnotify_*.deb")
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("there are %q", all)
	}
	return strings.Join(all, ""), err
})

// put copies the package into the guest and returns its place there.
func (g *guest) put() string {
	g.t.Helper()
	deb, err := packed()
	if err != nil {
		g.t.Fatal(err)
	}
	g.onHost("cp", deb, filepath.Join(g.dir, "opt/sshnotify.deb"))
	return "/opt/sshnotify.deb"
}

// doctor returns the checks of the host's set-up that failed.
func (g *guest) doctor() (failed []string) {
	g.t.Helper()
	out, _ := g.try("sshnotify", "doctor", "--system", "--json")
	var doc struct {
		Checks []struct{ Name, State, Message string }
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || len(doc.Checks) < 10 {
		g.t.Fatalf("doctor: %v\n%s", err, out)
	}
	for _, c := range doc.Checks {
		if c.State == "fail" {
			failed = append(failed, c.Name+": "+c.Message)
		}
	}
	return failed
}

// A stranger's way from a package to the first message and back, on a host
// that is real in all its parts.
func TestWholeHost(t *testing.T) {
	g := newGuest(t)
	before := g.etc()
	deb := g.put()

	g.run("dpkg", "--install", deb)
	if got := g.run("systemctl", "is-active", "sshnotify"); got != "active\n" {
		t.Errorf("the service is %s", got)
	}
	after := g.etc()
	for name := range after {
		if strings.HasPrefix(name, "pam.d/") && after[name] != before[name] {
			t.Errorf("the package changes %s, unasked", name)
		}
	}
	if len(g.doctor()) == 0 {
		t.Error("doctor finds nothing wrong with a host whose logins nobody tells of")
	}

	webhook := filepath.Join(g.dir, "root/slack.url")
	if err := os.WriteFile(webhook, []byte(g.reachSlack()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", g.run("sshnotify", "install", "--system", "--yes", "--test", "--webhook-url-file", "/root/slack.url")) // sends a test message
	g.told(1)
	set := g.etc()
	g.run("sshnotify", "install", "--system", "--yes", "--webhook-url-file", "/root/slack.url")
	if diff := cmp.Diff(set, g.etc()); diff != "" {
		t.Errorf("installing twice is not the same as once:\n%s", diff)
	}
	if failed := g.doctor(); len(failed) > 0 {
		t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}

	g.login()
	if m := g.told(2); !strings.Contains(m, "*Connected from IP:* "+g.hostEnd) || !strings.Contains(m, "&gt;alice&lt;") || !strings.Contains(m, "db1.example.com") {
		t.Errorf("the login's message: %s", m)
	}

	// The service, locked in as it is, remembers; root reads along.
	if out := g.run("sshnotify", "history", "--user", "alice"); !strings.Contains(out, g.hostEnd) {
		t.Errorf("remembered is: %s", out)
	}
	g.run("sshnotify", "history", "import")
	if st, err := os.Stat(filepath.Join(g.dir, "var/lib/sshnotify/history.db")); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("the memory's file: %v %v", st, err)
	}

	// Another door.
	g.run("sshnotify", "install", "--system", "--yes", "--services", "sshd,su")
	g.run("su", "--login", "alice", "--command", "true")
	if m := g.told(3); !strings.Contains(m, "New su to &gt;alice&lt; by &gt;root&lt; on &gt;db1.example.com&lt;") {
		t.Errorf("su's message: %s", m)
	}

	// From here on each login has a message of its own.
	own := filepath.Join(g.dir, "etc/sshnotify/conf.d/window.toml")
	if err := os.WriteFile(own, []byte("notify = \"all\"\n[group]\nwindow = \"0s\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	g.run("systemctl", "reload", "sshnotify")

	// logind ends all that a session leaves behind.
	g.run("sh", "-c", "mkdir -p /run/systemd/logind.conf.d && printf '[Login]\\nKillUserProcesses=yes\\n' >/run/systemd/logind.conf.d/kill.conf && systemctl restart systemd-logind")
	g.login()
	g.told(4)

	// A session outlives sshd's restart; the one that begins while nobody
	// tells is told later.
	g.run("systemctl", "stop", "sshnotify")
	long := g.ssh("echo in; sleep 1000")
	said, err := long.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := long.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := said.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	g.run("systemctl", "restart", "ssh")
	g.login()
	if n := len(g.slack.Messages()); n != 4 {
		t.Errorf("%d messages from a service that is stopped", n-4)
	}
	g.run("systemctl", "start", "sshnotify")
	g.told(6)
	long.Process.Kill()
	long.Wait()

	// Slack is away, and then the whole host. What it has taken is written down first:
	// an answer that is lost is asked for again.
	g.eventually("queue that is empty", func() bool {
		out, _ := g.try("sshnotify", "queue", "list")
		return strings.Contains(out, "nothing waits")
	})
	g.unreachSlack()
	g.login()
	g.eventually("event that waits", func() bool {
		out, _ := g.try("sshnotify", "queue", "list")
		return strings.Contains(out, "alice")
	})
	g.reboot()
	g.reachSlack()
	if m := g.told(7); !strings.Contains(m, g.hostEnd) {
		t.Errorf("after a reboot: %s", m)
	}

	// Debian's own way: the profile that the package brings, enabled by name.
	if set["pam.d/sshd"] != before["pam.d/sshd"] {
		t.Error("openssh-server's own /etc/pam.d/sshd is another")
	}
	g.run("sshnotify", "uninstall", "--system")
	g.login()
	g.run("pam-auth-update", "--enable", "sshnotify")
	g.run("systemctl", "enable", "--now", "sshnotify")
	g.login()
	g.told(8)

	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	g.run("sshnotify", "uninstall", "--system", "--purge", "--yes")
	g.login() // nobody is told, and nothing is in the way
	if got := g.run("stat", "-c", "%a %U:%G", "/etc/sshnotify/config.toml"); got != "640 root:sshnotify\n" {
		t.Errorf("the package's service could not read the settings that stay: %s", got)
	}
	g.run("dpkg", "--purge", "sshnotify")
	if diff := cmp.Diff(before, g.etc()); diff != "" {
		t.Errorf("something is left in /etc:\n%s", diff)
	}
	for _, left := range []string{"var/spool/sshnotify", "var/lib/sshnotify", "run/sshnotify", "usr/bin/sshnotify", "usr/share/doc/sshnotify"} {
		if _, err := os.Lstat(filepath.Join(g.dir, left)); err == nil {
			t.Errorf("%s is left", left)
		}
	}
	if n := len(g.slack.Messages()); n != 8 {
		t.Errorf("%d messages, not 8; the last: %s", n, g.slack.Messages()[n-1].Raw)
	}
}
