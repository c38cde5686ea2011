package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// used is a host that has all in use that the older package documents.
type used struct {
	*guest
	oncall, public *standin.Slack // beside the guest's own, which gets most
	away           atomic.Bool    // the one on call is not to be had
	lend           []string       // what has a command know the service's credentials, which the older one's need
}

// sshnotify runs one of its commands.
func (u *used) sshnotify(words ...string) string {
	u.t.Helper()
	return u.run(slices.Concat(u.lend, []string{"sshnotify"}, words)...)
}

// usedSettings are what README.md of olderCommit shows, with the people and the
// addresses of this host. %s: the fingerprints of alice's, carol's and frank's keys.
const usedSettings = `
labels = {env = "prod", role = "db"}
notify = "unusual"
time_zone = "UTC"

[provider.partners]
type = "list"
path = "/etc/sshnotify/partners.txt"
label = "partners"
score = 20

[provider.ours]
type = "http"
file = "/etc/sshnotify/ours.toml"
per_day = 50

[enrich]
timeout = "3s"
cache_ttl = "1h"

[risk]
yellow_above = 40
red_above = 80

[history]
keep = "300d"
learning = "0s"

[raise]
hosting = "none"
new_address = "low"

[people]
alice = ["%s"]
"carol (on call)" = ["%s"]
frank = ["%s"]

[networks]
wire = ["198.51.100.0/24"]

[groups]
admins = ["adm-*"]

[[rule]]
name = "who left"
user = "gone-*"
network = "wire"
severity = "high"
reason = "left in May"

[[rule]]
name = "admins"
group = "admins"
label = "env=prod"
severity = "medium"

[[rule]]
user = "robot"
ignore = true

[[rule]]
user = "erin-*"
destination = ["oncall"]

[destination.slack]
webhook_url_file = "/etc/sshnotify/slack.url"

[destination.oncall]
type = "slack"
webhook_url_file = "credential:oncall"
min_severity = "high"

[destination.lost]
type = "slack"
webhook_url = "http://127.0.0.1:8088/services/T00000000/B00000000/revoked"
min_severity = "critical"

[destination.log]

[destination.public]
type = "slack"
webhook_url_file = "/etc/sshnotify/public.url"

[login]
notify_logout = "alerted"
ignore_users = ["carol"]

[group]
window = "8h"

[links]
runbook = "https://wiki.example.com/ssh-alert"

[watch]
notify = "each"
ignore_users = ["probe"]

[source.journal]
type = "journal"
match = ["_COMM=sshd", "+", "_COMM=sshd-session", "+", "_COMM=sshd-auth"]

[source.ftp]
path = "/srv/ftp/vsftpd.log"

[source.app]
path = "/var/log/app.log"

[source.snort]
type = "pipe"
path = "/run/sshnotify-watch/snort.fifo"

[[detector]]
name = "fast"
count = 5
within = "15s"
by = "address"

[[detector]]
name = "spray"
count = 3
within = "15s"
by = "address"
distinct = 3

[[pattern]]
name = "disk"
source = ["app"]
match = 'I/O error, dev (?P<dev>\w+)'
ignore = ['sr0']
severity = "high"
title = "${dev} fails"
threshold = {type = "limit", count = 1, seconds = 28800, by = "${dev}"}

[[pattern]]
name = "ids"
source = ["snort"]
decoder = "snort3-json"
exec = {command = ["/usr/local/bin/act"], timeout = "10s"}
[pattern.where]
priority = {max = 2}

[publish]
file = "/srv/www/attackers"
destination = ["public"]
names = true
`

// snortAlert is a line of Snort's alert_json.
const snortAlert = `{ "seconds" : 1795227304, "action" : "allow", "msg" : "ET SCAN port %d", "priority" : 1, "proto" : "TCP", "rule" : "1:2010935:3", "src_ap" : "203.0.113.%d:40124", "dst_ap" : "198.51.100.9:1433", "timestamp" : "11/21-02:15:04.123456" }`

// ourService is a look-up service of one's own, and its description.
const ourService = `import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        b = b'{"risk": 30, "why": "seen before"}'
        self.send_response(200); self.send_header("Content-Type", "application/json"); self.send_header("Content-Length", str(len(b))); self.end_headers(); self.wfile.write(b)
    def log_message(self, *a): pass
http.server.HTTPServer(("127.0.0.1", 8090), H).serve_forever()
`
const ourServiceFile = `form = 1
title = "Ours"
home = "https://docs.example.com/api"
terms = "Ours."
url = "http://127.0.0.1:8090"
key = "none"

[[request]]
name = "check"
path = "/{ip}"
expect = ["risk"]
reason = ["{why}"]

[[request.score]]
path = "risk"
range = [0, 100]
`

// person gives the guest a user with alice's key or, where own is said, with one
// of their own, whose fingerprint is returned.
func (g *guest) person(name string, own bool) (fingerprint string) {
	g.t.Helper()
	g.run("useradd", "--create-home", "--shell", "/bin/sh", name)
	if own {
		g.run("sh", "-c", "install -d -m 700 /root/keys && ssh-keygen -q -t ed25519 -N '' -C '' -f /root/keys/"+name)
		g.onHost("sh", "-c", "cp "+filepath.Join(g.dir, "root/keys", name)+" "+g.key+"-"+name+" && chmod 600 "+g.key+"-"+name)
	}
	public := "/home/alice/.ssh/authorized_keys"
	if own {
		public = "/root/keys/" + name + ".pub"
	}
	g.run("sh", "-c", fmt.Sprintf("install -d -m 700 -o %[1]s -g %[1]s /home/%[1]s/.ssh && install -m 600 -o %[1]s -g %[1]s %[2]s /home/%[1]s/.ssh/authorized_keys", name, public))
	return g.fingerprint(public)
}

func (g *guest) fingerprint(public string) string {
	g.t.Helper()
	words := strings.Fields(g.run("cat", public))
	if len(words) < 2 {
		g.t.Fatalf("%s: %q", public, words)
	}
	blob, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil {
		g.t.Fatal(err)
	}
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// as is a login of somebody else's, from an address, by the key of their own if they
// have one.
func (g *guest) as(user, from string) *exec.Cmd {
	c := g.ssh("echo in")
	for i, word := range c.Args {
		c.Args[i] = strings.Replace(word, "BindAddress="+g.hostEnd, "BindAddress="+from, 1)
	}
	c.Args[len(c.Args)-2] = user + "@" + g.guestEnd
	if own := g.key + "-" + user; exists(own) {
		c.Args[4] = own
	}
	return c
}

func exists(name string) bool { _, err := os.Stat(name); return err == nil }

func (u *used) in(users ...string) {
	u.t.Helper()
	for _, user := range users {
		if out, err := u.as(user, u.hostEnd).CombinedOutput(); err != nil || string(out) != "in\n" {
			u.t.Errorf("a login of %s: %v, %q", user, err, out)
		}
	}
}

// wrong are the checks of doctor's that fail, but for what the test itself does: a
// destination that is lost, and a file that is none of ours.
func (u *used) wrong() []string {
	u.t.Helper()
	return slices.DeleteFunc(u.doctor(), func(check string) bool {
		return strings.HasPrefix(check, "destination lost: ") || strings.HasPrefix(check, "dead letters: 1 ")
	})
}

// count returns how many messages have all the words.
func count(s *standin.Slack, words ...string) (n int) {
messages:
	for _, m := range s.Messages() {
		for _, w := range words {
			if !strings.Contains(string(m.Raw), w) {
				continue messages
			}
		}
		n++
	}
	return n
}

// once waits for the message that has all the words, and for no second one.
func (u *used) once(s *standin.Slack, words ...string) {
	u.t.Helper()
	u.eventually(fmt.Sprintf("message with %q", words), func() bool { return count(s, words...) > 0 })
	if n := count(s, words...); n > 1 {
		u.t.Errorf("%d messages with %q", n, words)
	}
}

// works has everything done once that the settings are about. Each round has accounts
// and addresses of its own, for the same again would be a repeat.
func (u *used) works(round int) {
	u.t.Helper()
	gone, adm, erin := fmt.Sprintf("gone-%d", round), fmt.Sprintf("adm-%d", round), fmt.Sprintf("erin-%d", round)
	u.in("alice", "carol", "robot", erin, gone, adm)
	for _, s := range []*standin.Slack{u.slack, u.oncall} {
		u.once(s, "HIGH "+gone, "(prod, db)", "left in May", "wiki.example.com/ssh-alert", "IP Location:* wire", "partners", "Ours Risk:* 30", "seen before")
	}
	u.once(u.slack, "MEDIUM "+adm)
	u.once(u.slack, "End of the SSH session", adm)
	u.once(u.oncall, "New SSH login of &gt;"+erin)
	u.asAlice("sudo -n -u " + adm + " true")
	u.once(u.slack, "New sudo to &gt;"+adm+"&lt; by &gt;alice&lt;")
	u.sshnotify("alert", "--severity", "high", "--title", "Backup", fmt.Sprintf("backup %d failed", round))
	u.once(u.oncall, fmt.Sprintf("backup %d failed", round))
	if out := u.run("journalctl", "--no-pager", "-o", "cat", "-t", "sshnotify"); !strings.Contains(out, gone) {
		u.t.Errorf("the system log does not have %s:\n%s", gone, out)
	}
	// Usual, ignored by a rule or by name, and for others only.
	for _, who := range []string{"&gt;alice&lt; to", "&gt;carol&lt;", "&gt;robot&lt;", "&gt;erin"} {
		if n := count(u.slack, "New SSH login of "+who); n > 0 {
			u.t.Errorf("%s is told %d times", who, n)
		}
	}
	if out := u.sshnotify("policy", "test", "--user", gone, "--ip", u.hostEnd); !strings.Contains(out, "who left") {
		u.t.Errorf("policy test: %s", out)
	}
	if out := u.sshnotify("lookup", u.hostEnd); !strings.Contains(out, "partners") || !strings.Contains(out, "30") {
		u.t.Errorf("lookup: %s", out)
	}

	// The watcher: a log that is followed, a pipe, patterns, a program, pages.
	u.run("sh", "-c", "echo 'kernel: I/O error, dev sda' >>/var/log/app.log; echo 'kernel: I/O error, dev sr0' >>/var/log/app.log")
	u.once(u.slack, "sda fails") // at most once in eight hours
	alert := fmt.Sprintf(snortAlert, round, round)
	u.run("sh", "-c", "cat >/run/sshnotify-watch/snort.fifo <<'END'\n"+alert+"\nEND\n")
	u.once(u.slack, fmt.Sprintf("ET SCAN port %d", round))
	u.eventually("program that a pattern runs", func() bool {
		out, _ := u.try("cat", "/var/lib/sshnotify-watch/acted")
		return strings.Count(out, "acted") == round
	})
	attacker := fmt.Sprintf("203.0.113.%d", 100+round)
	u.ftpFailures(attacker)
	u.once(u.slack, "Attack from "+attacker)
	u.eventually("page of attackers", func() bool {
		out, _ := u.try("cat", "/srv/www/attackers/index.html", "/srv/www/attackers/feed.json")
		return strings.Count(out, attacker) >= 2
	})
	u.once(u.public, attacker)
}

// ftpFailures writes what vsftpd does of five names that somebody tries.
func (u *used) ftpFailures(from string) {
	u.t.Helper()
	for _, name := range []string{"anna", "root", "www", "test", "upload"} {
		u.run("sh", "-c", fmt.Sprintf(`echo "$(date '+%%a %%b %%e %%H:%%M:%%S %%Y') [pid 2] [%s] FAIL LOGIN: Client \"%s\"" >>/srv/ftp/vsftpd.log`, name, from))
	}
}

// newUsed installs the older package and has it in use.
func newUsed(t *testing.T) *used {
	t.Helper()
	u := &used{guest: newGuest(t)}
	u.putOlder()
	var err error
	if u.oncall, err = standin.StartSlack(standin.SlackOptions{Behave: func(int, *http.Request) *standin.Answer {
		if u.away.Load() {
			return &standin.Answer{Status: http.StatusServiceUnavailable}
		}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.oncall.Close)
	if u.public, err = standin.StartSlack(standin.SlackOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.public.Close)
	t.Cleanup(func() {
		for name, s := range map[string]*standin.Slack{"slack": u.slack, "oncall": u.oncall, "public": u.public} {
			for _, m := range s.Messages() {
				if t.Failed() {
					t.Logf("%s: %s", name, m.Raw)
				}
			}
		}
	})
	urls := map[string]string{}
	for at, s := range map[string]*standin.Slack{"127.0.0.1:8089": u.oncall, "127.0.0.1:8091": u.public} {
		address, path, _ := strings.Cut(strings.TrimPrefix(s.URL(), "http://"), "/")
		u.reach(at, address)
		urls[at] = "http://" + at + "/" + path + "\n"
	}
	slack := u.reachSlack() + "\n"
	u.write("etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\nDefaults !fqdn\n", 0o440)
	alice, carol, frank := u.fingerprint("/home/alice/.ssh/authorized_keys"), u.person("carol", true), u.person("frank", true)
	for _, name := range []string{"robot", "erin-1", "erin-2", "gone-1", "gone-2", "gone-3", "gone-4", "gone-5", "adm-1", "adm-2", "adm-4"} {
		u.person(name, false)
	}

	u.run("dpkg", "--install", "/opt/older.deb")
	u.write("etc/sshnotify/oncall.url", urls["127.0.0.1:8089"], 0o600)
	u.write("etc/sshnotify/slack.url", slack, 0o640)
	u.write("etc/sshnotify/public.url", urls["127.0.0.1:8091"], 0o640)
	u.write("etc/systemd/system/sshnotify.service.d/oncall.conf", "[Service]\nLoadCredential=oncall:/etc/sshnotify/oncall.url\n", 0o644)
	u.write("etc/systemd/system/sshnotify-watch.service.d/www.conf", "[Service]\nReadWritePaths=/srv/www/attackers\n", 0o644)
	u.write("etc/sshnotify/partners.txt", "198.51.100.0/24\n", 0o644)
	u.write("etc/sshnotify/ours.toml", ourServiceFile, 0o644)
	u.write("opt/ours.py", ourService, 0o644)
	u.run("systemd-run", "--unit=ours", "python3", "/opt/ours.py")
	u.write("srv/ftp/vsftpd.log", "", 0o644)
	u.write("var/log/app.log", "", 0o644)
	u.write("usr/local/bin/act", "#!/bin/sh\ngrep 'ET SCAN' >/dev/null && echo acted >>/var/lib/sshnotify-watch/acted\n", 0o755)
	u.run("install", "-d", "-o", "sshnotify-watch", "-g", "sshnotify-watch", "-m", "755", "/srv/www/attackers")
	u.write("etc/sshnotify/conf.d/use.toml", fmt.Sprintf(usedSettings, alice, carol, frank), 0o640)
	u.run("chgrp", "sshnotify", "/etc/sshnotify/conf.d/use.toml", "/etc/sshnotify/slack.url", "/etc/sshnotify/public.url")

	// What is known from before: alice and carol come every other day, frank came once.
	var log strings.Builder
	for day := range 6 {
		at := time.Now().Add(-time.Duration(2*day+2) * 24 * time.Hour).UTC().Format(time.RFC3339)
		for name, key := range map[string]string{"alice": alice, "carol": carol, "frank": frank} {
			if name == "frank" && day > 0 {
				continue
			}
			fmt.Fprintf(&log, "%s db1 sshd[%d]: Accepted publickey for %s from %s port 40000 ssh2: ED25519 %s\n", at, 100+day, name, u.hostEnd, key)
		}
	}
	u.write("root/auth.log", log.String(), 0o600)
	u.run("systemctl", "daemon-reload")
	u.run("systemctl", "restart", "sshnotify")
	u.lend = []string{"env", "CREDENTIALS_DIRECTORY=/run/credentials/sshnotify.service"}
	t.Logf("%s", u.sshnotify("install", "--system", "--watch", "--services", "sshd,sudo", "--yes"))
	t.Logf("%s", u.sshnotify("history", "import", "/root/auth.log"))
	u.run("systemctl", "restart", "sshnotify", "sshnotify-watch")
	return u
}

// All that an older package documents is in use while it is upgraded: it stays in
// use, what waits is told once, and what was told is not told again. The way back is
// a clear word, and nothing is lost on it.
func TestUsedAndUpgradedHost(t *testing.T) {
	u := newUsed(t)
	u.works(1)
	u.in("frank")
	if n := count(u.slack, "New SSH login", "&gt;frank&lt;"); n > 0 {
		t.Errorf("whom the older one has seen once is told %d times", n)
	}
	if failed := u.wrong(); len(failed) > 0 {
		t.Errorf("doctor of the older: %s", strings.Join(failed, "\n"))
	}
	waits := u.leaveWaiting()

	t.Logf("%s", u.run("dpkg", "--install", u.put()))
	u.run("systemctl", "start", "sshnotify", "sshnotify-watch")
	u.lend = nil
	waits()
	u.works(2)
	u.in("frank") // who has not come on three days
	u.once(u.slack, "New SSH login", "&gt;frank&lt;")
	u.eventually("doctor that is content", func() bool { return len(u.wrong()) == 0 })
	t.Logf("%s", u.sshnotify("config", "check"))
	// Failures before the upgrade count.
	if out, err := u.as("admin", elsewhere).CombinedOutput(); err == nil {
		t.Fatalf("admin got in: %s", out)
	}
	if out, err := u.as("alice", elsewhere).CombinedOutput(); err != nil {
		t.Fatalf("alice: %v: %s", err, out)
	}
	u.once(u.slack, "CRITICAL", "alice", elsewhere, "5 failures")
	if out := u.sshnotify("history", "--user", "carol"); strings.Count(out, u.hostEnd) != 8 { // six imported
		t.Errorf("carol's history: %s", out)
	}

	// What CHANGELOG.md says to do.
	t.Logf("%s", u.sshnotify("install", "--system", "--watch", "--services", "sshd,sudo", "--yes"))
	if failed := u.wrong(); len(failed) > 0 {
		t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}
	u.in("gone-3")
	u.once(u.slack, "HIGH gone-3", "left in May")
	u.back()
}

// elsewhere is an address that is this machine's, too.
const elsewhere = "192.0.2.77"

// leaveWaiting has something wait in each of the ways there are, and returns what checks
// that it is told, and nothing twice.
func (u *used) leaveWaiting() (told func()) {
	u.t.Helper()
	u.onHost("ip", "addr", "add", elsewhere+"/32", "dev", "ve-"+u.name)
	u.run("ip", "route", "add", elsewhere, "dev", "host0")

	// One destination is lost, which is said once, and one does not answer.
	u.away.Store(true)
	u.sshnotify("alert", "--severity", "critical", "the disk is full")
	u.once(u.slack, "the disk is full")
	u.once(u.slack, "can't reach its destination lost")
	// A file is none of ours.
	u.run("sh", "-c", "echo nonsense >/var/spool/sshnotify/new/00000000000000000000000000.json")
	u.eventually("file that is refused", func() bool {
		out, _ := u.try(append(u.lend, "sshnotify", "queue")...)
		return strings.Contains(out, "dead letter")
	})
	u.once(u.slack, "refused a file")
	// Four failures are no attack yet.
	for range 4 {
		if out, err := u.as("admin", elsewhere).CombinedOutput(); err == nil {
			u.t.Fatalf("admin got in: %s", out)
		}
	}
	u.ftpFailures("203.0.113.49")
	u.once(u.slack, "Attack from 203.0.113.49") // by then the journal before it is read, too
	// A repeat is held for its window, and would go along with the next message.
	repeats := count(u.slack, "New SSH login of &gt;gone-1&lt;")
	u.in("gone-1")
	u.eventually("repeat that is held", func() bool {
		out, _ := u.try(append(u.lend, "sshnotify", "queue")...)
		return strings.Contains(out, "login of gone-1")
	})
	u.t.Logf("waits: %s", u.sshnotify("queue"))

	// The worker, and then the watcher, are off.
	u.run("systemctl", "stop", "sshnotify")
	u.in("gone-5")
	u.ftpFailures("203.0.113.50")
	u.eventually("attack that waits", func() bool {
		out, _ := u.try("sh", "-c", "ls /var/spool/sshnotify/watch/new")
		return out != ""
	})
	u.run("systemctl", "stop", "sshnotify-watch")
	u.ftpFailures("203.0.113.51")

	before := map[*standin.Slack][]standin.Message{u.slack: u.slack.Messages(), u.oncall: u.oncall.Messages(), u.public: u.public.Messages()}
	return func() {
		u.t.Helper()
		u.once(u.slack, "HIGH gone-5", "left in May")
		u.once(u.slack, "Attack from 203.0.113.50")
		u.once(u.slack, "Attack from 203.0.113.51")
		queue := u.sshnotify("queue")
		u.t.Logf("waits after the upgrade: %s", queue)
		for _, want := range []string{"login of gone-1", "dead letter", "the disk is full"} {
			if !strings.Contains(queue, want) {
				u.t.Errorf("%s does not wait any more:\n%s", want, queue)
			}
		}
		if n := count(u.slack, "New SSH login of &gt;gone-1&lt;"); n != repeats {
			u.t.Errorf("what was held is told early: %d", n)
		}
		u.away.Store(false)
		u.sshnotify("queue", "retry")
		u.once(u.oncall, "the disk is full")
		u.once(u.oncall, "HIGH gone-5", "left in May")
		u.eventually("held repeat", func() bool { return count(u.slack, "New SSH login of &gt;gone-1&lt;") == repeats+1 })
		u.once(u.slack, "can't reach its destination lost")
		for s, messages := range before {
			for _, m := range messages {
				if n := count(s, m.Payload.Text); n > 1 && count(s, m.Payload.Text, "gone-1") == 0 {
					u.t.Errorf("told %d times: %s", n, m.Raw)
				}
			}
		}
	}
}

// back installs the older package over the newer one while logins wait, and then the
// newer one again.
func (u *used) back() {
	u.t.Helper()
	u.run("systemctl", "stop", "sshnotify")
	u.in("gone-4")
	sum := u.run("sha256sum", "/var/lib/sshnotify/history.db")
	out := u.run("dpkg", "--install", "/opt/older.deb")
	u.t.Logf("%s", out)
	if !strings.Contains(out, "sshnotify: warning: 0.9.0-1 can't read what 1.2.3-1 remembers") {
		u.t.Errorf("dpkg does not say what going back means:\n%s", out)
	}
	u.run("systemctl", "start", "sshnotify", "sshnotify-watch")
	if got := u.run("systemctl", "is-active", "sshnotify", "sshnotify-watch"); got != "active\nactive\n" {
		u.t.Errorf("the older services are %s", got)
	}
	u.in("adm-4")
	u.once(u.slack, "MEDIUM adm-4")
	if out, err := u.try("env", "CREDENTIALS_DIRECTORY=/run/credentials/sshnotify.service", "sshnotify", "history"); err == nil || !strings.Contains(out, "written by a newer sshnotify") {
		u.t.Errorf("the older history: %v\n%s", err, out)
	}
	if got := u.run("sha256sum", "/var/lib/sshnotify/history.db"); got != sum {
		u.t.Errorf("the older program changed it: %s, not %s", got, sum)
	}
	u.t.Logf("waits at the older: %s", u.run("env", "CREDENTIALS_DIRECTORY=/run/credentials/sshnotify.service", "sshnotify", "queue"))
	u.t.Logf("%s", u.run("journalctl", "-u", "sshnotify", "-u", "sshnotify-watch", "--no-pager", "-n", "40"))
	if n := count(u.slack, "gone-4"); n > 0 {
		u.t.Errorf("the older program tells what it can't know: %d", n)
	}

	u.t.Logf("%s", u.run("dpkg", "--install", "/opt/sshnotify.deb"))
	u.run("systemctl", "start", "sshnotify", "sshnotify-watch")
	u.once(u.slack, "HIGH gone-4", "left in May")
	u.once(u.slack, "MEDIUM adm-4")
	if out := u.sshnotify("history", "--user", "carol"); strings.Count(out, u.hostEnd) != 8 {
		u.t.Errorf("carol's history: %s", out)
	}
	u.eventually("doctor that is content", func() bool { return len(u.wrong()) == 0 })
}
