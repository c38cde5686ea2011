package sshauth

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestOwners(t *testing.T) {
	const public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGiHRGEWiSsGmsJz4PYXtBcbXcZ2FIWCZJyWJqzNJCUw"
	home := t.TempDir()
	file := filepath.Join(home, ".ssh/authorized_keys")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	login := func(user, fingerprint string) event.Event {
		return event.Event{User: user, Login: event.Login{Auth: event.Auth{Fingerprint: fingerprint}}}
	}
	key := Parse("publickey " + public).Fingerprint
	if key == "" {
		t.Fatal("the test's key is not read")
	}
	homes := map[string]string{"alice": home}
	o := NewOwners(map[string][]string{"Bob": {"SHA256:bob"}}, func(user string) string { return homes[user] })

	write("# mine\nno-pty " + public + " alice@\x1blaptop\n")
	for name, c := range map[string]struct {
		e    event.Event
		want string
	}{
		"in the settings":         {login("alice", "SHA256:bob"), "Bob"},
		"in authorized_keys":      {login("alice", key), event.Clean("alice@\x1blaptop", MaxComment)},
		"nowhere":                 {login("alice", "SHA256:nobody"), ""},
		"somebody without a home": {login("carol", key), ""},
		"a login without a key":   {login("alice", ""), ""},
	} {
		if got := o.Of(c.e); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	write(public + " another comment, of another length\n")
	if got := o.Of(login("alice", key)); got != "another comment, of another length" {
		t.Errorf("the file was changed, and the owner is %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := o.Of(login("alice", key)); got != "" { // and it does not wait
		t.Errorf("a FIFO says %q", got)
	}
}

// What people paste where a key's fingerprint is wanted.
func TestKeyFingerprint(t *testing.T) {
	const (
		key  = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
		want = "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"
	)
	for name, c := range map[string]struct{ pasted, want string }{
		"a fingerprint":              {want, want},
		"a public key":               {"ssh-ed25519 " + key, want},
		"with a comment":             {"ssh-ed25519 " + key + " alice@laptop, the new one", want},
		"a line with options":        {`from="192.0.2.0/24",command="echo \"ssh-rsa AAAA\"",no-pty ssh-ed25519 ` + key + " alice", want},
		"with its end":               {"ssh-ed25519 " + key + " alice\n", want},
		"what ssh-keygen -lf shows":  {"256 " + want + " alice@laptop (ED25519)", want},
		"a fingerprint in a comment": {"ssh-ed25519 " + key + " SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", want},
		"two keys":                   {"ssh-ed25519 " + key + "\nssh-ed25519 " + key, ""},
		"an authority's":             {"cert-authority ssh-ed25519 " + key, ""},
		"one that is cut off":        {"ssh-ed25519 " + key[:40], ""},
		"an old fingerprint":         {"MD5:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff", ""},
		"a file":                     {"alice.pub", ""},
		"nothing":                    {"", ""},
	} {
		if got := KeyFingerprint(c.pasted); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
