package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// olderCommit is a release from before the hook was a program of its own, the
// events had typed bodies, and one database held all that a worker must know.
const olderCommit = "0bded0cdab00"

// olderBuilt builds the package of olderCommit, once for all guests, and returns its
// place.
var olderBuilt = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(made), "older")
	build := exec.Command("sh", "-ec", `mkdir "$2"; git archive "$1" | tar -x -C "$2"; cd "$2"; go run ./internal/release package --format deb --release 0.9.0`, "sh", olderCommit, dir)
	build.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1790000000", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	all, err := filepath.Glob(filepath.Join(dir, "build/sshnotify_*.deb"))
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("there are %q", all)
	}
	return strings.Join(all, ""), err
})

// putOlder copies the older package into the guest, as /opt/older.deb.
func (g *guest) putOlder() {
	g.t.Helper()
	if err := exec.Command("git", "cat-file", "-e", olderCommit+"^{commit}").Run(); err != nil {
		g.t.Skipf("NOTICE: skipped, the history here does not reach back to %s", olderCommit)
	}
	older, err := olderBuilt()
	if err != nil {
		g.t.Fatal(err)
	}
	g.onHost("cp", older, filepath.Join(g.dir, "opt/older.deb"))
}

// An older package with all that it can do in use is upgraded while logins wait:
// they are told, and so is the next one; what is remembered stays; and all of it
// can be taken out again.
func TestUpgradedHost(t *testing.T) {
	g := newGuest(t)
	g.putOlder()
	before := g.etc()
	g.write("root/slack.url", g.reachSlack()+"\n", 0o600)
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
	told := g.wayBack(9)
	if err := os.Remove(filepath.Join(g.dir, "etc/sshnotify/conf.d/window.toml")); err != nil {
		t.Fatal(err)
	}
	g.run("sshnotify", "uninstall", "--system", "--purge", "--yes")
	g.login()
	g.run("dpkg", "--purge", "sshnotify")
	g.gone(before)
	if n := len(g.slack.Messages()); n != told {
		t.Errorf("%d messages, not %d; the last: %s", n, told, g.slack.Messages()[n-1].Raw)
	}
}

// wayBack installs the older package over the newer one, with the second step in use,
// and once more as docs/one-host.md has it where no dpkg is. Each time logins are told,
// by each of the two. It returns how many messages there are then: that somebody did
// not get past the second step may be one.
func (g *guest) wayBack(told int) int {
	g.t.Helper()
	newer := func() {
		g.t.Helper()
		g.run("dpkg", "--install", "/opt/sshnotify.deb")
		g.login()
		told++
		if m := g.told(told); strings.Contains(m, "first login of") {
			g.t.Errorf("what was remembered is not known any more: %s", m)
		}
		if failed := g.doctor(); len(failed) > 0 {
			g.t.Errorf("doctor: %s", strings.Join(failed, "\n"))
		}
	}
	g.write("etc/sshnotify/gate.toml", "[gate]\nwhen = \"always\"\n", 0o600)
	g.run("sshnotify", "gate", "recovery", "alice")
	g.run("sshnotify", "install", "--system", "--gate", "--yes", "--no-wait")
	if out, err := g.ssh("true").CombinedOutput(); err == nil {
		g.t.Errorf("a login without its second step: %s", out)
	}
	before := len(g.slack.Messages())
	out := g.run("dpkg", "--install", "/opt/older.deb")
	g.t.Logf("%s", out)
	for _, want := range []string{"can't read what 1.2.3-1 remembers", "logins need no second step any more"} {
		if !strings.Contains(out, want) {
			g.t.Errorf("dpkg does not say that %s:\n%s", want, out)
		}
	}
	if out, _ := g.try("grep", "-rl", "/usr/libexec/sshnotify", "/etc/pam.d", "/var/lib/pam"); out != "" {
		g.t.Errorf("PAM runs what is gone: %s", out)
	}
	g.login()
	told = before + 1
	g.told(told)
	g.run("rm", "/etc/sshnotify/gate.toml")
	newer()

	g.run("sshnotify", "uninstall", "--system", "--yes")
	g.run("dpkg", "--install", "/opt/older.deb")
	g.run("sshnotify", "install", "--system", "--watch", "--yes")
	g.login()
	told++
	g.told(told)
	newer()
	return told
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

// An account's own set-up, without root: its program is replaced while a login waits,
// by an older one again, and by the newer one for good.
func TestUpgradedAccountHost(t *testing.T) {
	g := newGuest(t)
	g.putOlder()
	g.run("dpkg-deb", "-x", "/opt/older.deb", "/opt/older")
	g.run("dpkg-deb", "-x", g.put(), "/opt/newer")
	own := g.read("home/alice/.bashrc")
	replace := func(version string) {
		t.Helper()
		g.asAlice("install -D /opt/" + version + "/usr/bin/sshnotify .local/bin/.new && mv .local/bin/.new .local/bin/sshnotify")
	}
	idle := func() {
		t.Helper()
		g.eventually("worker that is done", func() bool {
			_, err := g.try("pgrep", "-f", "sshnotify deliver")
			return err != nil
		})
	}

	replace("older")
	g.asAlice("umask 077; echo '" + g.reachSlack() + "' >slack.url")
	g.asAlice(".local/bin/sshnotify install --yes --webhook-url-file slack.url")
	g.asAlice("mkdir -p .config/sshnotify/conf.d && printf '[group]\nwindow = \"0s\"\n' >.config/sshnotify/conf.d/window.toml")
	g.login()
	g.told(1)
	idle()
	g.unreachSlack()
	g.login()
	g.eventually("login that waits", func() bool {
		out, _ := g.alice(".local/bin/sshnotify queue")
		return strings.Contains(out, g.hostEnd)
	})

	// The older worker waits, and can't read what the newer hook writes: install has
	// another go on.
	replace("newer")
	g.reachSlack()
	g.login()
	for _, command := range []string{"install --yes", "doctor", "config check"} {
		out, err := g.alice(".local/bin/sshnotify " + command)
		if t.Logf("$ sshnotify %s\n%s", command, out); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	if m := g.told(3); strings.Contains(m, "first login of") {
		t.Errorf("the first login after the upgrade: %s", m)
	}
	idle()
	if out, err := g.alice(".local/bin/sshnotify config check"); err != nil || !strings.Contains(out, "told: every login\n") {
		t.Errorf("%v: how logins are told is not as before: %s", err, out)
	}
	logins := func(want int) {
		t.Helper()
		if out, err := g.alice(".local/bin/sshnotify history"); err != nil || strings.Count(out, g.hostEnd) != want {
			t.Errorf("%v, not %d logins: %s", err, want, out)
		}
	}
	logins(3)

	// The older program again: it tells, and leaves alone what it can't read.
	replace("older")
	sum := g.run("sh", "-c", "sha256sum /home/alice/.local/state/sshnotify/*/history.db")
	if out, err := g.alice(".local/bin/sshnotify history"); err == nil || !strings.Contains(out, "written by a newer sshnotify") {
		t.Errorf("an older program reads a newer one's memory: %v\n%s", err, out)
	}
	g.login()
	g.told(4)
	idle()
	if got := g.run("sh", "-c", "sha256sum /home/alice/.local/state/sshnotify/*/history.db"); got != sum {
		t.Errorf("an older program changed it: %s, not %s", got, sum)
	}
	replace("newer")
	logins(3)
	g.login()
	g.told(5)
	idle()
	logins(4)

	g.asAlice("rm .config/sshnotify/conf.d/window.toml; .local/bin/sshnotify uninstall --purge --yes")
	if got := g.read("home/alice/.bashrc"); got != own {
		t.Errorf("her .bashrc is not as it was:\n%s", got)
	}
	g.login()
	if n := len(g.slack.Messages()); n != 5 {
		t.Errorf("%d messages, not 5", n)
	}
}
