package policy

import (
	"testing"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestWhoseLogin(t *testing.T) {
	people := People{
		"alice": {Keys: []Key{"SHA256:alice"}, Accounts: []string{"deploy"}},
		"Bob":   {Accounts: []string{"deploy", "backup"}},
	}
	for _, tc := range []struct{ name, user, key, want string }{
		{"an account of their name", "alice", "", "alice"},
		{"an account of their name, in other letters", "bob", "SHA256:unknown", "Bob"},
		{"an account that one alone has", "backup", "", "Bob"},
		{"an account that two have", "deploy", "", ""},
		{"an account that two have, with the key of one", "deploy", "SHA256:alice", "alice"},
		{"the account of another, with their key", "backup", "SHA256:alice", "alice"},
		{"nobody's account", "root", "", ""},
		{"nobody's account, with somebody's key", "root", "SHA256:alice", "alice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, e := range []event.Event{
				{Kind: event.KindLogin, User: tc.user, Login: event.Login{Auth: event.Auth{Fingerprint: tc.key}}},
				{Kind: event.KindAttack, User: tc.user, Attack: &event.Attack{Auth: event.Auth{Fingerprint: tc.key}}},
			} {
				if got, is := people.Of(e); is != (tc.want != "") || is && got != tc.want {
					t.Errorf("%q, %v; want %q", got, is, tc.want)
				}
			}
		})
	}
}
