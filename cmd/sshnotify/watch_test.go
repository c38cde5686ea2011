package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// journalist writes a log as a daemon does.
type journalist struct {
	t    *testing.T
	file string
	pid  int
}

func (j *journalist) sshd(format string, args ...any) {
	j.t.Helper()
	j.pid++
	f, err := os.OpenFile(j.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		j.t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s db1 sshd[%d]: %s\n", time.Now().Format(time.RFC3339Nano), 1000+j.pid, fmt.Sprintf(format, args...)); err != nil {
		j.t.Fatal(err)
	}
}

// fails has somebody try n passwords.
func (j *journalist) fails(n int, ip string) {
	j.t.Helper()
	for i := range n {
		j.sshd("Failed password for invalid user name%d from %s port %d ssh2", i, ip, 40000+j.pid)
	}
}

// watching starts the watcher and waits until it reads the log.
func (s *site) watching(log string) *process {
	s.t.Helper()
	p := s.start(call{args: []string{"watch", "--spool", s.spool, "--config", s.settings}})
	status := filepath.Join(s.state, "watch/sources")
	until(s.t, "the watcher", func() bool {
		all, _ := filepath.Glob(filepath.Join(status, "*"))
		return len(all) > 0 || gone(p.ended)
	})
	return p
}

// Somebody gets in after failures: told at once, and told once, although the
// watcher is killed and the log is turned in between.
func TestWatchTellsWhoGotIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := filepath.Join(dir, "auth.log")
	// How far the watcher has read is known by the alert of a line: it saves its
	// counts every ten seconds only.
	s := siteIn(t, dir, standin.SlackOptions{}, fmt.Sprintf(`[source.auth]
path = %q
[[pattern]]
name = "mark"
match = 'read up to (?P<mark>\w+)'
threshold = {type = "limit", count = 1, seconds = 60, by = "${mark}"}
`, log))
	j := &journalist{t: t, file: log}
	j.sshd("Server listening on 0.0.0.0 port 22.")
	waiting := func(k event.Kind) []event.Event {
		return slices.DeleteFunc(s.waiting(), func(e event.Event) bool { return e.Kind != k })
	}
	readUpTo := func(p *process, mark string) {
		t.Helper()
		before := len(waiting(event.KindMatch))
		j.sshd("read up to %s", mark)
		until(t, "the alert of a line", func() bool { return len(waiting(event.KindMatch)) > before || gone(p.ended) })
		if gone(p.ended) {
			t.Fatalf("the watcher ended: %+v", p.result())
		}
		p.signal(syscall.SIGTERM)
		if r := p.result(); r.code != 0 {
			t.Fatalf("%+v", r)
		}
	}
	p := s.watching(log)
	j.fails(4, "203.0.113.7")
	readUpTo(p, "here")

	// Nobody watches, and logrotate turns the log.
	j.fails(2, "203.0.113.7")
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	j.fails(1, "203.0.113.7")
	p = s.watching(log)
	j.sshd("Accepted password for root from 203.0.113.7 port 40100 ssh2")
	var got []event.Event
	until(t, "the alert", func() bool { got = waiting(event.KindAttack); return len(got) > 0 || gone(p.ended) })
	p.signal(syscall.SIGKILL)
	p.result()
	if len(got) != 1 || got[0].User != "root" || got[0].Note() == nil || title(got[0]) != "got in after 7 failures" || got[0].Note().Severity != event.Critical {
		t.Fatalf("queued: %+v", got)
	}
	// What is read again leads to the same event, which is not told again.
	p = s.watching(log)
	j.fails(1, "198.51.100.9")
	readUpTo(p, "there")
	if again := waiting(event.KindAttack); len(again) != 1 {
		t.Errorf("queued in the end: %d events", len(again))
	}
	if r := s.deliver(); r.code != 0 {
		t.Errorf("deliver: %+v", r)
	}
	n := 0
	for _, m := range s.slack.Messages() {
		n += strings.Count(string(m.Raw), "CRITICAL root → db1 from 203.0.113.7: got in after 7 failures")
	}
	if n != 1 {
		t.Errorf("%d messages of it: %+v", n, s.slack.Messages())
	}
	// The attacker's next login is risky, whatever anybody else says.
	r := s.run(nil, "lookup", "203.0.113.7", "--config", s.settings)
	if !strings.Contains(r.out, "failed logins here") {
		t.Errorf("lookup: %+v", r)
	}
}

// title is what an attack is told as.
func title(e event.Event) string {
	title, _ := message.Note(e, nil)
	return title
}
