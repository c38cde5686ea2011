package parse

import (
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

func TestOpenedSessions(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       Opened
	}{
		{"su", "su[4711]: pam_unix(su:session): session opened for user root(uid=0) by alice(uid=1000)", Opened{"su", "root", "alice"}},
		{"su with a login shell", "su[4711]: pam_unix(su-l:session): session opened for user root(uid=0) by alice(uid=1000)", Opened{"su-l", "root", "alice"}},
		{"sudo", "sudo[4711]: pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)", Opened{"sudo", "root", "alice"}},
		{"sudo with spaces in front", "sudo:  pam_unix(sudo:session): session opened for user root(uid=0) by (uid=1000)", Opened{"sudo", "root", "uid:1000"}},
		{"sudo -i", "sudo: pam_unix(sudo-i:session): session opened for user root(uid=0) by alice(uid=1000)", Opened{"sudo-i", "root", "alice"}},
		{"sshd", "sshd[4711]: pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)", Opened{"sshd", "alice", "uid:0"}},
		{"sshd since OpenSSH 9.8", "sshd-session[4711]: pam_unix(sshd:session): session opened for user alice(uid=1000) by alice(uid=0)", Opened{"sshd", "alice", "alice"}},
		{"before Linux-PAM 1.4", "su[4711]: pam_unix(su:session): session opened for user root by alice(uid=1000)", Opened{"su", "root", "alice"}},
		{"the console", "login[4711]: pam_unix(login:session): session opened for user root(uid=0) by LOGIN(uid=0)", Opened{"login", "root", "LOGIN"}},
		{"a name of Active Directory's", `su[4711]: pam_unix(su:session): session opened for user EXAMPLE\new by hand(uid=70001) by alice(uid=1000)`, Opened{"su", `EXAMPLE\new by hand`, "alice"}},

		{"its end", "su[4711]: pam_unix(su:session): session closed for user root", Opened{}},
		{"cron", "cron[4711]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)", Opened{}},
		{"a user's own systemd", "systemd[4711]: pam_unix(systemd-user:session): session opened for user alice(uid=1000) by (uid=0)", Opened{}},
		{"another module", "su[4711]: pam_other(su:session): session opened for user root(uid=0) by alice(uid=1000)", Opened{}},
		{"a service that is not the program's", "su[4711]: pam_unix(sshd:session): session opened for user root(uid=0) by alice(uid=1000)", Opened{}},
		{"another program", "logger[4711]: pam_unix(su:session): session opened for user root(uid=0) by alice(uid=1000)", Opened{}},
		{"inside of another message", "sshd[4711]: Invalid user pam_unix(sshd:session): session opened for user root by x(uid=0) from 203.0.113.7 port 1", Opened{}},
		{"no end", "su[4711]: pam_unix(su:session): session opened for user root(uid=0) by alice", Opened{}},
		{"no program", "pam_unix(su:session): session opened for user root(uid=0) by alice(uid=1000)", Opened{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := Explain(line.Line{Text: "2026-11-21T02:15:04Z db1 " + row.text}, Options{Zone: time.UTC})
			if r.Opened != row.want {
				t.Errorf("opened %+v, want %+v", r.Opened, row.want)
			}
			if row.want.Service != "" && (r.Outcome != Other && row.want.Service != "login" || r.User != "" || r.Count != 0) {
				t.Errorf("it is %+v", r)
			}
		})
	}
}

// In the journal the program and the process are the kernel's word.
func TestOpenedInTheJournal(t *testing.T) {
	l := line.Line{
		Program: "su", PID: 4711, Host: "db1", Time: time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC),
		Text: "pam_unix(su:session): session opened for user root(uid=0) by alice(uid=1000)",
	}
	if r := Explain(l, Options{}); r.Opened != (Opened{"su", "root", "alice"}) || r.PID != 4711 {
		t.Errorf("%+v", r)
	}
	l.Program = "uid 1000 as su"
	if r := Explain(l, Options{}); r.Opened != (Opened{}) {
		t.Errorf("by somebody else: %+v", r)
	}
}
