package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// strict is Slack as it promises to be.
var strict = standin.SlackOptions{MaxPerSecond: standin.SlackPerSecond}

// apart keeps the logins of a test from being told together.
const apart = "[group]\nwindow = \"0s\"\n"

// told is what matters of a message.
type told struct{ Text, Title, Colour, Body string }

func tellsOf(m standin.Message) told {
	a := m.Payload.Attachments[0]
	title, _, _ := strings.Cut(html.UnescapeString(a.Title), " at ")
	// A worse one says the time, too.
	text := regexp.MustCompile(`, \d\d:\d\d$`).ReplaceAllString(m.Payload.Text, "")
	return told{text, title, a.Color, a.Text}
}

// usual is the message of a login about whose address nothing is known.
func (l *lab) usual(auth string) told {
	return told{
		Text:   l.user + " → db1 from " + l.client + " (loopback)",
		Title:  "New " + l.service + " login of >" + l.user + "< to >db1.example.com<",
		Colour: "#9aa0a6",
		Body:   "*Connected from IP:* " + l.client + " · *IP Location:* loopback\n*Authenticated with:* " + auth,
	}
}

func (l *lab) usualKey() told { return l.usual("publickey ED25519 " + l.fingerprint("id.pub")) }

// access is a way in, and whether it is one.
type access struct {
	name  string
	enter func(t *testing.T, l *lab)
	told  bool
	auth  string // "": the key
}

var accesses = []access{
	{"an interactive login", func(t *testing.T, l *lab) {
		c := l.login("lab")
		c.enter("echo tty''=$SSH_TTY")
		c.see("tty=/dev/pts/")
		c.leave()
	}, true, ""},
	{"a wrong password", func(t *testing.T, l *lab) {
		if r := l.withPassword("incorrect-horse", "true"); r.code != 255 || !strings.Contains(r.stderr, "Permission denied") {
			t.Errorf("it must be refused: %+v", r)
		}
	}, false, ""},
	{"a command", func(t *testing.T, l *lab) {
		if r := l.run("ssh", "lab", "echo hello; echo oh >&2; exit 3"); r != (result{3, "hello\n", "oh\n"}) {
			t.Errorf("%+v", r)
		}
	}, true, ""},
	{"a key that is not accepted", func(t *testing.T, l *lab) {
		l.keygen("stranger")
		r := l.run("ssh", "-o", "BatchMode=yes", "stranger", "true")
		if r.code != 255 || !strings.Contains(r.stderr, "Permission denied") {
			t.Errorf("it must be refused: %+v", r)
		}
	}, false, ""},
	{"sftp", func(t *testing.T, l *lab) { l.transfer(t, "sftp", "lab:sent", "fetched") }, true, ""},
	{"scp", func(t *testing.T, l *lab) { l.transfer(t, "scp", "lab:sent", "copied") }, true, ""},
	{"a tunnel without a session", func(t *testing.T, l *lab) {
		socket := filepath.Join(l.dir, "tunnel")
		leave := l.stay("-N", "-o", "ExitOnForwardFailure=yes", "-L", fmt.Sprintf("%s:%s:%d", socket, l.server, l.port), "lab")
		defer leave()
		// Its socket is there a moment before somebody listens.
		var c net.Conn
		until(t, "the tunnel", func() bool {
			var err error
			c, err = net.Dial("unix", socket)
			return err == nil
		})
		defer c.Close()
		greeting := make([]byte, len("SSH-2.0-"))
		if _, err := io.ReadFull(c, greeting); err != nil || string(greeting) != "SSH-2.0-" {
			t.Errorf("through the tunnel came %q, %v", greeting, err)
		}
	}, true, ""},
	{"three sessions on one connection", func(t *testing.T, l *lab) {
		control := filepath.Join(l.dir, "control")
		leave := l.stay("-N", "-M", "-S", control, "lab")
		defer leave()
		// Each client has a time of its own: one that waits for its master for ever
		// is a failure, and not the end of all tests.
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		until(l.t, "the master connection", func() bool {
			return l.command(ctx, "ssh", "-S", control, "-O", "check", "lab").Run() == nil
		})
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				c := l.command(ctx, "ssh", "-S", control, "-o", "ProxyCommand=false", "lab", "printf %s "+fmt.Sprint(i))
				if out, err := c.Output(); string(out) != fmt.Sprint(i) {
					t.Errorf("session %d: %q, %v", i, out, err)
				}
			})
		}
		wg.Wait()
	}, true, ""},
	{"the right password", func(t *testing.T, l *lab) {
		if r := l.withPassword(l.password, "echo in"); r != (result{0, "in\n", ""}) {
			t.Errorf("%+v", r)
		}
	}, true, "password"},
}

// withPassword runs a command after a login with a password.
func (l *lab) withPassword(password, command string) result {
	l.t.Helper()
	return l.runWith([]string{"SSH_ASKPASS=" + filepath.Join(l.dir, "askpass"), "SSH_ASKPASS_REQUIRE=force", "LAB_PASSWORD=" + password},
		"ssh", "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1", "lab", command)
}

// transfer fetches a file with sftp or scp, which take whatever the far side
// prints for a part of their protocol.
func (l *lab) transfer(t *testing.T, program, from, to string) {
	t.Helper()
	l.atHome("sent", "a file of the user's\n")
	to = filepath.Join(l.dir, to)
	if r := l.run(program, "-q", from, to); r.code != 0 || r.stderr != "" {
		t.Errorf("%s: %+v", program, r)
	}
	if b, err := os.ReadFile(to); err != nil || string(b) != "a file of the user's\n" {
		t.Errorf("%s brought %q, %v", program, b, err)
	}
	os.Remove(to)
}

// Each way in is told once, however much is run on it, and what is no way in is
// not.
func TestSshdTellsEachLoginOnce(t *testing.T) {
	e2e(t)
	t.Parallel()
	for name, follow := range map[string]bool{"by the worker that a hook starts": false, "by a service": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := newSite(t, strict, apart)
			if follow {
				l.pam(l.hook(s, "--no-worker"))
			} else {
				l.pam(l.hook(s))
			}
			l.serve()
			if follow {
				s.follow()
			}
			n := 0
			for _, a := range accesses {
				a.enter(t, l)
				if !a.told {
					continue
				}
				n++
				want := l.usualKey()
				if a.auth != "" {
					want = l.usual(a.auth)
				}
				if diff := cmp.Diff(want, tellsOf(s.wait(n)[n-1])); diff != "" {
					t.Errorf("%s (-want +got):\n%s", a.name, diff)
				}
			}
			l.settle(s)
			if got := len(s.slack.Messages()); got != n {
				t.Errorf("%d logins, %d messages", n, got)
			}
			if r := s.slack.Refusals(); len(r) > 0 {
				t.Errorf("Slack refused %+v", r)
			}
		})
	}
}
