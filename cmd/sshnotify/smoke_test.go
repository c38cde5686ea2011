package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/standin"
)

func TestDemoShowsTheMessage(t *testing.T) {
	s := newSite(t, standin.SlackOptions{}, "")
	r := s.run(nil, "demo")
	if r.code != 0 || !strings.Contains(r.out, "HIGH alice → db1 from Ireland") || !strings.Contains(r.out, "Connected from IP: 203.0.113.7") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.stderr)
	}
}

// One hook, the worker that it starts, and one message.
func TestHookToSlack(t *testing.T) {
	s := newSite(t, standin.SlackOptions{MaxPerSecond: standin.SlackPerSecond}, "")
	r := s.run(pamEnv("open_session", "alice", netip.MustParseAddr("203.0.113.7")), "hook", "--spool", s.spool, "--config", s.settings)
	if r != (result{}) {
		t.Errorf("the hook must be silent and exit 0: %+v", r)
	}
	m := s.wait(1)[0]
	if want := "alice → db1 from 203.0.113.7"; m.Payload.Text != want {
		t.Errorf("headline %q, want %q", m.Payload.Text, want)
	}
}
