package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// olderCommit is a release from before the hook was a program of its own, the
// events had typed bodies, and one database held all that a worker must know.
const olderCommit = "0bded0cdab00"

// olderPackage builds the package of olderCommit and returns its path.
func olderPackage(t *testing.T) string {
	t.Helper()
	if err := exec.Command("git", "cat-file", "-e", olderCommit+"^{commit}").Run(); err != nil {
		t.Skipf("NOTICE: skipped, the history here does not reach back to %s", olderCommit)
	}
	dir := t.TempDir()
	build := exec.Command("sh", "-ec", `git archive "$1" | tar -x -C "$2"; cd "$2"; go run ./internal/release package --format deb --release 0.9.0`, "sh", olderCommit, dir)
	build.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1790000000", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the older package: %v\n%s", err, out)
	}
	all, err := filepath.Glob(filepath.Join(dir, "build/sshnotify_*.deb"))
	if err != nil || len(all) != 1 {
		t.Fatalf("%v %v", all, err)
	}
	return all[0]
}

// An older package with all that it can do in use is upgraded while logins wait:
// they are told, and so is the next one; what is remembered stays; and all of it
// can be taken out again.
func TestUpgradedHost(t *testing.T) {
	older := olderPackage(t)
	g := newGuest(t)
	before := g.etc()
	g.write("root/slack.url", g.reachSlack()+"\n", 0o600)
	g.onHost("cp", older, filepath.Join(g.dir, "opt/older.deb"))
	g.run("dpkg", "--install", "/opt/older.deb")
	g.run("sshnotify", "install", "--system", "--watch", "--yes", "--webhook-url-file", "/root/slack.url")
	g.write("etc/sshnotify/conf.d/window.toml", "[group]\nwindow = \"0s\"\n", 0o644) // the service must be able to read it
	g.run("systemctl", "reload", "sshnotify")
	g.login()
	g.told(1)
	g.run("systemctl", "stop", "sshnotify")
	g.login()
	g.login()
	if !strings.Contains(g.read("etc/pam.d/common-session"), "/usr/bin/sshnotify hook") {
		t.Fatal("the older package's line is not where it is looked for")
	}
	if n := len(g.slack.Messages()); n != 1 {
		t.Fatalf("%d messages from a service that is stopped", n-1)
	}

	own := g.read("etc/sshnotify/config.toml")
	t.Logf("%s", g.run("dpkg", "--install", g.put()))
	g.run("systemctl", "start", "sshnotify")
	g.keptSettings(own)
	if m := g.told(3); !strings.Contains(m, "&gt;alice&lt;") || !strings.Contains(m, "publickey ED25519") || strings.Contains(m, "first login of this user") {
		t.Errorf("a login that waited: %s", m)
	}
	g.login()
	if m := g.told(4); !strings.Contains(m, "publickey ED25519") || strings.Contains(m, "first login of this user") {
		t.Errorf("the first login after the upgrade: %s", m)
	}
	if out := g.run("sshnotify", "history", "--user", "alice"); !strings.Contains(out, g.hostEnd) {
		t.Errorf("remembered is: %s", out)
	}
	if got := g.read("etc/pam.d/common-session"); !strings.Contains(got, "/usr/libexec/sshnotify/hook") || strings.Contains(got, "sshnotify hook") {
		t.Errorf("the hook's line is not brought up to date:\n%s", got)
	}
	if failed := g.doctor(); len(failed) > 0 {
		t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}

	// The older line is not lost, and install brings it up to date as well.
	for _, file := range []string{"etc/pam.d/common-session", "var/lib/pam/session"} {
		g.write(file, strings.Replace(g.read(file), "/usr/libexec/sshnotify/hook", "/usr/bin/sshnotify hook", 1), 0o644)
	}
	g.login()
	g.told(5)
	if failed := g.doctor(); len(failed) > 0 {
		t.Errorf("doctor does not take the older line: %s", strings.Join(failed, "\n"))
	}

	// An older program, and what the newer one has written.
	g.run("systemctl", "stop", "sshnotify")
	g.run("dpkg-deb", "-x", "/opt/older.deb", "/opt/older")
	sum := g.run("sha256sum", "/var/lib/sshnotify/history.db")
	if out, err := g.try("/opt/older/usr/bin/sshnotify", "history", "--user", "alice"); err == nil || !strings.Contains(out, "newer") {
		t.Errorf("an older program reads a newer one's memory: %v\n%s", err, out)
	}
	if got := g.run("sha256sum", "/var/lib/sshnotify/history.db"); got != sum {
		t.Errorf("an older program changed it: %s, not %s", got, sum)
	}
	g.run("systemctl", "start", "sshnotify")
	g.login()
	g.told(6)

	// A logout is told where its login was medium, as before; and each login, though
	// they are many.
	g.write("etc/sshnotify/conf.d/rule.toml", "ordinary_per_day = 1\n[[rule]]\nuser = \"alice\"\nseverity = \"medium\"\n", 0o644)
	g.run("systemctl", "reload", "sshnotify")
	g.login()
	if m := g.told(8); !strings.Contains(m, "End of the SSH session") {
		t.Errorf("the message after a medium login: %s", m)
	}

	// The digest offers what new installations have, and says where.
	at := strings.TrimSpace(g.run("date", "--date", "+90 seconds", "+%H:%M"))
	g.write("etc/sshnotify/conf.d/rule.toml", fmt.Sprintf("[digest]\nhour = %q\n", at), 0o644)
	g.run("systemctl", "reload", "sshnotify")
	if m := g.told(9); !strings.Contains(m, `notify = \"auto\" in /etc/sshnotify/upgraded.toml`) {
		t.Errorf("the first digest: %s", m)
	}
	g.run("rm", "/etc/sshnotify/conf.d/rule.toml")

	g.run("sshnotify", "install", "--system", "--watch", "--yes", "--webhook-url-file", "/root/slack.url")
	if got := g.read("etc/pam.d/common-session"); !strings.Contains(got, "/usr/libexec/sshnotify/hook") {
		t.Errorf("install leaves the older line:\n%s", got)
	}
	if err := os.Remove(filepath.Join(g.dir, "etc/sshnotify/conf.d/window.toml")); err != nil {
		t.Fatal(err)
	}
	g.run("sshnotify", "uninstall", "--system", "--purge", "--yes")
	g.login()
	g.run("dpkg", "--purge", "sshnotify")
	g.gone(before)
	if n := len(g.slack.Messages()); n != 9 {
		t.Errorf("%d messages, not 9; the last: %s", n, g.slack.Messages()[n-1].Raw)
	}
}

// keptSettings says what an upgrade has to have written into the settings, on a
// host whose own file says nothing of it.
func (g *guest) keptSettings(own string) {
	g.t.Helper()
	if got := g.run("stat", "-c", "%a %U:%G", "/etc/sshnotify/upgraded.toml"); got != "640 root:sshnotify\n" {
		g.t.Errorf("upgraded.toml is %s", got)
	}
	for _, want := range []string{"notify = \"all\"\n", "[login]\nnotify_logout = \"alerted\"\n", "[history]\nlearning = \"7d\"\n"} {
		if got := g.read("etc/sshnotify/upgraded.toml"); !strings.Contains(got, want) {
			g.t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	if out := g.run("sshnotify", "config", "check"); !strings.Contains(out, "told: every login\n") || !strings.Contains(out, "kept by an upgrade: notify, history.learning, login.notify_logout (/etc/sshnotify/upgraded.toml)") {
		g.t.Errorf("config check: %s", out)
	}
	if got := g.read("etc/sshnotify/config.toml"); strings.Contains(own, "\n[") && got != own {
		g.t.Errorf("the administrator's file is another:\n%s", got)
	}
}
