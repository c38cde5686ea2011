package watch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// entry is one of the journal's, of the night.
func entry(by line.Entry, text string) line.Line {
	program := by.Daemon
	if by.Claim != "" {
		program = "uid " + by.UID + " as " + by.Claim
	}
	return line.Line{Source: "journal", Text: text, Time: night, Program: program, PID: 7, Entry: &by}
}

// TestForgedEntries: whatever an entry says and bears as a name, only a daemon's own
// is read as its word. Of the rest, what tells of logins or attempts is counted, and
// said once an hour.
func TestForgedEntries(t *testing.T) {
	p := newPost(t)
	p.Each = true
	eve := line.Entry{Claim: "sshd", UID: "1000", Exe: "/home/eve/\x1b[2Jx"}
	var b source.Batch
	add := func(by line.Entry, text string) { b.Lines = append(b.Lines, entry(by, text)) }
	for n := range 8 {
		failed := fmt.Sprintf("Failed password for root from 192.0.2.66 port %d ssh2", n)
		add(eve, failed)
		add(line.Entry{}, failed)
		add(line.Entry{}, "Nov 20 02:10:00 db1 sshd[7]: "+failed)
		add(line.Entry{}, "2026-11-20T02:10:00+00:00 db1 sshd[7]: "+failed)
		add(line.Entry{UID: "1000"}, "sshd[7]: "+failed)
	}
	const got = "Accepted password for root from 192.0.2.66 port 4000 ssh2"
	add(eve, got)
	add(line.Entry{}, "Nov 20 02:10:00 db1 sshd[7]: "+got)
	add(eve, "pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)")
	add(line.Entry{Claim: "sshd", UID: "1000", Exe: "/usr/sbin/sshd"}, "Disconnected from user alice 192.0.2.66 port 4000")
	// A line that a parser knows by no name at all.
	named := entry(line.Entry{}, got)
	named.Program = "sshd"
	b.Lines = append(b.Lines, named)
	if err := p.Take(b); err != nil || len(p.events) != 0 {
		t.Fatalf("%v, told: %q", err, p.titles())
	}
	s := p.Stats()["journal"]
	if s.Forged != 10 || s.ForgedBy != (Forger{UID: "1000", Exe: `/home/eve/\u001b[2Jx`, Daemon: "sshd"}) || !s.ForgedAt.Equal(night) || len(s.Parsed) != 0 {
		t.Errorf("%+v", s)
	}
	p.clock = night.Add(time.Hour - time.Second)
	if err := p.Take(source.Batch{Lines: []line.Line{entry(eve, got), entry(eve, got)}}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(p.said.String(), "nothing shows that it wrote them"); n != 1 {
		t.Errorf("said %d times: %s", n, p.said.String())
	}
	p.clock = night.Add(time.Hour)
	if err := p.Take(source.Batch{Lines: []line.Line{entry(eve, got)}}); err != nil {
		t.Fatal(err)
	}
	if said := p.said.String(); strings.Count(said, "nothing shows that it wrote them") != 2 || !strings.Contains(said, "count=12") {
		t.Errorf("said: %s", said)
	}

	// sshd's own, the like of them.
	b = source.Batch{}
	for n := range 8 {
		add(line.Entry{Daemon: "sshd", UID: "0"}, fmt.Sprintf("Failed password for root from 203.0.113.7 port %d ssh2", n))
	}
	if err := p.Take(b); err != nil || len(p.events) != 1 || !strings.Contains(titleOf(p.events[0]), "203.0.113.7") {
		t.Errorf("%v, told: %q", err, p.titles())
	}
}

// TestFramed: of whom sudo and su tell must be whom the kernel says that ran them.
// Who makes a file of their own pass for sudo can only slander themselves.
func TestFramed(t *testing.T) {
	p := newPost(t)
	p.Each = true
	p.UID = func(user string) (string, bool) {
		uid, ok := map[string]string{"root": "0", "alice": "1000", "bob": "1001"}[user]
		return uid, ok
	}
	for _, row := range []struct {
		daemon, uid, text string
		framed            bool
	}{
		{"sudo", "1000", "     bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", true},
		{"sudo", "1000", "    root : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", true},
		{"su", "1000", "FAILED SU (to root) bob on pts/0", true},
		{"sudo", "1000", "pam_unix(sudo:auth): authentication failure; logname=bob uid=1001 euid=0 tty=/dev/pts/0 ruser=bob rhost=  user=bob", true},

		{"sudo", "1000", "   alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", false},
		{"su", "1000", "FAILED SU (to bob) alice on pts/0", false},
		{"su", "0", "FAILED SU (to root) bob on pts/0", false},
		{"sudo", "1000", "pam_unix(sudo:auth): authentication failure; logname=alice uid=1000 euid=0 tty=/dev/pts/0 ruser=alice rhost=  user=root", false},
		{"su", "1000", "pam_unix(su:auth): authentication failure; logname= uid=1000 euid=0 tty= ruser= rhost=  user=root", false},
		{"sudo", "70000", "  ldapuser : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", false}, // nobody here knows the name
	} {
		l := entry(line.Entry{Daemon: row.daemon, UID: row.uid, Exe: "/usr/bin/" + row.daemon}, row.text)
		l.Source, l.PID = row.uid+row.text, len(row.text)
		if err := p.Take(source.Batch{Lines: []line.Line{l}}); err != nil {
			t.Fatal(err)
		}
		if s := p.Stats()[l.Source]; (s.Forged == 1) != row.framed {
			t.Errorf("%s by uid %s: %+v", row.text, row.uid, s)
		}
	}
	p.events = nil
	for n := range 8 {
		l := entry(line.Entry{Daemon: "sudo", UID: "1000"}, "     bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh")
		l.PID = 100 + n
		if err := p.Take(source.Batch{Lines: []line.Line{l}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, title := range p.titles() {
		if strings.Contains(title, "bob") {
			t.Errorf("told: %s", title)
		}
	}
}
