package main

import (
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
)

// The watcher as a service: real systemd, journal and sshd, and what its
// hardening leaves of the host.
func TestWatchedHost(t *testing.T) {
	g := newGuest(t)
	g.run("sh", "-c", "useradd --create-home --shell /bin/bash carol && echo carol:carols-password | chpasswd")
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
		c.Args[len(c.Args)-2] = user + "@" + g.guestEnd
		if out, err := c.CombinedOutput(); err == nil {
			t.Fatalf("%s got in: %s", user, out)
		}
	}
	g.login()
	g.critical("&gt;alice&lt;")
	if n := len(g.slack.Messages()); n > 2 {
		t.Errorf("%d messages of one login", n)
	}

	g.eventually("doctor that is content with the watcher", func() bool { return len(g.doctor()) == 0 })
	g.logOfFTP()
	g.publish()
	g.replays()

	// What somebody could do who broke the watcher.
	pid := strings.TrimSpace(g.run("systemctl", "show", "-p", "MainPID", "--value", "sshnotify-watch"))
	as := func(command string) (string, error) {
		return g.try("nsenter", "--target", pid, "--mount", "--net", "--", "setpriv", "--reuid=sshnotify-watch", "--regid=sshnotify-watch",
			"--groups=adm,systemd-journal", "--no-new-privs", "--bounding-set=-all", "sh", "-c", command)
	}
	for _, command := range []string{
		"touch /var/spool/sshnotify/new/x", "ls /var/spool/sshnotify/new", "ls /var/spool/sshnotify/cur", "ls /run/sshnotify",
		"touch /var/spool/sshnotify/watch/x", "touch /var/lib/sshnotify/x", "touch /etc/sshnotify/x", "cat /etc/sshnotify/config.toml", "touch /tmp/../var/tmp/../log/x",
		"ls /root", "ls /home/alice", "echo >/dev/tcp/" + g.hostEnd + "/22",
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

	g.run("rm", "/etc/sshnotify/conf.d/publish.toml") // what its owner wrote stays
	g.run("sshnotify", "uninstall", "--system", "--purge", "--yes")
	g.run("dpkg", "--purge", "sshnotify")
	if diff := cmp.Diff(before, g.etc()); diff != "" {
		t.Errorf("something is left in /etc:\n%s", diff)
	}
	for _, left := range []string{"var/spool/sshnotify", "var/lib/sshnotify", "var/lib/sshnotify-watch", "run/sshnotify", "run/sshnotify-watch", "srv/www"} {
		if _, err := os.Lstat(filepath.Join(g.dir, left)); err == nil {
			t.Errorf("%s is left", left)
		}
	}
}

// ftp logs in to the guest's vsftpd, and reports whether that let carol in.
func (g *guest) ftp(password string) bool {
	g.t.Helper()
	wire, err := net.DialTimeout("tcp", g.guestEnd+":21", 20*time.Second)
	if err != nil {
		g.t.Fatal(err)
	}
	wire.SetDeadline(time.Now().Add(time.Minute))
	c := textproto.NewConn(wire)
	defer c.Close()
	for _, step := range []struct {
		say  string
		want int
	}{{"", 220}, {"USER carol", 331}} {
		if step.say != "" {
			err = c.PrintfLine("%s", step.say)
		}
		if err == nil {
			_, _, err = c.ReadResponse(step.want)
		}
		if err != nil {
			g.t.Fatalf("%s: %v", step.say, err)
		}
	}
	if err := c.PrintfLine("PASS %s", password); err != nil {
		g.t.Fatal(err)
	}
	code, _, err := c.ReadResponse(0)
	if err != nil {
		g.t.Fatal(err)
	}
	return code == 230
}

// logOfFTP: Debian's vsftpd makes its log at the first session, as root's alone.
// Install and doctor say so, with the command that opens it; then it is read from its
// start, without a restart, and on after logrotate made another.
func (g *guest) logOfFTP() {
	g.t.Helper()
	const closed = "/var/log/vsftpd.log: sshnotify-watch may not read it (/var/log/vsftpd.log is 0600 root:"
	if g.ftp("wrong") {
		g.t.Fatal("carol is in")
	}
	if out := g.run("sshnotify", "install", "--system", "--yes"); !strings.Contains(out, closed) {
		g.t.Errorf("install says nothing of a closed log:\n%s", out)
	}
	g.eventually("word of doctor's of a closed log", func() bool { return strings.Contains(strings.Join(g.doctor(), "\n"), closed) })
	out, _ := g.try("sshnotify", "doctor", "--system")
	hint := regexp.MustCompile(`(?m)^  hint: (sudo chgrp .*vsftpd\.log)$`).FindStringSubmatch(out)
	if hint == nil {
		g.t.Fatalf("no hint:\n%s", out)
	}
	g.run("sh", "-c", hint[1])
	g.eventually("doctor that is content with vsftpd's log", func() bool { return len(g.doctor()) == 0 })
	for range 4 {
		g.ftp("wrong")
	}
	// What logrotate does by the package's rule.
	g.run("sh", "-c", "cd /var/log && mv vsftpd.log vsftpd.log.1 && install -m 640 -g adm /dev/null vsftpd.log")
	if g.ftp("wrong"); !g.ftp("carols-password") {
		g.t.Error("carol is not in")
	}
	// Of sshd's six and vsftpd's six, which PAM's lines in the journal do not double.
	if text := g.critical("&gt;carol&lt;"); !strings.Contains(text, "after 12 failures") {
		g.t.Errorf("carol's login: %s", text)
	}
	if failed := g.doctor(); len(failed) > 0 {
		g.t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}
}

// publish: the folder of [publish] is closed to the watcher until install opens it.
func (g *guest) publish() {
	g.t.Helper()
	g.write("etc/sshnotify/conf.d/publish.toml", "[publish]\nfile = \"/srv/www/attackers\"\n", 0o644)
	const missing = "/srv/www/attackers: not there"
	if out, err := g.try("sshnotify", "config", "check"); err != nil || !strings.Contains(out, missing) || !strings.Contains(out, "hint: sudo sshnotify install --system --watch") {
		g.t.Errorf("config check: %v\n%s", err, out)
	}
	if failed := strings.Join(g.doctor(), "\n"); !strings.Contains(failed, missing) {
		g.t.Errorf("doctor: %s", failed)
	}
	g.t.Logf("%s", g.run("sshnotify", "install", "--system", "--yes"))
	g.eventually("page", func() bool {
		out, _ := g.try("stat", "-c", "%U %a", "/srv/www/attackers/index.html", "/srv/www/attackers/feed.json")
		return out == "sshnotify-watch 644\nsshnotify-watch 644\n"
	})
	if out, err := g.try("sshnotify", "config", "check"); err != nil || strings.Contains(out, "publish.file") {
		g.t.Errorf("config check: %v\n%s", err, out)
	}
	g.eventually("doctor that is content with the folder", func() bool { return len(g.doctor()) == 0 })
	g.run("sh", "-c", "rm /etc/systemd/system/sshnotify-watch.service.d/sshnotify-publish.conf && systemctl daemon-reload")
	if failed := strings.Join(g.doctor(), "\n"); !strings.Contains(failed, "the watcher's unit keeps it closed") {
		g.t.Errorf("doctor of a unit that keeps the folder closed: %s", failed)
	}
	g.run("sshnotify", "install", "--system", "--yes")
	if failed := g.doctor(); len(failed) > 0 {
		g.t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}
}

// replays: what the documentation has one try, on a host that has a journal and
// nothing else.
func (g *guest) replays() {
	g.t.Helper()
	for _, name := range []string{"auth.log", "secure", "syslog"} {
		if _, err := os.Lstat(filepath.Join(g.dir, "var/log", name)); err == nil {
			g.t.Errorf("the guest has a %s", name)
		}
	}
	g.terminal() // sshd writes a wtmp of terminals alone
	for _, c := range []struct{ command, want string }{
		{"journalctl -o json | sshnotify watch --replay -", `6 failures|understood by sshd`},
		{"journalctl -o json --since=-7d | sshnotify watch --replay -", `understood by sshd`},
		{"journalctl -o json | sshnotify replay -", `New SSH login of >alice<`},
		{"journalctl -o json --since=-30d | sshnotify replay -", `New SSH login of >alice<`},
		{"journalctl | sshnotify watch --replay -", `understood by sshd`},
		{"sshnotify replay", `New SSH login of >alice<`},
		{"sshnotify replay /var/log/wtmp", `New SSH login of >alice<`},
		{"sshnotify history import --dry-run", `wtmp \(wtmp\): \d+ read, 1 login,[\s\S]*journal: \d+ read, [1-9]\d* logins?`},
		{"sshnotify history import", `journal: \d+ read, [1-9]\d* logins?`},
		{`sshnotify watch --explain "$(journalctl -t sshd -n 1 -o short | tail -n 1)"`, `sshd`},
	} {
		out, err := g.try("sh", "-c", c.command)
		if err != nil || !regexp.MustCompile(c.want).MatchString(out) {
			g.t.Errorf("%s: %v\n%s", c.command, err, out)
		}
		g.t.Logf("$ %s\n%s", c.command, out)
	}
}

// terminal is a login of alice's with a terminal.
func (g *guest) terminal() {
	g.t.Helper()
	key := g.signer()
	c, err := ssh.Dial("tcp", g.guestEnd+":22", &ssh.ClientConfig{User: "alice", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	if err == nil {
		err = s.RequestPty("vt100", 24, 80, nil)
	}
	if err == nil {
		err = s.Run("true")
	}
	if err != nil {
		g.t.Fatal(err)
	}
}
