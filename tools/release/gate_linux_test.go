package main

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// knock logs in as a user with alice's key, answering what is asked; it returns what
// was shown.
func (g *guest) knock(user string, answer func(shown string) string) (shown string, err error) {
	g.t.Helper()
	conn, err := g.connected()
	if err != nil { // it reads its settings
		return "", err
	}
	return g.knockOn(conn, user, answer)
}

// connected is a connection with the guest's sshd, by a process of its own.
func (g *guest) connected() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", g.guestEnd+":22", 30*time.Second)
	if err != nil {
		return nil, err
	}
	read := bufio.NewReader(conn)
	if _, err := read.Peek(len("SSH-2.0")); err != nil {
		conn.Close()
		return nil, err
	}
	return begun{conn, read}, nil
}

// begun is a connection of which the beginning was looked at.
type begun struct {
	net.Conn
	read *bufio.Reader
}

func (b begun) Read(p []byte) (int, error) { return b.read.Read(p) }

// knockOn is knock on a connection.
func (g *guest) knockOn(conn net.Conn, user string, answer func(shown string) string) (shown string, err error) {
	g.t.Helper()
	defer conn.Close()
	key := g.signer()
	asked := ssh.KeyboardInteractive(func(_, instruction string, questions []string, _ []bool) ([]string, error) {
		shown += instruction + strings.Join(questions, "")
		out := make([]string, len(questions))
		for i := range out {
			out[i] = answer(instruction)
		}
		return out, nil
	})
	c, chans, reqs, err := ssh.NewClientConn(conn, g.guestEnd, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key), ssh.RetryableAuthMethod(asked, 3)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		return shown, err
	}
	client := ssh.NewClient(c, chans, reqs)
	defer client.Close()
	s, err := client.NewSession()
	if err != nil {
		return shown, err
	}
	return shown, s.Run("true")
}

// servesCodes has the package's service send and check codes, as a user of its own
// that can read nobody's settings.
func (g *guest) servesCodes() {
	g.t.Helper()
	const token = "0123456789abcdef0123456789abcdef"
	g.write("etc/sshnotify/codes.toml", "[gate.http]\nlisten = \"127.0.0.1:8347\"\n[gate.http.client.portal]\ntoken = \""+token+"\"\n"+
		"[person.alice]\nphone = \"+353000000012\"\n", 0o600)
	if failed := g.doctor(); len(failed) != 1 || !strings.Contains(failed[0], "sshnotify-codes") {
		g.t.Errorf("settings without a service: %q", failed)
	}
	g.run("systemctl", "enable", "--now", "sshnotify-codes")
	for _, ask := range []struct{ path, body, want string }{
		{"/healthz", "", "200"}, {"/sms", "number=%2B353000000012", "202"}, {"/auth", "number=%2B353000000012&token=1", "403"},
	} {
		out := g.run("python3", "-c", `import sys, urllib.request, urllib.error
r = urllib.request.Request("http://127.0.0.1:8347" + sys.argv[1], sys.argv[2].encode() or None, {"Authorization": "Bearer " + sys.argv[3]})
try: print(urllib.request.urlopen(r).status)
except urllib.error.HTTPError as e: print(e.code)`, ask.path, ask.body, token)
		if strings.TrimSpace(out) != ask.want {
			g.t.Errorf("%s: %s\n%s", ask.path, out, g.run("journalctl", "-u", "sshnotify-codes", "-o", "cat"))
		}
	}
	if out := g.run("sh", "-c", "stat -c %u /proc/$(systemctl show -p MainPID --value sshnotify-codes) /var/lib/private/sshnotify-codes/* | sort -u"); !regexp.MustCompile(`^6[0-9]{4}\s*(65534\s*)?$`).MatchString(out) {
		// systemd.exec(5): 61184 to 65519; what it keeps is nobody's where systemd (257) maps ids.
		g.t.Errorf("it runs as, and what it keeps belongs to, %s", out)
	}
	if failed := g.doctor(); len(failed) > 0 {
		g.t.Error(failed)
	}
}

// The second step on a whole host: refused while somebody would be locked out, put in,
// taken back where nobody logs in, kept where somebody does, and gone with the package.
func TestGateHost(t *testing.T) {
	g := newGuest(t)
	g.run("dpkg", "--install", g.put())
	g.write("root/slack.url", g.reachSlack()+"\n", 0o600)
	g.run("sshnotify", "install", "--system", "--yes", "--no-wait", "--webhook-url-file", "/root/slack.url")
	g.write("etc/sshnotify/gate.toml", "[gate]\nwhen = \"always\"\n", 0o600)
	g.write("etc/sshnotify/conf.d/each.toml", "notify = \"all\"\n[group]\nwindow = \"0s\"\n", 0o644)
	g.run("systemctl", "reload", "sshnotify")
	before := g.etc()

	out, err := g.try("sshnotify", "install", "--system", "--gate", "--yes", "--no-wait")
	if err == nil || !strings.Contains(out, "alice could not log in") || !strings.Contains(out, "gate enrol alice") {
		t.Fatalf("alice has no second step: %v\n%s", err, out)
	}
	// The code of an app needs a person: here the recovery codes do.
	out = g.run("sshnotify", "gate", "recovery", "alice")
	codes := regexp.MustCompile(`(?m)^  (\S{4}-\S{4}-\S{4})\r?$`).FindAllStringSubmatch(out, -1)
	if len(codes) != 10 {
		t.Fatal(out)
	}
	used := 0
	recovery := func(string) string { used++; return codes[used-1][1] }

	// Nobody knocks before sshd has read its settings.
	listened := 0
	listens := func() int {
		return strings.Count(g.run("journalctl", "--unit=ssh", "--output=cat"), "Server listening on ")
	}
	// And nobody changes them while sshd still reads those of before.
	settled := func() bool {
		log := g.run("journalctl", "--unit=ssh", "--output=cat")
		return strings.Count(log, "Reloading ") <= strings.Count(log, "Received SIGHUP") &&
			strings.LastIndex(log, "Server listening on ") >= strings.LastIndex(log, "Received SIGHUP")
	}
	asks := func() bool { return listens() > listened && settled() }

	// Nobody comes: it is taken back, also when the session is lost that put it in.
	listened = listens()
	early, err := g.connected()
	if err != nil {
		t.Fatal(err)
	}
	g.run("systemd-run", "--unit=gate-trial", "sshnotify", "install", "--system", "--gate", "--yes")
	g.eventually("sshd that reads its settings", asks)
	g.eventually("trial that waits", func() bool {
		return strings.Contains(g.run("journalctl", "--unit=gate-trial", "--output=cat"), "Log in from another window now")
	})
	// Whoever was connected before gets in as before, which shows nothing.
	if shown, err := g.knockOn(early, "alice", recovery); err != nil || shown != "" {
		t.Errorf("on a connection from before: %v, shown %q", err, shown)
	}
	g.eventually("message of that login", func() bool { return len(g.slack.Messages()) > 0 })
	if shown, err := g.knock("alice", func(string) string { return "1" }); err == nil || !strings.Contains(shown, "Second step") {
		t.Errorf("a wrong code: %v, shown %q", err, shown)
	}
	if out := g.run("journalctl", "--unit=gate-trial", "--output=cat"); strings.Contains(out, "seen: login") {
		t.Errorf("a login without the second step shows that it lets people in:\n%s", out)
	}
	g.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "gate-trial")
	g.eventually("trial that goes on without who began it", func() bool {
		out, _ := g.try("pgrep", "-f", "sshnotify gate guard")
		return out != ""
	})
	asItWas := func(after string) {
		t.Helper()
		if diff := cmp.Diff(before, g.etc()); diff != "" {
			t.Errorf("%s, /etc is not as it was:\n%s", after, diff)
		}
	}
	// What waits for the end of the trial, at its end.
	g.run("sshnotify", "gate", "guard", "/run/sshnotify-gate/trial", "0")
	asItWas("taken back")
	for _, command := range []string{"install --no-wait", "uninstall"} {
		g.eventually("sshd that has read its settings", settled)
		g.run("sh", "-c", "sshnotify "+command+" --system --gate --yes")
	}
	asItWas("uninstalled")
	g.eventually("sshd that has read its settings", settled)

	// Somebody comes, and it stays.
	listened = listens()
	done := make(chan string, 1)
	go func() {
		out, err := g.try("sshnotify", "install", "--system", "--gate", "--yes")
		if err != nil {
			out += err.Error()
		}
		done <- out
	}()
	g.eventually("sshd that reads its settings", asks)
	// Whoever is faster than sshd may be counts for nothing.
	var knocked time.Time
	g.eventually("a login by a recovery code that install sees", func() bool {
		if len(done) == 0 && time.Since(knocked) > 5*time.Second {
			if shown, err := g.knock("alice", recovery); err != nil || !strings.Contains(shown, "recovery code") {
				t.Errorf("alice: %v, shown %q", err, shown)
			}
			knocked = time.Now()
		}
		return len(done) > 0
	})
	if out := <-done; !strings.Contains(out, "seen: login of alice") || strings.Contains(out, "it was taken back") {
		t.Errorf("install: %s", out)
	}
	if failed := g.doctor(); len(failed) > 0 {
		t.Error(failed)
	}
	said := func(what string) func() bool {
		return func() bool {
			return slices.ContainsFunc(g.slack.Messages(), func(m standin.Message) bool { return strings.Contains(string(m.Raw), what) })
		}
	}
	g.eventually("message that says what confirmed the login", said("recovery code"))
	// A stranger with the key.
	if _, err := g.knock("alice", func(string) string { return "000000" }); err == nil {
		t.Error("a stranger with the key gets in")
	}
	g.eventually("message of a stranger with the key", said("somebody has alice's key"))

	g.servesCodes()
	// Without the hook there is no second step, either.
	out, _ = g.try("sshnotify", "uninstall", "--system", "--yes") // 75 where something waits
	if got := g.read("etc/pam.d/sshd"); strings.Contains(got, "sshnotify") {
		t.Errorf("uninstalled, and pam.d/sshd runs it:\n%s\n%s", out, got)
	}
	g.login()
	g.run("sshnotify", "install", "--system", "--gate", "--yes", "--no-wait")
	// The package goes, and with it the lines that run it.
	g.run("dpkg", "--purge", "sshnotify")
	for _, left := range []string{"var/lib/sshnotify-gate", "var/lib/sshnotify-codes", "var/lib/private/sshnotify-codes"} {
		if _, err := os.Lstat(filepath.Join(g.dir, left)); err == nil {
			t.Errorf("%s is left", left)
		}
	}
	if got := g.read("etc/pam.d/sshd"); strings.Contains(got, "sshnotify") {
		t.Errorf("pam.d/sshd runs what is gone:\n%s", got)
	}
	g.login()
}
