package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unowned are the files that belong to nobody.
func (g *guest) unowned() string {
	g.t.Helper()
	return g.run("find", "/", "/run", "/tmp", "/dev/shm", "-xdev", "(", "-nouser", "-o", "-nogroup", ")")
}

// gone says what of sshnotify is left on a host without it.
func (g *guest) gone(before map[string]string) {
	g.t.Helper()
	if diff := cmp.Diff(before, g.etc()); diff != "" {
		g.t.Errorf("/etc is not as it was:\n%s", diff)
	}
	if left := g.unowned(); left != "" {
		g.t.Errorf("the next user may get:\n%s", left)
	}
	for _, left := range []string{
		"var/spool/sshnotify", "var/lib/sshnotify", "var/lib/sshnotify-watch", "run/sshnotify", "run/sshnotify-watch", "run/sshnotify-watch.json",
		"var/lib/sshnotify-gate", "var/lib/sshnotify-codes", "var/lib/private/sshnotify-codes",
		"usr/bin/sshnotify", "usr/share/pam-configs/sshnotify",
	} {
		if _, err := os.Lstat(filepath.Join(g.dir, left)); err == nil {
			g.t.Errorf("%s is left", left)
		}
	}
	if out, _ := g.try("grep", "-rl", "sshnotify", "/etc/pam.d", "/etc/passwd", "/etc/group", "/var/lib/pam", "/usr/share/pam-configs"); out != "" {
		g.t.Errorf("names sshnotify still:\n%s", out)
	}
}

// A package that is purged while all that it can do is in use, without
// sshnotify uninstall before.
func TestPurgedHost(t *testing.T) {
	g := newGuest(t)
	g.write("etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\nDefaults !fqdn\n", 0o440)
	g.run("sh", "-c", "echo root:root-password | chpasswd")
	before := g.etc()
	g.write("root/slack.url", g.reachSlack()+"\n", 0o600)
	install := []string{"sshnotify", "install", "--system", "--watch", "--services", "sshd,su,sudo,login", "--yes", "--webhook-url-file", "/root/slack.url"}
	deb := g.put()
	g.run("dpkg", "--install", deb)
	// An older version's line in openssh-server's own file is moved.
	g.write("etc/pam.d/sshd", strings.Replace(g.read("etc/pam.d/sshd"), "# Create a new",
		"session optional pam_exec.so quiet /usr/bin/sshnotify hook --spool /var/spool/sshnotify --no-worker\n# Create a new", 1), 0o644)
	t.Logf("%s", g.run(install...))
	set := g.etc()
	g.run(install...)
	if diff := cmp.Diff(set, g.etc()); diff != "" {
		t.Errorf("installing twice is not the same as once:\n%s", diff)
	}
	if set["pam.d/sshd"] != before["pam.d/sshd"] {
		t.Error("openssh-server's conffile is another")
	}
	if failed := g.doctor(); len(failed) > 0 {
		t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}
	g.write("etc/sshnotify/conf.d/window.toml", "notify = \"all\"\n[group]\nwindow = \"0s\"\n", 0o644) // the service must be able to read it
	g.run("systemctl", "reload", "sshnotify")

	told := 1
	g.login()
	g.told(told)

	// What alice sets for herself keeps nobody from being told that she became
	// root. Where the guest's root may lift no limit, she lowers soft ones.
	soft := "S"
	if _, err := g.try("sh", "-c", "ulimit -v 500000; exec prlimit --as=unlimited true"); err == nil {
		soft = ""
	}
	for _, limit := range []string{"true", "ulimit -%sv 500000", "ulimit -%sf 0", "ulimit -t 1", "ulimit -n 16", "ulimit -s 128", "ulimit -c 0; trap '' HUP INT TERM XCPU XFSZ"} {
		if strings.Contains(limit, "%s") {
			limit = fmt.Sprintf(limit, soft)
		}
		for _, door := range []string{"sudo", "su"} {
			become := "sudo true"
			if door == "su" {
				become = "echo root-password | su --command true"
			}
			if out, err := g.alice(limit + "; " + become); err != nil {
				t.Errorf("%s, %s: %v %s", limit, door, err, out)
				continue
			}
			told++
			if m := g.told(told); !strings.Contains(m, "New "+door+" to &gt;root&lt; by &gt;alice&lt;") {
				t.Errorf("%s, %s: the message: %s", limit, door, m)
			}
		}
	}
	if out, _ := g.try("sshnotify", "queue", "--json"); strings.Contains(out, "dead") {
		t.Errorf("queue: %s", out)
	}

	// A profile that is there for all services tells of none but sshd.
	n := len(g.slack.Messages())
	g.run("sh", "-c", "sed -i '/^session.*sshnotify/d' /etc/pam.d/su && su --login alice --command true")
	g.login()
	g.told(n + 1)

	// The same package again, as on a host where an earlier one was in use: it says
	// how logins were told, where the settings don't.
	g.run("sh", "-c", "systemctl stop sshnotify && rm /var/lib/sshnotify/history.db* && install -o sshnotify -g sshnotify -m 600 /dev/null /var/lib/sshnotify/told-00000000.jsonl")
	g.run("dpkg", "--install", deb)
	if got := g.read("etc/sshnotify/upgraded.toml"); !strings.Contains(got, "notify_logout = \"alerted\"") || strings.Contains(got, "\nnotify =") {
		t.Errorf("upgraded.toml: %s", got)
	}
	if failed := g.doctor(); len(failed) > 0 {
		t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}

	// What its owner put there is kept, for root; what the users own elsewhere
	// is root's.
	g.write("etc/sshnotify/mine.key", "a secret\n", 0o640)
	g.run("chgrp", "sshnotify", "/etc/sshnotify/mine.key")
	g.write("srv/by-the-watcher", "x\n", 0o644)
	g.run("chown", "sshnotify-watch:sshnotify", "/srv/by-the-watcher")
	g.write("srv/by-alice", "x\n", 0o640)
	g.run("chown", "alice:sshnotify-watch", "/srv/by-alice")
	t.Logf("%s", g.run("apt-get", "purge", "--yes", "sshnotify"))
	if got := g.run("stat", "-c", "%a %U:%G", "/etc/sshnotify", "/etc/sshnotify/mine.key", "/srv/by-the-watcher", "/srv/by-alice"); got != "700 root:root\n600 root:root\n644 root:root\n640 alice:root\n" {
		t.Errorf("what is left: %s", got)
	}
	if _, err := os.Lstat(filepath.Join(g.dir, "etc/sshnotify/upgraded.toml")); err == nil {
		t.Error("what an upgrade wrote is left")
	}
	g.run("rm", "-r", "/etc/sshnotify", "/srv/by-the-watcher", "/srv/by-alice")
	g.gone(before)
	since := strings.TrimSpace(g.run("date", "+%s"))
	g.login()
	if out, err := g.alice("sudo true && echo root-password | su --command true"); err != nil {
		t.Errorf("without it: %v %s", err, out)
	}
	if out := g.run("journalctl", "--no-pager", "--since", "@"+since); strings.Contains(out, "pam_exec") {
		t.Errorf("a login without it: %s", out)
	}

	// Files that an administrator changed are left alone by pam-auth-update: then
	// sshd's own gets the line, and gives it back.
	own := strings.Replace(g.read("etc/pam.d/common-session"), "session\toptional\tpam_systemd.so", "session\toptional\tpam_umask.so\nsession\toptional\tpam_systemd.so", 1)
	g.write("etc/pam.d/common-session", own, 0o644)
	edited := g.etc()
	g.run("dpkg", "--install", deb)
	if out := g.run(install...); !strings.Contains(out, "/etc/pam.d/sshd gets a line of its own") {
		t.Errorf("install: %s", out)
	}
	if failed := g.doctor(); len(failed) > 0 {
		t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}
	told = len(g.slack.Messages()) + 1
	g.login()
	g.told(told)

	// Removed, it is told of nobody and in nobody's way; the settings stay, and
	// installed again it is as before.
	g.run("dpkg", "--remove", "sshnotify")
	if out, _ := g.try("grep", "-rl", "sshnotify", "/etc/pam.d"); out != "" {
		t.Errorf("removed, and still in %s", out)
	}
	g.run("dpkg", "--install", deb)
	if got := g.run("systemctl", "is-active", "sshnotify"); got != "active\n" {
		t.Errorf("the service is %s", got)
	}
	g.run(install...)
	g.run("dpkg", "--purge", "sshnotify")
	g.gone(edited)
	g.run("cp", "/usr/share/pam/common-session", "/etc/pam.d/common-session")
	g.run("env", "DEBIAN_FRONTEND=noninteractive", "pam-auth-update", "--force")
	g.run("sh", "-c", "rm -f /etc/pam.d/*.pam-old")
	if diff := cmp.Diff(before, g.etc()); diff != "" {
		t.Fatalf("the guest is not as it was:\n%s", diff)
	}

	// The program alone brings the profile, too, and takes it out.
	g.onHost("cp", "build/linux_amd64/bin/sshnotify", filepath.Join(g.dir, "root/sshnotify"))
	install[0] = "/root/sshnotify"
	g.run(install...)
	if failed := g.doctor(); len(failed) > 0 || !strings.Contains(g.read("etc/pam.d/common-session"), "sshnotify hook") {
		t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}
	g.run("/root/sshnotify", "uninstall", "--system", "--purge", "--yes")
	g.gone(before)

	// The last step fails: it was not there.
	g.write("etc/systemd/system/sshnotify-watch.service.d/no.conf", "[Service]\nRestart=no\nExecStartPre=/bin/sh -c 'touch /run/sshnotify-watch/x /var/lib/sshnotify-watch/x; false'\n", 0o644)
	before = g.etc()
	if out, err := g.try(install...); err == nil || !strings.Contains(out, "taken back") {
		t.Errorf("with a watcher that can't start: %v %s", err, out)
	} else {
		t.Logf("%s", out)
	}
	g.run("rm", "-r", "/etc/systemd/system/sshnotify-watch.service.d")
	for name := range before {
		if strings.HasPrefix(name, "systemd/system/sshnotify-watch.service.d") {
			delete(before, name)
		}
	}
	if out, _ := g.try("grep", "-rl", "sshnotify", "/etc/passwd", "/etc/group", "/etc/pam.d"); out != "" {
		t.Errorf("left in %s", out)
	}
	g.gone(before)
}
