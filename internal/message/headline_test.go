package message

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
)

// The headline is all that a phone shows: who, where to, from where and why are
// there, whatever else is.
func TestHeadline(t *testing.T) {
	at := time.Date(2026, 11, 21, 3, 6, 4, 0, time.UTC)
	erin := func(change ...func(*event.Alert)) event.Alert {
		a := event.Alert{
			ID: "7K3F2QX0ZM4Y8V1T5R9W6P3N0B", Count: 1, First: at, Last: at,
			Event: event.Event{
				Kind: event.KindLogin, Time: at, Host: "web1.example.com", User: "erin", Service: "sshd",
				Remote: event.Remote{IP: netip.MustParseAddr("203.0.113.7")},
				Login:  event.Login{Auth: event.Auth{Method: "password"}},
			},
			Facts:   event.Facts{Place: event.Place{Country: "DE"}, Network: event.Network{ASN: 64500, Description: "Stiftung Erneuerbare Freiheit"}},
			Verdict: event.Verdict{Severity: event.High, Reasons: []string{"first login from Germany"}, Keys: []string{"new_country"}},
		}
		for _, c := range change {
			c(&a)
		}
		return a
	}
	because := func(s event.Severity, reason string) func(*event.Alert) {
		return func(a *event.Alert) { a.Verdict = event.Verdict{Severity: s, Reasons: []string{reason}} }
	}
	from := func(ip string, f event.Facts) func(*event.Alert) {
		return func(a *event.Alert) {
			a.Event.Remote, a.Facts = event.Remote{}, f
			if ip != "" {
				a.Event.Remote.IP = netip.MustParseAddr(ip)
			}
		}
	}
	times := func(n int, more bool) func(*event.Alert) {
		return func(a *event.Alert) { a.Count, a.More, a.First = n, more, at.Add(-9*time.Minute) }
	}
	const v6 = "2001:db8:85a3:1234:5678:8a2e:370:7334"
	for _, tt := range []struct {
		name string
		a    event.Alert
		want string
	}{
		{"from abroad", erin(), "HIGH erin → web1 from Germany (Stiftung Erneuerbare Freiheit): first time, 03:06"},
		{"in 12 hours", erin(func(a *event.Alert) { a.Clock12, a.Facts.Network.Description = true, "Stiftung" }), "HIGH erin → web1 from Germany (Stiftung): first time, 03:06 AM"},
		{"without a place", erin(from("203.0.113.7", event.Facts{})), "HIGH erin → web1 from 203.0.113.7: first time, 03:06"},
		{"with a network alone", erin(from("203.0.113.7", event.Facts{Network: event.Network{Name: "EXAMPLE-NET"}})), "HIGH erin → web1 from EXAMPLE-NET: first time, 03:06"},
		{"without an address", erin(from("", event.Facts{})), "HIGH erin → web1 from an unknown address: first time, 03:06"},
		{"a private address", erin(from("10.0.0.7", event.Facts{Scope: "private network"}), because(event.Medium, "a password of somebody who comes by key")),
			"MEDIUM erin → web1 from 10.0.0.7: a password of somebody who comes by key, 03:06"},
		{"a place with a name", erin(from("192.0.2.9", event.Facts{Name: "office"}), because(event.Medium, "first login of this user")), "MEDIUM erin → web1 from office: first login of this user, 03:06"},
		{"IPv6 without a place", erin(from(v6, event.Facts{})), "HIGH erin → web1 from " + v6 + ": first time, 03:06"},
		{"critical", erin(because(event.Critical, "got in after 214 failures")), "CRITICAL erin → web1 from 203.0.113.7: got in after 214 failures, 03:06"},
		{"critical from IPv6", erin(from(v6, event.Facts{}), because(event.Critical, "got in after 214 failures")),
			"CRITICAL erin → web1 from " + v6 + ": got in after…"},
		{"long names", erin(func(a *event.Alert) { a.Event.User, a.Event.Host = strings.Repeat("u", 60), strings.Repeat("h", 60) }),
			"HIGH uuuuuuuuuuuuuuuuu… → hhhhhhhhhhhhhhhhh… from Germany: first time, 03:06"},
		{"a long network", erin(func(a *event.Alert) { a.Facts.Network.Description = strings.Repeat("Stiftung ", 9) }),
			"HIGH erin → web1 from Germany (Stiftung Stiftung…): first time, 03:06"},
		{"labels, which give way", erin(func(a *event.Alert) { a.Event.Labels = map[string]string{"env": "production", "role": "frontend"} }),
			"HIGH erin → web1 from Germany (Stiftung Erneuerbare Freiheit): first time, 03:06"},
		{"several", erin(times(12, false)), "HIGH erin → web1 ×12 in 9 min from Germany (Stiftung Erneuerbare…): first time"},
		{"several more", erin(times(1200, true), because(event.Medium, "first login from this network")),
			"MEDIUM erin → web1 ×1,200 in 9 min from Germany: first login from this network"},
		{"low", erin(because(event.Low, "")), "erin → web1 from Germany (Stiftung Erneuerbare Freiheit)"},
		{"a provider's reason comes after the place", erin(because(event.High, "Threat Jammer 72 (HIGH): Listed")), "HIGH erin → web1 from Germany: Threat Jammer 72 (HIGH): Listed, 03:06"},
		{"nobody's name", erin(func(a *event.Alert) { a.Event.User, a.Event.Host = "", "" }), "HIGH unknown user → unknown host from Germany: first time, 03:06"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := New(tt.a).Short()
			if got != tt.want {
				t.Errorf("headline\n got %s\nwant %s", got, tt.want)
			}
			if n := utf8.RuneCountInString(got); n > textHeadline {
				t.Errorf("it has %d characters", n)
			}
		})
	}
}

// Who is told as critical is named in title and text with method and key, which
// say what to lock first.
func TestCriticalNamesUserMethodAndKey(t *testing.T) {
	auth := event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: keyAlice}
	verdict := event.Verdict{Severity: event.Critical, Reasons: []string{"got in after 214 failures"}}
	for name, e := range map[string]event.Event{
		"that the hook reported":           {Kind: event.KindLogin, User: "admin", Login: event.Login{Auth: auth}},
		"that only the watcher saw":        {Kind: event.KindAttack, User: "admin", Attack: &event.Attack{Phase: event.PhaseSuccess, Auth: auth, FromAddress: 214}},
		"that has no address, as by a tty": {Kind: event.KindLogin, Service: "login", User: "admin", Login: event.Login{Auth: auth}},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(event.Alert{Event: e, Verdict: verdict, Count: 1})
			title, text := m.Title.Line.Text(), ""
			for _, l := range m.Lines {
				text += l.Text() + "\n"
			}
			for _, want := range []string{"publickey", keyAlice} {
				if !strings.Contains(title, want) || !strings.Contains(text, want) {
					t.Errorf("no %s in title %q or text %q", want, title, text)
				}
			}
			if !strings.Contains(title, ">admin<") {
				t.Errorf("title %q", title)
			}
		})
	}
}
