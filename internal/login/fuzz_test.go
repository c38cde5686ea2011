package login

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

// FuzzRead puts a stranger's bytes in front of what pam_exec appends: they must
// not change who came from where, nor hide the login.
func FuzzRead(f *testing.F) {
	f.Add([]byte("A=1\x00SSH_CONNECTION="+aliceConn+"\x00SSH_AUTH_INFO_0=password\n"), false)
	f.Add([]byte("PAM_TYPE=auth\x00PAM_RHOST=192.0.2.9\x00PAM_SERVICE=x\x00SSH_CONNECTION=fe80::1%\xff 1 ::1 2"), true)
	f.Add([]byte("SSH_CONNECTION="+aliceConn+"\x00SSH_USER_AUTH=/proc/self/environ\x00"), true)
	f.Add([]byte("\x00\x00=\x00\xff\xfe="), false)
	h := pretend(f, nil, hook(alice), bash(850, 820, alice), serving92, monitor92, listener92)
	f.Fuzz(func(t *testing.T, raw []byte, pam bool) {
		own := "\x00" + strings.Join(pamEnv("open_session", "203.0.113.7"), "\x00") + "\x00"
		if !pam {
			own = "\x00"
		}
		write(t, h.Root, "proc/self/environ", string(raw)+own)
		e, err := Read(h, Options{Now: now})
		if err != nil {
			if pam {
				t.Fatal("a login was hidden:", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		if pam && (e.Remote.IP != ip("203.0.113.7") || e.User != "alice" || e.Kind != event.KindLogin || e.Service != "sshd") {
			t.Errorf("changed: %+v", e)
		}
		b, err := e.Encode()
		if err != nil {
			t.Fatal("can't be stored:", err)
		}
		stored, err := event.Decode(b)
		if err != nil {
			t.Fatal("can't be read again:", err)
		}
		if d := cmp.Diff(e.Remote.IP, stored.Remote.IP, compareAddrs); d != "" || stored.ID != e.ID {
			t.Error("changed in store:", d)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	env := pamEnv("open_session", "203.0.113.7", "SSH_CONNECTION="+aliceConn, "SSH_AUTH_INFO_0=password")
	h := underSSHD(b, env...)
	for b.Loop() {
		if _, err := Read(h, Options{Now: now}); err != nil && !errors.Is(err, ErrNothing) {
			b.Fatal(err)
		}
	}
}
