package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// sessions is what the messages say of root's sessions that alice opened.
type sessions struct{ told, missed int }

func (g *guest) sessions() (s sessions) {
	for _, m := range g.slack.Messages() {
		raw := string(m.Raw)
		switch {
		case !strings.Contains(raw, "&gt;root&lt; by &gt;alice&lt;"):
		case strings.Contains(raw, "not reported by the login hook"):
			s.missed++
		case regexp.MustCompile(`New (su|sudo) to`).MatchString(raw):
			s.told++
		}
	}
	return s
}

// tellings counts the messages that hold a text.
func (g *guest) tellings(text string) (n int) {
	for _, m := range g.slack.Messages() {
		if strings.Contains(string(m.Raw), text) {
			n++
		}
	}
	return n
}

// A user may keep the hook of an own su or sudo from working, by limits and by
// signals, but not from being told: the log knows the session, too.
func TestWitnessHost(t *testing.T) {
	g := newGuest(t)
	g.run("dpkg", "--install", g.put())
	for name, text := range map[string]string{
		"root/slack.url":                   g.reachSlack() + "\n",
		"etc/sshnotify/conf.d/window.toml": "notify = \"all\"\n[group]\nwindow = \"0s\"\n",
		"etc/sudoers.d/alice":              "alice ALL=(ALL) NOPASSWD: ALL\n",
		"home/alice/password":              "secret of root\n",
		"root/rootpw":                      "root:secret of root\n",
		"home/alice/killer":                killer,
	} {
		path := filepath.Join(g.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g.run("sh", "-c", "chpasswd </root/rootpw && chown alice: /home/alice/password /home/alice/killer && chmod 440 /etc/sudoers.d/alice && chmod 644 /etc/sshnotify/conf.d/window.toml")
	t.Logf("%s", g.run("sshnotify", "install", "--system", "--watch", "--services", "sshd,su,sudo", "--yes", "--webhook-url-file", "/root/slack.url"))
	if out := g.run("sh", "-c", "sshnotify doctor --system || true"); !strings.Contains(out, "✓ second witness: sessions of sshd, su, su-l, sudo, sudo-i that") {
		t.Errorf("doctor does not speak of the second witness:\n%s", out)
	}

	// run is a command of alice's, over SSH; root says whether it ran as root.
	run := func(command string) (root bool) {
		t.Helper()
		out, _ := g.ssh(command).CombinedOutput()
		t.Logf("%s: %q", command, out)
		return strings.Contains(string(out), "root")
	}
	// as waits, too, until the login by SSH is told: many at once would become a
	// digest.
	logins := 0
	as := func(command string) (root bool) {
		t.Helper()
		root = run(command)
		logins++
		g.eventually("word of the login by SSH", func() bool { return g.tellings("New SSH login of &gt;alice&lt;") == logins })
		return root
	}

	want := 0
	for range 3 {
		for _, command := range []string{"sudo whoami", "su -c whoami <password", "su - -c whoami <password"} {
			if !as(command) {
				t.Fatalf("%s did not make alice root", command)
			}
			want++
		}
	}
	ordinary := want
	g.eventually("ordinary logins", func() bool { return g.sessions().told == ordinary })

	for _, limits := range []string{
		"ulimit -v 500000", "ulimit -n 6", "ulimit -f 0", "ulimit -v 300000", "ulimit -n 9", "ulimit -d 10000", "ulimit -s 64", "ulimit -t 1",
		"sh killer & sleep 0.2", "trap '' XFSZ; ulimit -f 0", "ulimit -c 0; ulimit -u 40",
	} {
		for _, command := range []string{"sudo whoami", "su -c whoami <password"} {
			if as(limits + "; " + command + "; kill %1 2>/dev/null") {
				want++
			}
		}
	}
	// Whatever the hook learns to withstand: here it does nothing at all.
	g.run("mount", "--bind", "/bin/true", "/usr/libexec/sshnotify/hook")
	if run("sudo whoami") {
		want++
	}
	g.run("umount", "--lazy", "/usr/libexec/sshnotify/hook") // a logout may still run it
	if want < ordinary+8 {
		t.Fatalf("the attacks are none: %d sessions", want-ordinary)
	}
	t.Logf("%d sessions of root", want)
	g.eventually(fmt.Sprintf("word of each of %d sessions: %+v", want, g.sessions()), func() bool {
		s := g.sessions()
		return s.told+s.missed >= want
	})
	// What is late would be told twice.
	end := time.Now().Add(70 * time.Second)
	g.eventually("end of the minute in which the hook may be late", func() bool { return time.Now().After(end) })
	s := g.sessions()
	t.Logf("%+v", s)
	if s.told+s.missed != want {
		t.Errorf("of %d sessions, %+v", want, s)
	}
	if s.missed == 0 {
		t.Error("a hook that does nothing is not missed")
	}
	if missed := g.tellings("not reported by the login hook"); missed != s.missed+1 { // alice's own login while the hook did nothing
		t.Errorf("%d sessions are told as missed, of which %d are root's", missed, s.missed)
	}
}

// killer ends each hook as soon as it sees it.
const killer = `while :; do
	for p in /proc/[0-9]*; do
		read -r name <$p/comm && [ "$name" = hook ] && kill -KILL ${p#/proc/}
	done
done 2>/dev/null
`
