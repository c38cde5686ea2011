package parse_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

const (
	print1 = "SHA256:Mwv3M0mQ3b5tG1Zr0eJ9kU2mPpPj7bq5cXyZ0aBcDeF"
	print2 = "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGeK0VmMZ8vqGkV4S1I"
)

func accepted(msg string) parse.Result {
	return parse.Explain(line.Line{Program: "sshd", Text: msg}, parse.Options{})
}

// TestLoginsThatCanBeReadInOneWay holds which of sshd's lines of a login are
// certain, whatever a user or a certificate is called.
func TestLoginsThatCanBeReadInOneWay(t *testing.T) {
	ip := netip.MustParseAddr("203.0.113.7")
	tail := " from 203.0.113.7 port 51234 ssh2"
	login := func(user, method, key string, ip netip.Addr, port uint16) parse.Result {
		return parse.Result{User: user, Method: method, Key: key, IP: ip, Port: port}
	}
	for _, row := range []struct {
		name, msg string
		want      parse.Result // without an address: not certain
	}{
		{"a key", "Accepted publickey for alice" + tail + ": ED25519 " + print1, login("alice", "publickey", print1, ip, 51234)},
		{"a key of old times", "Accepted publickey for alice" + tail + ": RSA 8b:1f:00:aa", login("alice", "publickey", "8b:1f:00:aa", ip, 51234)},
		{"a key, not named", "Accepted publickey for alice" + tail, login("alice", "publickey", "", ip, 51234)},
		{"a password", "Accepted password for root" + tail, login("root", "password", "", ip, 51234)},
		{"keyboard-interactive", "Accepted keyboard-interactive/pam for root" + tail, login("root", "keyboard-interactive/pam", "", ip, 51234)},
		{"Kerberos", "Accepted gssapi-with-mic for alice" + tail + ": alice@EXAMPLE.COM", login("alice", "gssapi-with-mic", "", ip, 51234)},
		{"hostbased", "Accepted hostbased for alice" + tail + ": RSA " + print1 + `, client user "al", client host "x from y"`, login("alice", "hostbased", print1, ip, 51234)},
		{"IPv6", "Accepted password for root from 2001:db8::7 port 1 ssh2", login("root", "password", "", netip.MustParseAddr("2001:db8::7"), 1)},
		{"IPv4 in IPv6", "Accepted password for root from ::ffff:203.0.113.7 port 1 ssh2", login("root", "password", "", ip, 1)},
		{"a zone", "Accepted password for root from fe80::1%eth0 port 1 ssh2", login("root", "password", "", netip.MustParseAddr("fe80::1"), 1)},
		{"a certificate", "Accepted publickey for alice" + tail + ": ED25519-CERT " + print1 + " ID alice@example.com (serial 42) CA ED25519 " + print2, login("alice", "publickey", print1, ip, 51234)},
		{"a certificate with a spiteful name", "Accepted publickey for alice" + tail + ": ED25519-CERT " + print1 + " ID x (serial 7) CA RSA SHA256:no from 192.0.2.66 port 5 ssh2 (serial 42) CA ED25519 " + print2, login("alice", "publickey", print1, ip, 51234)},
		{"a certificate that names another line", "Accepted publickey for alice" + tail + ": ED25519-CERT " + print1 + " ID x from 192.0.2.66 port 5 ssh2: ED25519 " + print2 + " ID q (serial 42) CA ED25519 " + print2, parse.Result{}},
		{"a user with an address", "Accepted password for a from 192.0.2.66 port 5" + tail, login("a from 192.0.2.66 port 5", "password", "", ip, 51234)},
		{"a user who is a whole line", "Accepted password for a from 192.0.2.66 port 5 ssh2" + tail, login("a from 192.0.2.66 port 5 ssh2", "password", "", ip, 51234)},
		{"a user who is a line with a key", "Accepted publickey for a from 192.0.2.66 port 5 ssh2: ED25519 " + print2 + tail + ": ED25519 " + print1, login("a from 192.0.2.66 port 5 ssh2: ED25519 "+print2, "publickey", print1, ip, 51234)},
		{"a user named for", "Accepted password for for from" + tail, login("for from", "password", "", ip, 51234)},
		{"an empty user", "Accepted password for " + tail, login("", "password", "", ip, 51234)},
		{"a backslash", `Accepted password for CORP\\alice` + tail, login(`CORP\alice`, "password", "", ip, 51234)},
		{"letters that the log can't hold", `Accepted password for zo\303\253` + tail, login("zoë", "password", "", ip, 51234)},
		{"a name for an address", "Accepted password for root from host.example.com port 1 ssh2", parse.Result{}},
		{"no such port", "Accepted password for root from 203.0.113.7 port 99999 ssh2", parse.Result{}},
		{"more after the end", "Accepted password for root from 203.0.113.7 port 1 ssh2x", parse.Result{}},
		{"a failure", "Failed password for root from 203.0.113.7 port 1 ssh2", parse.Result{}},
		{"cut short", "Accepted publickey for alice from 203.0.113.7 port 512", parse.Result{}},
		{"a certificate cut short", "Accepted publickey for alice" + tail + ": ED25519-CERT " + print1 + " ID alice (serial", parse.Result{}},
	} {
		r := accepted(row.msg)
		got := parse.Result{User: r.User, Method: r.Method, Key: r.Key, IP: r.IP, Port: r.Port}
		certain := r.Outcome == parse.Success && r.Certain && r.IP.IsValid()
		if certain != row.want.IP.IsValid() || certain && (got.User != row.want.User || got.Method != row.want.Method ||
			got.Key != row.want.Key || got.IP != row.want.IP || got.Port != row.want.Port) {
			t.Errorf("%s: %+v", row.name, r)
		}
	}
}

// TestACertificateIsItsAuthorityAndIdentity: the key of a certificate is often
// made anew each day, and its serial number with it.
func TestACertificateIsItsAuthorityAndIdentity(t *testing.T) {
	const head = "Accepted publickey for alice from 203.0.113.7 port 51234 ssh2: ED25519"
	for _, row := range []struct{ name, msg, id, ca string }{
		{"a certificate", head + "-CERT " + print1 + " ID alice@example.com (serial 42) CA ED25519 " + print2, "alice@example.com", print2},
		{"an identity of several words", head + "-CERT " + print1 + " ID alice (serial 7) CA x (serial 42) CA RSA " + print2, "alice (serial 7) CA x", print2},
		{"an empty identity", head + "-CERT " + print1 + " ID  (serial 0) CA RSA " + print2, "", print2},
		{"a plain key", head + " " + print1, "", ""},
	} {
		if r := accepted(row.msg); r.KeyID != row.id || r.CA != row.ca || r.Key != print1 {
			t.Errorf("%s: identity %q, authority %q, key %q", row.name, r.KeyID, r.CA, r.Key)
		}
	}
}

// A line that is certain is made of what the parser says it is, whoever the user
// claims to be.
func FuzzAccepted(f *testing.F) {
	f.Add("alice")
	f.Add("a from 192.0.2.66 port 5 ssh2: ED25519 " + print2 + " ID x (serial 1) CA RSA " + print2)
	f.Add("a from 192.0.2.66 port 5 ssh2")
	f.Fuzz(func(t *testing.T, user string) {
		for _, info := range []string{"", ": ED25519 " + print1, ": ED25519-CERT " + print1 + " ID a b (serial 42) CA RSA " + print2} {
			r := accepted("Accepted publickey for " + user + " from 203.0.113.7 port 51234 ssh2" + info)
			if r.Certain && r.IP != netip.MustParseAddr("203.0.113.7") {
				t.Fatalf("%q was read as %+v", user, r)
			}
		}
	})
}

// TestNamesThatSSHDEscapes: one account bears one name, whether sshd or PAM
// writes it.
func TestNamesThatSSHDEscapes(t *testing.T) {
	for logged, want := range map[string]string{
		`CORP\\alice`: `CORP\alice`, `ren\303\251`: "rené", `a\tb\nc`: event.Clean("a\tb\nc", 100), `a\0b`: event.Clean("a\x00b", 100), `a\q`: `a\q`, `a\`: `a\`,
	} {
		for _, msg := range []string{"Accepted password for %s from 203.0.113.7 port 1 ssh2", "Failed password for %s from 203.0.113.7 port 1 ssh2",
			"Invalid user %s from 203.0.113.7 port 1", "Connection closed by authenticating user %s 203.0.113.7 port 1 [preauth]"} {
			if r := accepted(strings.ReplaceAll(msg, "%s", logged)); r.User != want {
				t.Errorf("%s: %q, not %q", r.Outcome, r.User, want)
			}
		}
	}
}
