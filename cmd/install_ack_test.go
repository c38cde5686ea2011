package cmd

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/store"
)

// connected is the host of a process that a shell of alice's runs, whom sshd serves
// by its process 810, and that by 805; sudo is what became of who runs it.
func connected(t *testing.T, uid, loginuid int) login.Host {
	t.Helper()
	root := t.TempDir()
	put := func(name, text string) {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const conn = "SSH_CONNECTION=198.51.100.77 51234 192.0.2.5 22\x00"
	for _, p := range []struct {
		pid, ppid, uid int
		comm, title    string
	}{
		{900, 820, uid, "sshnotify", "sshnotify\x00install\x00"},
		{820, 810, uid, "bash", "-bash\x00"},
		{810, 805, uid, "sshd", "sshd: alice@pts/0\x00"},
		{805, 700, 0, "sshd", "sshd: alice [priv]\x00"},
		{700, 1, 0, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\x00"},
	} {
		dir := fmt.Sprintf("proc/%d/", p.pid)
		put(dir+"stat", fmt.Sprintf("%d (%s) S %d %d %d 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 %d 3133440 382 18446744073709551615 0\n", p.pid, p.comm, p.ppid, p.pid, p.pid, 900_00))
		put(dir+"status", fmt.Sprintf("Uid:\t%d\t%d\t0\t0\n", p.uid, p.uid))
		put(dir+"cmdline", p.title)
		if p.pid > 810 {
			put(dir+"environ", conn)
		}
	}
	put("proc/uptime", "1000.00 900.00\n") // sshd began 100 s ago
	if err := os.Symlink("900", filepath.Join(root, "proc/self")); err != nil {
		t.Fatal(err)
	}
	put("proc/900/loginuid", strconv.FormatUint(uint64(uint32(loginuid)), 10))
	put("proc/900/sessionid", "7")
	put("etc/passwd", fmt.Sprintf("alice:x:%d:1000::/home/alice:/bin/bash\n", uid))
	return login.Host{Root: root, PID: 900, PPID: 820, UID: uid}
}

// knowsSomebody reports whether an account's memory has a login.
func (p *place) knowsSomebody() bool {
	found, err := filepath.Glob(filepath.Join(p.home, ".local/state/sshnotify/*", store.FileName))
	return err == nil && len(found) > 0 && remembers(p.t.Context(), filepath.Dir(found[0]))
}

// acknowledged returns what an account's memory has acknowledged.
func (p *place) acknowledged() (users []string) {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.home, ".local/state/sshnotify/*", store.FileName))
	if err != nil || len(found) == 0 {
		return nil
	}
	db, err := history.Open(found[0], history.Options{ReadOnly: true})
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	for e, err := range db.List(context.Background(), history.Filter{}) {
		if err != nil {
			p.t.Fatal(err)
		}
		all, err := db.Acknowledgements(context.Background(), e.ID)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, a := range all {
			users = append(users, fmt.Sprintf("%s from %s by %s from %s", e.User, e.IP, a.By, a.Session))
		}
	}
	return users
}

func TestInstallAsksWhoThisIs(t *testing.T) {
	ours := os.Getuid()
	for name, c := range map[string]struct {
		session login.Host
		answer  string
		asked   bool
		want    string
	}{
		"yes":                       {connected(t, ours, ours), "", true, "alice from 198.51.100.77 by alice from 198.51.100.77"},
		"no":                        {connected(t, ours, ours), "n", true, ""},
		"no connection":             {login.Host{Root: t.TempDir(), UID: ours}, "", false, ""},
		"a connection of another's": {func() login.Host { h := connected(t, ours+1, ours+1); h.UID = ours; return h }(), "", false, ""},
		"an environment without one": {func() login.Host {
			h := connected(t, ours, ours)
			os.Remove(h.Root + "/proc/900/environ")
			h.Environ = func() []string { return nil }
			return h
		}(), "", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAccount(t)
			p.session = c.session
			p.in = madeUpWebhook
			p.answers("", "n", c.answer) // auto, no import
			if err := p.install(func(o *installOptions) { o.webhookFile, o.noTest = "-", true }); err != nil {
				t.Fatal(err)
			}
			if asked := strings.Contains(p.said.String(), "Is this you: alice from 198.51.100.77"); asked != c.asked {
				t.Errorf("asked: %v\n%s", asked, p.said.String())
			}
			if got := strings.Join(p.acknowledged(), ", "); got != c.want {
				t.Errorf("acknowledged: %q, want %q\n%s", got, c.want, p.err.String())
			}
			if c.want == "" {
				if p.knowsSomebody() {
					t.Error("somebody is remembered who did not say that it was them")
				}
				return
			}
			p.answers()
			if err := p.install(func(o *installOptions) { o.noTest = true }); err != nil || p.said.Len() > 0 {
				t.Errorf("the second time: %v\n%s", err, p.said.String())
			}
		})
	}
}

// Under sudo only what sshd told the journal counts.
func TestOwnLoginOfTheHost(t *testing.T) {
	root := "0"
	entry := func(pid, uid, user, exe string, ago time.Duration) string {
		return fmt.Sprintf(`{"__CURSOR":"s=1;i=%s","__REALTIME_TIMESTAMP":"%d","_TRANSPORT":"syslog","SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_EXE":"%s","_UID":"%s","_CAP_EFFECTIVE":"1ffffffffff","_SYSTEMD_UNIT":"ssh.service","_PID":"%s","_HOSTNAME":"web1","MESSAGE":"Accepted publickey for %s from 198.51.100.77 port 51234 ssh2: ED25519 SHA256:t71VwRt4GwzMQ6puV/na3wZg6dHU4n4Jee5DpAfUVK4"}`,
			pid, time.Now().Add(-ago).UnixMicro(), exe, uid, pid, user)
	}
	const sshd = "/usr/sbin/sshd"
	for name, c := range map[string]struct {
		loginuid int
		journal  string
		want     bool
	}{
		"sshd's own word":                        {0, entry("805", root, "root", sshd, 99*time.Second), true},
		"of another process":                     {0, entry("806", root, "root", sshd, 99*time.Second), false},
		"of another user":                        {0, entry("805", root, "bob", sshd, 99*time.Second), false},
		"of a process with that number, earlier": {0, entry("805", root, "root", sshd, 200*time.Second), false},
		"what somebody wrote in its name":        {0, entry("805", "1000", "root", "/usr/bin/logger", 99*time.Second), false},
		"nothing":                                {0, "", false},
		"a kernel that was not told":             {-1, entry("805", root, "root", sshd, 99*time.Second), true},
		"a user whom nobody knows":               {54321, entry("805", root, "root", sshd, 99*time.Second), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAccount(t)
			a := p.app()
			o := installOptions{changer: changer{setter: p.setter(a)}, past: p.past(a), session: connected(t, 0, c.loginuid)}
			o.system = true
			o.past.records.Journalctl = filepath.Join(t.TempDir(), "journalctl")
			if err := os.WriteFile(o.past.records.Journalctl, []byte("#!/bin/sh\ncat <<'EOF'\n"+c.journal+"\nEOF\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			e, ok := o.ownLogin(t.Context())
			if ok != c.want {
				t.Fatalf("%v: %+v", ok, e)
			}
			if ok && (e.User != "root" || e.Remote.Port != 51234 || !strings.HasPrefix(e.Login.Auth.Fingerprint, "SHA256:t71")) {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestSpokenSession(t *testing.T) {
	e := event.Event{User: "alice", Login: event.Login{Auth: event.Auth{Fingerprint: "SHA256:x", Method: "publickey"}}}
	e.Remote.IP = netip.MustParseAddr("203.0.113.7")
	for _, c := range []struct {
		facts event.Facts
		owner string
		want  string
	}{
		{event.Facts{Network: event.Network{ASN: 64500, Name: "Example Networks"}, Place: event.Place{Country: "IE"}}, "laptop", "alice from 203.0.113.7 (Example Networks, Ireland), key SHA256:x (laptop)"},
		{event.Facts{Place: event.Place{Country: "IE"}}, "", "alice from 203.0.113.7 (Ireland), key SHA256:x"},
		{event.Facts{}, "", "alice from 203.0.113.7, key SHA256:x"},
	} {
		if got := spokenSession(e, c.facts, c.owner); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
