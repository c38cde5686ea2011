package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Somebody comes over the wire, becomes root with sudo, and is asked all that
// install asks: with a package's service, which has made an empty memory by then,
// and with sshd's word in the journal of who that is.
func TestQuestionsHost(t *testing.T) {
	g := newGuest(t)
	g.write("etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n", 0o440)
	g.run("dpkg", "--install", g.put())
	url := g.reachSlack()
	g.login() // before anything tells of it

	key := g.signer()
	said, err := g.converse("sudo sshnotify install --system --no-wait",
		answer{"7 webhook, 0 the system log only", "\n", nil},
		answer{"Webhook URL (not shown): ", url + "\n", nil},
		answer{"Send a test message now? ", "\n", nil},
		answer{"1, 2 or 3 [auto]: ", "\n", nil},
		answer{"Make these changes? ", "y\n", nil},
		answer{"Remember earlier logins, from wtmp, the journal and auth.log? ", "\n", nil},
		answer{"Is this you: alice from " + g.hostEnd + ", key " + ssh.FingerprintSHA256(key.PublicKey()) + "? ", "\n", nil})
	if err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	for _, want := range []string{"of the last day would have made:", "acknowledged: login of alice"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said:\n%s", want, said)
		}
	}
	if strings.Contains(said, url) {
		t.Errorf("the webhook is shown:\n%s", said)
	}
	if got := g.read("etc/sshnotify/conf.d/notify.toml"); !strings.Contains(got, "notify = \"auto\"\n") {
		t.Error(got)
	}
	// The test message, and who acknowledged what.
	if got := g.told(2); !strings.Contains(got, "Acknowledged from within: login of alice") {
		t.Error(got)
	}
	if got := g.run("sshnotify", "history"); !strings.Contains(got, "alice") {
		t.Error(got)
	}
	if failed := g.doctor(); len(failed) > 0 {
		t.Error(failed)
	}
	if out, err := g.ssh("sudo sshnotify install --system --no-wait").CombinedOutput(); err != nil || !strings.Contains(string(out), "nothing to do") {
		t.Errorf("the second time: %v\n%s", err, out)
	}
	g.acknowledges()
	g.monitored()
}

// acknowledges has root say of a login that was told as high that it was expected,
// while the service runs as its own user, and take that back.
func (g *guest) acknowledges() {
	g.t.Helper()
	g.run("useradd", "--create-home", "--shell", "/bin/bash", "bob")
	g.run("cp", "-r", "/home/alice/.ssh", "/home/bob/.ssh")
	g.run("chown", "-R", "bob:bob", "/home/bob/.ssh")
	g.write("etc/sshnotify/conf.d/notify.toml", "notify = \"unusual\"\n", 0o644)
	g.write("etc/sshnotify/conf.d/raise.toml", "[raise]\nfirst_login = \"high\"\n", 0o644)
	g.run("systemctl", "reload", "sshnotify")
	bob := func() {
		g.t.Helper()
		c := g.ssh("true")
		for i, word := range c.Args {
			c.Args[i] = strings.Replace(word, "alice@", "bob@", 1)
		}
		if out, err := c.CombinedOutput(); err != nil {
			g.t.Fatalf("bob: %v %s", err, out)
		}
	}
	told := func(what string) {
		g.t.Helper()
		g.eventually("message with "+what, func() bool {
			all := g.slack.Messages()
			return strings.Contains(string(all[len(all)-1].Raw), what)
		})
	}
	bob()
	told("first login of bob ever")
	_, id, _ := strings.Cut(g.run("sshnotify", "history", "--json", "--user", "bob"), `"id":"`)
	ref := id[:min(len(id), 6)]
	n := len(g.slack.Messages())
	if got := g.run("sshnotify", "ack", ref, "--note", "bob is new here"); !strings.Contains(got, "acknowledged: login of bob") {
		g.t.Error(got)
	}
	told("Acknowledged: login of bob")
	told("bob is new here")
	bob()
	g.eventually("second login of bob", func() bool { return strings.Count(g.run("sshnotify", "history", "--user", "bob"), " bob ") == 2 })
	if got := g.run("sshnotify", "show", ref); !strings.Contains(got, "bob is new here") {
		g.t.Error(got)
	}
	if got := g.run("sshnotify", "ack", ref, "--undo"); !strings.Contains(got, "no longer acknowledged: login of bob") {
		g.t.Error(got)
	}
	g.eventually("message that it was taken back", func() bool { return len(g.slack.Messages()) >= n+2 })
	if more := len(g.slack.Messages()) - n; more != 2 {
		g.t.Errorf("%d messages of what was acknowledged and taken back, not 2", more)
	}
	// From where bob came.
	if out, err := g.ssh("sudo sshnotify ack --user bob --yes").CombinedOutput(); err != nil || !strings.Contains(string(out), "acknowledged: login of bob") {
		g.t.Errorf("%v %s", err, out)
	}
	told("Acknowledged from within: login of bob")
	if got := g.run("sshnotify", "queue"); strings.Contains(got, "dead") || strings.Contains(got, "refused") {
		g.t.Error(got)
	}
}

// screen is what a terminal shows.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
