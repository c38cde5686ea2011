package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// SIGHUP: the settings are read anew, no line is lost or read twice, and settings
// that can't be read leave the old ones in force.
func TestWatchReloads(t *testing.T) {
	t.Parallel()
	dir := swiftDir(t)
	log := filepath.Join(dir, "auth.log")
	s := siteIn(t, dir, standin.SlackOptions{}, fmt.Sprintf("[source.auth]\npath = %q\n", log))
	first, err := os.ReadFile(s.settings)
	if err != nil {
		t.Fatal(err)
	}
	j := &journalist{t: t, file: log}
	j.sshd("Server listening on 0.0.0.0 port 22.")
	p := s.watching(log)
	reload := func(settings, says string) {
		t.Helper()
		s.configure(settings)
		before := strings.Count(p.err.String(), says)
		p.signal(syscall.SIGHUP)
		until(t, says, func() bool { return strings.Count(p.err.String(), says) > before || gone(p.ended) })
	}
	titles := func() (all []string) {
		for _, e := range s.waiting() {
			all = append(all, title(e))
		}
		return all
	}
	told := func(title string) {
		t.Helper()
		until(t, title, func() bool { return strings.Contains(fmt.Sprint(titles()), title) || gone(p.ended) })
	}

	j.fails(3, "203.0.113.7")
	reload(string(first)+"\n[[pattern]]\nname = \"disk\"\nmatch = 'disk (?P<disk>\\w+) is full'\ntitle = \"disk ${disk}\"\n", "settings are read again")
	j.sshd("fatal: disk one is full")
	told("disk one")

	reload("no settings\n", "stay as they were")
	j.fails(3, "203.0.113.7")
	j.sshd("Accepted password for root from 203.0.113.7 port 40100 ssh2")
	told("got in after 6 failures")

	reload(string(first), "settings are read again")
	j.sshd("fatal: disk two is full")
	j.fails(3, "198.51.100.9")
	j.sshd("Accepted password for root from 198.51.100.9 port 40100 ssh2")
	told("got in after 3 failures")
	if got := titles(); len(got) != 3 {
		t.Errorf("told: %q", got)
	}
	// One more watcher on the same folder is none too few.
	if r := s.run(nil, "watch", "--spool", s.spool, "--config", s.settings); r.code != 1 || !strings.Contains(r.stderr, "another sshnotify watch is already running") || !strings.Contains(r.stderr, "hint: systemctl status") {
		t.Errorf("a second one: %+v", r)
	}
	p.signal(syscall.SIGTERM)
	if r := p.result(); r.code != 0 {
		t.Errorf("%+v", r)
	}
}

// What was written into a pipe when the watcher is told to end is told all the
// same: it is nowhere else.
func TestWatchTakesWhatIsInThePipe(t *testing.T) {
	t.Parallel()
	dir := swiftDir(t)
	fifo := filepath.Join(dir, "alerts")
	s := siteIn(t, dir, standin.SlackOptions{}, fmt.Sprintf("[source.pipe]\ntype = \"pipe\"\npath = %q\n[[pattern]]\nname = \"all\"\nmatch = 'alert (?P<n>\\d+)'\ntitle = \"alert ${n}\"\nthreshold = {type = \"limit\", count = 1000, seconds = 60}\n", fifo))
	p := s.watching(fifo)
	until(t, "the pipe", func() bool { _, err := os.Stat(fifo); return err == nil || gone(p.ended) })
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	const lines = 200
	for i := range lines {
		if _, err := fmt.Fprintf(w, "alert %d\n", i); err != nil {
			t.Fatal(err)
		}
	}
	p.signal(syscall.SIGTERM)
	if r := p.result(); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if n := len(s.waiting()); n != lines {
		t.Errorf("%d of %d lines were told", n, lines)
	}
}
