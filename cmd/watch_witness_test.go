package cmd

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/install"
)

// The stack must hold the line at the time of the session: one from before it
// was set up, and one after it was taken out, is nobody's fault.
func TestCoversFollowThePAMStack(t *testing.T) {
	const (
		with    = "session optional pam_exec.so quiet /usr/bin/sshnotify hook --spool /var/spool/sshnotify --services sshd,su\nsession required pam_unix.so\n"
		without = "session required pam_unix.so\n"
	)
	root := t.TempDir()
	su := filepath.Join(root, "etc/pam.d/su")
	if err := os.MkdirAll(filepath.Dir(su), 0o755); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 2, 15, 0, 0, time.UTC)
	var said bytes.Buffer
	c := newCovers("/var/spool/sshnotify/", slog.New(slog.NewTextHandler(&said, nil)))
	c.host, c.now, c.name = install.Host{Root: root}, func() time.Time { return now }, func() (string, error) { return "db1.example.com", nil }
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(su, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(su, now, now); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what, service, host string, at time.Time, want bool) {
		t.Helper()
		if got := c.covered(service, host, at); got != want {
			t.Errorf("%s: covered %v", what, got)
		}
	}
	write(without)
	expect("before", "su", "", now, false)
	now = now.Add(time.Hour)
	write(with)
	expect("a session from before it was set up", "su", "", now.Add(-time.Second), false)
	expect("one that began since", "su", "", now.Add(time.Second), true)
	expect("the host's name in a log", "su", "db1", now.Add(time.Second), true)
	expect("another host's", "su", "db2", now.Add(time.Second), false)
	expect("a service without a file", "sudo", "", now.Add(time.Second), false)
	expect("a service of no logins", "cron", "", now.Add(time.Second), false)
	c.spool = "/home/alice/spool"
	expect("a watcher of another spool", "su", "", now.Add(time.Second), false)
	c.spool = "/var/spool/sshnotify"
	now = now.Add(time.Hour)
	write("session [broken\n")
	expect("what can't be read", "su", "", now.Add(time.Second), false)
	for range 3 {
		now = now.Add(time.Minute)
		c.covered("su", "", now)
	}
	if n := strings.Count(said.String(), "can't be read"); n != 1 {
		t.Errorf("said %d times:\n%s", n, said.String())
	}
	write(without)
	now = now.Add(time.Hour)
	expect("after it was taken out", "su", "", now.Add(-time.Minute), false)
}
